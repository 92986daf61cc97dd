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

#: What nothing quotes, so that it has no other form but in base64 and hex.
_UNQUOTED = re.compile(r"[A-Za-z0-9_.-]*\Z")

#: Names of options and variables whose value is a secret.
_SECRET_NAME = re.compile(r"(?i)pass(word|wd|phrase)?|secret|token|credential|api_?-?key|auth|private")

_OPTION = re.compile(r"(?s)--?([A-Za-z][\w-]*)(?:=(.*))?\Z")
#: Options of one letter that programs take a password by: ``mysql -pSECRET``, ``redis-cli -a SECRET``, ``curl -u a:b``.
_ATTACHED = re.compile(r"(?s)-[pauw](.+)\Z")
_LETTERS = {
    "a": ("redis-cli", "valkey-cli"),
    "u": ("curl", "wget"),
    "p": ("mysql", "mysqladmin", "mysqldump", "mariadb", "mariadb-dump", "mongo", "mongosh", "sshpass", "7z", "login"),
    "w": ("ldapadd", "ldapdelete", "ldapmodify", "ldapsearch", "ldapwhoami"),
}
#: Options whose value is a user with a password.
_USER = re.compile(r"(?:proxy-)?user\Z")
#: What a program takes a password after, as the last word.
_LAST = {
    "redis-cli": re.compile(r"(?i)auth\Z"),
    "valkey-cli": re.compile(r"(?i)auth\Z"),
    "rabbitmqctl": re.compile(r"add_user\Z|change_password\Z"),
    "htpasswd": re.compile(r"-\w*b"),
    "mc": re.compile(r"alias\Z"),
}
_ASSIGNMENT = re.compile(r"(?s)(\w+)=(.+)\Z")
_HEADER = re.compile(r"(?si)([\w-]*(?:authorization|cookie|token|secret|password|key|auth)[\w-]*)\s*:\s*(.+)\Z")
_IN_JSON = re.compile(r"(?s)[\"']([\w.-]+)[\"']\s*:\s*[\"']([^\"']+)[\"']")
#: A password in a URL: as URLs have it, and with signs that should have been encoded; a token in place of a user.
_USER_INFO = re.compile(r"://[^/\s:@]*:([^/\s@]+)@")
_ODD_USER_INFO = re.compile(r"://[^/\s:@]*:(\S+)@|://([^/\s:@]{16,})@")
#: A password in SQL; a literal that code gives a name or calls something with; the third argument of Django's own call.
_IN_SQL = re.compile(r"(?i)\b(?:password|identified\s+by)\s+E?'((?:[^']|'')+)'")
_IN_CODE = re.compile(r"(?s)(\w+)\s*[=(]\s*(?:\"([^\"]+)\"|'([^']+)')")
_NEW_USER = re.compile(r"""(?s)create_(?:super)?user\((?:\s*(['"]).*?\1\s*,){2}\s*(['"])(.+?)\2""")
_QUERY = re.compile(r"[?&]([\w.-]+)=([^&#\s]+)")

#: What names things in results, which programs read. No key of a mapping that looks so is hidden.
_PLAIN_KEY = re.compile(r"[a-z_]{1,24}\Z")


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
    encoded = [raw.hex(), *_base64(raw)]
    yield from (form for form in [*encoded, encoded[0].upper()] if len(form) >= _SHORTEST_POSSIBLE)
    if _UNQUOTED.match(text):
        return
    quoted = [json.dumps(text, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)]
    yield escape(text)
    yield from quoted
    yield from (json.dumps(form)[1:-1] for form in quoted)
    yield from (form.replace("/", "\\/") for form in quoted)
    yield from (repr(text)[1:-1], repr(raw)[2:-1], html.escape(text), html.escape(text, quote=False))
    yield from (text.replace("\\", "\\\\").replace(mark, "\\" + mark) for mark in "'\"")
    yield from (shlex.quote(text)[1:-1], text.replace("'", "'\\''"), _SPECIAL.sub(r"\\\1", text))
    yield from (quote(raw, safe=""), quote(raw), quote_plus(raw))


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
    """The values in a command that may be secrets: of variables, of options and headers with such a name, and in URLs.

    A word that is a command itself, as for ``sh -c``, counts as well. More is hidden rather than less.
    """
    found: set[str] = set()
    for place, word in enumerate(words):
        option, assignment = _OPTION.match(word), _ASSIGNMENT.match(word)
        after = words[place + 1 : place + 2]
        if option and _SECRET_NAME.search(option[1]):
            found.update(after if option[2] is None else [option[2]])
        value = after[0] if option and option[2] is None and after else option[2] if option else None
        if option and value and _USER.match(option[1]) and ":" in value:
            found.add(value.partition(":")[2])
        program = word.rpartition("/")[2]
        if program in _LAST and any(map(_LAST[program].match, words[place + 1 : -1])):
            found.add(words[-1])
        if program in ("echo", "printf") and "--password-stdin" in words:
            found.update(after)
        if assignment and (assignment[1].isupper() or _SECRET_NAME.search(assignment[1])):
            found.add(assignment[2].strip("\"'"))
        found.update(_short_options(words, word, after))
        found.update(_in_word(word))
        if any(sign.isspace() for sign in word.strip()):
            found |= typed_secrets(_words(word))
    return found - {""}


def _short_options(words: Sequence[str], word: str, after: Sequence[str]) -> Iterator[str]:
    """The values of options that have one letter, with their parts: ``-u user:password``."""
    attached = _ATTACHED.match(word)
    values: list[str] = []
    for letter, programs in _LETTERS.items():
        if any(name.rpartition("/")[2] in programs for name in words):
            values += after if word == "-" + letter else []
            values += [attached[1]] if attached and word[1] == letter else []
    for value in values:
        yield from {value, value.partition(":")[2] or value}


def _in_word(word: str) -> Iterator[str]:
    """The secrets in a header, a URL or JSON."""
    yield from _USER_INFO.findall(word)
    yield from (text for pair in _ODD_USER_INFO.findall(word) for text in pair)
    header = _HEADER.match(word[2:] if word.startswith("-H") else word.rpartition("header=")[2])
    if header and "://" not in header[1]:
        yield header[2]
        yield from (part for part in header[2].split() if len(part) >= _SHORTEST_POSSIBLE)
    yield from _IN_SQL.findall(word)
    yield from (found[2] for found in _NEW_USER.findall(word))
    for name, text, other in _IN_CODE.findall(word):
        if _SECRET_NAME.search(name):
            yield text or other
    for name, value in [*_QUERY.findall(word), *_IN_JSON.findall(word)]:
        if _SECRET_NAME.search(name):
            yield value


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


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
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _strings(key)
            yield from _strings(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _strings(item)


def _masked(value: Any, found: _Found) -> Any:
    if isinstance(value, str):
        return _hide(value, found)
    if isinstance(value, dict):
        return {_masked_key(key, found): _masked(item, found) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        items = [_masked(item, found) for item in value]
        return items if isinstance(value, list) else tuple(items)
    return value


def _masked_key(key: Any, found: _Found) -> Any:
    if not isinstance(key, str) or _PLAIN_KEY.match(key):
        return tuple(_masked(key, found)) if isinstance(key, tuple) else key
    return _hide(key, found)


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
