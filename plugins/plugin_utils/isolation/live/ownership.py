# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who owns what on the machine: one environment's names, projects, networks, volumes and ports as observed."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from typing import Any

from ....module_utils.core.addresses import overlap
from ....module_utils.docker.labels import ONE_OFF, PREFIX, PROJECT, SERVICE, WORKING_DIRECTORY
from ..declared import adopted_volumes
from ..facts.ownership import inside
from ..model import Environment, Finding, Severity, Where

_LIVE = (Where(item="seen on the machine"),)


def owner_of(labels: Mapping[str, str]) -> str:
    """The owner of an object, for a message: a prefix, else a Compose project."""
    if labels.get(PREFIX):
        return labels[PREFIX]
    if labels.get(PROJECT):
        where = labels.get(WORKING_DIRECTORY)
        return f"the Compose project {labels[PROJECT]}" + (f" in {where}" if where else "")
    return "no Compose project"


def ownership(environment: Environment, observation: Mapping[str, Any]) -> list[Finding]:
    """Find others' objects that use this environment's names, files, networks or ports, and its own on others'."""
    return [
        *_foreign_names(environment, observation),
        *_adopted_volumes(environment, observation),
        *_foreign_project(environment, observation),
        *_zombies(environment, observation),
        *_unknown_service(environment, observation),
        *_mixed_networks(environment, observation),
        *_foreign_mounts(environment, observation),
        *_taken_ports(environment, observation),
    ]


def _finding(
    environment: Environment, rule: str, severity: Severity, resource: str, message: str, fix: str, *hazards: str
) -> Finding:
    return Finding(rule, severity, (environment.prefix,), resource, message, fix, _LIVE, environment.machine, hazards)


def _own_names(environment: Environment, namespace: str) -> set[str]:
    return {claim.key for claim in environment.claims if claim.namespace == namespace}


def _project(environment: Environment) -> str:
    return next((project.name for project in environment.compose), environment.prefix)


def _foreign_names(environment: Environment, observation: Mapping[str, Any]) -> Iterator[Finding]:
    """Containers, networks and volumes that have a name of this environment and another project's label."""
    project, adopted = _project(environment), set(adopted_volumes(environment).values())
    for kind, hazard in (("container", "NM-03"), ("network", "NW-01"), ("volume", "VP-01")):
        names = _own_names(environment, kind) - (adopted if kind == "volume" else set())
        for item in observation[f"{kind}s"]:
            if item["name"] in names and item["labels"].get(PROJECT) != project:
                yield _finding(
                    environment,
                    "foreign-name",
                    Severity.CRITICAL if kind == "volume" else Severity.HIGH,
                    f"{kind} {item['name']}",
                    f"The machine has a {kind} called {item['name']}, which belongs to {owner_of(item['labels'])}: "
                    f"deploying {environment.prefix} would use or replace it.",
                    f"Rename or remove that {kind}, or declare it external if {environment.prefix} is to share it.",
                    hazard,
                )


def _adopted_volumes(environment: Environment, observation: Mapping[str, Any]) -> Iterator[Finding]:
    """Volumes that this environment takes over, and that are not there or are another environment's."""
    there = {volume["name"]: volume["labels"].get(PREFIX, "") for volume in observation["volumes"]}
    for key, name in adopted_volumes(environment).items():
        owner = there.get(name)
        if owner is None:
            message = (
                f"{environment.prefix} takes over the volume {name} as {key}, and the machine has no such volume: the "
                "environment cannot start, and would have no data."
            )
            fix = f"Write the name that docker volume ls shows, or remove {key} from bulkhead_adopted_volumes."
        elif owner not in ("", environment.prefix):
            message = f"{environment.prefix} takes over the volume {name} as {key}, and {owner} has made it for itself."
            fix = f"Remove {key} from bulkhead_adopted_volumes of {environment.prefix}."
        else:
            continue
        yield _finding(environment, "adopted-volume", Severity.CRITICAL, f"volume {name}", message, fix, "VP-01")


def real_path(observation: Mapping[str, Any], path: str) -> str:
    """A path with the links resolved that the observation knows."""
    return posixpath.normpath(str(observation["places"].get(path, path) or "/"))


def _foreign_project(environment: Environment, observation: Mapping[str, Any]) -> Iterator[Finding]:
    """Containers of this environment's Compose project that were started from another directory."""
    project, directory = _project(environment), real_path(observation, environment.directory)
    for container in observation["containers"]:
        labels = container["labels"]
        where = labels.get(WORKING_DIRECTORY, "")
        if labels.get(PROJECT) == project and real_path(observation, where) != directory:
            yield _finding(
                environment,
                "foreign-project",
                Severity.CRITICAL,
                f"project {project}",
                f"Container {container['name']} runs in the Compose project {project} from "
                f"{where or 'an unknown directory'}, not from {environment.directory}: Compose would take it for a "
                f"container of {environment.prefix} and replace it.",
                "Stop that project, or give it another project name (name: in its Compose file).",
                "CP-01",
                "CP-03",
            )


def _zombies(environment: Environment, observation: Mapping[str, Any]) -> Iterator[Finding]:
    """Containers started from this environment's directory as another project, such as a renamed one leaves behind."""
    project, directory = _project(environment), real_path(observation, environment.directory)
    for container in observation["containers"]:
        labels = container["labels"]
        here = real_path(observation, labels.get(WORKING_DIRECTORY, "/")) == directory
        if labels.get(PROJECT, project) != project and here:
            yield _finding(
                environment,
                "zombie-project",
                Severity.HIGH,
                f"container {container['name']}",
                f"Container {container['name']} was started from {environment.directory} as the Compose project "
                f"{labels[PROJECT]}: it would keep running beside {environment.prefix}, with old code and the same "
                "queues.",
                f"Stop it: docker compose -p {labels[PROJECT]} down (without -v, to keep its volumes).",
                "CP-19",
                "RC-11",
            )


def _unknown_service(environment: Environment, observation: Mapping[str, Any]) -> Iterator[Finding]:
    """Containers of this environment's project that no deployment made and that belong to no declared service."""
    project, directory = _project(environment), real_path(observation, environment.directory)
    services = {name for _project, name, _service in environment.services()}
    for container in observation["containers"]:
        labels = container["labels"]
        here = real_path(observation, labels.get(WORKING_DIRECTORY, "")) == directory
        if labels.get(PROJECT) != project or not here or labels.get(PREFIX) == environment.prefix:
            continue
        if labels.get(SERVICE) in services or labels.get(ONE_OFF) == "True":
            continue
        yield _finding(
            environment,
            "unknown-service",
            Severity.HIGH,
            f"container {container['name']}",
            f"Container {container['name']} is in the Compose project {project} and was not made by a deployment of "
            f"{environment.prefix}: the next deployment would remove it as an orphan.",
            f"Give it its own project, remove it, or declare its service {labels.get(SERVICE, '')} in "
            "bulkhead_services.",
            "CP-02",
            "CP-18",
        )


def _mixed_networks(environment: Environment, observation: Mapping[str, Any]) -> Iterator[Finding]:
    """Containers connected to another owner's network: others' to this environment's, its own to others'."""
    own, project = _own_names(environment, "network"), _project(environment)
    prefixes = {network["name"]: network["labels"].get(PREFIX, "") for network in observation["networks"]}
    for container in observation["containers"]:
        ours = container["labels"].get(PROJECT) == project
        for name in container["networks"]:
            if name in own and not ours:
                yield _finding(
                    environment,
                    "stranger-on-network",
                    Severity.CRITICAL,
                    f"network {name}",
                    f"Container {container['name']} of {owner_of(container['labels'])} is on the network {name} of "
                    f"{environment.prefix}: it reaches the database by its short name, and its own names resolve "
                    "there.",
                    f"docker network disconnect {name} {container['name']}",
                    "NW-02",
                    "NW-03",
                )
            elif ours and name not in own and prefixes.get(name) not in ("", environment.prefix):
                yield _finding(
                    environment,
                    "away-on-network",
                    Severity.CRITICAL,
                    f"network {name}",
                    f"Container {container['name']} of {environment.prefix} is on the network {name} of "
                    f"{prefixes[name]}: names such as postgresql may resolve to the other environment's containers.",
                    f"docker network disconnect {name} {container['name']}",
                    "NW-03",
                )


def _foreign_mounts(environment: Environment, observation: Mapping[str, Any]) -> Iterator[Finding]:
    """Others' containers that mount this environment's volumes or files."""
    project, volumes = _project(environment), _own_names(environment, "volume")
    directories = {environment.directory, real_path(observation, environment.directory)}
    for container in observation["containers"]:
        if container["labels"].get(PROJECT) == project:
            continue
        for _target, kind, source, writable in container["mounts"]:
            below = kind == "bind" and any(inside(source, directory) for directory in directories)
            if not (source in volumes if kind == "volume" else below):
                continue
            what = f"the volume {source}" if kind == "volume" else source
            yield _finding(
                environment,
                "foreign-mount",
                Severity.CRITICAL if writable else Severity.LOW,
                f"{kind} {source}",
                f"Container {container['name']} of {owner_of(container['labels'])} has {what} of "
                f"{environment.prefix} mounted, and can {'write to' if writable else 'read'} it.",
                f"Stop that container, or mount {what} read-only there if it has to read it.",
                "VP-01",
                "VP-05",
            )


def _taken_ports(environment: Environment, observation: Mapping[str, Any]) -> Iterator[Finding]:
    """Published ports of this environment that another container, or a process of the machine, holds."""
    project = _project(environment)
    ours = [container for container in observation["containers"] if container["labels"].get(PROJECT) == project]
    own = {(port["port"], port["address"]) for container in ours for port in container["ports"]}
    of_containers = {
        port["port"] for container in observation["containers"] if container["running"] for port in container["ports"]
    }
    for claim in environment.claims:
        number, _slash, protocol = claim.key.partition("/")
        if claim.namespace != "host-port" or protocol != "tcp":
            continue
        port, address = int(number), str(claim.attributes.get("ip") or "")
        holders = [
            f"container {container['name']} of {owner_of(container['labels'])}"
            for container in observation["containers"]
            if container["running"] and container not in ours
            for held in container["ports"]
            if held["port"] == port and overlap(address, held["address"])
        ]
        if port not in of_containers and not any(port == mine and overlap(address, at) for mine, at in own):
            holders += [
                socket["process"] or "a process that this user cannot see"
                for socket in observation["sockets"]
                if socket["port"] == port and overlap(address, socket["address"])
            ]
        if holders:
            yield _finding(
                environment,
                "taken-port",
                Severity.HIGH,
                f"port {port}",
                f"Port {port}{f' on {address}' if address else ''} of service {claim.attributes.get('service')} is "
                f"taken by {holders[0]}: a deployment of {environment.prefix} cannot start it.",
                "Stop what holds it, or choose another port.",
                "PT-01",
                "PT-02",
                "PT-07",
            )
