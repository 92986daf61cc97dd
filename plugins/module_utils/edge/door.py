# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Publish and withdraw routes of a machine's front door: on disk, and in the running HAProxy without a reload.

Only what belongs to the route's own prefix is written to the running door. Its file is written last: a run that was
interrupted before is seen as such, and the next one does the same again. Runs on the targets.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from ..core.steps import Step
from ..docker.engine import Engine
from ..docker.labels import FRONT_DOOR
from ..state.locks import Locks
from .admin import RETURN, DoorAway, ask
from .kept import Kept
from .moving import Moving
from .redirects import Redirect
from .routes import BACKENDS, MAP, SEPARATOR, DoorError, Route, checked, digest, routes_of, server, taken

#: Labels of the door's containers: whose they are, and the settings and image that they came from.
STATE_LABEL = FRONT_DOOR
NODE_LABEL = "%s.node" % FRONT_DOOR
#: What stands for the digest of a route whose file cannot be read.
DAMAGED = "damaged"


class Door(Kept):
    """The front door that belongs to a state directory."""

    def __init__(self, engine: Engine, state: str) -> None:
        super().__init__(state)
        self.engine = engine
        self.moving = Moving(engine, state)

    # ---- looking --------------------------------------------------------------------------------------------------

    def doors(self) -> list[dict[str, Any]]:
        """The containers of this door that take connections: one, or while it is updated two."""
        found = self.engine.containers("%s=%s" % (STATE_LABEL, self.state))
        return [container for container in found if container["State"].get("Running") and not is_ending(container)]

    def present(self) -> bool:
        """Whether a container of this door takes connections."""
        return bool(self.doors())

    def live(self) -> dict[str, Route]:
        """The routes of the running door by prefix. One whose server is missing in a backend, or down, is left out.
        Raises DoorAway."""
        servers = self._servers()
        found = routes_of(self._map())
        return {
            prefix: route
            for prefix, route in found.items()
            if all(servers.get((backend, route.server)) for backend in BACKENDS)
        }

    def has(self, prefix: str) -> bool:
        """Whether there is anything of an environment's route, on disk or in the running door."""
        look = self.look()
        if prefix in look.routes or prefix in look.damaged or self.moving.has(prefix):
            return True
        with contextlib.suppress(DoorError):
            self.node()  # a machine without a front door is asked for nothing more
            return self.present() and any(_is_of(entry, prefix) for entry in self._map().values())
        return False

    def leads_to(self, prefix: str) -> set[str]:
        """The containers to which requests for an environment go, or will after the door's next start. Two of them
        where a run was interrupted in between. Raises DoorAway."""
        found = (self.routes().get(prefix), self.live().get(prefix))
        return {route.container for route in found if route}

    def fingerprints(self) -> dict[str, str]:
        """A digest of each environment's route on disk and in the running door, by prefix, for receipts."""
        disk = self.kept_digests()
        live = {prefix: digest(route) for prefix, route in self.live().items()}
        return {
            prefix: "%s %s" % (disk.get(prefix, "none"), live.get(prefix, "none")) for prefix in sorted({*disk, *live})
        }

    def kept_digests(self) -> dict[str, str]:
        """A digest of each environment's route on disk, by prefix; ``damaged`` where its file cannot be read."""
        look = self.look()
        return {
            **{prefix: digest(route) for prefix, route in look.routes.items()},
            **dict.fromkeys(look.damaged, DAMAGED),
        }

    # ---- changing -------------------------------------------------------------------------------------------------

    def plan(self, route: Route) -> list[Step]:
        """What :meth:`publish` would do; nothing where the route is in place. Raises DoorError."""
        route = checked(route)
        look = self.look()
        claims = taken(route, look.routes.values())
        if claims:
            raise DoorError(
                "the front door has one environment for each domain, and for %s these are taken: %s. Take the domain "
                "out of one of the two" % (route.prefix, "; ".join(claims))
            )
        found = (look.routes.get(route.prefix), self.live().get(route.prefix))
        same = [there and digest(there) == digest(route) for there in found]
        if all(same) and route.prefix not in look.damaged:
            return []
        return [Step("publish", ", ".join(sorted(route.domains)), "route")]

    def publish(self, route: Route) -> list[Step]:
        """Have the route in the running door and on disk. A door that refuses it keeps the earlier one. Raises
        DoorError."""
        with Locks(self.state).machine():
            steps = self.plan(route)
            if steps:
                routes, settings, node = self.routes(), self.settings(), self.node()
                self._bring(route, routes.get(route.prefix))
                self.write_configuration(settings, {**routes, route.prefix: route}, node)
                self._write_route(route)
                if not self._shows(route):  # it was killed meanwhile, and started again from the earlier files
                    self._bring(route, route)
                    if not self._shows(route):
                        raise DoorError(
                            "the front door took the route of %s, and does not show it. Deploy it again" % route.prefix
                        )
            return steps

    def withdraw(self, prefix: str) -> list[Step]:
        """Take an environment's route away, in the running door if one runs, and on disk. Raises DoorError: DoorAway
        where a door runs and does not answer, and then nothing is left on disk, from which it starts again."""
        with Locks(self.state).machine():
            if not self.has(prefix):
                return []
            settings, node, away = self.settings(), self.node(), None
            self.moving.forget(prefix, settings)
            if self.present():
                try:
                    self._forget(prefix)
                except DoorAway:
                    try:
                        self._forget(prefix)  # it was killed in between, and starts again from its files
                    except DoorAway as error:
                        away = error
            routes = {other: route for other, route in self.routes().items() if other != prefix}
            self.write_configuration(settings, routes, node)
            self._remove_route(prefix)
            if away:
                raise away
            return [Step("withdraw", prefix, "route")]

    def take_over(self, redirects: Sequence[Redirect]) -> bool:
        """While the machine moves, lead ports that an environment publishes to the door, for new connections: it has
        the route already. Whether anything changed. Raises DoorError."""
        with Locks(self.state).machine():
            return self.moving.lead(redirects, self.settings())

    def give_back(self, prefix: str) -> bool:
        """Lead an environment's ports to the door no longer: what publishes them has them again. Whether anything
        changed. Raises DoorError."""
        with Locks(self.state).machine():
            return self.moving.has(prefix) and self.moving.forget(prefix, self.settings())

    # ---- the running door -----------------------------------------------------------------------------------------

    def _map(self) -> dict[str, str]:
        """The running door's domains and where each leads."""
        found = {}
        for line in self._ask("show map %s" % MAP).splitlines():
            words = line.split(" ")
            if len(words) == 3:
                found[words[1]] = words[2]
        return found

    def _servers(self) -> dict[tuple[str, str], bool]:
        """Whether each server of the running door takes connections, by backend and name."""
        found = {}
        for line in self._ask("show servers state").splitlines():
            words = line.split(" ")
            # be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state …
            if len(words) > 6 and words[1] in BACKENDS:
                found[words[1], words[3]] = words[5] == "2" and words[6] == "0"
        return found

    def _shows(self, route: Route) -> bool:
        """Whether the running door has a route; not one that is killed meanwhile."""
        try:
            there = self.live().get(route.prefix)
        except DoorAway:
            return False
        return there is not None and digest(there) == digest(route)

    def _bring(self, route: Route, earlier: Route | None) -> None:
        """Have the running door know a route, or the earlier one again where it refuses. Raises DoorError."""
        try:
            self._apply(route)
        except DoorAway:
            self._apply(route)  # it was killed in between, and starts again from its files
        except DoorError:
            with contextlib.suppress(DoorError):
                if earlier:
                    self._apply(earlier)
                else:
                    self._forget(route.prefix)
            raise

    def _apply(self, route: Route) -> None:
        """First the route's servers, then its domains, then without the earlier ones."""
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

    def _forget(self, prefix: str) -> None:
        """Have the running door know nothing of an environment."""
        for domain, entry in self._map().items():
            if _is_of(entry, prefix):
                self._tell("del map %s %s" % (MAP, domain))
        self._remove_servers(prefix, "")

    def _remove_servers(self, prefix: str, kept: str) -> None:
        """Take no more connections for an environment's earlier servers. One that still has some stays until the next
        change: they end by themselves."""
        for backend, name in self._servers():
            if name.rpartition(".")[0] == prefix and name != kept:
                self._tell("set server %s/%s state maint" % (backend, name))
                self._ask("del server %s/%s" % (backend, name))

    def _ask(self, command: str) -> str:
        return ask(self.state, command, wait=RETURN)

    def _tell(self, command: str) -> None:
        """Have the running door do something. Raises DoorError with what it answers."""
        answer = self._ask(command).strip()
        if answer and "New server registered" not in answer:
            raise DoorError("the front door refused %r: %s" % (command.split(" unix@")[0], answer[:300]))


def _is_of(entry: str, prefix: str) -> bool:
    """Whether an entry of the map leads to an environment."""
    return entry.split(SEPARATOR)[1:2] == [prefix]


def is_ending(container: dict[str, Any]) -> bool:
    """Whether a door was told already to end with its last connection."""
    return bool(container["HostConfig"]["RestartPolicy"]["Name"] == "no")
