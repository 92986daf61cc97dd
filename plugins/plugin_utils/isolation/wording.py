# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Words for people: how many, and the first few of many."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

#: Names that one message gives before it counts the rest.
_NAMED = 3

#: Names, resources or places that one finding lists on the screen.
_LISTED = 4


def number(count: int, word: str) -> str:
    """How many there are of what a word names, so that one is no plural."""
    ending = "es" if word.endswith("s") else "s"
    return f"{count} {word}{'' if count == 1 else ending}"


def some(names: Sequence[str], separator: str = ", ", most: int = _LISTED) -> str:
    """The first few of many."""
    listed = separator.join(names[:most])
    return f"{listed} and {len(names) - most} more" if len(names) > most else listed


def listing(names: Iterable[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``, ``a, b, c and 7 more``; each name once."""
    unique = list(dict.fromkeys(names))
    shown, hidden = unique[:_NAMED], len(unique) - _NAMED
    if hidden > 0:
        return f"{', '.join(shown)} and {hidden} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
