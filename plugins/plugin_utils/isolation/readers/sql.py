# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Cuts SQL scripts into statements: strings, quoted names, dollar quotes and comments as PostgreSQL has them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..model import Where

_PIECE = re.compile(
    r"""(?P<comment>--[^\n]*)
    |(?P<open>/\*)
    |(?P<string>[eE]'(?:[^'\\]|''|\\.)*'|'(?:[^']|'')*')
    |(?P<name>"(?:[^"]|"")*")
    |(?P<dollar>\$(?:[A-Za-z_]\w*)?\$)
    |(?P<end>;)
    |(?P<meta>^\\\w[^\n]*)
    |(?P<other>[^-/'"$;eE\\]+|.)""",
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
_BLOCK_COMMENT = re.compile(r"/\*|\*/")


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement without comments, white space folded; strings and names as they are written."""

    text: str
    where: Where

    @property
    def verb(self) -> str:
        """The first word in capitals, or a meta-command of ``psql`` such as ``\\CONNECT``."""
        return self.text.partition(" ")[0].upper()

    @property
    def words(self) -> tuple[str, ...]:
        """The words of the statement; a quoted string or name is one word, its quotes kept."""
        return tuple(re.findall(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|[\w.$]+|[^\s\w]", self.text))


def read_sql(text: str, path: str = "") -> tuple[Statement, ...]:
    """All statements in order. What is not closed runs to the end of the text; PostgreSQL would say the same."""
    found: list[Statement] = []
    parts: list[str] = []
    begin, position, line, counted = 0, 0, 1, 0

    def finish() -> None:
        nonlocal begin
        words = "".join(parts).strip()
        if words:
            found.append(Statement(_folded(words), Where(path, begin)))
        parts.clear()
        begin = 0

    while position < len(text):
        match = _PIECE.match(text, position)
        if match is None:
            break
        kind, piece, end = match.lastgroup, match.group(), match.end()
        line += text.count("\n", counted, position)
        counted = position
        if kind == "open":
            end = _end_of_comment(text, end)
            parts.append(" ")
        elif kind == "dollar":
            close = text.find(piece, end)
            end = len(text) if close == -1 else close + len(piece)
            parts.append(text[position:end])
            begin = begin or line
        elif kind == "end":
            finish()
        elif kind == "meta" and not "".join(parts).strip():
            begin = line
            parts.append(piece)
            finish()
        elif kind != "comment":
            if not begin and piece.strip():
                begin = line + piece[: len(piece) - len(piece.lstrip())].count("\n")
            parts.append(piece)
        position = end
    finish()
    return tuple(found)


def _end_of_comment(text: str, position: int) -> int:
    """Comments nest in PostgreSQL."""
    depth = 1
    for match in _BLOCK_COMMENT.finditer(text, position):
        depth += 1 if match.group() == "/*" else -1
        if not depth:
            return match.end()
    return len(text)


def _folded(text: str) -> str:
    """White space outside of quotes folded to one space each."""
    pieces = re.split(r"('(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\$(\w*)\$.*?\$\2\$)", text, flags=re.DOTALL)
    return "".join(
        piece if index % 3 == 1 else re.sub(r"\s+", " ", piece) for index, piece in enumerate(pieces) if index % 3 != 2
    ).strip()
