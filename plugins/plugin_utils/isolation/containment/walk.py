# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Walk an artefact with its table, and list what is outside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from ..model import SEAL, ComposeProject
from .boundary import Boundary
from .classes import Class, Entry
from .compose import COMPOSE
from .swarm import SWARM


@dataclass(frozen=True, slots=True)
class Leaf:
    """A value of an artefact: its path, its class (None if it has none), and why it is outside."""

    path: tuple[str, ...]
    value: Any
    kind: Class | None
    problem: str

    @property
    def key(self) -> str:
        """The key as the user wrote it, without the section and the name before it."""
        return ".".join(part for part in self.path[2:] if not part.isdecimal()) or self.path[-1]


@dataclass(slots=True)
class _Branch:
    """A part of the table: the entry of a path, whether it allows everything, and what may follow."""

    entry: Entry | None = None
    free: bool = False
    below: dict[str, _Branch] = field(default_factory=dict)
    #: The keys, each by its name, that allow everything.
    free_below: set[str] = field(default_factory=set)


@cache
def _table(swarm: bool) -> _Branch:
    top = _Branch()
    for path, entry in (SWARM if swarm else COMPOSE).items():
        node = above = top
        for part in path.split("."):
            node, above = node.below.setdefault(part, _Branch()), node
        node.entry, node.free = entry, entry.is_free
        if node.free:
            above.free_below.add(part)
    return top


def outside(project: ComposeProject, boundary: Boundary) -> list[Leaf]:
    """List every value of a project that is not contained. An entry judges all that is below it."""
    found: list[Leaf] = []
    _KeyWalk(boundary, found).into(_model(project), _table(bool(project.swarm)), ())
    return found


def _model(project: ComposeProject) -> dict[str, Any]:
    return {
        **project.more,
        "name": project.name,
        "services": project.services,
        "networks": project.networks,
        "volumes": project.volumes,
        "secrets": project.secrets,
        "configs": project.configs,
    }


@dataclass(frozen=True, slots=True)
class _KeyWalk:
    """One way through a model. Without generators, as a fleet has a hundred values for each service."""

    boundary: Boundary
    found: list[Leaf]

    def into(self, value: Any, branch: _Branch, path: tuple[str, ...]) -> None:
        """Judge what is below a mapping or list."""
        known = branch.below
        if isinstance(value, (dict, Mapping)):
            anything = known.get("*")
            if anything is not None and anything.free and len(known) == 1:
                return
            free = branch.free_below
            for key, item in value.items():
                if key in free:
                    continue
                name = str(key)
                named = known.get(name)
                below = named or anything
                if below is None:
                    self.found.append(Leaf((*path, name), item, None, f"Bulkhead does not know {name}"))
                elif below.free:
                    continue
                elif below.entry is None:
                    if item is not None:
                        self.into(item, below, (*path, name))
                elif named is None and below.entry.check is not None:
                    # The check of a mapping with free keys needs the key as well.
                    self.judge(f"{name}={_plain(item)}", below.entry, path, name, value)
                else:
                    self.judge(item, below.entry, path, name, value)
        elif isinstance(value, (list, tuple)) and "[]" in known:
            below = known["[]"]
            for number, item in enumerate(value):
                if below.entry is None:
                    self.into(item, below, (*path, str(number)))
                elif not below.free:
                    self.judge(item, below.entry, path, str(number), {})
        else:
            self.found.append(Leaf(path, value, None, f"Bulkhead does not know this form of {path[-1]}"))

    def judge(self, value: Any, entry: Entry, path: tuple[str, ...], name: str, around: Mapping[str, Any]) -> None:
        """Judge one value; what is empty or sealed says nothing."""
        if value is None or (not value and isinstance(value, (dict, list))):
            return
        problem = entry.problem(value, self.boundary, around)
        if problem and SEAL not in str(value):
            self.found.append(Leaf((*path, name), value, entry.kind, problem))


def _plain(value: Any) -> str:
    return (
        ",".join(f"{key}:{item}" for key, item in value.items()) if isinstance(value, (dict, Mapping)) else str(value)
    )
