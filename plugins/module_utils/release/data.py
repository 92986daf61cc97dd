# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Data that what is wanted could not read, or would leave behind. Looks only; runs on the targets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..core.errors import Failure
from ..docker.engine import Engine, inspect_objects
from .comparison import Comparison
from .service import Service

#: Settings by which images say the major version of a server that reads no data of another one: PostgreSQL's own image.
_MAJORS = {"PG_MAJOR": "PostgreSQL"}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


class DataError(Failure):
    """What is wanted does not fit the data that is there."""


def refuse_other_data(comparison: Comparison, images: Mapping[str, str], then: str = "") -> None:
    """Raise DataError where a server could not read its data, and where going back would go back to other data.

    ``images`` has the ids of the wanted images, as far as the machine has them. ``then`` ends the message.
    """
    problems = [*_unreadable(comparison, images), *_left(comparison)]
    if problems:
        raise DataError("; ".join(problems) + then)


def _unreadable(comparison: Comparison, images: Mapping[str, str]) -> Iterator[str]:
    """The servers whose image is of another major version than the one that made the data they would get."""
    known = _names_in_stack(comparison)
    for service, container in _containers(comparison):
        kept, wanted = sorted(_volumes(container) & known), images.get(service.image, "")
        present = str(container.get("Image", ""))
        if not kept or not wanted or present == wanted:
            continue
        before, after = _majors(comparison.engine, present), _majors(comparison.engine, wanted)
        for setting in sorted(before):
            if after.get(setting, before[setting]) != before[setting]:
                yield (
                    "%s has its data of %s %s in the volume %s, and %s is %s, which cannot read it and would not "
                    "start. An upgrade takes a new volume and a restored backup, and the old volume stays: "
                    '"Another major version of PostgreSQL" in docs/backups.md says what to type'
                    % (service.container, _MAJORS[setting], before[setting], kept[0], service.image, after[setting])
                )


def _left(comparison: Comparison) -> Iterator[str]:
    """The databases that serve now, and that the kept release which is returned to knows nothing of."""
    if "release_files" not in comparison.params:
        return
    known = _names_in_stack(comparison)
    for service, container in _containers(comparison):
        left = sorted(_volumes(container) - known)
        if left and _majors(comparison.engine, str(container.get("Image", ""))):
            yield (
                "%s has its data in the volume %s, which that release does not know: returning to it would serve the "
                "data of then. Choose a newer release (-e bulkhead_release=…), or change the inventory, deploy, and "
                "restore a backup" % (service.container, left[0])
            )


def _containers(comparison: Comparison) -> Iterator[tuple[Service, dict[str, Any]]]:
    for service in comparison.services:
        for container in comparison.containers.of_service(service):
            yield service, container


def _names_in_stack(comparison: Comparison) -> set[str]:
    """All names in the wanted Compose file, those of external volumes too."""
    stacks = [file.content for file in comparison.files if file.path == comparison.params["compose_file"]]
    return {name for content in stacks for name in _NAME.findall(content.decode("utf-8", "replace"))}


def _volumes(container: dict[str, Any]) -> set[str]:
    """The volumes that a container mounts."""
    mounts = container.get("Mounts") or ()
    return {str(mount["Name"]) for mount in mounts if mount.get("Type") == "volume" and mount.get("Name")}


def _majors(engine: Engine, image: str) -> dict[str, str]:
    """The major versions that an image says it has."""
    found = inspect_objects(engine, "image", [image]) if image else []
    lines = [str(line) for item in found for line in (item.get("Config") or {}).get("Env") or ()]
    settings = dict(line.split("=", 1) for line in lines if "=" in line)
    return {name: settings[name] for name in _MAJORS if settings.get(name)}
