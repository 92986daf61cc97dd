# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Replace a service without dropping a request: a stand-in serves meanwhile. Runs on the targets.

A stand-in of the new version starts beside the old one and is judged by its own health check. Then the way is
switched: nginx looks at each request whether a file is there that sends it to the stand-in, so that nothing is reloaded
and what is under way ends where it began. The old container ends its connections and is replaced by Compose, under its
own name; the way is switched back, and the stand-in is removed. If the run is killed at any point, one of both serves.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

from ..core.errors import last_lines
from ..docker.containers import condition, is_well
from ..docker.engine import EngineError
from ..host import sockets
from .boot import Serving
from .front_door import connections, has_sockets
from .limits import apply_limits, missing_limits
from .mounts import refuse_links
from .service import Service
from .settling import Settling
from .traffic import is_steered, steer, unknown_signs

#: Seconds to wait where open connections cannot be seen.
_UNSEEN = 5


class Rolling:
    """Replaces services one by one."""

    def __init__(self, serving: Serving) -> None:
        self.serving = serving
        self.run = serving.run
        self.engine = serving.engine
        self._settling = Settling(serving.engine)

    def replace(self, service: Service, forced: bool = False) -> None:
        """Replace the containers of a service by what is on disk; ``forced`` where only files that it reads changed.

        Raises EngineError when the new version does not get healthy: it has then had no request.
        """
        if not self.serves(service):
            self.settle(service)
            return
        self.dismiss(service)
        self.step_in(service)
        if service.files:
            self.serving.brought.append(service)
        if forced:
            self.serving.recreate(service)
        else:
            self.serving.replace(service)
        self.dismiss(service)

    def step_in(self, service: Service) -> None:
        """Let a stand-in of what is on disk serve until it is dismissed. Raises EngineError when it does not get
        healthy."""
        if not self.run.containers.named(service.stand_in):
            self._start(service)
        with ThreadPoolExecutor(1) as beside:
            # One-off containers have no restart policy: one that ends is noticed at once. What serves has to come back
            # with the machine.
            lasting = beside.submit(self.engine.docker_ok, "update", "--restart", "unless-stopped", service.stand_in)
            self._steer(service, True)
        lasting.result()
        self._drain(self.run.containers.of_service(service))

    def settle(self, service: Service) -> None:
        """Finish what a killed run began. The stand-in that it left may be all that serves: it is removed last."""
        if not self.serves(service):
            self.serving.up([service], service.key)
        self.dismiss(service)

    def dismiss(self, service: Service) -> None:
        """Send requests to the service's own containers, and remove its stand-in."""
        self._steer(service, False)
        self.end(service)

    def end(self, service: Service) -> None:
        """Remove a service's stand-in, to which no requests go any more."""
        stand_in = self.run.containers.named(service.stand_in)
        if stand_in:
            self._drain([stand_in])
            self.serving.stop([stand_in])
            self.serving.remove([stand_in])

    def clear_up(self) -> None:
        """Remove stand-ins that a killed run left of services that are gone, or no longer replaced in this way."""
        seen, tree = self.run.comparison, self.run.tree
        for service in seen.services:
            if not service.rolling and self.is_begun(service):
                self.dismiss(service)
        for path in unknown_signs(tree, seen.services):
            tree.unlink(path)
        if seen.abandoned:
            self._settling.after()
            self._drain(seen.abandoned)
            self.serving.stop(seen.abandoned)
            self.serving.remove(seen.abandoned)

    def is_begun(self, service: Service) -> bool:
        """Whether a killed run left a service half replaced."""
        return bool(self.run.containers.named(service.stand_in)) or (
            not service.domains and is_steered(self.run.tree, service)
        )

    def serves(self, service: Service) -> bool:
        """Whether a service's own containers are well."""
        found = self.run.containers.of_service(service)
        return bool(found) and all(is_well(container) for container in found)

    def _start(self, service: Service) -> None:
        name = service.stand_in
        refuse_links(self.run.tree, [service])
        # Its own containers find a service behind the front door by the environment's domains.
        names = ("--use-aliases",) if service.domains else ()
        code, output, errors = self.engine.compose("run", "--detach", "--no-deps", *names, "--name", name, service.key)
        self.run.refresh()
        self.serving.remove_strangers()
        if code == 0:
            found = self.run.containers.named(name)
            weight = self.run.params.get("cpu_weight", 0)
            limits = missing_limits(found, service, weight) if found else []
            if limits:
                apply_limits(self.engine, [(name, limits)])
                self.run.refresh()
            if found and condition(found) == "running":
                self._give_up(service, "%s has no health check to judge it by" % service.name)
            self.serving.wait_for(
                name, lambda found: self._give_up(service, self.serving.how(found) if found else "gone")
            )
        else:
            self._give_up(service, "it could not be started", last_lines(errors or output, 6))

    def _give_up(self, service: Service, why: str, said: str = "") -> NoReturn:
        found = self.run.containers.named(service.stand_in)
        lines = [said] if said else []
        if found:
            lines += self.serving.last_words(found)
            self.serving.remove([found])
        raise EngineError(
            "the new version of %s did not get healthy (%s) and received no requests" % (service.name, why),
            "\n".join(lines),
        )

    def _steer(self, service: Service, to_stand_in: bool) -> None:
        """Send requests there, and wait until nginx, or the front door, does so."""
        if service.domains:
            stand_in = self.run.containers.named(service.stand_in)
            found = [stand_in] if to_stand_in and stand_in else self.run.containers.of_service(service)
            ready = [one for one in found if is_well(one) and has_sockets(service, one)]
            door = self.run.comparison.door
            changed = bool(ready) and door.lead(service, ready[0])
            if ready and to_stand_in:
                changed |= door.take_over(self.run.containers.of_service(service))
            elif not ready and any(map(is_well, found)):  # they publish its ports, and a killed run led those away
                changed |= door.give_back()
            if changed:
                self._settling.after()
            return
        if to_stand_in != is_steered(self.run.tree, service):
            ways = (service.container, service.stand_in)
            self._settling.before(ways[to_stand_in])
            steer(self.run.tree, service, to_stand_in)
            self._settling.after(ways[not to_stand_in])

    def _drain(self, containers: list[dict[str, Any]]) -> None:
        """Let containers that get no new requests finish those that they have, within the limit."""
        limit = self.run.params["drain_timeout"]
        deadline = time.monotonic() + limit
        for container in containers:
            open_now = _open_connections(container)
            if open_now is None:
                time.sleep(min(limit, _UNSEEN))
            while open_now and time.monotonic() < deadline:
                time.sleep(0.2)
                open_now = _open_connections(container)


def _open_connections(container: dict[str, Any]) -> int | None:
    """How many connections a container serves, with those from the machine's front door; None if this is unknown."""
    served = sockets.served_by(container["State"].get("Pid") or 0)
    return None if served is None else served + connections(container)
