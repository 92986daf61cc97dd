# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The classes of keys: what a value may reach."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from .boundary import Boundary

#: Says why a value is not contained, empty if it is. It gets the value, the boundary, and the mapping around the value.
Check = Callable[[Any, Boundary, Mapping[str, Any]], str]


class Class(Enum):
    """What a key's value may reach. The value of each member is its meaning, as the documentation says it."""

    INSIDE = "acts on the environment's own container, network or volume only"
    NAME = "is a name that others could take or use: begins with the prefix, or is declared in bulkhead_shared"
    PATH = "is a path of the machine: lies below the environment's directory, or is neutral and read-only"
    ADDRESS = "is an address: the environment's own, or private and unused"
    IMAGE = "names an image, which must not carry another environment's name"
    TEXT = "is a text, searched for names, paths, domains and ports of other environments"
    BOUNDED = "is allowed up to a value"
    REFUSED = "is refused"
    IGNORED = "would have no effect on a swarm, so it is refused there"


@dataclass(frozen=True, slots=True)
class Entry:
    """A key's class, the check of its values, and for people what is allowed, or why it is refused."""

    kind: Class
    check: Check | None = None
    note: str = ""

    @property
    def is_free(self) -> bool:
        """Whether any value is contained."""
        return self.check is None and self.kind not in (Class.REFUSED, Class.IGNORED)

    def problem(self, value: Any, boundary: Boundary, around: Mapping[str, Any]) -> str:
        """Say why a value is not contained; empty if it is."""
        if self.check is not None:
            return self.check(value, boundary, around)
        return "" if self.is_free else self.note


INSIDE = Entry(Class.INSIDE)
TEXT = Entry(Class.TEXT)


def inside_because(note: str) -> Entry:
    """A key that acts on its own container only, although it may not look so."""
    return Entry(Class.INSIDE, None, note)


def bounded(check: Check, note: str) -> Entry:
    """A key whose values are allowed up to a bound."""
    return Entry(Class.BOUNDED, check, note)


def refused(note: str) -> Entry:
    """A key that no value makes safe."""
    return Entry(Class.REFUSED, None, note)


def ignored(instead: str) -> Entry:
    """A key that a swarm does not have, or ignores. ``instead`` is what to do, as an order."""
    return Entry(Class.IGNORED, None, instead)


def rows(entry: Entry, names: str) -> dict[str, Entry]:
    """The same entry for each of these names, which blanks separate."""
    return dict.fromkeys(names.split(), entry)


def one_of(*allowed: str) -> Check:
    """Allow these values only."""

    def check(value: Any, _boundary: Boundary, _around: Mapping[str, Any]) -> str:
        text = str(value)
        return "" if text in allowed else f"{text} is not one of {', '.join(filter(None, allowed))}"

    return check


def at_most(limit: float, at_least: float = 0) -> Check:
    """Allow numbers in a range, both ends included."""

    def check(value: Any, _boundary: Boundary, _around: Mapping[str, Any]) -> str:
        try:
            number = float(value)
        except (TypeError, ValueError):
            return f"{value} is not a number"
        return "" if at_least <= number <= limit else f"{value} is not between {at_least:g} and {limit:g}"

    return check
