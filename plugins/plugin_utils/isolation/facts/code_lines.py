# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The effective lines of a document, without prose and comments, for rules that read it as text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache

from ..model import Document, Environment, Where

#: Prose: a name in it has no effect.
_PROSE = (".md", ".rst", ".txt", ".adoc", "license", "changelog", "readme", "authors", "codeowners")
_SQL_COMMENT = re.compile(r"--(?=\s|\Z)")


def code_lines(document: Document, *holding: str) -> Sequence[tuple[Where, str]]:
    """The effective lines of a document: no prose, comments or blank lines.

    With ``holding``, only lines that contain one of these texts; a document without them is not split into lines.
    """
    if not holding:
        return document.derived(_effective)
    if not any(word in document.text for word in holding):
        return ()
    lines = document.derived(_effective)
    if len(holding) == 1:
        (word,) = holding
        return [item for item in lines if word in item[1]]
    holds = _any_of(holding).search
    return [item for item in lines if holds(item[1])]


@cache
def _any_of(words: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, words)))


def _effective(document: Document) -> Iterator[tuple[Where, str]]:
    if document.path.lower().endswith(_PROSE):
        return
    for number, line in enumerate(document.text.splitlines(), start=1):
        start = line.lstrip()[:3]
        if start and not start.startswith(("#", ";", "//")) and not _SQL_COMMENT.match(start):
            yield Where(document.path, number), line


def lines_of(environment: Environment, *holding: str) -> Iterator[tuple[Where, str]]:
    """The effective lines of all documents of an environment."""
    for document in environment.documents:
        yield from code_lines(document, *holding)
