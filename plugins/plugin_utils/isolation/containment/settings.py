# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the settings of nginx, pgbouncer, PostgreSQL and Redis may say: one table for each program, one question."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .boundary import Boundary
from .classes import Class, Entry
from .nginx import NGINX
from .pgbouncer import PGBOUNCER
from .postgresql import POSTGRESQL
from .redis import REDIS

#: The table of each program, by the program's name.
PROGRAMS: Mapping[str, Mapping[str, Entry]] = {
    "nginx": NGINX,
    "pgbouncer": PGBOUNCER,
    "postgresql": POSTGRESQL,
    "redis": REDIS,
}


@dataclass(frozen=True, slots=True)
class Judged:
    """A setting's class (None if nobody classified it), and why its value is not contained; empty if it is."""

    kind: Class | None
    problem: str


def judge(program: str, setting: str, value: Any, boundary: Boundary) -> Judged:
    """Judge one setting of a program, a directive's arguments as one text.

    An option of a database, user or peer of pgbouncer is called ``databases.<name>.<option>``. The names of all but
    nginx's directives may be in any case. A setting that is in no table is not allowed.
    """
    entry = entry_of(program, setting)
    if entry is None:
        return Judged(None, f"{setting} is not a setting of {program} that Bulkhead has classified")
    return Judged(entry.kind, entry.problem(value, boundary, {}))


def entry_of(program: str, setting: str) -> Entry | None:
    """The row of a program's table that a setting falls under."""
    table = PROGRAMS[program]
    name = setting if program == "nginx" else setting.lower()
    if name in table:
        return table[name]
    parts = name.split(".")
    if len(parts) > 2:
        return table.get(f"{parts[0]}.*.{parts[-1]}")
    return table.get("*.*") if len(parts) == 2 and all(parts) else None
