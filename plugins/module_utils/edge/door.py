# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Publish and withdraw routes of a machine's front door: on disk, and in the running HAProxy without a reload.

Only what belongs to the route's own prefix is written to the running door. Runs on the targets.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from ..core.directory import DesiredFile, Tree
from ..core.steps import Step
from ..docker.engine import Engine
from ..docker.labels import FRONT_DOOR
from ..state.locks import Locks
from . import places
from .admin import ask
from .routes import (
    BACKENDS,
    MAP,
    SEPARATOR,
    DoorError,
    DoorSettings,
    Route,
    checked,
    configuration,
    digest,
    domain_map,
    parse,
    render,
    server,
    taken,
)

#: Labels of the door's containers: whose they are, and the settings and image that they came from.
STATE_LABEL = FRONT_DOOR
NODE_LABEL = "%s.node" % FRONT_DOOR
SETTINGS = os.path.join(places.FOLDER, "settings.json")
NODE = os.path.join(places.FOLDER, "node")


class Door:
    """The front door that belongs to a state directory."""

    def __init__(self, engine: Engine, state: str) -> None:
        self.engine = engine
        self.state = state
        self._tree = Tree(state, private=True, inner=0o700)

    # ---- looking --------------------------------------------------------------------------------------------------

    def present(self) -> bool:
        """Whether a container of this door runs."""
        found = self.engine.containers("%s=%s" % (STATE_LABEL, self.state))
        return any(container["State"].get("Running") for container in found)

    def routes(self) -> dict[str, Route]:
        """The routes on disk by prefix. Raises DoorError where a file is none."""
        found = {}
        for name in self._tree.names(places.ROUTES):
            prefix, dot, extension = name.rpartition(".")
            content = self._tree.read(os.path.join(places.ROUTES, name)) if dot and extension == "json" else None
            if content is not None:
                found[prefix] = parse(content, prefix)
        return found

    def settings(self) -> DoorSettings:
        """The machine's settings of the door, as they were last set up. Raises DoorError where there are none."""
        content = self._tree.read(SETTINGS)
        if content is None:
            raise DoorError("this machine has no front door. Run the playbook aiia.bulkhead.edge on it")
        try:
            said = json.loads(content.decode())
            values: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in said.items()}
            return DoorSettings(**values)
        except (ValueError, TypeError, AttributeError) as error:
            raise DoorError(
                "%s is damaged. Run the playbook aiia.bulkhead.edge again" % self._tree.path(SETTINGS)
            ) from error

    def live(self) -> dict[str, Route]:
        """The routes of the running door by prefix. One whose server is missing in a backend, or down, is left out."""
        servers = self._servers()
        domains: dict[str, list[str]] = {}
        for domain, entry in self._map().items():
            domains.setdefault(entry, []).append(domain)
        found: dict[str, Route] = {}
        for entry, names in domains.items():
            try:
                name, prefix, connections, rate = entry.split(SEPARATOR)
                container = name.rpartition(".")[2]
                sockets = {backend: "%s/%s.sock" % (container, backend) for backend in BACKENDS}
                route = checked(
                    Route(prefix, tuple(sorted(names)), **sockets, connections=int(connections), rate=int(rate))
                )
            except (ValueError, DoorError):
                continue
            if prefix not in found and all(servers.get((backend, route.server)) for backend in BACKENDS):
                found[prefix] = route
        return found

    def fingerprints(self) -> dict[str, str]:
        """A digest of each environment's route on disk and in the running door, by prefix, for receipts."""
        disk = {prefix: digest(route) for prefix, route in self.routes().items()}
        live = {prefix: digest(route) for prefix, route in self.live().items()}
        return {
            prefix: "%s %s" % (disk.get(prefix, "none"), live.get(prefix, "none")) for prefix in sorted({*disk, *live})
        }

    # ---- changing -------------------------------------------------------------------------------------------------

    def plan(self, route: Route) -> list[Step]:
        """What :meth:`publish` would do; nothing where the route is in place. Raises DoorError."""
        route = checked(route)
        disk = self.routes()
        claims = taken(route, disk.values())
        if claims:
            raise DoorError(
                "the front door has one environment for each domain, and for %s these are taken: %s. Take the domain "
                "out of one of the two" % (route.prefix, "; ".join(claims))
            )
        found = (disk.get(route.prefix), self.live().get(route.prefix))
        same = [there and digest(there) == digest(route) for there in found]
        return [] if all(same) else [Step("publish", ", ".join(sorted(route.domains)), "route")]

    def publish(self, route: Route) -> list[Step]:
        """Have the route on disk and in the running door. Raises DoorError."""
        with Locks(self.state).machine():
            steps = self.plan(route)
            if steps:
                settings = self.settings()
                self._tree.make_directory(places.ROUTES)
                self._tree.write(DesiredFile(self._path(route.prefix), render(route), 0o600))
                self.write_configuration(settings, self.routes(), self.node())
                self._bring(route)
            return steps

    def withdraw(self, prefix: str) -> list[Step]:
        """Take an environment's route away, on disk and in the running door if one runs. Raises DoorError."""
        with Locks(self.state).machine():
            disk = self.routes()
            running = self.present()
            own = [domain for domain, entry in self._map().items() if _is_of(entry, prefix)] if running else []
            if prefix not in disk and not own:
                return []
            if prefix in disk:
                self._tree.install([], [self._path(prefix)])
                del disk[prefix]
                self.write_configuration(self.settings(), disk, self.node())
            if running:
                for domain in own:
                    self._tell("del map %s %s" % (MAP, domain))
                self._remove_servers(prefix, "")
            return [Step("withdraw", prefix, "route")]

    def node(self) -> str:
        """Which door was set up last: a digest of its settings and image. Raises DoorError where there is none."""
        content = self._tree.read(NODE)
        if content is None:
            raise DoorError("this machine has no front door. Run the playbook aiia.bulkhead.edge on it")
        return content.decode(errors="replace").strip()

    def write_configuration(self, settings: DoorSettings, routes: Mapping[str, Route], node: str) -> bool:
        """What the door starts from, as these settings and routes have it; whether a file of it changed."""
        self._tree.make_directory(places.GENERATED)
        admin = places.admin_seen_by_door(self.state)
        changed = False
        for name, text in (
            ("domains.map", domain_map(routes)),
            ("haproxy.cfg", configuration(routes, settings, admin, node)),
        ):
            file = DesiredFile(os.path.join(places.GENERATED, name), text.encode(), 0o600)
            if self._tree.differs(file):
                self._tree.write(file)
                changed = True
        return changed

    # ---- the running door -----------------------------------------------------------------------------------------

    def _path(self, prefix: str) -> str:
        return os.path.join(places.ROUTES, "%s.json" % prefix)

    def _map(self) -> dict[str, str]:
        """The running door's domains and where each leads."""
        found = {}
        for line in ask(self.state, "show map %s" % MAP).splitlines():
            words = line.split(" ")
            if len(words) == 3:
                found[words[1]] = words[2]
        return found

    def _servers(self) -> dict[tuple[str, str], bool]:
        """Whether each server of the running door takes connections, by backend and name."""
        found = {}
        for line in ask(self.state, "show servers state").splitlines():
            words = line.split(" ")
            # be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state …
            if len(words) > 6 and words[1] in BACKENDS:
                found[words[1], words[3]] = words[5] == "2" and words[6] == "0"
        return found

    def _bring(self, route: Route) -> None:
        """Have the running door know a route: first its servers, then its domains, then without the earlier ones."""
        servers = self._servers()
        for backend in BACKENDS:
            if (backend, route.server) not in servers:
                self._tell("add server %s/%s %s" % (backend, route.server, server(route, backend)))
            self._tell("set server %s/%s state ready" % (backend, route.server))
        entries = self._map()
        for domain in route.domains:
            if domain not in entries:
                self._tell("add map %s %s %s" % (MAP, domain, route.entry))
            elif entries[domain] != route.entry:
                self._tell("set map %s %s %s" % (MAP, domain, route.entry))
        for domain, entry in entries.items():
            if domain not in route.domains and _is_of(entry, route.prefix):
                self._tell("del map %s %s" % (MAP, domain))
        self._remove_servers(route.prefix, route.server)
        there = self.live().get(route.prefix)
        if there is None or digest(there) != digest(route):
            raise DoorError("the front door took the route of %s, and does not show it. Deploy it again" % route.prefix)

    def _remove_servers(self, prefix: str, kept: str) -> None:
        """Take no more connections for an environment's earlier servers. One that still has some stays until the next
        change: they end by themselves."""
        for backend, name in self._servers():
            if name.rpartition(".")[0] == prefix and name != kept:
                self._tell("set server %s/%s state maint" % (backend, name))
                ask(self.state, "del server %s/%s" % (backend, name))

    def _tell(self, command: str) -> None:
        """Have the running door do something. Raises DoorError with what it answers."""
        answer = ask(self.state, command).strip()
        if answer and "New server registered" not in answer:
            raise DoorError("the front door refused %r: %s" % (command.split(" unix@")[0], answer[:300]))


def _is_of(entry: str, prefix: str) -> bool:
    """Whether an entry of the map leads to an environment."""
    return entry.split(SEPARATOR)[1:2] == [prefix]
