# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which of an environment's containers are not as they should be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from ....module_utils.docker.labels import ONE_OFF, PROJECT, SERVICE
from ..model import Environment


def own_containers(environment: Environment, observation: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The containers of an environment's Compose projects, running or not."""
    projects = {project.name for project in environment.compose}
    return (container for container in observation["containers"] if container["labels"].get(PROJECT) in projects)


def once(container: Mapping[str, Any], services: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether a container is of a service that does its work and ends. Of one that nobody knows, the engine's own
    policy says so."""
    service = services.get(container["labels"].get(SERVICE, ""))
    return bool(service["once"]) if service else container["policy"] in ("", "no", "on-failure")


def unwell(
    environment: Environment, observation: Mapping[str, Any], services: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[str, str]]:
    """What of an environment's ``services`` does not serve and should: (resource, what is wrong with it).

    A server that was told to stop exits with 0, and is away all the same. What somebody runs by the way (``docker
    compose run``) is as it likes; so is a stand-in, behind which requests would go unanswered.
    """
    there = Counter[str]()
    for container in own_containers(environment, observation):
        if container["labels"].get(ONE_OFF) == "True":
            continue
        there[container["labels"].get(SERVICE, "")] += 1
        did_its_work = container["condition"] == "exited (0)" and once(container, services)
        serves = container["condition"] in ("healthy", "running", "starting")
        if not (serves or did_its_work):
            yield f"container {container['name']}", f"container {container['name']} is {container['condition']}"
    for key, service in sorted(services.items()):
        if not service["once"] and there[key] < service["replicas"]:
            has = f"{there[key]} of {service['replicas']} containers" if there[key] else "no container"
            yield f"service {key}", f"service {key} has {has}"
