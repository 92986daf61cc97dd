# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read ``postgresql.conf``: a setting per line, the equals sign optional."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..model import Where

_LINE = re.compile(r"\s*([A-Za-z_][\w.]*)\s*(?:=\s*|\s)('(?:[^']|''|\\')*'|[^#]*)")


@dataclass(frozen=True, slots=True)
class PostgresqlSetting:
    """A setting: its name in lower case, and its value without quotes."""

    name: str
    value: str
    where: Where


def read_postgresql(text: str, path: str = "") -> tuple[PostgresqlSetting, ...]:
    """Read a configuration file. A line that is none is kept under its first word, so that nothing is overlooked."""
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        match = _LINE.match(line)
        name, value = (match[1], match[2].strip()) if match else (words[0], "")
        if value.startswith("'"):
            value = value[1:-1].replace("''", "'")
        found.append(PostgresqlSetting(name.lower(), value, Where(path, number, name)))
    return tuple(found)
