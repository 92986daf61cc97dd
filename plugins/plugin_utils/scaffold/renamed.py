# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A copied file of variables under the names of another environment. Comments, order and quotes stay as they are.

PyYAML drops comments, so nothing is dumped: the text is edited where the nodes' marks say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

#: The tags of a value that only its own environment's password opens.
_ENCRYPTED = ("!vault", "!vault-encrypted")
#: Variables that no environment may take from another, even where they are not encrypted.
_SECRET = ("bulkhead_secrets", "bulkhead_tls_key", "bulkhead_tls_certificate")
_EXPRESSION = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)


@dataclass(frozen=True)
class Renamed:
    """The text of a file, and the secret variables that were left out of it."""

    text: str
    left_out: tuple[str, ...] = ()


def renamed(text: str, words: Mapping[str, str], values: Mapping[str, Any]) -> Renamed:
    """Replace words in values and comments, and whole values of top-level variables.

    ``words`` maps names, domains and paths to new ones; a word counts only where it does not go on (``staging`` is in
    ``aiia_staging``, not in ``backstaging``). Keys and template expressions stay as they are. ``values`` maps names of
    variables to their new values; those that the file does not set are ignored. Raises yaml.YAMLError for a text that
    is not YAML.
    """
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    pairs: list[tuple[Any, Any]] = root.value if isinstance(root, yaml.MappingNode) else []
    kept = [(key.start_mark.index, key.end_mark.index) for key in _keys(root)]
    kept += [found.span() for found in _EXPRESSION.finditer(text)]
    edits: list[tuple[int, int, str]] = []
    left_out = []
    for index, (key, value) in enumerate(pairs):
        if key.value in _SECRET or any(node.tag in _ENCRYPTED for node in _nodes(value)):
            left_out.append(str(key.value))
            end = pairs[index + 1][0].start_mark.index if index + 1 < len(pairs) else len(text)
            edits.append((key.start_mark.index, end, ""))
        elif key.value in values:
            edits.append((value.start_mark.index, _end(text, value), _written(values[key.value])))
    edits += [edit for edit in _words(text, words) if not _inside(edit, [*kept, *((a, b) for a, b, _new in edits)])]
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return Renamed(text, tuple(left_out))


def added(text: str, values: Mapping[str, Any], why: str) -> str:
    """The text of a file of variables with more of them at its end."""
    if not values:
        return text
    lines = [f"{name}: {_written(value)}" for name, value in values.items()]
    return "\n".join([text.rstrip("\n"), "", f"# {why}", *lines, ""])


def word(text: str, words: Mapping[str, str]) -> str:
    """A single value with its words replaced."""
    for start, end, new in sorted(_words(text, words), reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _words(text: str, words: Mapping[str, str]) -> Iterator[tuple[int, int, str]]:
    """Where the words stand. The longest wins, so that a domain is not taken for the name that it begins with."""
    if not words:
        return
    choices = "|".join(re.escape(name) for name in sorted(words, key=len, reverse=True))
    for found in re.finditer(rf"(?<![A-Za-z0-9])(?:{choices})(?![A-Za-z0-9])", text):
        old = found.group()
        start = found.start()
        # A domain or a path that goes on to the left is another one: shop.example.com is not example.com. But
        # api.staging.example.com is staging's.
        if ("." in old or "/" in old) and text[:start].endswith((".", "-", "@", "_")):
            names = {name: new for name, new in words.items() if not {".", "/"} & set(name)}
            yield from ((start + begin, start + end, new) for begin, end, new in _words(old, names))
        else:
            yield start, found.end(), words[old]


def _inside(edit: tuple[int, int, str], spans: list[tuple[int, int]]) -> bool:
    return any(start <= edit[0] < end or start < edit[1] <= end for start, end in spans)


def _keys(node: Any) -> Iterator[Any]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield key
            yield from _keys(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _keys(item)


def _nodes(node: Any) -> Iterator[Any]:
    yield node
    if isinstance(node, yaml.MappingNode):
        for _key, value in node.value:
            yield from _nodes(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _nodes(item)


def _end(text: str, node: Any) -> int:
    """Where a value ends: a block's mark stands at the beginning of what follows it."""
    end: int = node.end_mark.index
    return len(text[:end].rstrip()) if text[node.start_mark.index : end].strip() else end


def _written(value: Any) -> str:
    """A value in one line of YAML."""
    text: str = yaml.safe_dump(value, default_flow_style=True, width=1000)
    return text.removesuffix("...\n").strip()
