# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which of an environment's containers are not as they should be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..model import Environment
from ..stack import runs_once
from .registered import ONE_OFF, PROJECT, SERVICE


def own_containers(environment: Environment, observation: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The containers of an environment's Compose projects, running or not."""
    projects = {project.name for project in environment.compose}
    return (each for each in observation["containers"] if each["labels"].get(PROJECT) in projects)


def did_its_work(environment: Environment, container: Mapping[str, Any]) -> bool:
    """Whether a container ended well because its service is one that ends. A server that was told to stop exits with 0
    too, and is away all the same."""
    key = container["labels"].get(SERVICE)
    services = (project.services.get(key) for project in environment.compose)
    once = any(runs_once(service) for service in services if service)
    return once and container["condition"] == "exited (0)"


def unwell(environment: Environment, observation: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Own containers that do not serve and should. What somebody ran by the way (``docker compose run``) may end as it
    likes; the stand-in of a service is such a container too, and runs."""
    for each in own_containers(environment, observation):
        by_the_way = each["labels"].get(ONE_OFF) == "True" and not each["running"]
        serves = each["condition"] in ("healthy", "running", "starting")
        if not (serves or by_the_way or did_its_work(environment, each)):
            yield each
