# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The environment's side of the machine's front door: to which container it sends requests. Runs on the targets.

Each container of a service behind the front door has its sockets below a name of its own, the first twelve digits of
its id, so that the way from one to the next is one change of the environment's own route.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Protocol

from ..core.steps import Step
from ..docker.engine import Engine, EngineError
from .containers import Containers
from .service import Service


class Way(NamedTuple):
    """The route of one environment: for which domains, to which sockets (below its own directory), within which limits:
    connections at once, and new ones a second."""

    prefix: str
    domains: tuple[str, ...]
    http: str
    https: str
    connections: int
    rate: int


class Door(Protocol):
    """The front door of a machine, as far as an environment has to do with it."""

    def present(self) -> bool:
        """Whether the machine has one that runs."""

    def routes(self) -> Mapping[str, Way]:
        """Its routes, by the environments' prefixes."""

    def publish(self, route: Way) -> object:
        """Put a route in force; it touches no other."""

    def withdraw(self, prefix: str) -> object:
        """Remove an environment's route; it touches no other."""


class NoDoor:
    """A machine without a front door."""

    def present(self) -> bool:
        """There is none."""
        return False

    def routes(self) -> Mapping[str, Way]:
        """Nor has it routes."""
        return {}

    def publish(self, route: Way) -> object:
        """Raise EngineError."""
        raise EngineError(missing(route.prefix))

    def withdraw(self, prefix: str) -> object:
        """There is nothing to remove."""


def door_of(_engine: Engine, _state: str) -> Door:
    """The front door of the machine that has this engine and this state directory."""
    return NoDoor()


def missing(prefix: str) -> str:
    """What to do where an environment needs a front door, and the machine has none."""
    return (
        "%s has bulkhead_edge: true, but the front door is absent on this machine, so nobody would reach it. Run "
        "ansible-playbook aiia.bulkhead.edge for this machine first, or let the environment publish its ports "
        "(bulkhead_edge: false)" % prefix
    )


class FrontDoor:
    """What deployments of one environment do at the front door."""

    def __init__(self, door: Door, prefix: str) -> None:
        self.door = door
        self.prefix = prefix

    def problems(self, services: Iterable[Service]) -> list[str]:
        """What stands in the way of a deployment: there is no front door, or a domain is another environment's."""
        found = []
        for service in (service for service in services if service.domains):
            if not self.door.present():
                found.append(missing(self.prefix))
            for other, way in sorted(self.door.routes().items()):
                both = [domain for domain in service.domains if any(covers(domain, one) for one in way.domains)]
                if other != self.prefix and both:
                    found.append(
                        "the front door of this machine sends %s to %s: take it out of bulkhead_domains here, or "
                        "destroy or redeploy %s without it" % (" and ".join(both), other, other)
                    )
        return found

    def leads_to(self, service: Service, container: Mapping[str, Any]) -> bool:
        """Whether requests for a service's domains go to a container, within the limits that are wanted."""
        return self.door.routes().get(self.prefix) == self._way(service, container)

    def is_led_to(self, container: Mapping[str, Any]) -> bool:
        """Whether any request goes to a container."""
        way = self.door.routes().get(self.prefix)
        return bool(way) and way is not None and way.https.startswith(_name(container) + "/")

    def lead(self, service: Service, container: Mapping[str, Any]) -> bool:
        """Send requests for a service's domains to a container. False where they go there already.

        Raises EngineError if it has no sockets: nobody would be answered.
        """
        if self.leads_to(service, container):
            return False
        if not has_sockets(service, container):
            raise EngineError("container %s has no sockets for the front door" % _name(container))
        self.door.publish(self._way(service, container))
        return True

    def close(self) -> None:
        """Remove the environment's route, if it has one."""
        if self.prefix in self.door.routes():
            self.door.withdraw(self.prefix)

    def steps(self, services: Iterable[Service], containers: Containers, replaced: Iterable[Service]) -> list[Step]:
        """What a deployment will change of the route."""
        behind = [service for service in services if service.domains]
        for service in behind:
            found = containers.of_service(service)
            if not found or service in replaced or not self.leads_to(service, found[0]):
                return [Step("route", ", ".join(service.domains), "domain", detail=service.container)]
        return [] if behind or self.prefix not in self.door.routes() else [Step("remove", self.prefix, "route")]

    def _way(self, service: Service, container: Mapping[str, Any]) -> Way:
        own = _name(container)
        sockets = ("%s/http.sock" % own, "%s/https.sock" % own)
        return Way(self.prefix, service.domains, *sockets, service.connections, service.rate)


def covers(one: str, other: str) -> bool:
    """Whether two domains mean a name together; a wildcard covers one label."""
    wild = {domain.partition(".")[2] for domain in (one, other) if domain.startswith("*.")}
    plain = {domain.partition(".")[2] for domain in (one, other) if not domain.startswith("*.")}
    return one == other or bool(wild & plain)


def has_sockets(service: Service, container: Mapping[str, Any]) -> bool:
    """Whether a container mounts the directory of the environment's sockets."""
    mounts = container.get("Mounts") or ()
    return any(os.path.normpath(str(mount.get("Source"))) == service.sockets for mount in mounts)


def make_sockets(services: Iterable[Service]) -> None:
    """Make the directory of an environment's sockets, which only root can write and the front door can enter."""
    for directory in (service.sockets for service in services if service.sockets):
        os.makedirs(directory, 0o711, exist_ok=True)
        if not stat.S_ISDIR(os.lstat(directory).st_mode):
            raise EngineError("%s is not a directory: remove it" % directory)
        os.chmod(directory, 0o711)


def forget_sockets(services: Iterable[Service], containers: Containers) -> None:
    """Remove the sockets of containers that are gone."""
    known = {_name(container) for container in containers}
    for directory in (service.sockets for service in services if service.sockets and os.path.isdir(service.sockets)):
        for name in os.listdir(directory):
            if name not in known:
                shutil.rmtree(os.path.join(directory, name), ignore_errors=True)


def _name(container: Mapping[str, Any]) -> str:
    """What a container calls the directory of its sockets: the name that the engine gives its host."""
    return str(container["Id"])[:12]
