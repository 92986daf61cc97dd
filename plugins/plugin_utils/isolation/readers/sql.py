# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Split SQL scripts into statements, with PostgreSQL's strings, quoted names, dollar quotes and comments."""

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
    """A statement without comments and with white space folded; strings and names are as written."""

    text: str
    where: Where

    @property
    def verb(self) -> str:
        """The first word in capitals, or a meta-command of ``psql`` such as ``\\CONNECT``."""
        return self.text.partition(" ")[0].upper()

    @property
    def words(self) -> tuple[str, ...]:
        """The words of the statement; a quoted string or name is one word, with its quotes."""
        return tuple(re.findall(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|[\w.$]+|[^\s\w]", self.text))


def read_sql(text: str, path: str = "") -> tuple[Statement, ...]:
    """All statements in order. An unclosed string or comment runs to the end of the text, as in PostgreSQL."""
    statements: list[Statement] = []
    parts: list[str] = []
    begin, position, line, counted = 0, 0, 1, 0

    def finish() -> None:
        nonlocal begin
        words = "".join(parts).strip()
        if words:
            statements.append(Statement(_folded(words), Where(path, begin)))
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
    return tuple(statements)


def _end_of_comment(text: str, position: int) -> int:
    """Where a block comment ends; they nest in PostgreSQL."""
    depth = 1
    for match in _BLOCK_COMMENT.finditer(text, position):
        depth += 1 if match.group() == "/*" else -1
        if not depth:
            return match.end()
    return len(text)


def _folded(text: str) -> str:
    """The text with white space outside quotes folded to single spaces."""
    pieces = re.split(r"('(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\$(\w*)\$.*?\$\2\$)", text, flags=re.DOTALL)
    return "".join(
        piece if index % 3 == 1 else re.sub(r"\s+", " ", piece) for index, piece in enumerate(pieces) if index % 3 != 2
    ).strip()
