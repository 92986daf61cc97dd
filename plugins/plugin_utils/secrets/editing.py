# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plain text of a vault file, edited by the places of its YAML nodes, so that comments and order stay.

PyYAML drops comments when it writes. So only the characters of one value are replaced, and the result is read again:
an edit that changes anything else is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

#: The variable that holds the secrets of an environment.
VARIABLE = "bulkhead_secrets"

#: What makes Ansible evaluate a text as a template.
_TEMPLATE = ("{{", "{%", "{#")

_HEADING = (
    "# The secrets of this environment, encrypted with its own vault id. aiia.bulkhead.secrets edits them.\n---\n"
)


class SecretsProblem(ValueError):
    """What keeps a job on secrets from its work, in words for its user and without any value."""


def variables_of(text: str) -> yaml.MappingNode | None:
    """The node of the variables that a plain text holds; None where it is empty.

    Raises :class:`SecretsProblem` where it is not YAML, or holds no variables.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:  # its own text would quote the file
        mark = getattr(error, "problem_mark", None)
        place = f" in line {mark.line + 1} of its plain text" if mark else ""
        said = getattr(error, "problem", None) or "it is not YAML"
        raise SecretsProblem(f"it cannot be read{place}: {said}. Correct it with ansible-vault edit") from None
    if isinstance(root, yaml.ScalarNode) and _plain(root) is None:
        return None
    if root is not None and not isinstance(root, yaml.MappingNode):
        raise SecretsProblem("it holds no variables. Correct it with ansible-vault edit")
    return root


class SecretsText:
    """The plain text of a vault file with its secrets.

    Raises :class:`SecretsProblem` where it is not YAML, or its secrets are not a mapping that can be edited.
    """

    def __init__(self, text: str = "") -> None:
        self.text = text or _HEADING
        self._root = variables_of(self.text)
        self._node = self._mapping()
        self.values = {key.value: _value(node) for key, node in self._entries()}

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the secrets, in the order of the file."""
        return tuple(self.values)

    def changed_by_yaml(self) -> Iterator[str]:
        """The names of secrets without quotes of which YAML made something else than was written."""
        for key, node in self._entries():
            if isinstance(node, yaml.ScalarNode) and not node.tag.startswith("!"):
                read = _plain(node)
                if read is not None and not isinstance(read, str) and str(read) != node.value:
                    yield str(key.value)

    def with_value(self, name: str, value: str) -> SecretsText:
        """The same text with another value of one secret, or with one more."""
        node = next((node for key, node in self._entries() if key.value == name), None)
        edited = self._replaced(node, _scalar(value)) if node is not None else self._added(name, _scalar(value))
        return self._verified(edited, {**self.values, name: value})

    def without(self, name: str) -> SecretsText:
        """The same text without one secret, which must be there."""
        key, node = next((key, node) for key, node in self._entries() if key.value == name)
        if self._node is not None and self._node.flow_style:
            raise SecretsProblem(f"{VARIABLE} is written in braces: take {name} out with ansible-vault edit")
        start = self.text.rfind("\n", 0, key.start_mark.index) + 1
        end = self._line_end(node)
        left = {other: value for other, value in self.values.items() if other != name}
        if not left:
            return self._verified(self.text[:start] + " " * key.start_mark.column + "{}\n" + self.text[end:], left)
        return self._verified(self.text[:start] + self.text[end:], left)

    def _mapping(self) -> yaml.MappingNode | None:
        """The node of the secrets; None where there are none yet."""
        found = [
            (key, node)
            for key, node in (self._root.value if self._root is not None else ())
            if getattr(key, "value", None) == VARIABLE
        ]
        if len(found) > 1:
            raise SecretsProblem(f"{VARIABLE} is written twice in it; keep one of them (ansible-vault edit)")
        self._key = found[0][0] if found else None
        node = found[0][1] if found else None
        if isinstance(node, yaml.MappingNode):
            names = [key.value for key, _node in node.value if isinstance(key, yaml.ScalarNode)]
            if len(names) != len(node.value) or len(set(names)) != len(names):
                raise SecretsProblem(f"{VARIABLE} has a name twice, or one that is not plain (ansible-vault edit)")
            return node
        if node is not None and not (isinstance(node, yaml.ScalarNode) and _plain(node) is None):
            raise SecretsProblem(
                f"{VARIABLE} is not written as names with their values, so no value in it can be changed here. Write "
                "it out with ansible-vault edit"
            )
        return None

    def _entries(self) -> list[tuple[Any, Any]]:
        return list(self._node.value) if self._node is not None else []

    def _replaced(self, node: yaml.Node, scalar: str) -> str:
        start, end = node.start_mark.index, node.end_mark.index
        if start == end:  # nothing stands there yet
            return f"{self.text[:start]} {scalar}{self.text[end:]}"
        old = self.text[start:end]
        return self.text[:start] + scalar + old[len(old.rstrip("\n")) :] + self.text[end:]

    def _added(self, name: str, scalar: str) -> str:
        entries = self._entries()
        if self._node is not None and self._node.flow_style:
            end = self._node.end_mark.index - 1
            return f"{self.text[:end].rstrip()}{', ' if entries else ''}{name}: {scalar}{self.text[end:]}"
        if entries:
            column, end = entries[0][0].start_mark.column, self._line_end(entries[-1][1])
            return f"{_ended(self.text[:end])}{' ' * column}{name}: {scalar}\n{self.text[end:]}"
        line = f"  {name}: {scalar}\n"
        if self._key is not None:
            end = self._line_end(self._key)
            return _ended(self.text[:end]) + line + self.text[end:]
        return f"{_ended(self.text)}{VARIABLE}:\n{line}"

    def _line_end(self, node: yaml.Node) -> int:
        """Where the line ends on which a node does, its line break included."""
        end: int = _last(node).end_mark.index
        if self.text[:end].endswith("\n"):  # a block, which ends with its last line
            return end
        found = self.text.find("\n", end)
        return found + 1 if found >= 0 else len(self.text)

    def _verified(self, edited: str, wanted: dict[str, str]) -> SecretsText:
        """The edited text, if exactly the secrets differ as wanted. Raises :class:`SecretsProblem` otherwise."""
        try:
            found = SecretsText(edited)
            same = found.values == wanted and _others(found._root) == _others(self._root)
        except SecretsProblem:
            same = False
        if not same:
            raise SecretsProblem(
                "its YAML is written in a way that cannot be changed here without changing more (an anchor, a merge or "
                "several documents). Nothing was changed; use ansible-vault edit"
            )
        return found


def _last(node: yaml.Node) -> yaml.Node:
    """The last node below a node: the end of a mapping is only known where the next thing begins."""
    while isinstance(node, (yaml.MappingNode, yaml.SequenceNode)) and node.value and not node.flow_style:
        node = node.value[-1][1] if isinstance(node, yaml.MappingNode) else node.value[-1]
    return node


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"


def _plain(node: yaml.Node) -> Any:
    """What YAML makes of a node; its text where the tag is not YAML's own."""
    try:
        return yaml.SafeLoader("").construct_object(node, deep=True)
    except (yaml.YAMLError, ValueError):
        return node.value


def _value(node: yaml.Node) -> str:
    """The text of a secret, as a setting has it. Raises :class:`SecretsProblem` where it is not one text."""
    if not isinstance(node, yaml.ScalarNode):
        raise SecretsProblem(f"{VARIABLE} has a list or a mapping in it, but a secret is one text (ansible-vault edit)")
    found = _plain(node)
    if found is None:
        return ""
    return ("true" if found else "false") if isinstance(found, bool) else str(found)


def _others(root: yaml.Node | None) -> list[tuple[str, str]]:
    """Everything of a document that is not a secret, for comparison."""
    pairs = root.value if root is not None else ()
    return [
        (yaml.serialize(key), yaml.serialize(node)) for key, node in pairs if getattr(key, "value", None) != VARIABLE
    ]


def _scalar(value: str) -> str:
    """A value in double quotes, marked where Ansible would take it for a template."""
    quoted = yaml.dump(value, Dumper=yaml.SafeDumper, default_style='"', width=float("inf"), allow_unicode=True).strip()
    return f"!unsafe {quoted}" if any(mark in value for mark in _TEMPLATE) else quoted
