# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The effective lines of a document, without prose and comments, for rules that read it as text."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..model import Document, Environment, Where

#: Prose: a name in it has no effect.
_PROSE = (".md", ".rst", ".txt", ".adoc", "license", "changelog", "readme", "authors", "codeowners")
_COMMENT = re.compile(r"\s*(?:#|;|//|--(?=\s|\Z))")


def code_lines(document: Document, *holding: str) -> Iterator[tuple[Where, str]]:
    """The effective lines of a document: no prose, comments or blank lines.

    With ``holding``, only lines that contain one of these texts; a document without them is not split into lines.
    """
    if not _holds(document.text, holding) or document.path.lower().endswith(_PROSE):
        return
    for number, line in enumerate(document.text.splitlines(), start=1):
        if _holds(line, holding) and line.strip() and not _COMMENT.match(line):
            yield Where(document.path, number), line


def _holds(text: str, words: tuple[str, ...]) -> bool:
    return not words or any(word in text for word in words)


def lines_of(environment: Environment, *holding: str) -> Iterator[tuple[Where, str]]:
    """The effective lines of all documents of an environment."""
    for document in environment.documents:
        yield from code_lines(document, *holding)
