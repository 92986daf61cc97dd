# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a machine shows of the images that an environment runs there. It judges nothing. Runs on the targets.

Everything comes from two places: the registry entry that a verified deployment left, and the engine, whose own clock
all moments are of.
"""

from __future__ import annotations

from typing import Any

from ..core.timestamps import seconds
from ..docker.containers import condition, is_own, is_well, labels_of, name_of
from ..docker.engine import Engine, EngineError, described
from ..docker.labels import BUILD_INPUTS, ONE_OFF, PREFIX, PROJECT, TREE
from ..state.registry import Registry, state_directory


def collect(engine: Engine, prefix: str, project: str, directory: str, state: str) -> dict[str, Any]:
    """What is registered of an environment, and how each of its containers is. Raises EngineError where the engine says
    something that cannot be read."""
    now = _moment(engine.docker_ok("info", "--format", "{{.SystemTime}}").strip())
    entry = Registry(state_directory(state)).entries().get(prefix, {})
    own = [
        container
        for container in engine.containers("%s=%s" % (PROJECT, project), "%s=%s" % (PREFIX, prefix))
        if is_own(container, prefix, directory) and labels_of(container).get(ONE_OFF) != "True"
    ]
    digests = _digests(engine, {each.get("Image", "") for each in own} - {""})
    return {
        "prefix": prefix,
        "registered": bool(entry) and "damaged" not in entry,
        "deployed": sorted(deployed_images(entry)),
        "now": now,
        "containers": [_container(each, entry, digests) for each in own],
    }


def deployed_images(entry: dict[str, Any]) -> set[str]:
    """The ids of the images that a registry entry says were deployed."""
    return {container.get("image", "") for container in (entry.get("containers") or {}).values()} - {""}


def _container(container: dict[str, Any], entry: dict[str, Any], digests: dict[str, list[str]]) -> dict[str, Any]:
    """One container: its image, and how its health was, as far as the engine remembers."""
    state = container.get("State") or {}
    health = state.get("Health") or {}
    image = container.get("Image", "")
    registered = (entry.get("containers") or {}).get(name_of(container)) or {}
    failed = [each.get("End", "") for each in health.get("Log") or () if each.get("ExitCode") != 0]
    labels = labels_of(container)
    return {
        "name": name_of(container),
        "image": image,
        "digests": digests.get(image, []),
        "reference": (container.get("Config") or {}).get("Image", ""),
        # A container has the labels of its image, except those that Compose gave it.
        "tree": labels.get(TREE, ""),
        "inputs": labels.get(BUILD_INPUTS, ""),
        "condition": condition(container),
        "well": is_well(container),
        "failing": int(health.get("FailingStreak") or 0),
        "started": _moment(state.get("StartedAt", "")),
        "verified": _moment(registered.get("verified", "")),
        "failed": max(map(_moment, failed), default=0.0),
    }


def _digests(engine: Engine, images: set[str]) -> dict[str, list[str]]:
    """By which names with a digest registries know these images; one that is gone has none."""
    return {each["Id"]: list(each.get("RepoDigests") or ()) for each in described(engine, "image", sorted(images))}


def _moment(text: str) -> float:
    try:
        return seconds(text) if text else 0.0
    except ValueError as error:
        raise EngineError("the engine or the registry tells a time that cannot be read: %s" % text) from error
