# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""PyYAML's safe loader for many texts that repeat each other.

What a scalar means is worked out once, and so is a text that differs from earlier ones in nothing but a name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import yaml

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_TEXT = "tag:yaml.org,2002:str"
_MERGE = "tag:yaml.org,2002:merge"


@lru_cache(maxsize=4096)
def _tag_of(kind: Any, value: str | None, implicit: bool | tuple[bool, bool]) -> Any:
    return _Loader("").resolve(kind, value, implicit)


class _Remembering(_Loader):  # type: ignore[misc, valid-type]
    """Resolves the tag of each plain scalar once. No tag depends on where in a document a value stands."""

    resolve = staticmethod(_tag_of)

    def descend_resolver(self, *_place: Any) -> None:
        """Note no place."""

    def ascend_resolver(self) -> None:
        """Leave no place."""


@lru_cache(maxsize=4096)
def _scalar(tag: str, value: str) -> Any:
    """The value of a scalar that is no text. Such values cannot be changed, so that they may be shared."""
    return _Loader("").construct_object(yaml.ScalarNode(tag, value), deep=True)


def load(text: str, *names: str) -> Any:
    """What ``yaml.safe_load`` gives, and raises. ``names`` are in what texts that are alike differ, where it is known.

    Where one name is within another, the longer one comes first.
    """
    words = tuple(name for name in names if _NAME.fullmatch(name))[: len(_LETTERS)]
    marks = tuple(letter + "z" * (len(word) - 1) for letter, word in zip(_LETTERS[: len(words)], words, strict=True))
    if not words or any(mark in text for mark in marks):
        return _Values().of_text(text)
    return _alike(_replaced(text, words, marks), marks).load(text, words)


#: Wherever such a name stands it is within one word, and no character of it means anything to YAML or to JSON.
_NAME = re.compile(r"[a-z][a-z0-9_-]*[a-z0-9]")
#: What the marks that stand for names begin with. So no two marks can overlap.
_LETTERS = "qxy"


def _replaced(text: str, these: Sequence[str], those: Sequence[str]) -> str:
    for this, that in zip(these, those, strict=True):
        text = text.replace(this, that)
    return text


class _Alike:
    """Texts that are equal but for names, which are as long in each.

    Their values are kept as JSON, with a mark in place of each name.
    """

    def __init__(self, text: str, marks: Sequence[str]) -> None:
        self._text, self._marks, self._asked = text, marks, 0
        self._document = ""
        self._plain: list[str] = []

    def load(self, text: str, names: Sequence[str]) -> Any:
        """The values of one of them."""
        if self._document and self._are_texts(names):
            return json.loads(_replaced(self._document, self._marks, names))
        values = _Values().of_text(text)
        self._asked += 1
        if self._asked == 2:  # most texts are alone
            self._learn(names, values)
        return values

    def _are_texts(self, names: Sequence[str]) -> bool:
        """Whether what is written without quotes is a text with these names too: ``no`` would not be."""
        plain = (_replaced(word, self._marks, names) for word in self._plain)
        return all(_tag_of(yaml.ScalarNode, word, (True, False)) == _TEXT for word in plain)

    def _learn(self, names: Sequence[str], values: Any) -> None:
        """Keep the values, unless the text has more than marks and JSON can say."""
        found = _Values()
        try:
            document = json.dumps(found.of_text(self._text), ensure_ascii=False)
        except (TypeError, ValueError, RecursionError, yaml.YAMLError):
            return
        # A text may make a mark itself, of two parts: that would become a name.
        if not found.shared and repr(json.loads(_replaced(document, self._marks, names))) == repr(values):
            self._document = document
            self._plain = [word for word in found.plain if any(mark in word for mark in self._marks)]


_alike = lru_cache(maxsize=64)(_Alike)


class _Unusual(Exception):
    """A document has what only PyYAML itself builds."""


class _Values:
    """The values of a document's nodes. An alias stands for the very value of its anchor.

    ``plain`` are its texts without quotes; ``shared`` says that it has an alias, or is none of ours.
    """

    def __init__(self) -> None:
        self._known: dict[int, Any] = {}
        self.plain: set[str] = set()
        self.shared = False

    def of_text(self, text: str) -> Any:
        """The value of a document. Raises yaml.YAMLError."""
        loader = _Remembering(text)
        try:
            node = loader.get_single_node()
            return None if node is None else self.of(node)
        except (_Unusual, yaml.YAMLError):
            self.shared = True
            return yaml.load(text, Loader=_Loader)
        finally:
            loader.dispose()

    def of(self, node: Any) -> Any:
        """The value of a node."""
        kind = type(node)
        if kind is yaml.ScalarNode:
            if node.tag != _TEXT:
                return _scalar(node.tag, node.value)
            if not node.style:
                self.plain.add(node.value)
            return node.value
        if id(node) in self._known:
            self.shared = True
            return self._known[id(node)]
        if kind is yaml.MappingNode and node.tag == "tag:yaml.org,2002:map":
            mapping: dict[Any, Any] = {}
            self._known[id(node)] = mapping
            for key, value in node.value:
                if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE:
                    raise _Unusual
                mapping[self.of(key)] = self.of(value)
            return mapping
        if kind is yaml.SequenceNode and node.tag == "tag:yaml.org,2002:seq":
            sequence: list[Any] = []
            self._known[id(node)] = sequence
            sequence.extend(map(self.of, node.value))
            return sequence
        raise _Unusual
