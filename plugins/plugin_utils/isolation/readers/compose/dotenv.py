# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read environment files as Compose does: quotes, escapes, comments, ``export`` and variables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ...errors import ReaderError
from ...model import Setting, Where
from .interpolation import Interpolator, Lookup

MAX_CHARACTERS = 2 << 20

_SPACES = "\t\v\f\r \x85\xa0"
_EXPORT = re.compile(r"export\s+")
_ESCAPE = re.compile(r'\\(?:[abcfnrtv$"\\]|0\d{0,3})')
_PLAIN_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", '"': '"', "\\": "\\"}


@dataclass(frozen=True, slots=True)
class Line:
    """A setting of a file. ``value`` is ``None`` for a bare ``NAME``, whose value comes from elsewhere.

    ``literal`` means that the value was in single quotes, so that its variables are not replaced.
    """

    key: str
    value: str | None
    line: int
    literal: bool = False


def read_dotenv(text: str) -> list[Line]:
    """Read the settings of a file without replacing variables. Raises :class:`ReaderError` (``not-dotenv``)."""
    if len(text) > MAX_CHARACTERS:
        raise ReaderError(f"the file has {len(text)} characters; the limit is {MAX_CHARACTERS}", rule="too-large")
    if "\0" in text:
        raise ReaderError("the file is binary, not an environment file", rule="not-dotenv")
    return list(_lines(text.removeprefix("\ufeff")))


def evaluate(lines: list[Line], file: str, lookup: Lookup) -> dict[str, str]:
    """The values with their variables replaced, from ``lookup`` or else from earlier lines of the file."""
    values: dict[str, str] = {}

    def find(name: str) -> str | None:
        outer = lookup(name)
        return values.get(name) if outer is None else outer

    interpolator = Interpolator(find)
    for line in lines:
        if line.value is None:
            inherited = lookup(line.key)
            if inherited is not None:
                values[line.key] = inherited
        elif line.literal:
            values[line.key] = line.value
        else:
            values[line.key] = interpolator.substitute(line.value, Where(file, line.line, line.key))
    return values


def settings(lines: list[Line], file: str, values: Mapping[str, str], service: str = "") -> list[Setting]:
    """The settings of a file for the model; if a name occurs twice, the last line is its place."""
    last = {line.key: line for line in lines}
    return [Setting(key, values.get(key), Where(file, line.line, key), service) for key, line in last.items() if key]


def _lines(text: str) -> Iterator[Line]:
    position = 0
    length = len(text)
    line = 1
    counted = 0
    while True:
        while position < length and text[position].isspace():
            position += 1
        if position >= length:
            return
        if text[position] == "#":
            end = text.find("\n", position)
            position = length if end < 0 else end
            continue
        line += text.count("\n", counted, position)
        counted = position
        export = _EXPORT.match(text, position)
        if export:
            position += len("export")
            while position < length and text[position] in _SPACES:
                position += 1
            if position >= length:
                raise ReaderError("nothing follows 'export'", line, rule="not-dotenv")
        key, position, bare = _key(text, position, line)
        if bare:
            yield Line(key, None, line)
            continue
        while position < length and text[position] in _SPACES:
            position += 1
        value, position, literal = _value(text, position, line)
        yield Line(key, value, line, literal)


def _key(text: str, position: int, line: int) -> tuple[str, int, bool]:
    """A name, the position of its value, and whether the name is alone on its line."""
    for index in range(position, len(text)):
        character = text[index]
        if character in _SPACES:
            continue
        if character in "=:\n":
            key = text[position:index].rstrip()
            if " " in key:
                raise ReaderError("the name of a variable cannot contain a space", line, rule="not-dotenv")
            return key, index + 1, character == "\n"
        if not (character in "_.-[]" or character.isalpha() or character.isnumeric()):
            raise ReaderError(f"unexpected character {character!r} in the name of a variable", line, rule="not-dotenv")
    # The last line has neither '=' nor a line end; Compose takes it for a value without a name.
    return "", position, False


def _value(text: str, position: int, line: int) -> tuple[str, int, bool]:
    """A value, the position after it, and whether it is literal."""
    quote = text[position : position + 1]
    if quote not in ("'", '"') or not quote:
        end = text.find("\n", position)
        end = len(text) if end < 0 else end
        return text[position:end].partition(" #")[0].rstrip(), min(end + 1, len(text)), False
    parts: list[str] = []
    index = position + 1
    escaped = False
    while index < len(text):
        character = text[index]
        if character == quote:
            if not escaped:
                value = "".join(parts)
                return (value if quote == "'" else _ESCAPE.sub(_escape, value)), index + 1, quote == "'"
            escaped = False
            parts.append(character)
        elif character == "\\" and not escaped:
            escaped = True
        else:
            if escaped:
                escaped = False
                parts.append("\\")
            parts.append(character)
        index += 1
    raise ReaderError("a quoted value is not closed", line, rule="not-dotenv")


def _escape(match: re.Match[str]) -> str:
    escape = match[0]
    if escape == r"\$":
        return "$$"
    if escape[1] in _PLAIN_ESCAPES:
        return _PLAIN_ESCAPES[escape[1]]
    digits = escape[2:]
    if escape[1] == "0" and len(digits) == 3 and int(digits[0]) < 4 and not set(digits) & set("89"):
        return chr(int(digits, 8))
    return escape
