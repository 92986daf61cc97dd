# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read logrotate configuration: which files each block rotates."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..model import Where

_BRACE = re.compile(r"[{}]")
_PATH = re.compile(r"\"([^\"\n]+)\"|'([^'\n]+)'|(/\S+)")


@dataclass(frozen=True, slots=True)
class Rotation:
    """A block, by the patterns of the files that it rotates."""

    patterns: tuple[str, ...]
    where: Where


def read_logrotate(text: str, path: str = "") -> tuple[Rotation, ...]:
    """All blocks of a file, in linear time: one regular expression for a whole block would take quadratic time on a
    text without braces."""
    plain = re.sub(r"(?m)^[ \t]*#[^\n]*", "", text)
    rotations = []
    begin = counted = 0
    line = 1
    for brace in _BRACE.finditer(plain):
        paths = list(_PATH.finditer(plain, begin, brace.start())) if brace.group() == "{" else []
        if paths:
            line += plain.count("\n", counted, paths[0].start())
            counted = paths[0].start()
            rotations.append(Rotation(tuple("".join(hit.groups("")) for hit in paths), Where(path, line)))
        begin = brace.end()
    return tuple(rotations)
