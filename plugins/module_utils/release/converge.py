# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bring one environment's release into force on its machine, or leave everything as it was. Runs on the targets."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from ..certificates.obtain import Certificates
from ..certificates.store import Store
from ..core.errors import Failure
from ..core.steps import Step
from ..docker.containers import labels_of
from ..docker.engine import EngineError
from ..docker.labels import CONFIG_HASH, RELEASE
from ..state.deployed import save_state
from ..state.journal import Journal
from .comparison import Comparison
from .data import refuse_other_data
from .front_door import make_sockets
from .inputs import bring
from .plan import file_steps
from .preconditions import refuse_foreign, refuse_gaps
from .rollout import Rollout
from .run import Run
from .store import Releases, files_digest
from .undo import Undo
from .validation import check_compose, validate


class Converger:
    """Makes a machine what a comparison wants it to be, and undoes what it did when that fails."""

    def __init__(
        self,
        comparison: Comparison,
        releases: Releases,
        back_up: Callable[[str], Step | None] = lambda _reason: None,
    ) -> None:
        self.comparison = comparison
        self.releases = releases
        self.engine = comparison.engine
        self.tree = comparison.tree
        self.params = comparison.params
        self.engine.inputs = comparison.tree.in_force.directory
        self.run = Run(comparison)
        self.rollout = Rollout(self.run, back_up)
        self.serving = self.rollout.serving
        self.progress = self.rollout.progress
        self.journal = Journal(comparison.tree.kept)

    def apply(self, release: str = "", mend: Callable[[], object] = lambda: None) -> str:
        """Bring the wanted release into force, or return to a kept one; ``mend`` is called before, once all is judged.

        Raises EngineError after everything is as it was before.
        """
        with ThreadPoolExecutor(1) as beside:
            versions = beside.submit(self.engine.check_versions)
            refuse_foreign(self.comparison)
            refuse_gaps(self.comparison)
            returning = bool(release)
            release = release or self._same_release()
            fresh = not release
            if fresh:
                release = self.releases.stage(self.comparison.release, self.comparison.files, self.comparison.services)
        begun = False
        try:
            versions.result()
            if self.params.get("acme"):
                Certificates(self.engine, self.params["acme"]).ensure()
            self._judge(release)
            begun = True
            self.progress.keep = lambda tried: self.journal.keep(release, tried)
            mend()
            self._bring_into_force(release, returning, fresh)
        except BaseException as error:
            if fresh:
                self.releases.remove(release)
            if isinstance(error, Failure) and not begun:
                error.message += ". Nothing was changed"
            raise
        self._prune(release)
        return release

    def _same_release(self) -> str:
        """The release in force if it is wanted again, for example because a container died; empty otherwise."""
        name = self.comparison.state.get("release", "")
        same = self.releases.is_same(name, self.params) and self.releases.is_whole(name)
        return name if same and not self.comparison.interrupted else ""

    def _judge(self, release: str) -> None:
        """Let Compose and the services' own programs judge what is written aside, and fetch its images."""
        directory = self.releases.directory(release)
        check_compose(self.comparison, directory)
        self.serving.pull(directory)
        refuse_other_data(self.comparison, self.run.images)
        validate(self.comparison, directory)

    def _bring_into_force(self, release: str, returning: bool, fresh: bool) -> None:
        undo = Undo(self.run, self.rollout, self.releases)
        # What an earlier release prepared, a later one has to be able to use: returning to one prepares nothing.
        prepare = (lambda: None) if returning else (lambda: self.rollout.prepare(release))
        try:
            self._install()
            self.rollout.put_up_guard()
            self.rollout.preparation.clear()
            self.rollout.clear_the_way()
            allowed = self.params["allow_downtime"] or self.comparison.never_served
            self.rollout.serve(self.comparison.services, self.comparison.stale, allowed, prepare)
            self.rollout.clear_up()
            self.rollout.end_overlap(self.comparison.overlap, self.comparison.services, self.comparison.stale)
            self._keep(release)
            self.journal.clear()
        except (Failure, OSError, ValueError) as caught:
            error = caught if isinstance(caught, Failure) else EngineError("the operating system refused: %s" % caught)
            if fresh:
                self.releases.remove(release)  # a full disk needs the room to put files back
            self.progress.keep = lambda _tried: None  # going back: what follows was not planned
            undo.undo(error)
            with suppress(Failure, OSError):  # a full disk, for example: the next deployment clears it
                self.journal.clear()
            if error is caught:
                raise
            raise error from caught

    def _install(self) -> None:
        """Bring files and checkout into force."""
        self.releases.make_mounts(self.comparison.services)
        if self.params.get("acme"):
            Store(self.params["prefix"], self.params["state_directory"]).place(self.tree)
        make_sockets(self.comparison.services)
        self.progress.begin(file_steps(self.comparison))
        self.tree.sweep(wanted.path for wanted in self.comparison.files)
        bring(self.tree, self.params["compose_file"], self.comparison.files, self.comparison.services)
        self.tree.install(self.comparison.overlap.over(self.comparison.changed_files), self.comparison.gone_files)
        if self.comparison.outdated_checkout:
            self.comparison.outdated_checkout.move_to(self.params["commit"])
            # The engine mounts what a link leads to, and the commit may have made one of a directory.
            self.releases.make_mounts(self.comparison.services)

    def _keep(self, release: str) -> None:
        """Write down what is in force, and keep the release so that it can be returned to."""
        self.run.refresh()
        seen, made = self.comparison, self._made()
        images = {
            service.image: made[service.name].get("Image", "")
            for service in seen.services
            if service.image and service.name in made
        }
        state: dict[str, Any] = {
            "release": release,
            "digest": files_digest(seen.files),
            "commit": self.params["commit"],
            "files": [wanted.path for wanted in seen.files],
            "applied": seen.digests,
            "settings": seen.settings,
            "hashes": {name: labels_of(container).get(CONFIG_HASH) for name, container in made.items()},
            "made_for": {name: labels_of(container).get(RELEASE, "") for name, container in made.items()},
            "prepared": self.run.prepared,
        }
        if seen.firewall and seen.firewall.ports is not None and not seen.firewall.missing:
            state["firewall"] = seen.firewall.ports
        about = {"by": str(self.params.get("by", ""))}
        if seen.checkout and self.params["commit"]:
            about.update(seen.checkout.about(self.params["commit"]))
        self.releases.complete(release, seen.files, self.params, images, seen.state.get("release", ""), about)
        save_state(self.tree, state)

    def _made(self) -> dict[str, dict[str, Any]]:
        """A container of each service that has one, the last of several."""
        found = {service.name: self.run.containers.of_service(service) for service in self.comparison.services}
        return {name: containers[-1] for name, containers in found.items() if containers}

    def _prune(self, release: str) -> None:
        """Remove old releases, and the images that no kept one runs."""
        self.releases.prune(self.params["keep_releases"], release)
        if self.params["image_repository"]:
            self.releases.prune_images(self.engine, self.params["image_repository"])
