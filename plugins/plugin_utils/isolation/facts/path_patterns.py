# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Overlapping file name patterns: whether a path can match two of them."""

from __future__ import annotations

import posixpath
import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from ..model import Where

_WILD = re.compile(r"[*?\[{]")
_SUBSTITUTED = re.compile(r"\$\([^()]*(?:\([^()]*\)[^()]*)*\)|\$\{[^}]*\}|\$\w+|`[^`]*`|%[a-zA-Z]|\{\{[^}]*\}\}")
_DEFAULT = re.compile(r"\$\{\w+:?-(/[^{}$]*)\}")
#: The most candidates that are compared with a pattern, so that thousands of similar paths take linear time.
_MOST_CANDIDATES = 500
_MOST_FOUND = 8


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern of absolute paths, and its owner."""

    owner: str
    text: str
    where: Where

    @property
    def stem(self) -> str:
        """The text before the first wildcard, with which every matching path begins."""
        match = _WILD.search(self.text)
        return self.text[: match.start()] if match else self.text


def generalised(text: str) -> str:
    """A name with ``*`` for each variable and substitution, whose values are unknown."""
    return _SUBSTITUTED.sub("*", text)


def meet(pattern: str, other: str) -> bool:
    """Whether some path matches both patterns; ``*`` does not match a slash."""
    ours, theirs = pattern.split("/"), other.split("/")
    return len(ours) == len(theirs) and all(_names_meet(*pair) for pair in zip(ours, theirs, strict=True))


def _names_meet(pattern: str, other: str) -> bool:
    """The same for one component, by dynamic programming over both patterns."""
    ours, theirs = _pieces(pattern), _pieces(other)
    row = [True]
    for piece in theirs:
        row.append(row[-1] and piece == "*")
    for mine in ours:
        following = [row[0] and mine == "*"]
        for index, piece in enumerate(theirs):
            if mine == "*" or piece == "*":
                matches = row[index + 1] or following[index] or row[index]
            else:
                matches = row[index] and (mine == piece or "?" in (mine, piece))
            following.append(matches)
        row = following
    return row[-1]


def _pieces(text: str) -> list[str]:
    text = re.sub(r"\[[^\]]*\]", "?", re.sub(r"\{[^}]*\}", "*", text))
    return re.findall(r"\*+|.", text) if "**" not in text else re.findall(r"\*|.", re.sub(r"\*+", "*", text))


def meetings(patterns: Sequence[Pattern], others: Sequence[Pattern]) -> Iterator[tuple[Pattern, list[Pattern]]]:
    """Yield each pattern with up to :data:`_MOST_FOUND` overlapping ones in ``others`` of other environments."""
    ordered = sorted(set(others), key=lambda pattern: (pattern.stem, pattern.owner, pattern.text, pattern.where))
    stems = [pattern.stem for pattern in ordered]
    by_stem: dict[str, list[Pattern]] = {}
    for other in ordered:
        by_stem.setdefault(other.stem, []).append(other)
    for pattern in dict.fromkeys(patterns):
        found = [
            other
            for other in islice(_candidates(pattern.stem, ordered, stems, by_stem), _MOST_CANDIDATES)
            if other.owner != pattern.owner and meet(pattern.text, other.text)
        ]
        if found:
            yield pattern, list({other.owner: other for other in reversed(found)}.values())[-_MOST_FOUND:][::-1]


def _candidates(
    stem: str, ordered: Sequence[Pattern], stems: Sequence[str], by_stem: dict[str, list[Pattern]]
) -> Iterator[Pattern]:
    """Yield the patterns whose stem begins with this one, then those whose stem this one begins with."""
    for index in range(bisect_left(stems, stem), len(ordered)):
        if not stems[index].startswith(stem):
            break
        yield ordered[index]
    for end in range(len(stem) - 1, -1, -1):
        yield from by_stem.get(stem[:end], ())


def absolute(path: str, directory: str | None) -> str:
    """A path as an absolute pattern, or the empty string if the directory is unknown."""
    # Without an argument, ${DIR:-/backups} is /backups.
    path = generalised(_DEFAULT.sub(r"\1", path))
    if path.startswith("/"):
        return posixpath.normpath(path)
    if not directory or not directory.startswith("/") or path.startswith(("~", "*/")):
        return ""
    return posixpath.normpath(posixpath.join(directory, path))
