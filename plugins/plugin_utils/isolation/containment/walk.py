# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Walk an artefact with its table: what is outside, and every text that it holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from ..model import SEAL, ComposeProject
from .boundary import Boundary
from .classes import Class, Entry
from .compose import COMPOSE

#: Labels that Bulkhead and Compose set themselves.
_OWN_LABELS = ("io.bulkhead.", "com.docker.compose.")


@dataclass(frozen=True, slots=True)
class Leaf:
    """A value of an artefact: its path, its class (None if nobody classified it), and why it is outside, if it is."""

    path: tuple[str, ...]
    value: Any
    kind: Class | None
    problem: str = ""

    @property
    def key(self) -> str:
        """The key as the user wrote it, without the section and the name before it."""
        return ".".join(part for part in self.path[2:] if not part.isdecimal()) or self.path[-1]


@dataclass
class _Branch:
    """A part of the table: the entry of a path, and what may follow."""

    entry: Entry | None = None
    below: dict[str, _Branch] = field(default_factory=dict)


@cache
def _table() -> _Branch:
    top = _Branch()
    for path, entry in COMPOSE.items():
        node = top
        for part in path.split("."):
            node = node.below.setdefault(part, _Branch())
        node.entry = entry
    return top


def leaves(project: ComposeProject, boundary: Boundary) -> Iterator[Leaf]:
    """Yield every value of a project that has a class or lacks one. An entry judges all that is below it."""
    model = {
        "name": project.name,
        "services": project.services,
        "networks": project.networks,
        "volumes": project.volumes,
        "secrets": project.secrets,
        "configs": project.configs,
    }
    yield from _walk(model, _table(), (), boundary, model)


def _walk(
    value: Any, node: _Branch, path: tuple[str, ...], boundary: Boundary, around: Mapping[str, Any]
) -> Iterator[Leaf]:
    if value is None or value in ({}, []):
        return
    if node.entry is not None:
        yield Leaf(path, value, node.entry.kind, _problem(value, node.entry, path, boundary, around))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            name = str(key)
            below = node.below.get(name) or node.below.get("*")
            if below is None:
                yield Leaf((*path, name), item, None, f"nobody has classified {name}")
            elif below is node.below.get("*") and below.entry is not None and below.entry.check is not None:
                # The check of a mapping with free keys needs the key as well.
                yield from _walk(f"{name}={_plain(item)}", below, (*path, name), boundary, value)
            else:
                yield from _walk(item, below, (*path, name), boundary, value)
    elif isinstance(value, (list, tuple)) and "[]" in node.below:
        for number, item in enumerate(value):
            yield from _walk(item, node.below["[]"], (*path, str(number)), boundary, around)
    else:
        yield Leaf(path, value, None, f"nobody has classified {path[-1]} of this form")


def _problem(value: Any, entry: Entry, path: tuple[str, ...], boundary: Boundary, around: Mapping[str, Any]) -> str:
    if SEAL in str(value):
        return ""
    return entry.problem(value, boundary, around)


def _plain(value: Any) -> str:
    return ",".join(f"{key}:{item}" for key, item in value.items()) if isinstance(value, Mapping) else str(value)


def texts(leaf: Leaf) -> Iterator[str]:
    """Yield the texts of a value, but for the labels that Bulkhead and Compose set."""
    if "labels" in leaf.path and leaf.path[-1].startswith(_OWN_LABELS):
        return
    pending = [leaf.value]
    while pending:
        value = pending.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, Mapping):
            pending += [*value.values(), *map(str, value)]
        elif isinstance(value, (list, tuple)):
            pending += value
