# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``docker stack deploy`` with files that are nowhere else, and the wait for what the engine makes of it."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..core.directory import DesiredFile, Tree
from ..core.errors import last_lines
from ..core.meanwhile import tell
from ..docker.engine import TIMED_OUT, Engine, EngineError
from ..docker.labels import DATA_NODE_ID, swarm_service
from ..swarm.api import SwarmApi
from .election import asked_again
from .look import service_of, task_of
from .plan import stack_services
from .progress import Outcome, outcomes, too_early

#: Seconds between two looks at an update, and for how long a stack must stand still to count as done.
_PAUSE, _STEADY = 0.5, 1.0

#: Where a private directory is memory, if the machine has that.
_MEMORY = "/dev/shm"

#: How many lines of a task's log an error quotes.
_LINES = 20

#: Seconds for the client to say what it can, and to hand over a stack, for which it fetches nothing.
_SAYS, _HANDS_OVER = 20, 300


class StackError(EngineError):
    """The engine did not bring a stack to where it was to be."""


class StackRollout:
    """Deploys the files of one stack. ``login`` is (registry, user, password), for the nodes to fetch its images;
    ``data_node`` is the id of the node with its volumes."""

    def __init__(
        self,
        engine: Engine,
        api: SwarmApi,
        project: str,
        login: tuple[str, str, str] = ("", "", ""),
        data_node: str = "",
    ) -> None:
        self.engine = engine
        self.api = api
        self.project = project
        self._login = login
        self._data_node = data_node

    def deploy(self, text: str, files: Sequence[DesiredFile], prune: bool = False) -> None:
        """Hand a stack file, with the files that it names, to the engine. Raises StackError where that refuses.

        With ``prune``, services of the stack that the file does not have are removed.
        """
        # Without a node, the name that stands for one stays: no node has it as its id, so nothing starts.
        placed = text.replace(DATA_NODE_ID, self._data_node or DATA_NODE_ID)
        with self._written([*files, DesiredFile(_STACK_FILE, placed.encode(), 0o600)]) as directory:
            # Images are pinned by digest, so that the client has nothing to ask a registry.
            code, output, errors = self.engine.docker(
                *self._config(directory), "stack", "deploy", "--compose-file", _STACK_FILE, "--resolve-image", "never",
                *(["--with-registry-auth"] if self._login[1] else []), *(["--prune"] if prune else []),
                *self._detach(), self.project, cwd=directory, limit=_HANDS_OVER,
            )  # fmt: skip
        if code in TIMED_OUT:
            raise StackError(
                "the engine did not take the stack %s within %d s" % (self.project, _HANDS_OVER), last_lines(errors)
            )
        if code != 0:
            self.engine.check_reachable(errors)
            raise StackError("the engine refused the stack %s" % self.project, last_lines(errors or output))

    def seen(self) -> dict[str, Any]:
        """The swarm's services and tasks now."""
        return {
            "services": [service_of(service) for service in self.api.services()],
            "tasks": [task_of(task) for task in self.api.tasks()],
        }

    def wait(
        self,
        before: Mapping[str, Any],
        keys: Iterable[str],
        limit: float,
        waits: Mapping[str, Iterable[str]] | None = None,
    ) -> None:
        """Wait until the engine is done with these services; ``before`` is the swarm as it was, ``waits`` says without
        which others each cannot stay up.

        Raises StackError, with the last lines of the task to blame, where it goes back, or is not done in time.
        """
        wanted = {self._named(key) for key in keys}
        needs = {self._named(key): {self._named(other) for other in others} for key, others in (waits or {}).items()}
        early: set[str] = set()
        known = {service["name"]: service for service in before["services"]}
        past = [task["id"] for task in before["tasks"]]
        deadline, still, shown = time.monotonic() + limit, 0.0, ""
        while True:
            now = self.asked(deadline)
            services = [service for service in now["services"] if service["name"] in wanted]
            found = outcomes(known, services, now["tasks"], past, early)
            early |= too_early(found, services, now["tasks"], needs)
            found = outcomes(known, services, now["tasks"], past, early)
            failed = [outcome for outcome in found if outcome.state == "failed"]
            if failed:
                raise self._failure(failed, "")
            waiting = [outcome for outcome in found if outcome.state == "waiting"]
            if not waiting:
                still = still or time.monotonic()
                if time.monotonic() - still >= _STEADY:
                    return
            else:
                still = 0.0
                line = "; ".join("%s: %s" % (self._key(outcome), outcome.why) for outcome in waiting)
                if line != shown:
                    shown = line
                    tell("waiting: %s" % line)
                if time.monotonic() >= deadline:
                    raise self._failure(waiting, " within %d s (bulkhead_wait_timeout)" % limit)
            time.sleep(_PAUSE)

    def asked(self, deadline: float) -> dict[str, Any]:
        """What the swarm says; managers that elect another leader meanwhile are asked again."""
        return asked_again(self.seen, deadline)

    def _failure(self, blamed: Sequence[Outcome], late: str) -> StackError:
        lines = "; ".join("service %s: %s" % (self._key(outcome), outcome.why) for outcome in blamed)
        detail = "\n".join(filter(None, (self.last_lines(outcome.task) for outcome in blamed)))
        what = "is not done" if late else "failed"
        return StackError("the update of stack %s %s%s: %s" % (self.project, what, late, lines), detail)

    def _named(self, key: str) -> str:
        return swarm_service(self.project, key)

    def _key(self, outcome: Outcome) -> str:
        return outcome.service[len(self.project) + 1 :]

    def last_lines(self, named: str, lines: int = _LINES) -> str:
        """The last lines of the log of a task or service; empty for none."""
        if not named:
            return ""
        code, output, errors = self.engine.docker("service", "logs", "--raw", "--tail", str(lines), named, limit=_SAYS)
        return last_lines("%s\n%s" % (output, errors)) if code == 0 else ""

    def services(self) -> dict[str, dict[str, Any]]:
        """The stack's services as they are now, by key."""
        return stack_services(self.project, {"services": [service_of(service) for service in self.api.services()]})

    def _config(self, directory: str) -> list[str]:
        return ["--config", os.path.join(directory, _CLIENT)] if self._login[1] else []

    def _detach(self) -> list[str]:
        """The client's own wait, where it has one, is left out: it says less, and ends without an error."""
        _code, output, _errors = self.engine.docker("stack", "deploy", "--help", limit=_SAYS)
        return ["--detach=true"] if "--detach" in output else []

    @contextlib.contextmanager
    def _written(self, files: Sequence[DesiredFile]) -> Iterator[str]:
        """A private directory with these files, and with the login; gone afterwards."""
        with tempfile.TemporaryDirectory(dir=_MEMORY if os.path.isdir(_MEMORY) else None) as directory:
            tree = Tree(directory, private=True)
            registry, user, password = self._login
            if user:
                word = base64.b64encode(("%s:%s" % (user, password)).encode()).decode()
                server = "https://index.docker.io/v1/" if registry == "docker.io" else registry
                text = json.dumps({"auths": {server: {"auth": word}}})
                tree.write(DesiredFile("%s/config.json" % _CLIENT, text.encode(), 0o600, True))
            for file in files:
                tree.write(file)
            yield directory


_STACK_FILE = "docker-stack.yml"
_CLIENT = ".client"
