# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""PyYAML's safe loader for many texts that repeat each other: what a scalar means is worked out once."""

from __future__ import annotations

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


def load(text: str) -> Any:
    """What ``yaml.safe_load`` gives, and raises."""
    loader = _Remembering(text)
    try:
        node = loader.get_single_node()
        return None if node is None else _Values().of(node)
    except (_Unusual, yaml.YAMLError):
        return yaml.load(text, Loader=_Loader)
    finally:
        loader.dispose()


class _Unusual(Exception):
    """A document has what only PyYAML itself builds."""


class _Values:
    """The values of a document's nodes. An alias stands for the very value of its anchor."""

    def __init__(self) -> None:
        self._known: dict[int, Any] = {}

    def of(self, node: Any) -> Any:
        """The value of a node."""
        kind = type(node)
        if kind is yaml.ScalarNode:
            return node.value if node.tag == _TEXT else _scalar(node.tag, node.value)
        if id(node) in self._known:
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
