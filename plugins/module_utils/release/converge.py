# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bring one environment's release into force on its machine, or leave everything as it was. Runs on the targets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core.errors import Failure, last_lines
from ..core.layout import DATABASE
from ..core.steps import Step
from ..docker.containers import is_well, labels_of, name_of
from ..docker.engine import EngineError
from ..docker.labels import CONFIG_HASH, RELEASE, SERVICE
from ..state.deployed import save_state
from .boot import Serving
from .comparison import Comparison
from .plan import file_steps, plan, removal
from .preconditions import refuse_foreign, refuse_gaps
from .prepare import Preparation
from .progress import Progress
from .service import Service
from .stand_in import Rolling
from .store import Releases, files_digest
from .validation import check_compose, validate


class Converger:
    """Makes a machine what a comparison says it shall be, and undoes what it did when that fails."""

    def __init__(
        self, comparison: Comparison, releases: Releases, back_up: Callable[[str], Step | None] = lambda _reason: None
    ) -> None:
        self.comparison = comparison
        self.releases = releases
        self._back_up = back_up
        self.engine = comparison.engine
        self.tree = comparison.tree
        self.checkout = comparison.checkout
        self.params = comparison.params
        self.firewall = comparison.firewall
        self.serving = Serving(comparison)
        self.rolling = Rolling(self.serving)
        self.progress = Progress(plan(comparison))
        self.preparation = Preparation(comparison, self.progress.tell)
        self._has_data = comparison.has_data()

    def apply(self, release: str = "", mend: Callable[[], object] = lambda: None) -> str:
        """Bring the wanted release into force, or return to a kept one; ``mend`` is called before, once all is judged.

        Raises EngineError after everything is as it was before.
        """
        self.engine.check_versions()
        refuse_foreign(self.comparison)
        refuse_gaps(self.comparison)
        returning = bool(release)
        release = release or self._same_release()
        fresh = not release
        if fresh:
            release = self.releases.stage(self.comparison.release, self.comparison.files, self.comparison.services)
        begun = False
        try:
            directory = self.tree.path(self.releases.path(release))
            check_compose(self.comparison, directory)
            self.serving.pull(directory)
            validate(self.comparison, directory)
            begun = True
            mend()
            self._bring_into_force(release, returning, fresh)
        except BaseException as error:
            if fresh:
                self.releases.remove(release)
            if isinstance(error, Failure) and not begun:
                error.message += ". Nothing was changed"
            raise
        self.releases.prune(self.params["keep_releases"], release)
        if self.params["image_repository"]:
            self.releases.prune_images(self.engine, self.params["image_repository"])
        return release

    def _same_release(self) -> str:
        """The release in force where it is wanted once more, because a container had died, say; empty otherwise."""
        name = self.comparison.state.get("release", "")
        same = self.releases.is_same(name, self.params) and self.releases.is_whole(name)
        return name if same and not self.comparison.interrupted else ""

    def _bring_into_force(self, release: str, returning: bool, fresh: bool) -> None:
        checkout = self.comparison.outdated_checkout
        commit_before = checkout.head() if checkout else ""
        misled = self._misled()
        try:
            self.releases.make_mounts(self.comparison.services)
            self.progress.begin(file_steps(self.comparison))
            self.tree.sweep(wanted.path for wanted in self.comparison.files)
            self.tree.install(self.comparison.changed_files, self.comparison.gone_files)
            if checkout:
                checkout.move_to(self.params["commit"])
            self._guard_first()
            self.preparation.clear()
            # What an earlier release prepared, a later one has to be able to use: returning to one prepares nothing.
            prepare = (lambda: None) if returning else (lambda: self._prepare(release))
            in_the_way = [
                each for service in self.comparison.services for each in self.comparison.in_the_way_of(service)
            ]
            self.progress.begin(map(removal, in_the_way))
            self.serving.remove(in_the_way)
            self._serve(self.comparison.services, self.comparison.stale, self.params["allow_downtime"], prepare)
            self.progress.begin_rest()
            self.rolling.clear_up()
            self.serving.remove(self.comparison.orphans)
            if self.firewall:  # Compose may have replaced a network
                self.firewall.apply(self.firewall.ports)
            self._save_state(release)
        except (Failure, OSError, ValueError) as caught:
            error = caught if isinstance(caught, Failure) else EngineError("the machine said no: %s" % caught)
            if fresh:
                self.releases.remove(release)  # a full disk needs the room to put files back
            if self.comparison.state:
                self._undo(self._back_to_previous, error, commit_before, misled)
            else:
                self._undo(self._back_to_nothing, error)
            if error is caught:
                raise
            raise error from caught

    def _guard_first(self) -> None:
        """Put the firewall's guard up before a container starts: networks are made without starting anything."""
        if not self.firewall:
            return
        if self.firewall.incomplete():
            code, output, errors = self.engine.compose("up", "--no-start", "--no-build", "--quiet-pull")
            self.comparison.refresh()
            if code != 0:
                raise EngineError("the containers could not be made", last_lines(errors or output))
        self.progress.begin(self.firewall.plan())
        self.firewall.apply(self.firewall.ports)

    def _serve(
        self,
        services: list[Service],
        stale: list[Service],
        allowed: bool,
        prepare: Callable[[], None] = lambda: None,
    ) -> None:
        """Start what is on disk; ``stale`` are the services whose files changed. Those that others wait for come first:
        an application that starts with a new password needs a database that knows it, and so does the preparation of
        its schema."""
        self.serving.hand_back(services)
        recreated = self._recreated()
        rolled = [service for service in services if service.rolling and recreated & self._names(service)]
        if not allowed:
            # What waits for one that is replaced without a gap would be recreated with it, until that is replaced.
            clear = [service for service in services if not rolled or not service.needs_application]
            self._refuse_surprises(clear, recreated)
        # So does one that finds the volumes of an environment whose directory is gone: their passwords are older ones.
        known = bool(self.comparison.state)
        awaited = [each for each in stale if each.awaited and not each.rolling]
        early = [each for each in awaited if self.comparison.of_service(each) or not known]
        if early:
            self.progress.begin_services(early)
            self.serving.up(early, *[each.key for each in early])
            self.serving.bring_files(early)
        prepare()
        self._roll(services, stale, recreated)
        if not allowed and rolled:
            self._refuse_surprises(services, self._recreated())
        self.progress.begin_services(services)
        self.serving.up(services)
        self.serving.bring_files([each for each in stale if each not in early])
        self.serving.wait(services)

    def _prepare(self, release: str) -> None:
        """Run what has to be done once for this release's images, beside what serves."""
        unprepared = self.preparation.open()
        if not unprepared:
            return
        new = [database for database in self._databases() if not self.comparison.of_service(database)]
        first = [
            service for service in self.comparison.services if service.awaited and not service.rolling or service in new
        ]
        if first:
            self.progress.begin_services(first)
            self.serving.up(first, *[each.key for each in first])
        # The first deployment has nothing to lose.
        self.preparation.run(unprepared, lambda: self._make_backup("before release %s" % release))

    def _databases(self) -> list[Service]:
        """The services of which a backup holds databases."""
        parts = (self.params.get("backup") or {}).get("parts") or ()
        keys = {part["key"] for part in parts if part["kind"] == DATABASE}
        return [service for service in self.comparison.services if service.key in keys]

    def _make_backup(self, reason: str) -> None:
        step = self._back_up(reason) if self._has_data else None
        if step:
            self.progress.tell(step)

    def _recreated(self) -> set[str]:
        """The containers that Compose is going to replace."""
        return self.serving.to_recreate() if self.comparison.containers else set()

    def _names(self, service: Service) -> set[str]:
        """What a service's containers are called now: with another number of replicas they will be called otherwise."""
        return {name_of(each) for each in self.comparison.of_service(service)}

    def _refuse_surprises(self, services: list[Service], recreated: set[str]) -> None:
        """Raise EngineError where Compose is going to replace what serves and what nobody expected to be replaced."""
        surprising = [
            service.container
            for service in services
            if service.steady
            and recreated & self._names(service)
            and any(is_well(each) for each in self.comparison.of_service(service))
        ]
        if surprising:
            raise EngineError(
                "Compose would recreate %s, although no definition changed (they were made anew for another release "
                "since, or by another version of Compose). Allow that they are away meanwhile with "
                "bulkhead_allow_downtime: true" % " and ".join(surprising)
            )

    def _roll(self, services: list[Service], stale: list[Service], recreated: set[str]) -> None:
        """Replace without a gap what Compose would recreate, and clear up what a killed run left."""
        for service in (service for service in services if service.rolling):
            names = recreated & self._names(service)
            reads = service in stale and service.files and not service.on_change
            if (names or reads) and self.comparison.of_service(service) and not self.comparison.moves(service):
                self.progress.begin_services([service])
                self.rolling.replace(service, forced=not names)
            elif self.comparison.stand_in(service) or self.comparison.is_steered(service):
                self.rolling.settle(service)

    # ---- going back ----------------------------------------------------------------------------------------------

    def _undo(self, back: Callable[..., str], error: Failure, *args: Any) -> None:
        """Put back what was; the error says how that went."""
        self.progress.stop()
        self.engine.wait_for_return()
        try:
            error.put_back = back(*args)
            error.message += ". %s" % error.put_back
        except (Failure, OSError, ValueError) as second:
            error.put_back = "not everything: %s" % second
            error.message += ". And putting back what was failed: %s" % second
            error.detail += "\n%s" % getattr(second, "detail", "")

    def _back_to_previous(self, commit_before: str, misled: set[str]) -> str:
        """Files, checkout and containers of the release that was in force."""
        self.tree.restore()
        in_force = self._in_force()
        if in_force:  # what this run found on disk may have been half of an interrupted one's
            files = self.releases.files(in_force["release"])
            known = {wanted.path for wanted in files}
            others = [path for path in self.comparison.gone_files if path not in known]
            self.tree.install([wanted for wanted in files if self.tree.differs(wanted)], others)
        if self.checkout and commit_before:
            self.checkout.move_to(self.comparison.state.get("commit") or commit_before)
        self.comparison.refresh()
        self.preparation.clear()  # a command goes on where only the connection to it broke
        kept = self._service_keys_in_force()
        self.serving.remove([each for each in self._started() if labels_of(each).get(SERVICE) not in kept])
        # What runs now may have taken files of the failed release; what starts from here on has the earlier ones.
        self.comparison.before = {
            container["Id"]: container.get("RestartCount", 0) for container in self.comparison.containers
        }
        before = self.releases.services(in_force["release"]) if in_force else self.comparison.services
        services = [service for service in before if service.key in kept]
        names = misled | {service.name for service in self.serving.brought}
        brought = [service for service in services if service.name in names]
        self._serve(services, brought, allowed=True)
        if self.firewall:
            self.firewall.apply(self.comparison.state.get("firewall"))
        return "The previous release serves again%s" % self._with_other_images(in_force)

    def _with_other_images(self, in_force: dict[str, Any]) -> str:
        """What is not as it was: a name that somebody moved, or this run's ``pull_policy``, cannot be given back."""
        containers = {
            service.image: each.get("Image", "")
            for service in self.releases.services(in_force.get("release", ""))
            for each in self.comparison.of_service(service)
        }
        moved = self.releases.moved_images(in_force.get("release", ""), containers)
        return ", but not with the same images: %s" % "; ".join(moved) if moved else ""

    def _misled(self) -> set[str]:
        """The services of the release in force that a killed run or a person gave other files than that has."""
        in_force = self._in_force()
        files = self.releases.files(in_force["release"]) if in_force else []
        services = self.releases.services(in_force.get("release", ""))
        return {service.name for service in services if self.comparison.may_have_read_others(service, files)}

    def _in_force(self) -> dict[str, Any]:
        """The manifest of the release in force, if that is kept whole."""
        name = self.comparison.state.get("release", "")
        return self.releases.manifest(name) if self.releases.is_whole(name) else {}

    def _back_to_nothing(self) -> str:
        """There was no release: what this run started goes, volumes stay."""
        self.comparison.refresh()
        started = [each for each in self._started() if labels_of(each).get(SERVICE) not in self.comparison.ran_before]
        self.serving.remove(started)
        if self.firewall:
            self.firewall.apply(None)
        if not self.comparison.containers:
            for network in self.params["networks"]:
                self.engine.docker("network", "rm", network)
        self.tree.restore()
        said = "There was no release before: what this run had started was removed, volumes were kept"
        left = " and ".join(sorted(name_of(container) for container in self.comparison.containers))
        return "%s. Kept is what ran before this run or took its place: %s" % (said, left) if left else said

    def _started(self) -> list[dict[str, Any]]:
        """What this run made; stand-ins go on until those that they stand in for are back."""
        serving = {service.stand_in for service in self.comparison.services if self.comparison.is_steered(service)}
        return [
            container
            for container in self.comparison.containers
            if container["Id"] not in self.comparison.before and name_of(container) not in serving
        ]

    def _service_keys_in_force(self) -> list[str]:
        code, output, _errors = self.engine.compose("config", "--services")
        return output.split() if code == 0 else []

    # ---- keeping -------------------------------------------------------------------------------------------------

    def _save_state(self, release: str) -> None:
        self.comparison.refresh()
        hashes = {}
        images = {}
        made_for = {}
        for service in self.comparison.services:
            for each in self.comparison.of_service(service):
                made_for[service.name] = labels_of(each).get(RELEASE, "")
                hashes[service.name] = labels_of(each).get(CONFIG_HASH)
                if service.image:
                    images[service.image] = each.get("Image", "")
        state: dict[str, Any] = {
            "release": release,
            "digest": files_digest(self.comparison.files),
            "commit": self.params["commit"],
            "files": [wanted.path for wanted in self.comparison.files],
            "applied": self.comparison.digests,
            "settings": self.comparison.settings,
            "hashes": hashes,
            "made_for": made_for,
            "prepared": self.comparison.prepared,
        }
        if self.firewall and self.firewall.ports is not None:
            state["firewall"] = self.firewall.ports
        before = self.comparison.state.get("release", "")
        self.releases.complete(release, self.comparison.files, self.params, images, before)
        save_state(self.tree, state)
        self.comparison.state = state
