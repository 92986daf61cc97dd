# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Words for people."""

from __future__ import annotations

from collections.abc import Collection


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
