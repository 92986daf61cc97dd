# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A release of a stack brought into force, or everything as it was before."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from ..core.directory import DesiredFile
from ..core.errors import Failure
from ..core.meanwhile import tell
from ..core.steps import Step, sentence
from ..docker.engine import Engine
from ..swarm.api import SwarmApi, SwarmError
from .kept import DATA_NODE, KeptReleases, config_name
from .look import look
from .plan import StackPlan, data_node, plan, prepared_key, unneeded
from .prepare import StackJobs
from .rollout import StackError, StackRollout

#: What of a release is kept with it.
_KEPT = (
    "by", "commit", "configs", "data_label", "definitions", "digest", "environment", "foundation", "images", "networks",
    "pinned", "secrets", "settings",
)  # fmt: skip


class StackConverger:
    """Brings one stack to a release. ``wanted`` is what the controller rendered, or what was kept of a release."""

    def __init__(self, engine: Engine, api: SwarmApi, wanted: Mapping[str, Any], login: tuple[str, str, str]) -> None:
        self.api = api
        self.wanted = wanted
        self.prefix = str(wanted["prefix"])
        self.releases = KeptReleases(api, self.prefix)
        self.current = self.releases.manifest(self.releases.current)
        self.seen = look(api)
        self.plan: StackPlan = plan(wanted, self.seen, self.current)
        self.rollout = StackRollout(engine, api, str(wanted["project"]), login)
        self.begun: list[Step] = []

    def apply(self, files: Sequence[DesiredFile], returning: str = "") -> str:
        """Deploy, wait, and keep the release. ``returning`` is the name of a kept one. Returns the release's name.

        Raises Failure after the release before serves again, with what was begun and how going back ended.
        """
        if not self.plan.steps:
            return self.releases.current
        prepared = dict(self.current.get("prepared") or {})
        try:
            if not returning:
                self._prepare(files, prepared)
            self._begin(step for step in self.plan.steps if step.verb != "prepare")
            before = self.rollout.seen()
            self.rollout.deploy(str(self.wanted["text"]), files, prune=True)
            self.rollout.wait(before, self.wanted["definitions"], self.wanted["wait_timeout"])
        except (Failure, OSError) as caught:
            error = caught if isinstance(caught, Failure) else StackError("the operating system refused: %s" % caught)
            error.steps = list(self.begun)
            error.put_back = self._undo()
            if error is caught:
                raise
            raise error from caught
        release = self._keep(prepared, returning)
        self.remove_unneeded()
        return release

    def _begin(self, steps: Any) -> None:
        for step in steps:
            self.begun.append(step)
            tell(sentence(step))

    def _prepare(self, files: Sequence[DesiredFile], prepared: dict[str, str]) -> None:
        """Run what the release wants to have run before; first, what that needs where it was never there."""
        if not self.plan.prepare:
            return
        if self.plan.first:
            first = [key for key in self.wanted["foundation"] if key in self.wanted["definitions"]]
            self._begin(Step("create", key, "service") for key in first)
            before = self.rollout.seen()
            self.rollout.deploy(str(self.wanted["foundation_text"]), files)
            self.rollout.wait(before, first, self.wanted["wait_timeout"])
        jobs = StackJobs(self.rollout, float(self.wanted["prepare_timeout"]))
        for job in self.plan.prepare:
            self._begin([Step("prepare", job["service"], "service", detail=" ".join(job["command"]))])
            jobs.run(job, files)
            prepared[job["service"]] = prepared_key(self.wanted, job["service"], self.seen)

    def _undo(self) -> str:
        """Let the release before serve again. Returns how that ended, in words."""
        try:
            if self.current:
                before = self.rollout.seen()
                self.rollout.deploy(str(self.current["text"]), settings_file(self.current), prune=True)
                self.rollout.wait(before, self.current["definitions"], self.wanted["wait_timeout"])
                self.remove_unneeded()
                return "release %s serves as before" % self.current["release"]
            there = {service["id"] for service in self.seen["services"]}
            made = [service for service in self.rollout.services().values() if service["id"] not in there]
            for service in made:
                self.api.remove_object("service", service["id"])
            return "%d new services were removed; networks and volumes stay" % len(made)
        except Failure as error:
            return "going back failed too: %s" % error.message

    def _keep(self, prepared: Mapping[str, str], returning: str) -> str:
        """Write down what is in force."""
        specs = {key: service["spec"] for key, service in self.rollout.services().items()}
        node = {DATA_NODE: data_node(self.wanted, self.seen)}
        again = returning or (self.releases.current if self.current.get("digest") == self.wanted["digest"] else "")
        if again:
            self.releases.bring(again, specs, prepared, node)
            return again
        name = "%s-%s" % (time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()), str(self.wanted["digest"])[:8])
        manifest = {key: self.wanted[key] for key in _KEPT}
        manifest.update(
            text=self.wanted["kept_text"],
            follows=self.releases.current,
            created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        )
        self.releases.keep(name, manifest, {**self.wanted["labels"], **node}, specs, prepared)
        return name

    def remove_unneeded(self) -> list[Step]:
        """Forget releases beyond those to keep, and remove the configs and secrets that no kept one needs.

        One that a task still has stays until the next deployment: the engine refuses to remove it.
        """
        for name in self.releases.surplus(int(self.wanted["keep_releases"])):
            with suppress(SwarmError):
                self.releases.remove(name)
        names = self.releases.names()
        kept = self.releases.files(names) | {config_name(self.prefix, name) for name in names}
        steps = []
        for kind, one in unneeded(self.prefix, look(self.api), kept):
            with suppress(SwarmError):
                self.api.remove_object(kind, one["id"])
                steps.append(Step("remove", one["name"], kind))
        return steps


def settings_file(kept: Mapping[str, Any]) -> list[DesiredFile]:
    """The file of settings that a kept stack file names."""
    return [DesiredFile(".env", str(kept.get("settings") or "").encode(), 0o600, True)]
