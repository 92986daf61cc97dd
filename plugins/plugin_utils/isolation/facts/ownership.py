# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The owner of a name, by its prefix, and of a path, by its directory."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping

from ..model import Environment, Fleet, Where
from ..naming import SYNONYMS

_COMMON = frozenset().union(
    *SYNONYMS, {"preprod", "qa", "uat", "demo", "review", "local", "sandbox", "app", "web", "main"}
)


def is_common(name: str) -> bool:
    """Whether a name is a word that any project may use, such as a mode (``production``), so that it identifies
    no environment."""
    return name.lower() in _COMMON


def owner_of_name(fleet: Fleet, name: str) -> str:
    """The longest prefix with which the name begins as whole words; empty if there is none."""
    for end in range(len(name), 0, -1):
        if (end == len(name) or not name[end].isalnum()) and name[:end] in fleet.by_prefix:
            return name[:end]
    return ""


def ancestors(path: str) -> Iterator[str]:
    """Yield a path and all directories above it, nearest first."""
    path = posixpath.normpath(path)
    while True:
        yield path
        cut = path.rfind("/")
        above = path[:cut] if cut > 0 else posixpath.dirname(path)
        if above == path:
            return
        path = above


def inside(path: str, directory: str) -> bool:
    """Whether a path is a directory or below it, by components: ``/srv/main2`` is not inside ``/srv/main``."""
    path = posixpath.normpath(path)
    return bool(directory) and (path == directory or path.startswith(f"{directory}/" if directory != "/" else "/"))


def one_project(fleet: Fleet, prefixes: Iterable[str]) -> bool:
    """Whether environments are one Compose project, whose generated names are one thing."""
    names = [{project.name for project in fleet.by_prefix[prefix].compose} for prefix in prefixes]
    return bool(names and set.intersection(*names))


def directories(fleet: Fleet) -> Mapping[tuple[str, str], list[str]]:
    """The environments by (machine, directory)."""
    return fleet.derived(_directories)


def _directories(fleet: Fleet) -> Mapping[tuple[str, str], list[str]]:
    found: dict[tuple[str, str], list[str]] = {}
    for environment in fleet.environments:
        if environment.directory:
            for machine in fleet.places(environment):
                found.setdefault((machine, posixpath.normpath(environment.directory)), []).append(environment.prefix)
    return found


def owners_of_path(fleet: Fleet, machine: str, path: str) -> list[str]:
    """The environments with the nearest directory that contains a path."""
    known = directories(fleet)
    return next((known[machine, above] for above in ancestors(path) if (machine, above) in known), [])


def foreign_owner_of_path(fleet: Fleet, environment: Environment, path: str) -> str:
    """The other environment whose directory contains a path; empty if it is the environment's own or no one's."""
    owners = owners_of_path(fleet, environment.machine, path) if path.startswith("/") else []
    return "" if not owners or environment.prefix in owners else owners[0]


def sharers(fleet: Fleet, where: Where) -> frozenset[str]:
    """The environments that share the document of a place, such as a workflow for all of them. What it says about one
    of them does not concern the others."""
    return fleet.derived(_sharers).get(where.file, frozenset())


def _sharers(fleet: Fleet) -> Mapping[str, frozenset[str]]:
    holders: dict[tuple[str, str], set[str]] = {}
    paths: dict[str, set[tuple[str, str]]] = {}
    for environment in fleet.environments:
        for document in environment.documents:
            key = (posixpath.basename(document.path), document.text)
            holders.setdefault(key, set()).add(environment.prefix)
            paths.setdefault(document.path, set()).add(key)
    # If environments have different texts at the same path, it is unknown who shares it.
    return {path: frozenset(holders[next(iter(keys))]) for path, keys in paths.items() if len(keys) == 1}


def short_names(environment: Environment) -> frozenset[str]:
    """An environment's names without its project, with synonyms: ``prod`` and so on for ``aiia_prod``."""
    project = environment.project
    rest = environment.prefix
    if project and rest.startswith(project):
        rest = rest[len(project) :].lstrip("_-")
    else:
        rest = rest.replace("-", "_").partition("_")[2]
    names = {name.lower() for name in (rest, environment.name) if name}
    return frozenset(names.union(*(words for words in SYNONYMS if words & names)))


def spellings(environment: Environment) -> Iterator[str]:
    """An environment's prefix in words, with each synonym of its last part: ``aiia_prod``, ``aiia_production``."""
    words = re.sub(r"[_-]+", "_", environment.prefix.lower())
    project, _underscore, last = words.rpartition("_")
    yield words
    for known in SYNONYMS if project else ():
        if last in known:
            # A word such as live or test says too little about whose a name is.
            yield from (f"{project}_{word}" for word in sorted(known - {"live", "test", "testing"}))


def carries_name(environment: Environment, name: str) -> bool:
    """Whether a name says whose it is, in any spelling of the environment's prefix or with one of its domains:
    ``acme-aiia-prod-media``, ``aiiaprodmedia``, ``media.staging.eduaiia.com``."""
    words = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    own = [re.sub(r"[^a-z0-9]+", "_", text.lower()) for text in (*spellings(environment), *environment.domains)]
    return any(f"_{each}_" in f"_{words}_" or words.startswith(each.replace("_", "")) for each in own if each)


def _by_short_name(fleet: Fleet) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    for environment in fleet.environments:
        for name in short_names(environment):
            found.setdefault(name, []).append(environment.prefix)
    return found


def called(fleet: Fleet, environment: Environment, word: str) -> str:
    """The other environment that a word names, such as ``prod`` in a file of staging; if several projects have one,
    preferably the own project's. Empty if the word names this environment or none."""
    word = word.strip().lower()
    if word in short_names(environment) or word == environment.prefix:
        return ""
    if word in fleet.by_prefix:
        return word
    prefixes = fleet.derived(_by_short_name).get(word, [])
    near = environment.project or environment.prefix.replace("-", "_").partition("_")[0]
    return next((prefix for prefix in prefixes if prefix.startswith(near)), prefixes[0] if prefixes else "")
