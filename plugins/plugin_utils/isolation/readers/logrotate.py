# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads logrotate configuration: which files each block rotates."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..model import Where

_BRACE = re.compile(r"[{}]")
_PATH = re.compile(r"\"([^\"\n]+)\"|'([^'\n]+)'|(/\S+)")


@dataclass(frozen=True, slots=True)
class Rotation:
    """One block: the patterns of the files that it rotates."""

    patterns: tuple[str, ...]
    where: Where


def read_logrotate(text: str, path: str = "") -> tuple[Rotation, ...]:
    """All blocks of a file. Linear in the text: a regular expression for a whole block would search it again and
    again where there is no brace."""
    plain = re.sub(r"(?m)^[ \t]*#[^\n]*", "", text)
    found = []
    begin = counted = 0
    line = 1
    for brace in _BRACE.finditer(plain):
        paths = list(_PATH.finditer(plain, begin, brace.start())) if brace.group() == "{" else []
        if paths:
            line += plain.count("\n", counted, paths[0].start())
            counted = paths[0].start()
            found.append(Rotation(tuple("".join(hit.groups("")) for hit in paths), Where(path, line)))
        begin = brace.end()
    return tuple(found)
