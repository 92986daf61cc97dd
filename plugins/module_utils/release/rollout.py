# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Replace what serves by what is on disk: in which order, and with what before it. Runs on the targets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core.errors import last_lines
from ..core.layout import DATABASE
from ..core.steps import Step
from ..docker.containers import is_well, name_of
from ..docker.engine import EngineError
from .boot import Serving
from .dry_run import Foreseen
from .front_door import forget_sockets
from .overlap import Overlap
from .plan import plan, removal
from .prepare import Preparation
from .progress import Progress
from .run import Run
from .service import Service
from .stand_in import Rolling


class Rollout:
    """Makes the services of an environment run what is on disk."""

    def __init__(self, run: Run, back_up: Callable[[str], Step | None]) -> None:
        self.run = run
        self.comparison = run.comparison
        self.engine = run.engine
        self.progress = Progress(plan(run.comparison))
        self.serving = Serving(run, self.progress.tell)
        self.rolling = Rolling(self.serving)
        self.preparation = Preparation(run, self.progress.tell)
        self._back_up = back_up
        #: The services that a person wants restarted, by name.
        self.restarted = frozenset(run.params.get("restart", ()))
        self._has_data = run.comparison.has_data()
        #: What Compose would do, as it said when it was last asked.
        self._foreseen = Foreseen()

    def put_up_guard(self) -> None:
        """Put the firewall's guard up before a container starts: networks are made without starting anything."""
        firewall = self.comparison.firewall
        if not firewall:
            return
        if firewall.incomplete():
            code, output, errors = self.engine.compose("up", "--no-start", "--no-build", "--quiet-pull")
            self.run.refresh()
            firewall.look_again()
            if code != 0:
                raise EngineError("the containers could not be made", last_lines(errors or output))
        self.progress.begin(firewall.plan())
        firewall.apply(firewall.ports)

    def clear_the_way(self) -> None:
        """Remove containers whose service is gone and whose name another service takes over."""
        services = self.comparison.services
        in_the_way = [orphan for service in services for orphan in self.comparison.in_the_way_of(service)]
        self.progress.begin(map(removal, in_the_way))
        self.serving.stop(in_the_way)
        self.serving.remove(in_the_way)

    def clear_up(self) -> None:
        """Remove what no service has any more."""
        self.progress.begin_rest()
        self.rolling.clear_up()
        self.serving.stop(self.comparison.orphans)
        self.serving.remove(self.comparison.orphans)
        firewall = self.comparison.firewall
        if firewall:  # Compose may have replaced a network
            firewall.look_again()
            firewall.apply(firewall.ports)

    def end_overlap(self, overlap: Overlap, services: list[Service], stale: list[Service]) -> None:
        """Take the lines of earlier releases out of files that overlap, now that no container needs them."""
        self.run.tree.install(overlap.narrow())
        for service in services:
            ended = overlap.ended(service)
            if ended or service.retire and service in stale:
                self.serving.retire(service, ended)

    # ---- serving --------------------------------------------------------------------------------------------------

    def serve(
        self,
        services: list[Service],
        stale: list[Service],
        allowed: bool,
        prepare: Callable[[], None] = lambda: None,
    ) -> None:
        """Start what is on disk; ``stale`` are the services whose files changed, ``allowed`` says whether services may
        be down meanwhile.

        Those that others wait for come first: an application that starts with a new password needs a database that
        knows it, and so does the preparation of its schema. A stand-in starts without what it depends on.
        """
        self.serving.hand_back(services)
        recreated = self._recreated()
        rolled = [service for service in services if service.rolling and recreated & self._names(service)]
        if not allowed:
            # What waits for one that is replaced without a gap would be recreated with it, until that is replaced.
            clear = [service for service in services if not rolled or not service.needs_application]
            self._refuse_surprises(clear, recreated)
        early = self._early(stale)
        rolls = any(self._is_replaced(service, stale, recreated) for service in services)
        missed = [service for service in services if rolls and self._is_missed(service, recreated)]
        first = [service for service in services if service in early or service in missed]
        if first:
            self._bring_up(first)
            self.serving.bring_files(early, allowed)
        prepare()
        self._roll(services, stale, recreated)
        idle = False
        if not allowed and rolled:
            recreated = self._recreated()
            idle = self._foreseen.idle
            self._refuse_surprises(services, recreated)
        self.progress.begin_services(services)
        self._let_end(services, recreated)
        if idle and self._are_left(services):
            self.serving.limit()
        else:
            self.serving.up(services)
        fresh = [service for service in services if service.on_change and self._is_fresh(service)]
        late = [service for service in services if service in stale or service in fresh]
        self.serving.bring_files([service for service in late if service not in early], allowed)
        self.serving.wait(services)
        self._lead(services)

    def _lead(self, services: list[Service]) -> None:
        """Let the front door send requests to what serves now, and to nothing where no service is behind it."""
        behind = [service for service in services if service.domains]
        for service in behind:
            self.comparison.door.lead(service, self.run.containers.of_service(service)[0])
        if not behind:
            self.comparison.door.close()
        forget_sockets(behind, self.run.containers)

    def _is_missed(self, service: Service, recreated: frozenset[str]) -> bool:
        """Whether the application needs a service that is not there, is not well, or is going to be replaced."""
        if not service.awaited or service.rolling:
            return False
        found = self.run.containers.of_service(service)
        well = bool(found) and all(is_well(container, service.one_shot) for container in found)
        return not well or bool(recreated & self._names(service))

    def _let_end(self, services: list[Service], recreated: frozenset[str]) -> None:
        """Stop the workers that Compose is about to replace, so that the run sees how they end. What
        others miss is left to Compose, which stops each as late as it can."""
        working = [service for service in services if not (service.rolling or service.steady)]
        found = [container for service in working for container in self.run.containers.of_service(service)]
        self.serving.stop([container for container in found if name_of(container) in recreated])

    def _early(self, stale: list[Service]) -> list[Service]:
        """Services that others wait for and that have to take their changed files before those start.

        So does one that finds the volumes of an environment whose directory is gone: their passwords are older ones.
        """
        known = bool(self.comparison.state)
        awaited = [service for service in stale if service.awaited and not service.rolling]
        return [service for service in awaited if self.run.containers.of_service(service) or not known]

    def _is_fresh(self, service: Service) -> bool:
        """Whether a service's containers are this run's: what they were told does not outlive a container."""
        return any(container["Id"] not in self.run.before for container in self.run.containers.of_service(service))

    def _bring_up(self, services: list[Service]) -> None:
        self.progress.begin_services(services)
        self.serving.up(services, *[service.key for service in services])

    def _roll(self, services: list[Service], stale: list[Service], recreated: frozenset[str]) -> None:
        """Replace without a gap what Compose would recreate, and clear up what a killed run left."""
        for service in (service for service in services if service.rolling):
            if self._is_replaced(service, stale, recreated):
                self.progress.begin_services([service])
                if service.name in self.restarted and not self.rolling.serves(service):
                    self.serving.recreate(service)
                else:
                    self.rolling.replace(service, forced=not recreated & self._names(service))
            elif self.rolling.is_begun(service):
                self.rolling.settle(service)

    def _is_replaced(self, service: Service, stale: list[Service], recreated: frozenset[str]) -> bool:
        """Whether a service is to be replaced without a gap."""
        containers = self.run.containers
        reads = service in stale and self.comparison.reads_at_start(service)
        changes = reads or service.name in self.restarted or bool(recreated & self._names(service))
        return service.rolling and changes and bool(containers.of_service(service)) and not containers.moves(service)

    def _refuse_surprises(self, services: list[Service], recreated: frozenset[str]) -> None:
        """Raise EngineError where Compose is about to replace what serves although no plan says so."""
        surprising = [
            service.container
            for service in services
            if service.steady
            and recreated & self._names(service)
            and any(map(is_well, self.run.containers.of_service(service)))
        ]
        if surprising:
            raise EngineError(
                "Compose would recreate %s although no definition changed (another release or another version of "
                "Compose recreated them since). Allow the downtime with bulkhead_allow_downtime: true"
                % " and ".join(surprising)
            )

    def _recreated(self) -> frozenset[str]:
        """The containers that Compose is going to replace."""
        self._foreseen = self.serving.foreseen() if self.run.containers else Foreseen()
        return self._foreseen.recreated

    def _are_left(self, services: list[Service]) -> bool:
        """Whether Compose has said that it would leave all containers of services running, and they are well now."""
        names = {name for service in services for name in service.container_names}
        if not names <= self._foreseen.left:
            return False
        self.run.refresh()
        return all(found is not None and is_well(found) for found in map(self.run.containers.named, names))

    def _names(self, service: Service) -> set[str]:
        """What a service's containers are called now: with another number of replicas they will be called otherwise."""
        return {name_of(container) for container in self.run.containers.of_service(service)}

    # ---- preparing ------------------------------------------------------------------------------------------------

    def prepare(self, release: str) -> None:
        """Run what has to be done once for this release's images, beside what serves."""
        unprepared = self.preparation.open()
        if not unprepared:
            return
        new = [database for database in self._databases() if not self.run.containers.of_service(database)]
        services = self.comparison.services
        first = [service for service in services if service.awaited and not service.rolling or service in new]
        if not self._are_left(first):
            self._bring_up(first)
        # The first deployment has nothing to lose.
        self.preparation.run(unprepared, lambda: self._make_backup("before release %s" % release))

    def _databases(self) -> list[Service]:
        """The services of which a backup holds databases."""
        parts: list[dict[str, Any]] = (self.run.params.get("backup") or {}).get("parts") or []
        keys = {part["key"] for part in parts if part["kind"] == DATABASE}
        return [service for service in self.comparison.services if service.key in keys]

    def _make_backup(self, reason: str) -> None:
        step = self._back_up(reason) if self._has_data else None
        if step:
            self.progress.tell(step)
