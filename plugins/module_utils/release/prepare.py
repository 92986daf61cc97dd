# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Prepare what a release needs before it gets requests: the database's schema, static files. Runs on the targets.

Each command runs once for each image, in a container of the new image, while the version before serves. So a
migration has to leave the schema usable for both: expand first, contract in a later release.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import NoReturn

from ..core.directory import digest
from ..core.errors import last_lines
from ..core.steps import Step
from ..core.words import number
from ..docker.capabilities import capability_hint
from ..docker.containers import PREPARING, name_of
from ..docker.engine import TIMED_OUT, EngineError, inspect_objects
from .comparison import Comparison, commands_digest
from .mounts import refuse_links
from .run import Run
from .service import Service

#: Seconds that the question how the schema stands may take.
_STATUS_LIMIT = 60

#: How many lines of the answer are shown.
_STATUS_LINES = 20


def step_of(service: Service, command: Sequence[str]) -> Step:
    """How a command is called in a plan and a receipt."""
    return Step("prepare", service.container, "container", detail=" ".join(command))


def to_prepare(comparison: Comparison, images: dict[str, str]) -> list[Service]:
    """The services that were not prepared for their image yet, on these volumes."""
    services = [service for service in comparison.services if service.prepare]
    done = comparison.state.get("prepared", {})
    return [service for service in services if done.get(service.name) != _key(comparison, images, service)]


def _key(comparison: Comparison, images: dict[str, str], service: Service) -> str:
    """What a service was prepared for: image, the very volumes that hold what was changed, and the commands."""
    parts = json.dumps([images.get(service.image, service.image), comparison.volumes_made()])
    return "%s-%s" % (digest(parts.encode())[:16], commands_digest(service))


class Preparation:
    """The commands that services of one environment want to have run before they get requests."""

    def __init__(self, run: Run, tell: Callable[[Step], object]) -> None:
        self._run = run
        self.engine = run.engine
        self._tell = tell

    def open(self) -> list[Service]:
        """The services that still have to be prepared."""
        return to_prepare(self._run.comparison, self._run.images)

    def run(self, services: list[Service], before: Callable[[], object]) -> None:
        """Run the commands of services; ``before`` is called once ahead of the first.

        Raises EngineError with what the command said and how things stand, when one fails or takes too long.
        """
        if services:
            before()
        for service in services:
            for command in service.prepare:
                self._tell(step_of(service, command))
                self._execute(service, command)
            self._run.prepared[service.name] = _key(self._run.comparison, self._run.images, service)

    def clear(self) -> None:
        """Let commands that a killed run left come to their end, within the limit, and remove their containers."""
        seen = self._run.comparison
        names = [service.preparing for service in seen.services]
        names += [name for name in map(name_of, seen.abandoned) if name.endswith(PREPARING)]
        for left in filter(None, map(self._run.containers.named, names)):
            self.engine.docker("wait", left["Id"], limit=self._run.params["prepare_timeout"])
            self.engine.docker("rm", "--force", left["Id"])
            self._run.refresh()

    def _execute(self, service: Service, command: Sequence[str]) -> None:
        began = time.monotonic()
        limit = self._run.params["prepare_timeout"]
        code, output, errors = self._in_new_container(service, command, limit)
        if code == 0:
            return
        self.engine.version()  # where it does not answer, nothing that the command said counts
        said = " ".join(command)
        if code in TIMED_OUT and time.monotonic() - began >= limit:
            why = "%s did not end within %d s (bulkhead_prepare_timeout) and was stopped" % (said, limit)
        else:
            why = "%s ended with exit code %d" % (said, code)
        said = last_lines("%s\n%s" % (output, errors))
        hint = self._lacks(service, said)
        self._fail(service, why, "\n".join([said, *(["%s: %s" % (service.name, hint)] if hint else [])]))

    def _lacks(self, service: Service, said: str) -> str:
        """The capability that a service's program lacks: the entry point of its image comes before the command."""
        if not capability_hint({"HostConfig": {"CapDrop": ["ALL"]}}, said):
            return ""
        code, output, _errors = self.engine.compose("config", "--format", "json", service.key)
        definition = json.loads(output)["services"][service.key] if code == 0 and output else {}
        images = inspect_objects(self.engine, "image", [service.image])
        user = definition.get("user") or ((images or [{}])[0].get("Config") or {}).get("User")
        host = {"CapDrop": definition.get("cap_drop"), "CapAdd": definition.get("cap_add")}
        return capability_hint({"Config": {"User": user}, "HostConfig": host}, said)

    def _in_new_container(self, service: Service, command: Sequence[str], limit: int) -> tuple[int, str, str]:
        name = service.preparing
        refuse_links(self._run.tree, [service])
        done = self.engine.compose(
            "run", "--rm", "--no-TTY", "--no-deps", "--name", name, service.key, *command, limit=limit
        )
        if done[0] != 0:
            self.engine.docker("rm", "--force", name)  # the client was stopped, the container is not
        return done

    def _fail(self, service: Service, why: str, said: str) -> NoReturn:
        detail = "\n".join([said, *self._status(service)])
        raise EngineError("preparing the new release of %s failed: %s" % (service.name, why), detail)

    def _status(self, service: Service) -> list[str]:
        """How things stand, in the words of the service's own command.

        What the version that serves answers as well was so before: without it there is what this release brings along,
        done or not.
        """
        command = service.prepare_status
        if not command:
            return []
        code, output, errors = self._in_new_container(service, command, _STATUS_LIMIT)
        lines = [line.rstrip() for line in (output if code == 0 else "").splitlines() if line.strip()]
        known = self._said_before(service, command) if lines else frozenset()
        fresh = [line for line in lines if line not in known]
        title = "how it stands (%s)" % " ".join(command)
        if known and fresh:
            title += ", beyond what the version that serves knows"
        else:
            fresh = lines or last_lines(errors or output).splitlines() or ["(no answer)"]
        left_out = ["… %s before" % number(len(fresh) - _STATUS_LINES, "line")] if len(fresh) > _STATUS_LINES else []
        return ["%s:" % title, *left_out, *fresh[-_STATUS_LINES:]]

    def _said_before(self, service: Service, command: Sequence[str]) -> frozenset[str]:
        """What the version that serves answers to the same question."""
        for container in self._run.containers.of_service(service):
            code, output, _errors = self.engine.docker("exec", container["Id"], *command, limit=_STATUS_LIMIT)
            if code == 0:
                return frozenset(line.rstrip() for line in output.splitlines())
        return frozenset()
