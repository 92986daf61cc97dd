# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Variables of a script that are compared with fixed words, so that the script ends for any other value."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..model import Document
from ..readers.documents import commands
from ..readers.shell.scripts import Command

#: Commands after a test within which the script has to end.
_NEAR = 8
_TESTS = ("[", "[[", "test")
_VARIABLE = re.compile(r"\$\{?(\w+)")
_CASE = re.compile(r"\bcase\s+[\"']?\$\{?(\w+)\}?[\"']?\s+in\b(.*?)\besac\b", re.DOTALL)
#: The arm for all other values, up to its end.
_OTHERWISE = re.compile(r"(?:^|[\s;(])\*\s*\)(.*?)(?:;;|\Z)", re.DOTALL)
_STOPS = re.compile(r"\b(?:exit\s+[1-9$]|return\s+[1-9]|die|fail|usage|abort)\b")
_ENDS = ("exit", "return", "die", "fail", "abort", "usage")


def checked_variables(document: Document) -> frozenset[str]:
    """The names of variables whose value a document compares before it goes on."""
    listed = commands(document)
    found = set(_in_cases(document.text))
    for index, command in enumerate(listed):
        if command.argv[:1] and command.argv[0] in _TESTS and any(map(_ends, listed[index + 1 : index + 1 + _NEAR])):
            found.update(_compared(command))
    return frozenset(found)


def _in_cases(text: str) -> Iterator[str]:
    """The variables of each ``case`` that ends the script for all other values."""
    for name, arms in _CASE.findall(text) if "case" in text else ():
        if any(map(_STOPS.search, _OTHERWISE.findall(arms))):
            yield name


def _ends(command: Command) -> bool:
    return command.argv[:1] != () and command.argv[0] in _ENDS and command.argv[1:2] != ("0",)


def _compared(command: Command) -> Iterator[str]:
    """The variables that a test compares with words."""
    raw = command.raw or command.argv
    for left, operator, right in zip(raw, raw[1:], raw[2:], strict=False):
        sides = [side for side in map(_VARIABLE.search, (left, right)) if side]
        if operator in ("=", "==", "!=", "=~") and len(sides) == 1:
            yield sides[0][1]
