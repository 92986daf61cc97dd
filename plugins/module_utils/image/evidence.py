# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Collect evidence about the images that an environment runs, without judging it. Runs on the targets.

All of it comes from the registry entry of the last verified deployment, from the record of what images were built from,
and from the engine, whose clock gives all times.
"""

from __future__ import annotations

from typing import Any

from ..core.timestamps import seconds
from ..docker.containers import condition, is_own, is_well, labels_of, name_of
from ..docker.engine import Engine, EngineError, inspect_objects
from ..docker.labels import ONE_OFF, PREFIX, PROJECT
from ..state.registry import Registry, state_directory
from .record import INPUTS, TREE, ImageRecord


def collect(engine: Engine, prefix: str, project: str, directory: str, state: str) -> dict[str, Any]:
    """The environment's registered images, and the state of each of its containers. Raises EngineError if the engine
    does not answer, or its answer cannot be read."""
    now = _moment(engine.docker_ok("info", "--format", "{{.SystemTime}}").strip())
    entry = Registry(state_directory(state)).entry(prefix)
    own = [
        container
        for container in engine.containers("%s=%s" % (PROJECT, project), "%s=%s" % (PREFIX, prefix))
        if is_own(container, prefix, directory) and labels_of(container).get(ONE_OFF) != "True"
    ]
    built = ImageRecord(state, prefix).all()
    digests = _digests(engine, {container.get("Image", "") for container in own} - {""})
    return {
        "prefix": prefix,
        "registered": bool(entry) and "damaged" not in entry,
        "deployed": sorted(deployed_images(entry)),
        "now": now,
        "containers": [
            _container(container, entry, digests, built.get(container.get("Image", ""))) for container in own
        ],
    }


def deployed_images(entry: dict[str, Any]) -> set[str]:
    """The ids of the images in a registry entry."""
    return {container.get("image", "") for container in (entry.get("containers") or {}).values()} - {""}


def _container(
    container: dict[str, Any], entry: dict[str, Any], digests: dict[str, list[str]], built: dict[str, str] | None
) -> dict[str, Any]:
    """One container: its image and what that was ``built`` from, and its health as far back as the engine remembers."""
    state = container.get("State") or {}
    health = state.get("Health") or {}
    image = container.get("Image", "")
    registered = (entry.get("containers") or {}).get(name_of(container)) or {}
    failed = [check.get("End", "") for check in health.get("Log") or () if check.get("ExitCode") != 0]
    return {
        "name": name_of(container),
        "image": image,
        "digests": digests.get(image, []),
        "reference": (container.get("Config") or {}).get("Image", ""),
        "recorded": built is not None,
        "tree": (built or {}).get(TREE, ""),
        "inputs": (built or {}).get(INPUTS, ""),
        "condition": condition(container),
        "well": is_well(container),
        "failing": int(health.get("FailingStreak") or 0),
        "started": _moment(state.get("StartedAt", "")),
        "verified": _moment(registered.get("verified", "")),
        "failed": max(map(_moment, failed), default=0.0),
    }


def _digests(engine: Engine, images: set[str]) -> dict[str, list[str]]:
    """The names with digest under which registries know these images, by image id; removed images are left out."""
    inspected = inspect_objects(engine, "image", sorted(images))
    return {image["Id"]: list(image.get("RepoDigests") or ()) for image in inspected}


def _moment(text: str) -> float:
    try:
        return seconds(text) if text else 0.0
    except ValueError as error:
        raise EngineError("the engine or the registry reports a time that cannot be read: %s" % text) from error
