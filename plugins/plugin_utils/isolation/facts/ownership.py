# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whose a name or a path is: by the prefix that it begins with, by the directory that it lies in."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping

from ..model import Environment, Fleet, Where

#: What people call the same environment, in the files of one project.
_SYNONYMS = (
    frozenset({"prod", "production", "live"}),
    frozenset({"staging", "stage", "stg"}),
    frozenset({"dev", "devel", "development"}),
    frozenset({"test", "testing"}),
)


def owner_of_name(fleet: Fleet, name: str) -> str:
    """The environment with the longest prefix that the name begins with, up to a word's end; empty if there is none."""
    for end in range(len(name), 0, -1):
        if (end == len(name) or not name[end].isalnum()) and name[:end] in fleet.by_prefix:
            return name[:end]
    return ""


def ancestors(path: str) -> Iterator[str]:
    """A path and all directories above it, the nearest first."""
    path = posixpath.normpath(path)
    while True:
        yield path
        above = posixpath.dirname(path)
        if above == path:
            return
        path = above


def inside(path: str, directory: str) -> bool:
    """Whether a path is a directory or lies below it, by components: ``/srv/main2`` is not inside ``/srv/main``."""
    return directory in ancestors(path) if directory else False


def directories(fleet: Fleet) -> Mapping[tuple[str, str], list[str]]:
    """The environments by (machine, directory)."""
    return fleet.derived(_directories)


def _directories(fleet: Fleet) -> Mapping[tuple[str, str], list[str]]:
    found: dict[tuple[str, str], list[str]] = {}
    for environment in fleet.environments:
        if environment.directory:
            key = (environment.machine, posixpath.normpath(environment.directory))
            found.setdefault(key, []).append(environment.prefix)
    return found


def owners_of_path(fleet: Fleet, machine: str, path: str) -> list[str]:
    """The environments whose directory a path lies in, the nearest directory."""
    known = directories(fleet)
    return next((known[machine, above] for above in ancestors(path) if (machine, above) in known), [])


def foreign_owner_of_path(fleet: Fleet, environment: Environment, path: str) -> str:
    """The other environment whose directory a path lies in; empty if it is nobody's or one's own."""
    owners = owners_of_path(fleet, environment.machine, path) if path.startswith("/") else []
    return "" if not owners or environment.prefix in owners else owners[0]


def sharers(fleet: Fleet, where: Where) -> frozenset[str]:
    """The environments that have the document of a place in common, word for word: one workflow or script that serves
    several of them. What it says about one of those is no other's business."""
    return fleet.derived(_sharers).get(where.file, frozenset())


def _sharers(fleet: Fleet) -> Mapping[str, frozenset[str]]:
    holders: dict[tuple[str, str], set[str]] = {}
    paths: dict[str, set[tuple[str, str]]] = {}
    for environment in fleet.environments:
        for document in environment.documents:
            key = (posixpath.basename(document.path), document.text)
            holders.setdefault(key, set()).add(environment.prefix)
            paths.setdefault(document.path, set()).add(key)
    # A path under which environments have different texts says nothing about who shares it.
    return {path: frozenset(holders[next(iter(keys))]) for path, keys in paths.items() if len(keys) == 1}


def short_names(environment: Environment) -> frozenset[str]:
    """What an environment is called without its project: ``prod`` for ``aiia_prod``, with synonyms."""
    project = environment.project
    rest = environment.prefix
    if project and rest.startswith(project):
        rest = rest[len(project) :].lstrip("_-")
    else:
        rest = rest.replace("-", "_").partition("_")[2]
    names = {name.lower() for name in (rest, environment.name) if name}
    return frozenset(names.union(*(words for words in _SYNONYMS if words & names)))


def _by_short_name(fleet: Fleet) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    for environment in fleet.environments:
        for name in short_names(environment):
            found.setdefault(name, []).append(environment.prefix)
    return found


def called(fleet: Fleet, environment: Environment, word: str) -> str:
    """The other environment that a word names, such as ``prod`` in a file of staging; of several projects' ``prod``
    the one that is nearest by prefix. Empty when the word names this environment, or none."""
    word = word.strip().lower()
    if word in short_names(environment) or word == environment.prefix:
        return ""
    if word in fleet.by_prefix:
        return word
    found = fleet.derived(_by_short_name).get(word, [])
    near = environment.project or environment.prefix.replace("-", "_").partition("_")[0]
    return next((prefix for prefix in found if prefix.startswith(near)), found[0] if found else "")
