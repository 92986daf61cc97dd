# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads the cases of this directory: for each hazard its outcome, bad inputs and near misses, as data.

One file for each group of rules, a list of entries. Files of a case are given as text, under the path that a user
would write; they are sorted into Compose files, environment files, nginx files and others by name, unless the
environment lists them itself (``compose_files`` and so on), as ``isolation_check`` would have it.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
CATALOGUE = HERE / "catalogue.yml"

#: The outcomes that an entry may have, and how the documentation calls them.
OUTCOMES = {
    "paper": "refused on paper",
    "host": "refused on the host",
    "after": "seen after",
    "construction": "impossible by construction",
    "advice": "advice",
    "later": "not yet",
}

#: The outcomes that a rule decides: they need a rule, a bad input and a near miss.
JUDGED = ("paper", "advice")

_ENTRY_KEYS = {"hazard", "outcome", "reason", "rule", "test", "bad", "near"}
_CASE_KEYS = {"title", "environments", "finds"}
_FINDS_KEYS = {"severity", "environments", "rule"}
_FILE_LISTS = ("compose_files", "env_files", "nginx_files")
_ENVIRONMENT_KEYS = {
    "prefix",
    "name",
    "project",
    "group",
    "machine",
    "directory",
    "domains",
    "http_port",
    "https_port",
    "protected",
    "variables",
    "files",
    "compose_project",
    "swarm",
    "nodes",
    *_FILE_LISTS,
}


class CaseError(Exception):
    """A file of cases that breaks the form."""


@dataclass(frozen=True)
class Hazard:
    """One line of the catalogue."""

    id: str
    name: str
    severity: str
    stages: tuple[str, ...]


@dataclass(frozen=True)
class Case:
    """A fleet as a user would write it, and what has to be found in it."""

    hazard: str
    kind: str
    title: str
    environments: tuple[Mapping[str, Any], ...]
    finds: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """What becomes of one hazard, and how that is shown."""

    hazard: str
    group: str
    outcome: str
    reason: str
    rules: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    bad: tuple[Case, ...] = ()
    near: tuple[Case, ...] = ()

    @property
    def cases(self) -> tuple[Case, ...]:
        """The bad inputs, then the near misses."""
        return self.bad + self.near


def load_yaml(path: Path) -> Any:
    """A YAML file of ours."""
    return yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def catalogue() -> dict[str, Hazard]:
    """All hazards by id, in the order of the catalogue."""
    hazards = [
        Hazard(item["id"], item["name"], item["severity"], tuple(item["stages"])) for item in load_yaml(CATALOGUE)
    ]
    return {hazard.id: hazard for hazard in hazards}


def groups() -> list[Path]:
    """The files of cases."""
    return sorted(path for path in HERE.glob("*.yml") if path != CATALOGUE)


def entries() -> tuple[Entry, ...]:
    """All entries of all groups, without those that break the form."""
    return _load()[0]


def broken() -> tuple[str, ...]:
    """What breaks the form, so that one bad file does not hide the others."""
    return _load()[1]


@cache
def _load() -> tuple[tuple[Entry, ...], tuple[str, ...]]:
    found: list[Entry] = []
    errors: list[str] = []
    for path in groups():
        try:
            items = load_yaml(path) or []
        except yaml.YAMLError as error:
            errors.append(f"{path.name}: {error}")
            continue
        for number, item in enumerate(items, start=1):
            try:
                found.append(_entry(path.stem, number, item))
            except CaseError as error:
                errors.append(str(error))
    return tuple(found), tuple(errors)


def _entry(group: str, number: int, item: Any) -> Entry:
    if not isinstance(item, dict) or not isinstance(item.get("hazard"), str):
        raise CaseError(f"{group}.yml: entry {number} has no hazard")
    hazard = item["hazard"]
    label = f"{group}.yml: {hazard}"
    _known(label, item, _ENTRY_KEYS)
    if item.get("outcome") not in OUTCOMES:
        raise CaseError(f"{label}: outcome is one of {', '.join(OUTCOMES)}, not {item.get('outcome')!r}")
    return Entry(
        hazard=hazard,
        group=group,
        outcome=item["outcome"],
        reason=str(item.get("reason") or "").strip(),
        rules=_words(item.get("rule")),
        tests=_words(item.get("test")),
        bad=tuple(_case(label, hazard, "bad", case) for case in item.get("bad") or ()),
        near=tuple(_case(label, hazard, "near", case) for case in item.get("near") or ()),
    )


def _case(label: str, hazard: str, kind: str, item: Any) -> Case:
    if not isinstance(item, dict) or not item.get("title") or not item.get("environments"):
        raise CaseError(f"{label}: a {kind} case needs a title and environments")
    label = f"{label}: {item['title']}"
    _known(label, item, _CASE_KEYS)
    finds = item.get("finds") or {}
    _known(f"{label}: finds", finds, _FINDS_KEYS)
    for environment in item["environments"]:
        if not isinstance(environment, dict) or not environment.get("prefix"):
            raise CaseError(f"{label}: an environment needs a prefix")
        _known(f"{label}: {environment['prefix']}", environment, _ENVIRONMENT_KEYS)
    return Case(hazard, kind, str(item["title"]), tuple(item["environments"]), finds)


def _known(label: str, item: Mapping[str, Any], keys: set[str]) -> None:
    unknown = sorted(set(map(str, item)) - keys)
    if unknown:
        raise CaseError(f"{label}: unknown key {', '.join(unknown)}; known are {', '.join(sorted(keys))}")


def _words(value: Any) -> tuple[str, ...]:
    """A string or a list of strings."""
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(map(str, value))


def classify(path: str) -> str:
    """Which argument of ``isolation_check`` a file belongs to, by its name."""
    name = posixpath.basename(path)
    if any(fnmatch(name, pattern) for pattern in ("docker-compose*.y*ml", "compose*.y*ml", "docker-stack*.y*ml")):
        return "compose_files"
    if name == ".env" or name.endswith(".env"):
        return "env_files"
    in_nginx = "nginx" in path.split("/")[:-1]
    if name.endswith(".conf") and (in_nginx or name == "nginx.conf" or name.endswith(".nginx.conf")):
        return "nginx_files"
    return "files"


def arguments(environment: Mapping[str, Any], read: Callable[[str], str | None]) -> dict[str, Any]:
    """The arguments of ``assemble`` for an environment of a case."""
    given = {key: value for key, value in environment.items() if key != "files"}
    texts = environment.get("files") or {}
    listed = {path for name in _FILE_LISTS for path in given.get(name, ())}
    if not isinstance(texts, Mapping):
        return {**given, "files": list(texts), "read": read}
    sorted_by_kind: dict[str, list[str]] = {"files": []}
    for path in texts:
        if path not in listed:
            sorted_by_kind.setdefault(classify(path), []).append(path)
    # An environment that lists its files of a kind itself has said which; others of that kind can still be read.
    return {**sorted_by_kind, **given, "read": read}


def reader(environment: Mapping[str, Any], fleet: tuple[Mapping[str, Any], ...]) -> Callable[[str], str | None]:
    """Reads the files of an environment, and those of the others by their path on the machine."""
    directory = environment.get("directory") or "/"
    own = _texts(environment)
    machine = {
        posixpath.normpath(posixpath.join(other.get("directory") or "/", path)): text
        for other in fleet
        for path, text in _texts(other).items()
    }

    def read(path: str) -> str | None:
        if path in own:
            return own[path]
        if posixpath.normpath(path) in own:
            return own[posixpath.normpath(path)]
        return machine.get(posixpath.normpath(posixpath.join(directory, path)))

    return read


def _texts(environment: Mapping[str, Any]) -> Mapping[str, str | None]:
    texts = environment.get("files")
    return texts if isinstance(texts, Mapping) else {}


def fleet_of(case: Case) -> Any:
    """The fleet of a case, through the one way from texts to environments."""
    from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Fleet
    from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.assemble import assemble

    return Fleet(tuple(assemble(**arguments(item, reader(item, case.environments))) for item in case.environments))
