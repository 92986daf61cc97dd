# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What output must not show, and how it is hidden. Used on the controller and on the targets: both hide the same."""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote, quote_plus

from .env_file import escape, unescape

HIDDEN = "********"

#: Shorter secrets are part of ordinary words: hiding them would make every message unreadable.
_SHORTEST = 4

#: The same for texts that may not be secret at all, for encoded forms, and for texts that are broken over lines.
_SHORTEST_POSSIBLE = 8

#: A character of a text, or what stands for a byte of one in a URL: programs differ in what they encode.
_PERCENT = re.compile(r"(?s)%([0-9A-Fa-f]{2})|.")

#: What a shell quotes with a backslash, as ``printf %q`` does.
_SPECIAL = re.compile(r"([^A-Za-z0-9_@%+=:,./-])")

#: Names of options and variables whose value is a secret.
_SECRET_NAME = re.compile(r"(?i)pass(word|wd|phrase)?|secret|token|credential|api_?-?key|auth|private")

_OPTION = re.compile(r"(?s)--?([A-Za-z][\w-]*)(?:=(.*))?\Z")
_ASSIGNMENT = re.compile(r"(?s)[A-Z_][A-Z0-9_]*=(.+)\Z")
_USER_INFO = re.compile(r"://[^/\s:@]*:([^/\s@]+)@")


def texts_to_hide(secrets: Iterable[str], files: Iterable[str] = ()) -> list[str]:
    """The texts that :func:`mask` hides, the longest first.

    Tools print line by line, quote ``.env``, and encode what they print, so each line of a secret and its forms count
    as well. ``files`` hold secrets among other lines: they are hidden as a whole only.
    """
    known = set(secrets)
    texts = known | {line.strip() for secret in known for line in [secret, *secret.splitlines()]}
    texts |= {form for text in texts if len(text) >= _SHORTEST and text.strip() for form in _forms(text)}
    texts |= {text for file in files for text in (file, file.strip())}
    return sorted((text for text in texts if len(text) >= _SHORTEST and text.strip()), key=len, reverse=True)


def _forms(text: str) -> Iterator[str]:
    """A text as tools write it: quoted for a shell, JSON, Python, ``.env`` or XML, and in URLs, base64 and hex."""
    raw = text.encode("utf-8", "surrogatepass")
    quoted = [json.dumps(text, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)]
    yield escape(text)
    yield from quoted
    yield from (json.dumps(form)[1:-1] for form in quoted)
    yield from (form.replace("/", "\\/") for form in quoted)
    yield from (repr(text)[1:-1], repr(raw)[2:-1], html.escape(text), html.escape(text, quote=False))
    yield from (text.replace("\\", "\\\\").replace(mark, "\\" + mark) for mark in "'\"")
    yield from (shlex.quote(text)[1:-1], text.replace("'", "'\\''"), _SPECIAL.sub(r"\\\1", text))
    yield from (quote(raw, safe=""), quote(raw), quote_plus(raw))
    encoded = [raw.hex(), *_base64(raw)]
    yield from (form for form in [*encoded, encoded[0].upper()] if len(form) >= _SHORTEST_POSSIBLE)


def _base64(raw: bytes) -> Iterator[str]:
    """The characters that a text yields in base64, by itself and at each place within a longer text."""
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + raw).decode()
        # A character counts if all of its bits are the text's.
        first, last = -(-before * 8 // 6), (before + len(raw)) * 8 // 6
        yield from (whole[first:last], whole[first:last].translate(str.maketrans("+/", "-_")))


def possible_secrets(files: Iterable[str], shown: str) -> set[str]:
    """The texts that may be secrets where only ``files`` are known: their lines, and the values after ``=``.

    Texts that ``shown`` contains, such as that of files without secrets, do not count.
    """
    lines = {line.strip() for file in files for line in file.splitlines()}
    values = {line.partition("=")[2].strip("\"'") for line in lines}
    texts = lines | values | {unescape(value) for value in values}
    return {text for text in texts if len(text) >= _SHORTEST_POSSIBLE and text not in shown}


def typed_secrets(words: Sequence[str]) -> set[str]:
    """The values in a command that may be secrets: of variables, of options with such a name, and in URLs."""
    found: set[str] = set()
    for place, word in enumerate(words):
        option, assignment = _OPTION.match(word), _ASSIGNMENT.match(word)
        if option and _SECRET_NAME.search(option[1]):
            found.update(words[place + 1 : place + 2] if option[2] is None else [option[2]])
        if assignment:
            found.add(assignment[1].strip("\"'"))
        found.update(_USER_INFO.findall(word))
    return found - {""}


def mask(value: Any, texts: Sequence[str]) -> Any:
    """The same structure, with every one of the texts replaced. ``texts`` are those of :func:`texts_to_hide`.

    Longer texts are found as well where they are broken over lines.
    """
    squeezed = {"".join(text.split()) for text in texts}
    # Hardly any of them is there, and one search for each is much less work than one in each string.
    whole = "\0".join(_strings(value))
    dense = "".join(whole.split()).replace("\0", "")
    broken = sorted(text for text in squeezed if len(text) >= _SHORTEST_POSSIBLE and text in dense)
    plain = _decoded(whole)[0] if "%" in whole else ""
    encoded = [text for text in texts if plain and _bytes(text) in plain]
    return _masked(value, _Found([text for text in texts if text in whole], broken, encoded))


class _Found(NamedTuple):
    """The texts that a structure has: as they are, broken over lines, and encoded as in a URL."""

    whole: Sequence[str]
    broken: Sequence[str]
    encoded: Sequence[str]


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item)


def _masked(value: Any, found: _Found) -> Any:
    if isinstance(value, str):
        return _hide(value, found)
    if isinstance(value, dict):
        return {key: _masked(item, found) for key, item in value.items()}
    if isinstance(value, list):
        return [_masked(item, found) for item in value]
    return value


def _hide(value: str, found: _Found) -> str:
    spans = {(at, at + len(text)) for text in found.whole for at in _places(value, text)}
    spans.update(_broken(value, found.broken))
    spans.update(_encoded(value, found.encoded))
    shown, end = [], 0
    for start, stop in sorted(spans):
        if start >= end:
            shown += [value[end:start], HIDDEN]
        end = max(end, stop)
    return "".join([*shown, value[end:]]) if spans else value


def _encoded(value: str, texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Where a text stands of which some characters are percent-encoded."""
    if texts and "%" in value:
        plain, places = _decoded(value)
        for text in map(_bytes, texts):
            for at in _places(plain, text):
                yield places[at], places[at + len(text)]


def _decoded(value: str) -> tuple[str, list[int]]:
    """A text with its percent-encoded bytes decoded, one character for each byte, and where each of them stands."""
    plain, places = [], []
    for match in _PERCENT.finditer(value):
        characters = chr(int(match[1], 16)) if match[1] else _bytes(match[0])
        plain.append(characters)
        places += [match.start()] * len(characters)
    return "".join(plain), [*places, len(value)]


def _bytes(text: str) -> str:
    """One character for each byte of a text."""
    return text.encode("utf-8", "surrogatepass").decode("latin-1")


def _broken(value: str, squeezed: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Where a text stands that is broken over lines, perhaps indented."""
    if "\n" not in value and "\r" not in value:
        return
    places = [place for place, character in enumerate(value) if not character.isspace()]
    dense = "".join(value[place] for place in places)
    for text in squeezed:
        for at in _places(dense, text):
            start, stop = places[at], places[at + len(text) - 1] + 1
            if not value[start:stop].isprintable():
                yield start, stop


def _places(value: str, text: str) -> Iterator[int]:
    at = value.find(text)
    while at >= 0:
        yield at
        at = value.find(text, at + 1)
