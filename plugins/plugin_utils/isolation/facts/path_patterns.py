# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Patterns of file names that meet: whether one name can fit two of them."""

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
#: Candidates that are looked at for one pattern: a directory of thousands of equal beginnings stays linear.
_MOST_CANDIDATES = 500
_MOST_FOUND = 8


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern of absolute paths, and whose it is."""

    owner: str
    text: str
    where: Where

    @property
    def stem(self) -> str:
        """What every path that fits begins with."""
        match = _WILD.search(self.text)
        return self.text[: match.start()] if match else self.text


def generalised(text: str) -> str:
    """A name with variables and substitutions as a pattern: what they hold is not known."""
    return _SUBSTITUTED.sub("*", text)


def meet(one: str, other: str) -> bool:
    """Whether some path fits both patterns; ``*`` does not cross a slash."""
    ours, theirs = one.split("/"), other.split("/")
    return len(ours) == len(theirs) and all(_names_meet(*pair) for pair in zip(ours, theirs, strict=True))


def _names_meet(one: str, other: str) -> bool:
    """The same for one component: both are walked at once, row by row."""
    ours, theirs = _pieces(one), _pieces(other)
    row = [True]
    for piece in theirs:
        row.append(row[-1] and piece == "*")
    for mine in ours:
        following = [row[0] and mine == "*"]
        for index, piece in enumerate(theirs):
            if mine == "*" or piece == "*":
                found = row[index + 1] or following[index] or row[index]
            else:
                found = row[index] and (mine == piece or "?" in (mine, piece))
            following.append(found)
        row = following
    return row[-1]


def _pieces(text: str) -> list[str]:
    text = re.sub(r"\[[^\]]*\]", "?", re.sub(r"\{[^}]*\}", "*", text))
    return re.findall(r"\*+|.", text) if "**" not in text else re.findall(r"\*|.", re.sub(r"\*+", "*", text))


def meetings(patterns: Sequence[Pattern], others: Sequence[Pattern]) -> Iterator[tuple[Pattern, list[Pattern]]]:
    """Each pattern with some of the ``others`` that another environment has and that it meets."""
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
    """Patterns whose stem begins with this one's, then those whose stem is a beginning of it."""
    for index in range(bisect_left(stems, stem), len(ordered)):
        if not stems[index].startswith(stem):
            break
        yield ordered[index]
    for end in range(len(stem) - 1, -1, -1):
        yield from by_stem.get(stem[:end], ())


def absolute(path: str, directory: str | None) -> str:
    """A path as an absolute pattern, or the empty string where the directory is not known."""
    path = generalised(path)
    if path.startswith("/"):
        return posixpath.normpath(path)
    if not directory or not directory.startswith("/") or path.startswith(("~", "*/")):
        return ""
    return posixpath.normpath(posixpath.join(directory, path))
