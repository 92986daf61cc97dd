# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which of an environment's services do not work: unhealthy, stopped or missing containers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from ....module_utils.docker.labels import ONE_OFF, PREFIX, PROJECT, SERVICE, STACK
from ..model import Environment

#: What is said of a health check that the service does not declare: a worker's image asks a web server in vain.
_BY_IMAGE = (
    ", by the HEALTHCHECK of its image: give the service a healthcheck that fits what it does, or "
    "healthcheck: {disable: true}"
)


def own_containers(environment: Environment, observation: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The containers of an environment's Compose projects, running or not; of a stack, those of tasks that run.

    The containers of earlier tasks stay for a while, and say nothing of now. An image can bring the label of a stack to
    the containers of another environment, and not that of a prefix.
    """
    projects = {project.name for project in environment.compose}
    for container in observation["containers"]:
        labels = container["labels"]
        if environment.swarm and labels.get(STACK) in projects:
            if container["running"] and labels.get(PREFIX) == environment.prefix:
                yield container
        elif not environment.swarm and labels.get(PROJECT) in projects:
            yield container


def once(container: Mapping[str, Any], services: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether a container's service exits when its work is done; an unknown service's restart policy tells."""
    service = services.get(container["labels"].get(SERVICE, ""))
    return bool(service["once"]) if service else container["policy"] in ("", "no", "on-failure")


def unwell(
    environment: Environment, observation: Mapping[str, Any], services: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[str, str]]:
    """Yield (resource, problem) for each of an environment's ``services`` that should serve and does not.

    A stopped server counts as down even if it exited with 0. One-off containers (``docker compose run``) and
    stand-ins are not judged.
    """
    counts = Counter[str]()
    for container in own_containers(environment, observation):
        if container["labels"].get(ONE_OFF) == "True":
            continue
        counts[container["labels"].get(SERVICE, "")] += 1
        completed = container["condition"] == "exited (0)" and once(container, services)
        serves = container["condition"] in ("healthy", "running", "starting")
        if not (serves or completed):
            by = _BY_IMAGE if _is_checked_by_image(environment, container) else ""
            yield f"container {container['name']}", f"Container {container['name']} is {container['condition']}{by}."
    for key, service in sorted(services.items()):
        if not service["once"] and counts[key] < service["replicas"]:
            has = f"{counts[key]} of {service['replicas']} containers" if counts[key] else "no container"
            yield f"service {key}", f"Service {key} has {has}."


def _is_checked_by_image(environment: Environment, container: Mapping[str, Any]) -> bool:
    """Whether a container failed a health check that no definition of its service has, so that it is its image's."""
    key = container["labels"].get(SERVICE, "")
    declared = [project.services[key] for project in environment.compose if key in project.services]
    return (
        container["condition"] == "unhealthy"
        and bool(declared)
        and not any(service.get("healthcheck") for service in declared)
    )
