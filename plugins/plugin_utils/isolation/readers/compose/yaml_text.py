# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read YAML as Compose does, with the line of every item, and with limits on size, depth and aliases.

Compose reads YAML 1.2 with some of 1.1: ``on`` and ``yes`` are strings, ``22:22`` is a string, ``0644`` is octal.
PyYAML's constructors differ in all three, so values are built here from PyYAML's events.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from ...errors import ReaderError

#: Larger files are refused before parsing; no hand-written Compose file comes close.
MAX_CHARACTERS = 2 << 20
#: The most values after expanding aliases, of which a few lines could make billions.
MAX_VALUES = 200_000
MAX_DEPTH = 64

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER = re.compile(r"[-+]?(?:0b[01]+|0o?[0-7]+|0x[0-9a-fA-F]+|[1-9][0-9]*|0)\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_DATE = re.compile(r"(\d{4})-(\d\d?)-(\d\d?)(?: (\d\d?:\d\d?:\d\d?))?\Z")
_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_TAG = "tag:yaml.org,2002:"

#: Where something was written: (file, line).
Place = tuple[str, int]


class Map(dict[str, Any]):
    """A mapping with the place of each key."""

    __slots__ = ("at",)

    def __init__(self, *values: Any, at: dict[str, Place] | None = None) -> None:
        super().__init__(*values)
        self.at: dict[str, Place] = {} if at is None else at


class Seq(list[Any]):
    """A list with the place of each item."""

    __slots__ = ("at",)

    def __init__(self, values: Any = (), at: list[Place] | None = None) -> None:
        super().__init__(values)
        self.at: list[Place] = [] if at is None else at


@dataclass(slots=True)
class YamlDocument:
    """A document of a file. ``resets`` are the paths tagged ``!reset`` or ``!override``."""

    value: Any
    resets: list[tuple[str, ...]] = field(default_factory=list)


@dataclass(slots=True)
class _Node:
    """A parsed node. ``value`` is text, a list of nodes (of a mapping keys and values), or an alias's node."""

    kind: str
    value: Any
    tag: str
    line: int
    plain: bool = False


def read_yaml(text: str, file: str) -> list[YamlDocument]:
    """All documents of a text. Raises :class:`ReaderError`: ``not-yaml``, ``too-large``, ``cycle``, ``not-compose``."""
    if len(text) > MAX_CHARACTERS:
        raise ReaderError(f"the file has {len(text)} characters; the limit is {MAX_CHARACTERS}", rule="too-large")
    if "\0" in text[:8192]:
        raise ReaderError("the file is binary, not YAML", rule="not-yaml")
    try:
        return [_Builder(file).document(node) for node in _compose(text)]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        line = getattr(mark, "line", -1) + 1
        reason = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be parsed"
        raise ReaderError(f"the file is not YAML: {reason}", line, rule="not-yaml") from None
    except UnicodeEncodeError:
        message = "the file is not YAML: it contains characters that cannot be encoded"
        raise ReaderError(message, rule="not-yaml") from None


def _compose(text: str) -> Iterator[_Node]:
    """Yield the root node of each document. Not recursive, since the text determines the depth."""
    open_nodes: list[_Node] = []
    anchors: dict[str, _Node] = {}
    root: _Node | None = None
    for event in yaml.parse(text, Loader=_LOADER):
        node: _Node | None = None
        line = getattr(event.start_mark, "line", -1) + 1
        if isinstance(event, yaml.ScalarEvent):
            plain = event.style is None or event.style == ""
            node = _Node("scalar", event.value, event.tag or "", line, plain)
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in anchors:
                raise ReaderError(f"the file is not YAML: unknown anchor {event.anchor!r}", line, rule="not-yaml")
            node = _Node("alias", anchors[event.anchor], "", line)
        elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            kind = "map" if isinstance(event, yaml.MappingStartEvent) else "seq"
            node = _Node(kind, [], event.tag or "", line)
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            open_nodes.pop()
        elif isinstance(event, yaml.DocumentStartEvent):
            anchors, root = {}, None
        elif isinstance(event, yaml.DocumentEndEvent) and root is not None:
            yield root
        if node is None:
            continue
        if open_nodes:
            open_nodes[-1].value.append(node)
        else:
            root = node
        anchor = getattr(event, "anchor", None)
        if node.kind != "alias" and anchor:
            anchors[anchor] = node
        if node.kind in ("map", "seq"):
            open_nodes.append(node)
            if len(open_nodes) > MAX_DEPTH:
                raise ReaderError(f"the file nests deeper than {MAX_DEPTH} levels", line, rule="too-large")


class _Builder:
    """Builds values from nodes and expands aliases, up to :data:`MAX_VALUES`."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._left = MAX_VALUES
        self._resets: list[tuple[str, ...]] = []
        self._open: list[int] = []

    def document(self, node: _Node) -> YamlDocument:
        return YamlDocument(self._value(node, ()), self._resets)

    def _value(self, node: _Node, path: tuple[str, ...]) -> Any:
        if node.kind == "alias":
            node = node.value
        self._left -= 1
        if self._left < 0:
            raise ReaderError(f"the file expands to more than {MAX_VALUES} values", node.line, rule="too-large")
        if node.tag in ("!override", "!reset"):
            self._resets.append(path)
        if node.kind == "scalar":
            return _scalar(node)
        if id(node) in self._open:
            raise ReaderError("an anchor contains itself", node.line, rule="cycle")
        if len(self._open) > MAX_DEPTH:
            raise ReaderError(f"the file nests deeper than {MAX_DEPTH} levels", node.line, rule="too-large")
        self._open.append(id(node))
        try:
            return self._sequence(node, path) if node.kind == "seq" else self._mapping(node, path)
        finally:
            self._open.pop()

    def _sequence(self, node: _Node, path: tuple[str, ...]) -> Seq:
        made = Seq()
        for index, child in enumerate(node.value):
            if _target(child).tag == "!reset":
                continue
            made.append(self._value(child, (*path, str(index))))
            made.at.append((self._file, child.line))
        return made

    def _mapping(self, node: _Node, path: tuple[str, ...]) -> Map:
        made = Map()
        merged: list[Map] = []
        pairs = zip(node.value[::2], node.value[1::2], strict=True)
        for key_node, child in pairs:
            key = _target(key_node)
            if key.kind != "scalar":
                raise ReaderError("a key must be a string", key_node.line, rule="not-compose")
            if key.value == "<<" and key.plain:
                merged += self._merge_sources(child, path)
                continue
            name = _key(key)
            if name in made:
                raise ReaderError(f"the file is not YAML: duplicate key {name!r}", key_node.line, rule="not-yaml")
            if _target(child).tag == "!reset":
                self._resets.append((*path, name))
                continue
            made[name] = self._value(child, (*path, name))
            made.at[name] = (self._file, key_node.line)
        for source in merged:
            for name, value in source.items():
                if name not in made:
                    made[name] = value
                    made.at[name] = source.at[name]
        return made

    def _merge_sources(self, child: _Node, path: tuple[str, ...]) -> list[Map]:
        """The mappings of a merge key (``<<``); the first that has a key wins."""
        target = _target(child)
        value = self._value(target, path)
        sources = value if isinstance(value, Seq) else [value]
        if not all(isinstance(source, Map) for source in sources):
            message = "the file is not YAML: '<<' needs a mapping or a list of them"
            raise ReaderError(message, child.line, rule="not-yaml")
        return list(sources)


def _target(node: _Node) -> _Node:
    target: _Node = node.value if node.kind == "alias" else node
    return target


def _key(node: _Node) -> str:
    value = _scalar(node)
    if not isinstance(value, str):
        # Compose accepts a number as a key only if the mapping has no other keys.
        raise ReaderError(f"key {node.value!r} is not a string: quote it", node.line, rule="not-compose")
    return value


def _scalar(node: _Node) -> Any:
    """A scalar's value by its tag, or else by its form."""
    text: str = node.value
    tag = node.tag.removeprefix(_TAG)
    if tag == "str" or (tag in ("", "!") and not node.plain) or tag == "!":
        return text
    value = _resolve(text)
    if tag == "float" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value


def _resolve(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if text[:1] in "+-.0123456789":
        digits = text.replace("_", "")
        if _INTEGER.match(digits) and len(digits) < 64:
            return _integer(digits)
        if _FLOAT.match(digits) and len(digits) < 64:
            return float(digits)
        date = _DATE.match(text)
        if date:
            # Compose prints an unquoted date in full.
            return f"{date[1]}-{date[2]:0>2}-{date[3]:0>2} {date[4] or '00:00:00'} +0000 UTC"
    return text


def _integer(text: str) -> int:
    sign = -1 if text[0] == "-" else 1
    digits = text.lstrip("+-")
    if digits[:2] in ("0x", "0o", "0b"):
        return sign * int(digits, 0)
    if len(digits) > 1 and digits[0] == "0":
        return sign * int(digits, 8)
    return sign * int(digits)
