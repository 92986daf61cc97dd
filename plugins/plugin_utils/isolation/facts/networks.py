# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which services are on which networks of a machine, and the names that they have there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..model import ComposeProject, Environment, Fleet, Where
from .service_kinds import is_data_service


@dataclass(frozen=True, slots=True)
class Member:
    """A service on a network. ``names`` are those that Docker's DNS resolves there."""

    owner: str
    service: str
    names: tuple[str, ...]
    keeps_data: bool
    project: ComposeProject
    key: str

    @property
    def where(self) -> Where:
        """Where the service joins the network."""
        return self.project.where("services", self.service, "networks", self.key)

    def is_one_with(self, other: Member) -> bool:
        """Whether this and another are one container, because both are one service of one project."""
        return self.service == other.service and self.project.name == other.project.name


@dataclass(slots=True)
class Network:
    """A network of a machine. ``makers`` create it; for ``users`` it is external."""

    machine: str
    name: str
    makers: dict[str, Where] = field(default_factory=dict)
    users: dict[str, Where] = field(default_factory=dict)
    members: list[Member] = field(default_factory=list)

    @property
    def owners(self) -> tuple[str, ...]:
        """The environments that have a service on it, makers first."""
        present = dict.fromkeys(member.owner for member in self.members)
        return tuple(dict.fromkeys((*(maker for maker in self.makers if maker in present), *present)))


def networks(fleet: Fleet) -> Mapping[tuple[str, str], Network]:
    """All networks by (machine, real name)."""
    return fleet.derived(_networks)


def shared_networks(fleet: Fleet) -> Sequence[Network]:
    """The networks that have services of several environments."""
    return fleet.derived(_shared)


def _shared(fleet: Fleet) -> Sequence[Network]:
    return [network for network in networks(fleet).values() if len(network.owners) > 1]


def _networks(fleet: Fleet) -> Mapping[tuple[str, str], Network]:
    found: dict[tuple[str, str], Network] = {}
    for environment in fleet.environments:
        for project in environment.compose:
            for key, definition in project.networks.items():
                name = network_name(project, key)
                network = found.setdefault((environment.machine, name), Network(environment.machine, name))
                side = network.users if (definition or {}).get("external") else network.makers
                side.setdefault(environment.prefix, project.where("networks", key))
            for service, definition in project.services.items():
                for key, attachment in attachments(definition):
                    name = network_name(project, key)
                    network = found.setdefault((environment.machine, name), Network(environment.machine, name))
                    network.members.append(_member(environment, project, service, definition, key, attachment))
    return found


def _member(
    environment: Environment,
    project: ComposeProject,
    service: str,
    definition: Mapping[str, Any],
    key: str,
    attachment: Mapping[str, Any],
) -> Member:
    container = str(definition.get("container_name") or f"{project.name}-{service}-1")
    hostname = str(definition.get("hostname") or "")
    names = dict.fromkeys((service, container, *map(str, attachment.get("aliases") or ()), *filter(None, [hostname])))
    return Member(environment.prefix, service, tuple(names), is_data_service(service, definition), project, key)


def network_name(project: ComposeProject, key: str) -> str:
    """The real name of a network by its key."""
    definition = project.networks.get(key) or {}
    return str(definition.get("name") or (key if definition.get("external") else f"{project.name}_{key}"))


def attachments(service: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the networks of a service: (key, attachment); the default one if it names none."""
    if service.get("network_mode"):
        return
    listed = service.get("networks")
    if isinstance(listed, Mapping):
        for key, attachment in listed.items():
            yield str(key), attachment or {}
    else:
        yield from ((str(key), {}) for key in listed or ("default",))
