# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parse nginx configuration with nginx's own rules for quotes, comments, blocks and includes.

The tokeniser is our own, so that the controller needs no further package; tests compare it with ``crossplane``.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from ...errors import ReaderError
from ...model import Directive, Where

Read = Callable[[str], "str | None"]

#: Far deeper than real configurations nest.
MAX_DEPTH = 64
#: The most files that one file may include, directly or not, so that includes which fan out end.
MAX_INCLUDES = 500

#: One token, as ``ngx_conf_read_token`` splits them. A quote or ``#`` starts a string or comment only at the start of
#: a word, and ``${`` does not open a block. White space before a token belongs to its match.
_TOKEN = re.compile(
    r"""[ \t\r\n]*(?:
    (?P<comment>\#[^\n]*)
    |(?P<mark>[;{}])
    |(?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    |(?P<word>(?:\\.|\$\{|[^ \t\r\n;{}\\"'\#])(?:\\.|\$\{|[^ \t\r\n;{\\])*)|\Z)""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\([\"'\\trn])")
_UNESCAPED = {"t": "\t", "r": "\r", "n": "\n"}
#: Parts of Lua that may contain a brace. An unclosed string ends with its line.
_LUA = re.compile(r"""--\[\[|--[^\n]*|"(?:[^"\\\n]|\\.)*"?|'(?:[^'\\\n]|\\.)*'?|\[\[|[{}]""", re.DOTALL)


#: A whole directive on a line of its own, without anything that nginx reads otherwise than as words: most are such.
_SIMPLE = re.compile(r"([^\s;{}\\\"'#]+(?:[ \t]+[^\s;{}\\\"'#]+)*)[ \t]*;")

#: Some words or a mark, the line, and whether it is a mark: a plain tuple, of which a fleet has many.
_Token = tuple[list[str], str, int]


@dataclass
class _Frame:
    """An open block: the directive that opened it, and its children so far."""

    name: str = ""
    args: tuple[str, ...] = ()
    line: int = 0
    children: list[Directive] = field(default_factory=list)


def read_nginx(text: str, file: str, read: Read | None = None) -> tuple[Directive, ...]:
    """All directives of a configuration file, in order. Raises :class:`ReaderError` with the line.

    With ``read``, an ``include`` of a relative path is replaced by that file's directives. Absolute paths and patterns
    name files inside the container and are kept.
    """
    return _Reader(read).file(text, file, ())


class _Reader:
    """The reading of one file with its includes, which it counts."""

    def __init__(self, read: Read | None) -> None:
        self.read = read
        self.included = 0

    def file(self, text: str, file: str, chain: tuple[str, ...]) -> tuple[Directive, ...]:
        """The directives of one file; ``chain`` are the files that include it."""
        outer = chain[0] if chain else ""
        try:
            return self._parse(text, file, (*chain, file))
        except ReaderError as error:
            if outer and not error.file:
                error.file = file
            raise

    def _parse(self, text: str, file: str, chain: tuple[str, ...]) -> tuple[Directive, ...]:
        stack = [_Frame()]
        words: list[str] = []
        line = 0  # of the first of the words
        for more, mark, token_line in _tokens(text):
            if more:
                line = line if words else token_line
                words = words + more if words else more
            if not mark:
                continue
            if mark == "}":
                if words:
                    raise _syntax(f'directive "{words[0]}" is not terminated by ";"', line)
                if len(stack) == 1:
                    raise _syntax('unexpected "}"', token_line)
                frame = stack.pop()
                stack[-1].children.append(
                    Directive(frame.name, frame.args, Where(file, frame.line), tuple(frame.children))
                )
                continue
            if not words:
                raise _syntax(f'unexpected "{mark}"', token_line)
            name, args = words[0], tuple(words[1:])
            words = []
            if mark == "{":
                if len(stack) > MAX_DEPTH:
                    raise _syntax(f"blocks nest deeper than {MAX_DEPTH}", line)
                stack.append(_Frame(name, args, line))
            elif name == "include" and len(args) == 1:
                stack[-1].children.extend(self._include(args[0], file, line, chain))
            else:
                stack[-1].children.append(Directive(name, args, Where(file, line)))
        last = text.count("\n") + 1
        if words:
            raise _syntax(f'unexpected end of file: directive "{words[0]}" lacks ";" or "}}"', line)
        if len(stack) > 1:
            frame = stack[-1]
            raise _syntax(f'unexpected end of file: block "{frame.name}" of line {frame.line} lacks "}}"', last)
        return tuple(stack[0].children)

    def _include(self, path: str, file: str, line: int, chain: tuple[str, ...]) -> Sequence[Directive]:
        unresolved = (Directive("include", (path,), Where(file, line)),)
        if self.read is None or posixpath.isabs(path) or any(mark in path for mark in "*?[$"):
            return unresolved
        target = posixpath.normpath(posixpath.join(posixpath.dirname(file), path))
        if target in map(posixpath.normpath, chain):
            raise ReaderError(f"{path} includes itself", line, rule="cycle")
        self.included += 1
        if self.included > MAX_INCLUDES:
            raise ReaderError(f"more than {MAX_INCLUDES} includes", line, rule="too-large")
        text = self.read(target)
        return unresolved if text is None else self.file(text, target, chain)


def _tokens(text: str) -> Iterator[_Token]:
    """Split a text into words and marks."""
    text = text.removeprefix("\ufeff")
    position, line, glued, first = 0, 1, False, ""
    if "\0" in text:
        raise _syntax("not a text file", text.count("\n", 0, text.index("\0")) + 1)
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            space = len(text) - len(text[position:].lstrip(" \t\r\n"))
            raise _syntax("a quote is not closed", line + text.count("\n", position, space))
        kind = match.lastgroup
        if kind is None:  # nothing but space is left
            return
        piece, start = match[kind], match.start(kind)
        if start > position:
            line += text.count("\n", position, start)
        if glued and start == position and kind != "mark" and not piece.startswith(")"):
            raise _syntax(f'unexpected "{piece[0]}" after a closing quote', line)
        whole = _SIMPLE.match(text, start) if kind == "word" and not first else None
        if whole:
            yield whole[1].split(), ";", line
            glued, position = False, whole.end()
            continue
        glued = kind == "quoted"
        position = match.end()
        if kind == "mark":
            yield [], piece, line
            if piece == "{" and first.endswith("_by_lua_block"):
                position = _end_of_lua(text, position, line)
            first = ""
        elif kind != "comment":
            value = piece[1:-1] if glued else piece
            first = first or value
            yield [_ESCAPE.sub(_unescape, value) if "\\" in value else value], "", line
        if "\n" in piece or position > match.end():
            line += text.count("\n", start, position)


def _unescape(hit: re.Match[str]) -> str:
    return _UNESCAPED.get(hit[1], hit[1])


def _end_of_lua(text: str, position: int, line: int) -> int:
    """The position of the ``}`` that ends a block of Lua, which is not parsed."""
    depth = 1
    match = _LUA.search(text, position)
    while match:
        position = match.end()
        if match.group() in ("[[", "--[["):
            position = text.find("]]", position)
            if position == -1:
                break
        depth += {"{": 1, "}": -1}.get(match.group(), 0)
        if not depth:
            return match.start()
        match = _LUA.search(text, position)
    raise _syntax('a block of Lua lacks "}"', line)


def _syntax(message: str, line: int) -> ReaderError:
    return ReaderError(message, line, rule="nginx-syntax")
