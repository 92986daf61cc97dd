# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which containers make up an environment, and what it is going to be called."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...module_utils.docker.labels import ONE_OFF, PROJECT, WORKING_DIRECTORY
from ..isolation.naming import check_prefix, normalise_project
from ..isolation.wording import listing
from ..isolation_check.discovery import environments_in
from .model import Container, Handmade

CONFIG_FILES = "com.docker.compose.project.config_files"

_GROUPS = {"prod": "production", "dev": "development"}
_NUMBER = re.compile(r"[_-]\d+\Z")
#: What a project cannot be called, and is therefore cut off.
_STRANGE = re.compile(r"[^a-z0-9]+")

_Key = tuple[str, str, str]


def environments(seen: Mapping[str, Any]) -> tuple[list[Handmade], list[str]]:
    """The environments of a machine, production first, and sentences on what belongs to none and on what they share.

    A project's name alone does not tell environments apart: two directories of one name have one. So the directory and
    the Compose files count as well.
    """
    by_key: dict[_Key, list[Container]] = {}
    said: list[str] = []
    for item in seen["containers"]:
        labels = item["labels"]
        if not labels.get(PROJECT):
            said.append(
                f"The container {item['name']} was started by hand (docker run) and belongs to no Compose project, so "
                "it is left as it is. To have it in an environment, describe it in bulkhead_services."
            )
        elif labels.get(ONE_OFF) != "True":
            key = (labels[PROJECT], labels.get(WORKING_DIRECTORY, ""), labels.get(CONFIG_FILES, ""))
            by_key.setdefault(key, []).append(Container(item, seen["images"].get(item["image_id"]) or {}))
    found = [_named(key, containers) for key, containers in sorted(by_key.items())]
    _distinguish(found)
    said += _one_name(found)
    return sorted(found, key=lambda own: (own.environment != "prod", own.prefix)), said


def _named(key: _Key, containers: Sequence[Container]) -> Handmade:
    compose_project, directory, files = key
    names = sorted(container.name for container in containers)
    common = _common(names)
    paths = tuple(path for path in files.split(",") if path)
    # The nearest word wins: a Compose file or a container that says so, before a directory.
    words = [
        word
        for text in (*(path.rpartition("/")[2] for path in paths), common, compose_project, directory)
        for word in environments_in(text)
    ]
    environment = words[0] if words else "prod"
    base = common if len(_STRANGE.sub("", common)) > 1 else compose_project
    kept = [word for word in _STRANGE.split(base.lower()) if word and environment not in environments_in(word)]
    project = "_".join(kept) or normalise_project(compose_project) or "app"
    if check_prefix(f"{project}_{environment}"):
        project = f"app_{_STRANGE.sub('_', project)}".strip("_")[:30].rstrip("_")
    group = _GROUPS.get(environment, environment)
    return Handmade(environment, project, group, compose_project, directory, paths, tuple(containers))


def _common(names: Sequence[str]) -> str:
    """What all names of containers begin with, as whole words: of ``aiia_prod_django`` and its like, ``aiia_prod``."""
    if len(names) < 2:
        return ""
    bare = [_NUMBER.sub("", name) for name in names]
    found = _beginning(bare)
    if any(name[len(found) : len(found) + 1].isalnum() for name in bare) and found[-1:].isalnum():
        found = re.sub(r"[a-zA-Z0-9]+\Z", "", found)
    return found.strip("_-.")


def _beginning(names: Sequence[str]) -> str:
    """What all texts begin with."""
    first, last = min(names), max(names)
    return next((first[:end] for end in range(len(first), 0, -1) if last.startswith(first[:end])), "")


def _distinguish(found: Sequence[Handmade]) -> None:
    """Give each environment a prefix and a group of its own."""
    projects = {own.project for own in found}
    for own in found:
        if len(projects) > 1:
            own.group = f"{own.project}_{own.group}"
    taken: set[str] = set()
    for own in found:
        base, group, number = own.environment, own.group, 2
        while own.prefix in taken:
            own.environment, own.group, number = f"{base}{number}", f"{group}{number}", number + 1
        taken.add(own.prefix)


def _one_name(found: Iterable[Handmade]) -> list[str]:
    """Say which directories run as one Compose project."""
    by_name: dict[str, list[Handmade]] = {}
    for own in found:
        by_name.setdefault(own.compose_project, []).append(own)
    return [
        f"{listing(own.prefix for own in several)} run as one Compose project, {name}, from "
        f"{listing(own.directory or 'an unknown directory' for own in several)}. To Compose their containers are one "
        f"project: docker compose up in one of these directories replaces the services that have the same name in the "
        f"other, and with --remove-orphans it removes all others. Do not run docker compose there until both have "
        "moved; the steps below stop containers by name only."
        for name, several in by_name.items()
        if len(several) > 1
    ]
