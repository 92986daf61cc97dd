# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A release of a stack brought into force, or everything as it was before."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from ..core.directory import DesiredFile
from ..core.errors import Failure
from ..core.meanwhile import tell
from ..core.steps import Step, sentence
from ..docker.engine import Engine
from ..swarm.api import SwarmApi, SwarmError
from .election import ELECTION, asked_again
from .kept import DATA_NODE, KeptReleases, config_name, content_of
from .look import look_or_fail
from .plan import StackPlan, data_node, plan, prepared_key, stack_services, unneeded
from .prepare import StackJobs
from .rollout import StackError, StackRollout

#: What of a release is kept with it.
_KEPT = (
    "by", "commit", "configs", "data_label", "definitions", "digest", "environment", "foundation", "images", "networks",
    "pinned", "secrets", "settings", "waits",
)  # fmt: skip


class StackConverger:
    """Brings one stack to a release. ``wanted`` is what the controller rendered, or what was kept of a release."""

    def __init__(self, engine: Engine, api: SwarmApi, wanted: Mapping[str, Any], login: tuple[str, str, str]) -> None:
        self.api = api
        self.wanted = wanted
        self.prefix = str(wanted["prefix"])
        self.releases = KeptReleases(api, self.prefix)
        self.current = self.releases.manifest(self.releases.current)
        self.seen = look_or_fail(api)
        self.plan: StackPlan = plan(wanted, self.seen, self.current)
        self.data_node = data_node(wanted, self.seen)
        self.rollout = StackRollout(engine, api, str(wanted["project"]), login, self.data_node)
        self.begun: list[Step] = []
        #: Whether there are images that no kept release runs any more.
        self.forgets_images = False
        self._made = time.gmtime()

    @property
    def has_served(self) -> bool:
        """Whether there may be data: services run also where a run ended before its release was kept."""
        return bool(self.current or self._there)

    @property
    def _there(self) -> dict[str, dict[str, Any]]:
        return stack_services(str(self.wanted["project"]), self.seen)

    @property
    def _name(self) -> str:
        return "%s-%s" % (time.strftime("%Y%m%dT%H%M%SZ", self._made), str(self.wanted["digest"])[:8])

    def require_room(self) -> None:
        """Raise Failure if the swarm could not keep this release."""
        content_of(self._name, self._manifest())

    def apply(self, files: Sequence[DesiredFile], returning: str = "") -> str:
        """Deploy, wait, and keep the release. ``returning`` is the name of a kept one. Returns the release's name.

        Raises Failure after the release before serves again, with what was begun and how going back ended.
        """
        if not self.plan.steps:
            return self.releases.current
        prepared = dict(self.current.get("prepared") or {})
        try:
            self._lay_foundation(files)
            self._prepare(files, prepared)
            self._begin(step for step in self.plan.steps if step.verb != "prepare")
            before = self._asked()
            self.rollout.deploy(str(self.wanted["text"]), files, prune=True)
            self._wait(before, self.wanted["definitions"], self.wanted)
            release = self._keep(prepared, returning)
        except (Failure, OSError) as caught:
            error = caught if isinstance(caught, Failure) else StackError("the operating system refused: %s" % caught)
            error.steps = list(self.begun)
            error.put_back = self._undo()
            if error is caught:
                raise
            raise error from caught
        ran = self.releases.images()
        self.remove_unneeded()
        self.forgets_images = not ran <= self.releases.images()
        return release

    def _begin(self, steps: Any) -> None:
        for step in steps:
            if step not in self.begun:
                self.begun.append(step)
                tell(sentence(step))

    def _asked(self) -> dict[str, Any]:
        return self.rollout.asked(time.monotonic() + ELECTION)

    def _wait(self, before: Mapping[str, Any], keys: Iterable[str], release: Mapping[str, Any]) -> None:
        self.rollout.wait(before, keys, self.wanted["wait_timeout"], release.get("waits") or {})

    def _lay_foundation(self, files: Sequence[DesiredFile]) -> None:
        """Start what the rest needs where some of it was never there: what finds no database would end again and
        again while that is set up."""
        if not self.plan.first:
            return
        first = [key for key in self.wanted["foundation"] if key in self.wanted["definitions"]]
        self._begin(step for step in self.plan.steps if step.kind == "service" and step.target in first)
        before = self._asked()
        self.rollout.deploy(str(self.wanted["foundation_text"]), files)
        self._wait(before, first, self.wanted)

    def _prepare(self, files: Sequence[DesiredFile], prepared: dict[str, str]) -> None:
        """Run what the release wants to have run before."""
        jobs = StackJobs(self.rollout, float(self.wanted["prepare_timeout"]))
        for job in self.plan.prepare:
            self._begin([Step("prepare", job["service"], "service", detail=" ".join(job["command"]))])
            jobs.run(job, files)
            prepared[job["service"]] = prepared_key(self.wanted, job["service"], self.seen)

    def _undo(self) -> str:
        """Let the release before serve again. Returns how that ended, in words."""
        try:
            if self.current:
                before = self._asked()
                self.rollout.deploy(str(self.current["text"]), settings_file(self.current), prune=True)
                self._wait(before, self.current["definitions"], self.current)
                self.remove_unneeded()
                return "release %s serves as before" % self.current["release"]
            there = {service["id"] for service in self._there.values()}
            made = [service for service in self.rollout.services().values() if service["id"] not in there]
            for service in made:
                self.api.remove_object("service", service["id"])
            left = "; no release was kept of the services that were there, so they stay as they are now"
            return "%d new services were removed; networks and volumes stay%s" % (len(made), left if there else "")
        except (Failure, OSError) as error:
            return "going back failed too: %s" % error

    def _keep(self, prepared: Mapping[str, str], returning: str) -> str:
        """Write down what is in force."""
        return asked_again(lambda: self._kept(prepared, returning), time.monotonic() + ELECTION)

    def _kept(self, prepared: Mapping[str, str], returning: str) -> str:
        self.releases.read()  # an earlier try may have been heard, and its answer lost
        specs = {key: service["spec"] for key, service in self.rollout.services().items()}
        node = {DATA_NODE: self.data_node}
        again = returning or (self.releases.current if self.current.get("digest") == self.wanted["digest"] else "")
        if self._name in self.releases.names():
            again = self._name
        if again:
            self.releases.bring(again, specs, prepared, node)
            return again
        self.releases.keep(self._name, self._manifest(), {**self.wanted["labels"], **node}, specs, prepared)
        return self._name

    def _manifest(self) -> dict[str, Any]:
        """What is kept of the release beside its services' digests."""
        return {
            **{key: self.wanted[key] for key in _KEPT},
            "text": self.wanted["kept_text"],
            "follows": str(self.current.get("release") or ""),
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", self._made),
        }

    def remove_unneeded(self) -> list[Step]:
        """Forget releases beyond those to keep, and remove the configs and secrets that no kept one needs.

        One that a task still has stays until the next deployment: the engine refuses to remove it.
        """
        for name in self.releases.surplus(int(self.wanted["keep_releases"])):
            with suppress(SwarmError):
                self.releases.remove(name)
        names = self.releases.names()
        kept = self.releases.files(names) | {config_name(self.prefix, name) for name in names}
        try:
            seen = look_or_fail(self.api)
        except SwarmError:  # managers elect another leader
            return []
        steps = []
        for kind, one in unneeded(self.prefix, seen, kept):
            with suppress(SwarmError):
                self.api.remove_object(kind, one["id"])
                steps.append(Step("remove", one["name"], kind))
        return steps


def settings_file(kept: Mapping[str, Any]) -> list[DesiredFile]:
    """The file of settings that a kept stack file names."""
    return [DesiredFile(".env", str(kept.get("settings") or "").encode(), 0o600, True)]
