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
import time
from collections.abc import Iterable, Mapping
from typing import Any

from ..core.addresses import overlap
from ..core.steps import Step
from ..docker.containers import name_of
from ..docker.engine import EngineError
from ..edge.door import Door
from ..edge.no_links import make_directory
from ..edge.redirects import redirects_of, uncovered
from ..edge.routes import DoorError, Route, taken
from ..host.sockets import connected_to
from .containers import Containers
from .service import Service
from .settling import SETTLING


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

    def problems(self, services: Iterable[Service], containers: Containers) -> list[str]:
        """What stands in the way of a deployment: there is no front door, it does not answer, two of them take
        connections, a domain is another environment's, or it does not listen where these containers do."""
        behind = [service for service in services if service.domains]
        found = self.absent() if behind else []
        if behind and not found:
            found = self._unheard(container for service in behind for container in containers.of_service(service))
        for service in behind:
            claims = taken(self._route(service, {"Id": ""}), self.door.routes().values())
            if claims:
                found.append(
                    "the front door has one environment for each domain, and these are taken: %s. Take them out of "
                    "bulkhead_domains of one of the two, and deploy that one first" % "; ".join(claims)
                )
        return found

    def _unheard(self, containers: Iterable[Mapping[str, Any]]) -> list[str]:
        """What these containers publish where the front door does not listen, so that it cannot be led there."""
        if not self.door.moving.look().open:
            return []
        found = [one for container in containers for one in redirects_of(container, self.prefix)]
        return [
            "%s publishes port %d on %s, where the front door does not listen, so its requests cannot be led there. "
            "Add that to bulkhead_edge_addresses, and run ansible-playbook aiia.bulkhead.edge"
            % (one.prefix, one.port, one.address or "all addresses")
            for one in uncovered(found, self.door.settings().addresses)
        ]

    def absent(self) -> list[str]:
        """Why no request would reach an environment: no door takes connections, or two, or none that answers."""
        doors = self.door.doors()
        if not doors:
            return [missing(self.prefix)]
        if len(doors) > 1:
            return [
                "an update of the front door was interrupted: %s take connections, and only the newest would have the "
                "route of %s. Run ansible-playbook aiia.bulkhead.edge for this machine"
                % (" and ".join(sorted(map(name_of, doors))), self.prefix)
            ]
        try:
            self.door.live()
        except DoorError as error:
            return [str(error)]
        return []

    def is_led_to(self, container: Mapping[str, Any]) -> bool:
        """Whether requests go to a container, or may: where the front door does not answer."""
        try:
            return _name(container) in self.door.leads_to(self.prefix)
        except DoorError:
            return True

    def lead(self, service: Service, container: Mapping[str, Any]) -> bool:
        """Send requests for a service's domains to a container. False where they go there already.

        Raises EngineError if it has no sockets: nobody would be answered.
        """
        if not has_sockets(service, container):
            raise EngineError("container %s has no sockets for the front door" % _name(container))
        return bool(self.door.publish(self._route(service, container)))

    def take_over(self, containers: Iterable[Mapping[str, Any]]) -> bool:
        """While the machine moves behind the front door: lead what these containers publish there, for new connections.
        Whether anything changed."""
        found = [one for container in containers for one in redirects_of(container, self.prefix)]
        return bool(found) and self.door.take_over(found)

    def give_back(self) -> bool:
        """Let the containers that publish the environment's ports have them again; whether they had not."""
        return self.door.give_back(self.prefix)

    def led_away(self, port: int, address: str) -> list[str]:
        """Whose requests to a port of the machine go to the front door, other than the environment's own."""
        return [
            "the front door, to which it leads while %s moves behind it (ansible-playbook aiia.bulkhead.edge without "
            "bulkhead_edge_move ends that)" % one.prefix
            for one in self.door.moving.look().redirects
            if one.port == port and one.prefix != self.prefix and overlap(one.address, address)
        ]

    def close(self) -> None:
        """Remove the environment's route, if it has one, once nothing is on its way there."""
        if self.give_back():
            time.sleep(SETTLING)
        if self.door.has(self.prefix):
            self.door.withdraw(self.prefix)

    def steps(self, services: Iterable[Service], containers: Containers, replaced: Iterable[Service]) -> list[Step]:
        """What a deployment will change of the route."""
        behind = [service for service in services if service.domains]
        for service in behind:
            found = containers.of_service(service)
            if not found or service in replaced or not self.door.present():
                return [_step(service)]
            if self.door.plan(self._route(service, found[0])):
                return [_step(service)]
        return [] if behind or not self.door.has(self.prefix) else [Step("remove", self.prefix, "route")]

    def _route(self, service: Service, container: Mapping[str, Any]) -> Route:
        http, https = _sockets(container)
        return Route(self.prefix, service.domains, http, https, service.connections, service.rate)


def _step(service: Service) -> Step:
    return Step("route", ", ".join(service.domains), "domain", detail=service.container)


def has_sockets(service: Service, container: Mapping[str, Any]) -> bool:
    """Whether a container mounts the directory of the environment's sockets."""
    mounts = container.get("Mounts") or ()
    return any(os.path.normpath(str(mount.get("Source"))) == service.sockets for mount in mounts)


def connections(container: Mapping[str, Any]) -> int:
    """How many connections of the front door a container has, those that it has not accepted yet included."""
    return connected_to(_sockets(container))


def make_sockets(services: Iterable[Service]) -> None:
    """Make the directories of an environment's sockets."""
    for directory in (service.sockets for service in services if service.sockets):
        make_directory(directory)


def forget_sockets(services: Iterable[Service], containers: Containers) -> None:
    """Remove the sockets of containers that are gone."""
    known = {_name(container) for container in containers}
    for directory in (service.sockets for service in services if service.sockets and os.path.isdir(service.sockets)):
        for name in os.listdir(directory):
            if name not in known:
                shutil.rmtree(os.path.join(directory, name), ignore_errors=True)


def _sockets(container: Mapping[str, Any]) -> tuple[str, str]:
    """The container's sockets for HTTP and TLS, below the directory of the environment's."""
    own = _name(container)
    return "%s/http.sock" % own, "%s/https.sock" % own


def _name(container: Mapping[str, Any]) -> str:
    """What a container calls the directory of its sockets: the name that the engine gives its host."""
    return str(container["Id"])[:12]
