# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read an inspected container: its name, labels, condition, ports and owner. Runs on the targets."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any

from ..core.timestamps import seconds
from .labels import PREFIX, PROJECT, WORKING_DIRECTORY

#: Name suffixes of a service's stand-in and of the container that prepares its release.
STAND_IN, PREPARING = "_next", "_prepare"


def labels_of(container: dict[str, Any]) -> dict[str, str]:
    """The labels of an inspected container."""
    return (container.get("Config") or {}).get("Labels") or {}


def name_of(container: dict[str, Any]) -> str:
    """The name of an inspected container."""
    return str(container.get("Name", "")).lstrip("/")


def condition(container: dict[str, Any]) -> str:
    """The condition of a container: ``healthy``, ``starting``, ``unhealthy``, ``running`` (without health check),
    ``restarting``, ``paused``, or its status and exit code, such as ``exited (1)``."""
    state = container.get("State") or {}
    health = (state.get("Health") or {}).get("Status")
    if state.get("Restarting"):
        return "restarting"
    if state.get("Paused"):
        return "paused"  # the engine still calls it running, with its last health
    if state.get("Running"):
        return health if health and health != "none" else "running"
    return "%s (%s)" % (state.get("Status", "gone"), state.get("ExitCode", "?"))


def is_running(container: dict[str, Any]) -> bool:
    """Whether a container's processes run. The engine also calls paused containers running, and those that wait to be
    restarted."""
    state = container.get("State") or {}
    return bool(state.get("Running")) and not (state.get("Paused") or state.get("Restarting"))


def started(container: dict[str, Any]) -> float:
    """When a container was started, in seconds since the epoch."""
    return seconds(container["State"]["StartedAt"])


def published_by(container: dict[str, Any]) -> list[tuple[int, str]]:
    """The (port, address) pairs that a container publishes on the machine.

    Where it asks for any port, or for one of a range, the engine says which one it has; a stopped container may get
    every one of the range.
    """
    asked = (container.get("HostConfig") or {}).get("PortBindings")
    given = (container.get("NetworkSettings") or {}).get("Ports")
    ports: dict[tuple[int, str], None] = {}
    for first, last, address in _bindings(asked):
        if first == last:
            ports[first, address] = None
    named = {port for port, _address in ports}
    for first, last, address in [*_bindings(given)] or [*_bindings(asked)]:
        ports.update({(port, address): None for port in range(first, last + 1) if port not in named})
    return list(ports)


def _bindings(ports: Any) -> Iterator[tuple[int, int, str]]:
    """The first and the last port, and the address, of each binding that names a port."""
    for bindings in (ports or {}).values():
        for binding in bindings or ():
            first, _dash, last = (binding.get("HostPort") or "").partition("-")
            if first.isdigit() and (last or first).isdigit() and int(first):
                yield int(first), int(last or first), binding.get("HostIp") or ""


def published(containers: Iterable[dict[str, Any]]) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """What containers publish on the machine: (port, address, container)."""
    return ((port, address, container) for container in containers for port, address in published_by(container))


def is_well(container: dict[str, Any], one_shot: bool = False) -> bool:
    """Whether a container is healthy, or runs without a health check; a ``one_shot`` may also have exited with 0."""
    now = condition(container)
    return now in ("running", "healthy") or one_shot and now == "exited (0)"


def belongs_to(labels: dict[str, str]) -> str:
    """Describe the Compose project that an object belongs to, from its labels."""
    if labels.get(PROJECT):
        where = labels.get(WORKING_DIRECTORY)
        return "the Compose project %s%s" % (labels[PROJECT], " in %s" % where if where else "")
    return "no Compose project"


def is_own(container: dict[str, Any], prefix: str, directory: str) -> bool:
    """Whether a container belongs to this environment and was deployed from this directory."""
    labels = labels_of(container)
    here = os.path.realpath(labels.get(WORKING_DIRECTORY) or "/") == os.path.realpath(directory)
    return here and labels.get(PREFIX) == prefix
