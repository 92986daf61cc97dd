# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The day's small jobs on one environment's own containers: list, logs, restart, execute. Runs on the targets."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from typing import Any

from ..core.errors import last_lines
from ..core.masking import mask, texts_to_hide
from ..core.steps import Step
from ..docker.containers import condition, is_own, is_running, labels_of, name_of
from ..docker.engine import Engine, EngineError
from ..docker.labels import ONE_OFF, PREFIX, PROJECT, SERVICE, STACK, SWARM_SERVICE, swarm_service
from ..docker.readiness import Readiness, pauses
from ..release.service import Service

#: What is shown of a command's output, from its end.
_MOST = 256 * 1024


class Services:
    """The services of one environment. Nothing without its exact labels is touched or shown.

    Where it is a stack of a ``swarm``, its containers are those of tasks on this node.
    """

    def __init__(
        self, engine: Engine, prefix: str, services: list[Service], secrets: list[str], swarm: bool = False
    ) -> None:
        self.engine = engine
        self.prefix = prefix
        self.services = services
        self._swarm = swarm
        self.containers = self._found()
        self._hidden = texts_to_hide(_secrets(self.containers, secrets))

    def _found(self) -> list[dict[str, Any]]:
        engine, prefix = self.engine, self.prefix
        if self._swarm:
            return engine.containers("%s=%s" % (PREFIX, prefix), "%s=%s" % (STACK, engine.project))
        return [
            container
            for container in engine.containers("%s=%s" % (PROJECT, engine.project), "%s=%s" % (PREFIX, prefix))
            if is_own(container, prefix, engine.directory)
        ]

    def of(self, service: Service) -> list[dict[str, Any]]:
        """The containers of a service, without one-off ones."""
        if self._swarm:
            name = swarm_service(self.engine.project, service.key)
            tasks = [container for container in self.containers if labels_of(container).get(SWARM_SERVICE) == name]
            return [container for container in tasks if is_running(container)]
        return [
            container
            for container in self.containers
            if labels_of(container).get(SERVICE) == service.key and labels_of(container).get(ONE_OFF) != "True"
        ]

    def _needed(self, service: Service, running: bool = False) -> list[dict[str, Any]]:
        found = self.of(service)
        if not found:
            raise EngineError(
                "service %s has no container that a deployment from %s made. Deploy first"
                % (service.name, self.engine.directory)
            )
        stopped = [container for container in found if not is_running(container)]
        if running and stopped:
            how = name_of(stopped[0]), condition(stopped[0])
            raise EngineError("%s is not running (%s). %s" % (*how, _way_to_run(service)))
        return found

    def listing(self) -> list[dict[str, str]]:
        """What runs, one line for each container; a service without one says so."""
        found = []
        for service in self.services:
            found += [
                {
                    "service": service.name,
                    "container": name_of(container),
                    "condition": condition(container),
                    "image": container["Config"]["Image"],
                    "started": (container.get("State") or {}).get("StartedAt", "")[:19],
                }
                for container in self.of(service)
            ] or [
                {"service": service.name, "container": "", "condition": "not there", "image": "", "started": ""},
            ]
        return found

    def logs(self, lines: int, since: str = "") -> list[dict[str, Any]]:
        """The last lines of each container since a time, both its outputs in the order of time."""
        found = []
        for service in self.services:
            for container in self._needed(service):
                options = ("--tail", str(lines), *(("--since", since) if since else ()))
                code, both, errors = self.engine.log_lines(container["Id"], *options)
                if code != 0:
                    raise EngineError("the log of %s cannot be read" % name_of(container), last_lines(errors, 3))
                found.append({"container": name_of(container), "lines": [self.hide(line) for line in both[-lines:]]})
        return found

    def restart(self, timeout: float, readiness_delay: float, check_mode: bool = False) -> list[Step]:
        """Restart the services one after the other, each until it is ready. Returns what was done.

        One that does its work and ends is passed over where it has ended; alone, it is refused.
        """
        planned = [(service, container) for service in self.services for container in self._to_restart(service)]
        if not planned and len(self.services) == 1:
            raise EngineError(
                "service %s runs once and has ended: there is nothing to restart. The next deployment runs it again if "
                "it failed or changed" % self.services[0].name
            )
        for service, container in planned if not check_mode else ():
            self.engine.docker_ok("restart", container["Id"])
            self._wait(service, container, timeout, readiness_delay)
        return [Step("restart", name_of(container), "container") for _service, container in planned]

    def _to_restart(self, service: Service) -> list[dict[str, Any]]:
        if service.one_shot:
            return [container for container in self.of(service) if is_running(container)]
        return self._needed(service)

    def _wait(self, service: Service, container: dict[str, Any], timeout: float, readiness_delay: float) -> None:
        readiness = Readiness(readiness_delay)
        deadline = time.monotonic() + readiness.limit(timeout)
        pause = pauses()
        while True:
            found = self.engine.inspect([container["Id"]])
            how = condition(found[0]) if found else "gone"
            judged = readiness.judge(found[0]) if found else "failed"
            if judged == "well":
                return
            if judged == "failed":
                break
            if time.monotonic() > deadline:
                how += " after %d s" % timeout
                break
            time.sleep(next(pause))
        raise EngineError(
            "%s of service %s did not get healthy after its restart: it is %s"
            % (name_of(container), service.name, how),
            self.hide(self.engine.logs(container["Id"])),
        )

    def execute(
        self, command: list[str], check_mode: bool = False, data: str = "", variables: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """Run a command in the container of the one service, without a shell and without a terminal.

        ``data`` is its standard input. It gets ``variables`` from a file without a name: the process list shows none.
        """
        container = self._needed(self.services[0], running=True)[0]
        done = {"container": name_of(container), "code": 0, "lines": []}
        if check_mode:
            return done
        interactive = ["--interactive"] if data else []
        with _env_file(variables or {}) as (options, descriptors):
            code, output, errors = self.engine.docker(
                "exec",
                *interactive,
                *options,
                container["Id"],
                *command,
                data=data or None,
                binary=True,  # as it is: run_command adds a line end to a text
                pass_fds=descriptors,
            )
        done.update(code=code, lines=_end_of(self.hide("%s%s" % (output, errors)), _MOST))
        return done

    def hide(self, text: str) -> str:
        """A text without the secrets that the containers themselves were started with, which may be older ones."""
        return str(mask(text, self._hidden))


def _way_to_run(service: Service) -> str:
    """What to do about a container in which a command is to run and that does not run."""
    if service.one_shot:
        return (
            "Service %s runs once and ends. Name one that keeps running in bulkhead_service; the next deployment runs "
            "this one again if it failed" % service.name
        )
    return "Start it: ansible-playbook aiia.bulkhead.restart -l <environment> -e bulkhead_service=%s" % service.name


@contextlib.contextmanager
def _env_file(variables: dict[str, str]) -> Iterator[tuple[list[str], tuple[int, ...]]]:
    """The options by which ``docker exec`` reads variables, and the open files that it needs for that."""
    if not variables:
        yield [], ()
        return
    descriptor = os.memfd_create("environment")
    with os.fdopen(descriptor, "w") as stream:
        stream.write("".join("%s=%s\n" % pair for pair in sorted(variables.items())))
        stream.flush()
        yield ["--env-file", "/proc/self/fd/%d" % descriptor], (descriptor,)


def _end_of(text: str, most: int) -> list[str]:
    """The lines of a text. Of a long one its end, from a line's beginning on: a secret's rest is not known as one."""
    if len(text) <= most:
        return text.splitlines()
    kept = text[-most:]
    kept = kept if text[-most - 1] == "\n" else kept.partition("\n")[2] or kept
    return ["… %d characters before this are left out" % (len(text) - len(kept)), *kept.splitlines()]


def _secrets(containers: list[dict[str, Any]], names: list[str]) -> set[str]:
    """The values of secret settings in containers' environments."""
    settings = (setting for container in containers for setting in (container.get("Config") or {}).get("Env") or ())
    pairs = (setting.partition("=") for setting in settings)
    return {value for name, _equals, value in pairs if name in names}
