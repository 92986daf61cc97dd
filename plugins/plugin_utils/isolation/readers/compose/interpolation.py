# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compose's interpolation: ``$NAME``, ``${NAME}``, six operators with nested operands, and ``$$``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ...errors import ReaderError
from ...model import Interpolation, Where

MAX_NESTING = 32
MAX_CHARACTERS = 256 << 10

_NAME = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*")
_OPERATOR = re.compile(r":?[-+?]")

#: Variables that every shell sets.
OF_THE_SHELL = frozenset({"HOME", "USER", "PWD", "UID", "GID", "LOGNAME", "HOSTNAME", "PATH"})

_NOWHERE = Where()

#: Returns a variable's value, or ``None`` if it is not set.
Lookup = Callable[[str], "str | None"]


@dataclass(frozen=True, slots=True)
class StandIn:
    """What stands for a value that is not known here. With ``for_unset``, also for each other unset variable, because
    the ``.env`` that may set it was not given; Compose would make it empty."""

    text: str
    for_unset: bool = False


@dataclass(slots=True)
class Interpolator:
    """Replaces variables, and records each use (``uses``) and each unset variable (``unset``).

    With ``stand_in``, a required variable without a value becomes that text and is recorded in ``missing``.
    """

    lookup: Lookup
    uses: list[Interpolation] = field(default_factory=list)
    unset: dict[str, Where] = field(default_factory=dict)
    stand_in: StandIn | None = None
    missing: dict[str, Where] = field(default_factory=dict)

    def substitute(self, text: str, where: Where = _NOWHERE, depth: int = 0) -> str:
        """The text with its variables replaced.

        Raises :class:`ReaderError`: ``unset-variable`` for ``${NAME:?}``, ``not-compose`` for invalid syntax,
        ``too-large``.
        """
        start = text.find("$")
        if start < 0:
            return text
        if depth > MAX_NESTING:
            raise ReaderError(f"variables nest deeper than {MAX_NESTING} levels", where.line, rule="too-large")
        if len(text) > MAX_CHARACTERS:
            message = f"a value with variables has {len(text)} characters; the limit is {MAX_CHARACTERS}"
            raise ReaderError(message, where.line, rule="too-large")
        done: list[str] = []
        position = 0
        while start >= 0:
            done.append(text[position:start])
            follows = text[start + 1 : start + 2]
            name = _NAME.match(text, start + 1)
            if follows == "$":
                done.append("$")
                position = start + 2
            elif name:
                done.append(self._plain(name[0], where))
                position = name.end()
            elif follows == "{":
                value, position = self._braced(text, start, where, depth)
                done.append(value)
            else:
                # Any other dollar stands for itself.
                done.append("$")
                position = start + 1
            start = text.find("$", position)
        done.append(text[position:])
        return "".join(done)

    def _plain(self, name: str, where: Where) -> str:
        value = self.lookup(name)
        self.uses.append(Interpolation(name, "", "", value, where))
        if value is None:
            self.unset.setdefault(name, where)
            unknown = self.stand_in is not None and self.stand_in.for_unset and name not in OF_THE_SHELL
            return self.stand_in.text if self.stand_in is not None and unknown else ""
        return value

    def _braced(self, text: str, start: int, where: Where, depth: int) -> tuple[str, int]:
        """The replacement of the ``${…}`` at ``start``, and the position after it."""
        name = _NAME.match(text, start + 2)
        if not name:
            raise _invalid(where)
        if text[name.end() : name.end() + 1] == "}":
            return self._plain(name[0], where), name.end() + 1
        operator = _OPERATOR.match(text, name.end())
        end_of_line = text.find("\n", start)
        last = text.rfind("}", name.end(), end_of_line if end_of_line >= 0 else len(text))
        if not operator or last < operator.end():
            raise _invalid(where)
        close = _closing(text, start, last)
        if close < operator.end():
            raise _invalid(where)
        operand = text[operator.end() : close]
        return self._operate(name[0], operator[0], operand, where, depth), close + 1

    def _operate(self, name: str, operator: str, operand: str, where: Where, depth: int) -> str:
        other = self.substitute(operand, where, depth + 1)
        value = self.lookup(name)
        self.uses.append(Interpolation(name, operator, operand, value, where))
        present = value is not None and (value != "" or not operator.startswith(":"))
        if operator.endswith("+"):
            return other if present else value or ""
        if present:
            return value or ""
        if operator.endswith("-"):
            return other
        if self.stand_in is not None:
            self.missing.setdefault(name, where)
            return self.stand_in.text
        raise ReaderError(
            f"required variable {name} is missing a value{': ' + other if other else ''}",
            where.line,
            rule="unset-variable",
        )


def _closing(text: str, start: int, last: int) -> int:
    """The brace that closes the one at ``start + 1``, counted as Compose counts; ``last`` if there is none."""
    depth = 0
    position = start
    while position <= last:
        character = text[position]
        if character == "}":
            depth -= 1
            if depth == 0:
                return position
        elif character == "{":
            depth += 1
            position += 1
        position += 1
    return last


def _invalid(where: Where) -> ReaderError:
    # The text itself may be a secret.
    place = f" of {where.item}" if where.item else ""
    return ReaderError(
        f"the value{place} contains an invalid variable: write '$$' for a literal dollar",
        where.line,
        rule="not-compose",
    )


def lookup_in(*mappings: Mapping[str, str]) -> Lookup:
    """A lookup in several mappings; the first that has the name wins."""

    def lookup(name: str) -> str | None:
        for mapping in mappings:
            if name in mapping:
                return mapping[name]
        return None

    return lookup
