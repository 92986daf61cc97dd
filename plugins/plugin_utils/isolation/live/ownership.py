# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whose things are these: names, projects and networks of one environment as they really are on the machine."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from typing import Any

from ....module_utils.docker.labels import ONE_OFF, PREFIX, PROJECT, SERVICE, WORKING_DIRECTORY
from ..facts.ownership import inside
from ..model import Environment, Finding, Severity, Where

_LIVE = (Where(item="seen on the machine"),)


def owner_of(labels: Mapping[str, str]) -> str:
    """Who made an object, in words."""
    if labels.get(PREFIX):
        return f"{labels[PREFIX]}"
    if labels.get(PROJECT):
        where = labels.get(WORKING_DIRECTORY)
        return f"the Compose project {labels[PROJECT]}" + (f" in {where}" if where else "")
    return "somebody who used no Compose project"


def ownership(environment: Environment, observation: Mapping[str, Any]) -> list[Finding]:
    """Everything that bears a name of this environment and is not its own, and its own things in foreign places."""
    return [
        *_foreign_names(environment, observation),
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
    """A container, network or volume has a name that we are about to use, and somebody else's label."""
    project = _project(environment)
    for kind, hazard in (("container", "NM-03"), ("network", "NW-01"), ("volume", "VP-01")):
        names = _own_names(environment, kind)
        for each in observation[f"{kind}s"]:
            if each["name"] in names and each["labels"].get(PROJECT) != project:
                yield _finding(
                    environment,
                    "foreign-name",
                    Severity.CRITICAL if kind == "volume" else Severity.HIGH,
                    f"{kind} {each['name']}",
                    f"a {kind} called {each['name']} is on the machine and belongs to {owner_of(each['labels'])}; "
                    "deploying "
                    f"{environment.prefix} would use or replace it",
                    f"rename or remove that {kind}, or declare it as external if {environment.prefix} shall share it",
                    hazard,
                )


def _real(observation: Mapping[str, Any], path: str) -> str:
    """A directory, links followed as far as they were seen on the machine."""
    return posixpath.normpath(str(observation["places"].get(path, path) or "/"))


def _foreign_project(environment: Environment, observation: Mapping[str, Any]) -> Iterator[Finding]:
    """Containers of our Compose project that were started from another directory."""
    project, directory = _project(environment), _real(observation, environment.directory)
    for container in observation["containers"]:
        labels = container["labels"]
        where = labels.get(WORKING_DIRECTORY, "")
        if labels.get(PROJECT) == project and _real(observation, where) != directory:
            yield _finding(
                environment,
                "foreign-project",
                Severity.CRITICAL,
                f"project {project}",
                f"container {container['name']} runs in the Compose project {project} from "
                f"{where or 'an unknown directory'}, not from {environment.directory}; Compose takes it for a "
                f"container of {environment.prefix} and replaces it",
                "stop that project, or give it a project name of its own (name: in its Compose file)",
                "CP-01",
                "CP-03",
            )


def _zombies(environment: Environment, observation: Mapping[str, Any]) -> Iterator[Finding]:
    """Containers from our directory under another project: what a renamed project leaves running."""
    project, directory = _project(environment), _real(observation, environment.directory)
    for container in observation["containers"]:
        labels = container["labels"]
        here = _real(observation, labels.get(WORKING_DIRECTORY, "/")) == directory
        if labels.get(PROJECT, project) != project and here:
            yield _finding(
                environment,
                "zombie-project",
                Severity.HIGH,
                f"container {container['name']}",
                f"container {container['name']} was started from {environment.directory} as the Compose project "
                f"{labels[PROJECT]}; it would go on beside {environment.prefix}, with old code and the same queues",
                f"stop it: docker compose -p {labels[PROJECT]} down (without -v: volumes stay)",
                "CP-19",
                "RC-11",
            )


def _unknown_service(environment: Environment, observation: Mapping[str, Any]) -> Iterator[Finding]:
    """Containers of our project that no deployment made and that no service of ours would replace."""
    project = _project(environment)
    services = {name for _project, name, _service in environment.services()}
    for container in observation["containers"]:
        labels = container["labels"]
        here = _real(observation, labels.get(WORKING_DIRECTORY, "")) == _real(observation, environment.directory)
        if labels.get(PROJECT) != project or not here or labels.get(PREFIX) == environment.prefix:
            continue
        if labels.get(SERVICE) in services or labels.get(ONE_OFF) == "True":
            continue
        yield _finding(
            environment,
            "unknown-service",
            Severity.HIGH,
            f"container {container['name']}",
            f"container {container['name']} is in the Compose project {project} and was not made by a deployment of "
            f"{environment.prefix}; as a service that is gone it would be removed",
            f"give it a project of its own, remove it, or declare its service {labels.get(SERVICE, '')} in "
            "bulkhead_services",
            "CP-02",
            "CP-18",
        )


def _mixed_networks(environment: Environment, observation: Mapping[str, Any]) -> Iterator[Finding]:
    """Containers that were joined by hand to a network of another owner."""
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
                    f"container {container['name']} of {owner_of(container['labels'])} is on the network {name} of "
                    f"{environment.prefix}: it "
                    "reaches the database by its short name, and its own names answer there",
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
                    f"container {container['name']} of {environment.prefix} is on the network {name} of "
                    f"{prefixes[name]}: names such as "
                    "postgresql are answered by the other environment",
                    f"docker network disconnect {name} {container['name']}",
                    "NW-03",
                )


def _foreign_mounts(environment: Environment, observation: Mapping[str, Any]) -> Iterator[Finding]:
    """Containers of others that have our volumes or files."""
    project, volumes = _project(environment), _own_names(environment, "volume")
    directories = {environment.directory, _real(observation, environment.directory)}
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
                f"container {container['name']} of {owner_of(container['labels'])} has {what} of {environment.prefix} "
                "mounted" + (", and can write to it" if writable else ", and reads it"),
                f"stop that container, or mount it there read-only if it has to read {what}",
                "VP-01",
                "VP-05",
            )


def _taken_ports(environment: Environment, observation: Mapping[str, Any]) -> Iterator[Finding]:
    """Ports that we publish and that a container of others, or a process of the machine, holds."""
    project = _project(environment)
    ours = [container for container in observation["containers"] if container["labels"].get(PROJECT) == project]
    own = {(port["port"], port["address"]) for each in ours for port in each["ports"]}
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
            if held["port"] == port and overlapping(address, held["address"])
        ]
        if port not in of_containers and not any(port == mine and overlapping(address, at) for mine, at in own):
            holders += [
                socket["process"] or "a process that this user may not see"
                for socket in observation["sockets"]
                if socket["port"] == port and overlapping(address, socket["address"])
            ]
        if holders:
            yield _finding(
                environment,
                "taken-port",
                Severity.HIGH,
                f"port {port}",
                f"port {port}{f' on {address}' if address else ''} of service {claim.attributes.get('service')} is "
                f"taken by {holders[0]}",
                "stop what holds it, or choose another port",
                "PT-01",
                "PT-02",
                "PT-07",
            )


def overlapping(one: str, other: str) -> bool:
    """Whether two listening addresses exclude each other on one port; the empty one is every address."""
    every = ("", "0.0.0.0", "::")
    return one in every or other in every or one.strip("[]").lower() == other.strip("[]").lower()
