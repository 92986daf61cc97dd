# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Commands that run once before a release gets requests, each as a job of the swarm in the stack's own networks."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from ..core.directory import DesiredFile
from ..core.errors import Failure
from ..docker.labels import swarm_service
from ..swarm.api import SwarmError
from .plan import stack_services
from .rollout import StackError, StackRollout

#: The mode of a job's service, as the engine calls it. A stack has no other jobs.
_JOB = "ReplicatedJob"

#: In which state a job's task has ended, well or not.
_DONE = "complete"
_FAILED = ("failed", "rejected", "shutdown", "orphaned", "remove")
_ENDED = (_DONE, *_FAILED)

#: Seconds between two looks at a job, and within which one that is removed has ended.
_PAUSE, _CLEARED = 0.5, 60.0

#: How many lines of a command's log an error quotes.
_LINES = 50


class StackJobs:
    """Runs jobs of one stack. A job's service is removed when it has ended, however that was."""

    def __init__(self, rollout: StackRollout, limit: float) -> None:
        self._rollout = rollout
        self._limit = limit

    def run(self, job: Mapping[str, Any], files: Sequence[DesiredFile]) -> None:
        """Run one command. Raises StackError, with its last lines, where it fails or takes too long."""
        key, command = str(job["key"]), " ".join(job["command"])
        self.clear()
        try:
            self._rollout.deploy(str(job["text"]), files)
            why, said = self._wait(key)
        finally:
            with suppress(Failure):  # the update removes it otherwise, and the next deployment waits for it
                self.clear()
        if why:
            raise StackError("preparing the new release of %s failed: %s %s" % (job["service"], command, why), said)

    def clear(self) -> None:
        """Remove the jobs of the stack, also what a killed run left, and wait until no task of one runs.

        Raises StackError where one still does after a minute.
        """
        deadline, project = time.monotonic() + _CLEARED, self._rollout.project
        while True:
            now = self._rollout.asked(deadline)
            jobs = [one for one in stack_services(project, now).values() if one["mode"] == _JOB]
            tasks = [task for task in now["tasks"] if task["job"] and task["stack"] == project]
            runs = [task["id"] for task in tasks if task["state"] not in _ENDED]
            if not (jobs or runs):
                return
            if time.monotonic() >= deadline:
                raise StackError(
                    "a command of an earlier run has not ended (task %s), and two migrations must not overlap. Wait "
                    "until it has ended, or start its node if that is down; then run this again"
                    % (", ".join(runs) or "of %s" % jobs[0]["name"])
                )
            removed = [self._removed(job["id"]) for job in jobs]
            if not removed or not all(removed):
                time.sleep(_PAUSE)

    def _removed(self, identity: str) -> bool:
        try:
            self._rollout.api.remove_object("service", identity)
        except SwarmError:  # managers elect another leader
            return False
        return True

    def _wait(self, key: str) -> tuple[str, str]:
        """Why a job did not succeed, and its last lines; empty where it did."""
        deadline = time.monotonic() + self._limit
        name = swarm_service(self._rollout.project, key)
        seen = ""
        while True:
            now = self._rollout.asked(deadline)
            service = next((one for one in now["services"] if one["name"] == name), None)
            tasks = [task for task in now["tasks"] if service and task["service"] == service["id"]]
            if any(task["state"] == _DONE for task in tasks):
                return "", ""
            ended = [task for task in tasks if task["state"] in _FAILED]
            if ended:
                return "ended: %s" % (ended[-1]["error"] or ended[-1]["state"]), self._said(name)
            seen = next((task["error"] or task["state"] for task in tasks), seen)
            if time.monotonic() >= deadline:
                return "did not end within %d s (bulkhead_prepare_timeout): %s" % (self._limit, seen), self._said(name)
            time.sleep(_PAUSE)

    def _said(self, name: str) -> str:
        return self._rollout.last_lines(name, _LINES)
