# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Put back what a deployment that failed had changed. Runs on the targets."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from ..core.errors import Failure
from ..docker.containers import labels_of, name_of
from ..docker.labels import SERVICE
from .comparison import misled
from .front_door import has_sockets
from .inputs import bring
from .overlap import Overlap
from .rollout import Rollout
from .run import Run
from .service import Service
from .store import Releases
from .traffic import is_steered


class Undo:
    """Goes back to what was in force when this was made."""

    def __init__(self, run: Run, rollout: Rollout, releases: Releases) -> None:
        self.run = run
        self.comparison = run.comparison
        self.engine = run.engine
        self.tree = run.tree
        self.rollout = rollout
        self.releases = releases
        self._ran_before = {labels_of(container).get(SERVICE) for container in self.comparison.containers}
        checkout = self.comparison.outdated_checkout
        self._commit_before = checkout.head() if checkout else ""
        self._misled = self._misled_by_others()

    def undo(self, error: Failure) -> None:
        """Put back what was, and say in the error how that ended."""
        self.rollout.progress.stop()
        self.rollout.restarted = frozenset()
        self.engine.wait_for_return()
        try:
            error.put_back = self._back_to_previous() if self.comparison.state else self._back_to_nothing()
            error.message += ". %s" % error.put_back
        except (Failure, OSError, ValueError) as second:
            error.put_back = "not everything: %s" % second
            error.message += ". Putting it back failed too: %s" % second
            error.detail += "\n%s" % getattr(second, "detail", "")

    # ---- to the release before ------------------------------------------------------------------------------------

    def _back_to_previous(self) -> str:
        """Files, checkout and containers of the release that was in force."""
        in_force = self._in_force()
        self._stand_in_for_moved(in_force)
        self.tree.restore()
        self.tree.in_force.restore()
        overlap = self._put_back_files(in_force)
        self.run.refresh()
        self.rollout.preparation.clear()  # a command keeps running where only the connection to it broke
        kept = self._service_keys_in_force()
        started = [container for container in self._started() if labels_of(container).get(SERVICE) not in kept]
        self.rollout.serving.remove(started)
        # What runs now may have taken files of the failed release; what starts from here on has the earlier ones.
        self.run.before = self.run.containers.restarts()
        before = self.releases.services(in_force) if in_force else self.comparison.services
        services = [service for service in before if service.key in kept]
        names = self._misled | {service.name for service in self.rollout.serving.brought}
        stale = [service for service in services if service.name in names]
        self.rollout.serve(services, stale, allowed=True)
        kept_apart = {service.stand_in for service in services if service.rolling}
        for service in self.comparison.services:  # nothing leads to the stand-in of what was not behind the front door
            if service.rolling and service.stand_in not in kept_apart:
                self.rollout.rolling.end(service)
        self.rollout.end_overlap(overlap, services, stale)
        if self.comparison.firewall:
            self.comparison.firewall.look_again()
            self.comparison.firewall.apply(self.comparison.state.get("firewall"))
        return "The previous release serves again%s" % self._with_other_images(in_force)

    def _stand_in_for_moved(self, in_force: str) -> None:
        """Let stand-ins of the failed release serve behind the front door, while what publishes ports starts again.
        Where that is not possible, there is a gap."""
        with suppress(Failure, OSError, ValueError):
            self.run.refresh()
            for service in self._moved(in_force):
                self.rollout.rolling.step_in(service)

    def _moved(self, in_force: str) -> list[Service]:
        """The services that this run brought behind the front door, and that publish ports in the release in force: no
        stand-in of that release would get requests."""
        before = self.releases.services(in_force) if in_force else self.comparison.services
        behind = {service.key for service in before if service.domains}
        moved = [service for service in self.comparison.services if service.domains and service.key not in behind]
        return [service for service in moved if self._is_behind_door(service)]

    def _is_behind_door(self, service: Service) -> bool:
        """Whether a service's own containers serve, and do so for the front door."""
        found = self.run.containers.of_service(service)
        return self.rollout.rolling.serves(service) and all(has_sockets(service, container) for container in found)

    def _put_back_files(self, in_force: str) -> Overlap:
        """Bring back the files in force; containers of the failed release still run with its passwords."""
        files = self.releases.files(in_force) if in_force else []
        overlap = self.comparison.overlap.undone(files)
        if in_force:  # what this run found on disk may have been half of an interrupted one's
            bring(self.tree, self.engine.compose_file, files, self.releases.services(in_force))
            known = {wanted.path for wanted in files}
            others = [path for path in self.comparison.gone_files if path not in known]
            self.tree.install(overlap.over(wanted for wanted in files if self.tree.differs(wanted)), others)
        if self.comparison.checkout and self._commit_before:
            self.comparison.checkout.move_to(self.comparison.state.get("commit") or self._commit_before)
        return overlap

    def _with_other_images(self, in_force: str) -> str:
        """What differs from before: an image name that was moved cannot be moved back."""
        images = {
            service.image: container.get("Image", "")
            for service in self.releases.services(in_force)
            for container in self.run.containers.of_service(service)
        }
        moved = self.releases.moved_images(in_force, images)
        return ", but not with the same images: %s" % "; ".join(moved) if moved else ""

    def _misled_by_others(self) -> frozenset[str]:
        """The services of the release in force that a killed run or a person gave other files than that has."""
        in_force = str(self.comparison.state.get("release", ""))
        files = self.releases.whole(in_force)
        services = [] if files is None else self.releases.services(in_force)
        return misled(self.tree, self.run.containers, services, files or [])

    def _in_force(self) -> str:
        """The release in force, if that is kept whole."""
        name = str(self.comparison.state.get("release", ""))
        return name if self.releases.is_whole(name) else ""

    def _service_keys_in_force(self) -> list[str]:
        code, output, _errors = self.engine.compose("config", "--services")
        return output.split() if code == 0 else []

    # ---- to nothing -----------------------------------------------------------------------------------------------

    def _back_to_nothing(self) -> str:
        """There was no release before: remove what this run started, and keep volumes."""
        self.run.refresh()
        new = [container for container in self._started() if labels_of(container).get(SERVICE) not in self._ran_before]
        self.rollout.serving.remove(new)
        self.comparison.door.close()
        if self.comparison.firewall:
            self.comparison.firewall.apply(None)
        if not self.run.containers:
            for network in self.run.params["networks"]:
                self.engine.docker("network", "rm", network)
        self.tree.restore()
        said = "There was no release before: what this run had started was removed, volumes were kept"
        left = " and ".join(sorted(map(name_of, self.run.containers)))
        return "%s. Left running, as it was or replaced: %s" % (said, left) if left else said

    def _is_steered(self, service: Service) -> bool:
        """Whether requests go to a service's stand-in."""
        if not service.domains:
            return is_steered(self.tree, service)
        stand_in = self.run.containers.named(service.stand_in)
        return stand_in is not None and self.comparison.door.is_led_to(stand_in)

    def _started(self) -> list[dict[str, Any]]:
        """The containers that this run made, without stand-ins that still serve."""
        services = self.comparison.services
        serving = {service.stand_in for service in services if self._is_steered(service)}
        return [
            container
            for container in self.run.containers
            if container["Id"] not in self.run.before and name_of(container) not in serving
        ]
