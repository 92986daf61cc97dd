# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Words for people."""

from __future__ import annotations

import re
from collections.abc import Collection

#: What could manipulate a terminal, as the inside of a class of characters: control characters other than tabs and line
#: ends, marks that change the direction of writing, halves of characters.
UNPRINTABLE = r"\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_UNPRINTABLE = re.compile("[%s]" % UNPRINTABLE)


def number(count: int, word: str) -> str:
    """How many there are of what a word names, so that one is no plural."""
    ending = "es" if word.endswith("s") else "s"
    return "%d %s%s" % (count, word, "" if count == 1 else ending)


def size(count: float, rounded: Collection[str] = ("B",)) -> str:
    """A number of bytes. Units that are ``rounded`` have no decimal place."""
    unit = "TiB"
    for smaller in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            unit = smaller
            break
        count /= 1024
    return "%.*f %s" % (0 if unit in rounded else 1, count, unit)


def printable(text: str) -> str:
    """Text that others wrote, in its lines, without anything that acts on a terminal."""
    return _UNPRINTABLE.sub(" ", text)
