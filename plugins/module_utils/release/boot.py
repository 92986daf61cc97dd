# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make containers run what is on disk, and wait until they are well. Runs on the targets."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, NoReturn

from ..core.decisive import is_decisive
from ..core.errors import last_lines
from ..core.meanwhile import is_told, tell
from ..core.steps import Step
from ..core.words import number
from ..docker.capabilities import capability_hint
from ..docker.containers import condition, is_running, name_of
from ..docker.engine import TIMED_OUT, EngineError, inspect_objects
from ..docker.readiness import Readiness, answers_wrongly, pauses, restarts_since
from .dry_run import DryRunError, Foreseen, ask
from .limits import apply_limits, to_limit
from .mounts import refuse_links, strangers
from .run import Run
from .service import Service

#: The exit code of ``on_change`` that asks for a start (EX_TEMPFAIL of sysexits.h).
_NEEDS_START = 75

#: Seconds between two looks at the log of a container that is waited for, where somebody watches.
_TELL = 3

#: The exit code of a program that was killed.
_KILLED = 137


class Serving:
    """Starts, replaces and waits for the containers of one environment."""

    def __init__(self, run: Run, tell: Callable[[Step], object] = lambda _step: None) -> None:
        self.run = run
        self.engine = run.engine
        self._tell_step = tell
        self._readiness = Readiness(run.params["readiness_delay"])
        #: Services that took changed files, and would have to take the earlier ones again.
        self.brought: list[Service] = []
        #: Seconds of downtime of services that cannot be replaced without a gap, by container.
        self.downtime: dict[str, float] = {}
        #: The containers that are waited for, as the last look found them.
        self._waiting: list[dict[str, Any]] = []
        #: Whether Compose's dry runs change nothing.
        self._trusted = True
        #: Whether the engine sets limits on running containers.
        self._limits = True

    def foreseen(self) -> Foreseen:
        """What Compose would do now: it is asked, not second-guessed. Nothing is known where its answers are not to be
        trusted: what it then replaces has a gap."""
        if not self._trusted:
            return Foreseen()
        try:
            return ask(self.engine)
        except DryRunError:
            self._trusted = False
            raise

    def hand_back(self, services: list[Service]) -> None:
        """Unpause containers that were paused by hand, and give renamed ones their names back: Compose stops at a
        paused one, and takes a renamed one for its own by its labels."""
        commands: list[list[str]] = []
        for service in services:
            found = self.run.containers.of_service(service)
            commands += [["unpause", container["Id"]] for container in found if condition(container) == "paused"]
            if len(found) == 1 and service.replicas == 1 and name_of(found[0]) != service.container:
                commands.append(["rename", found[0]["Id"], service.container])
        for command in commands:
            self.engine.docker_ok(*command)
        if commands:
            self.run.refresh()

    def pull(self, directory: str) -> None:
        """Fetch what the release in a directory runs and this machine lacks. It takes as long as it takes, and nothing
        has changed yet: starting containers, which has a limit, finds every image here."""
        absent = [service for service in self.run.comparison.services if service.image not in ("", *self.run.images)]
        missing = [service for service in absent if not inspect_objects(self.engine, "image", [service.image])]
        if not missing:
            return
        keys = [service.key for service in missing]
        # Where somebody watches, Compose says how far it is.
        quiet = () if is_told() else ("--quiet",)
        code, output, errors = self.engine.compose("pull", *quiet, *keys, directory=directory, telling="pulling")
        if code != 0:
            self.engine.check_reachable(errors)
            names = sorted({service.image for service in missing})
            raise EngineError(
                "cannot fetch what this machine lacks: %s" % ", ".join(names), last_lines(errors or output, 6)
            )
        self.run.images.update(self.engine.image_ids([service.image for service in missing]))

    def up(self, services: list[Service], *arguments: str) -> None:
        """``docker compose up`` with more arguments, until the services are well.

        Compose itself waits for services that others depend on, for ever if need be: the limit is for both together.
        """
        command = ("up", "--detach", "--no-build", "--quiet-pull", *arguments)
        self._bring_up(services, lambda: self.engine.compose(*command, limit=self._limit, telling="starting"))

    def replace(self, service: Service) -> None:
        """Replace a service's containers by what is on disk, until they are well. Its dependencies are well already.

        Compose would check each of those again, half a second apart, before it starts a container. So Compose makes the
        containers, and the engine starts them.
        """
        if service.bare:
            self._bring_up([service], lambda: self._make_and_start(service))
        else:
            self.up([service], service.key)

    def _make_and_start(self, service: Service) -> tuple[int, str, str]:
        command = ("up", "--no-start", "--no-build", "--quiet-pull", service.key)
        made = self.engine.compose(*command, limit=self._limit, telling="starting")
        if made[0] != 0:
            return made
        self.run.refresh()
        ended = [found["Id"] for found in self.run.containers.of_service(service) if not is_running(found)]
        return self.engine.docker("start", *ended, limit=self._limit) if ended else made

    def _bring_up(self, services: list[Service], start: Callable[[], tuple[int, str, str]]) -> None:
        """``start`` returns the client's exit code, output and errors."""
        refuse_links(self.run.tree, services)
        began, before = time.monotonic(), set(self.run.before)
        code, output, errors = start()
        took = time.monotonic() - began
        self.run.refresh()
        self.remove_strangers()
        if code in TIMED_OUT and took >= self._limit:
            self.fail("", late=True)
        if code != 0:
            self.fail(last_lines(errors or output, 6))
        self.limit()
        self.wait(services, took)
        for service in services:
            found = self.run.containers.of_service(service)
            if service.steady and any(container["Id"] not in before for container in found):
                self.downtime.setdefault(service.container, round(time.monotonic() - began, 1))

    def limit(self) -> None:
        """Set the limits that the engine changes on running containers, where they are missing."""
        weight = self.run.params.get("cpu_weight", 0)
        wanted = list(to_limit(self.run.containers, self.run.comparison.services, weight))
        if wanted and self._limits:
            self._limits = False  # once refused, putting back the release before does without them
            apply_limits(self.engine, wanted)
            self._limits = True
            self.run.refresh()

    def remove_strangers(self) -> None:
        """Remove containers that this run started and that mount something outside of the environment's directory.

        Raises EngineError if there are any.
        """
        fresh = [container for container in self.run.containers if container["Id"] not in self.run.before]
        names, what = strangers(self.run.tree, fresh)
        if names:
            self.remove(container for container in fresh if name_of(container) in names)
            raise EngineError(
                "a directory was exchanged for a link while containers started, and they mounted what is not this "
                "environment's: %s. They were removed. Find out who can write %s" % (what, self.run.tree.directory)
            )

    def recreate(self, service: Service) -> None:
        """Replace a service's containers although Compose sees no reason to.

        Not by ``--force-recreate``: that takes its dependencies along, and with ``--no-deps`` Compose gives a container
        another hash, by which the next ``docker compose up`` of a person would recreate it once more.
        """
        for container in self.run.containers.of_service(service):
            self.stop([container])
            self.remove([container])
        self.up([service], service.key)

    def bring_files(self, services: list[Service], allowed: bool) -> None:
        """Let running containers take changed files: by their own command, else by being recreated.

        Raises EngineError where the command asks for an unplanned start, and services may not be down.
        """
        for service in services:
            if not service.files:
                continue
            self.brought.append(service)
            fresh = not any(found["Id"] in self.run.before for found in self.run.containers.of_service(service))
            taken = self._tell(service) if service.on_change else fresh
            if not taken and service.on_change and service.steady and not (fresh or allowed):
                self.brought.remove(service)  # it took nothing that would have to be taken back
                raise EngineError(
                    "service %s takes its changed files only when it starts, and would be down meanwhile. Allow the "
                    "downtime with bulkhead_allow_downtime: true" % service.name
                )
            if not taken:
                self.recreate(service)
        self.run.refresh()
        self.wait(services)

    def _tell(self, service: Service) -> bool:
        """Run the command by which a service takes changed files, in each of its containers. False where it says that
        only a start takes them."""
        for container in self.run.containers.of_service(service):
            failed = "service %s did not take its changed files" % service.name
            if self._run_in(container, service.on_change, failed, (0, _NEEDS_START)) == _NEEDS_START:
                return False
        return True

    def retire(self, service: Service, ended: bytes) -> None:
        """Let a service end what only earlier containers used: the lines that its files lost, such as passwords.

        Raises EngineError where it does not: what ``ended`` may still open it.
        """
        # A release of an older version has no such command, and takes its files as it always did.
        command = service.retire or service.on_change
        good = (0,) if service.retire else (0, _NEEDS_START)
        for container in self.run.containers.of_service(service) if command else ():
            failed = "service %s did not end its earlier passwords" % service.name
            self._run_in(container, command, failed, good, data=ended or b"\n", binary=True)

    def _run_in(
        self, container: dict[str, Any], command: Sequence[str], failed: str, good: Collection[int], **given: Any
    ) -> int:
        """Run a service's own command in its container, with ``data`` as its input. Returns its exit code, a good one.

        Raises EngineError that says what ``failed`` for any other, and where the command does not end.
        """
        began = time.monotonic()
        how = ("exec", *(("--interactive",) if given else ()), container["Id"], *command)
        code, output, errors = self.engine.docker(*how, limit=self._limit, **given)
        if code not in good:
            late = code in TIMED_OUT and time.monotonic() - began >= self._limit
            limit = " within %d s (bulkhead_wait_timeout)" % self._limit if late else ""
            said = [last_lines(errors or output), *self.last_words(container)]
            raise EngineError(failed + limit, "\n".join(said))
        return code

    def wait(self, services: list[Service], waited: float = 0) -> None:
        """Wait until every container of the services is well. Raises EngineError as soon as one never will be.

        ``waited``: seconds of the limit that are over.
        """

        def look() -> tuple[bool, bool]:
            waiting = failed = False
            for service in services:
                found = self.run.containers.of_service(service)
                waiting = waiting or not found
                for container in found:
                    how = self.judge(container, service.one_shot)
                    if how == "waiting":
                        self._waiting.append(container)
                    waiting, failed = waiting or how == "waiting", failed or how == "failed"
            return waiting, failed

        self._until(look, lambda late: self.fail("", late), waited)

    def wait_for(self, container: str, fail: Callable[[dict[str, Any] | None], NoReturn]) -> None:
        """Wait until the container of a name is well. ``fail`` is called with it, or with None, if it never will be."""

        def look() -> tuple[bool, bool]:
            found = self.run.containers.named(container)
            how = self.judge(found) if found else "failed"
            self._waiting += [found] if found and how == "waiting" else []
            return how == "waiting", how == "failed"

        self._until(look, lambda _late: fail(self.run.containers.named(container)))

    def judge(self, container: dict[str, Any], one_shot: bool = False) -> str:
        """``well``, ``waiting``, or ``failed`` where waiting is useless."""
        return self._readiness.judge(container, self.run.before.get(container["Id"]), one_shot)

    @property
    def _limit(self) -> int:
        """Seconds to wait, for Compose and for health checks together."""
        return int(self._readiness.limit(self.run.params["wait_timeout"]))

    def _until(
        self, look: Callable[[], tuple[bool, bool]], fail: Callable[[bool], NoReturn], waited: float = 0
    ) -> None:
        began = time.monotonic()
        deadline = began + self._readiness.limit(self._limit - waited)
        told, looked = began, time.time()
        for pause in pauses():
            self._waiting.clear()
            waiting, failed = look()
            late = waiting and time.monotonic() > deadline
            if failed or late:
                fail(late and not failed)
            if not waiting:
                return
            self.engine.await_change(looked, pause)
            looked = time.time()
            self.run.refresh()
            if is_told() and time.monotonic() - told >= _TELL:
                self._tell_waiting()
                told = time.monotonic()

    def _tell_waiting(self) -> None:
        """Who watches the run sees which containers are waited for, and what the first of them logged last."""
        if not self._waiting:
            return
        names = ", ".join(name_of(container) for container in self._waiting)
        log = self.engine.docker("logs", "--tail", "1", self._waiting[0]["Id"])
        tell("waiting for %s: %s" % (names, (log[2] or log[1]).strip()))

    def fail(self, said: str, late: bool = False) -> NoReturn:
        """Raise EngineError with every container that is not as it should be, and its last lines.

        ``late`` says that none of them failed, and time is over.
        """
        lines = [said] if said else []
        bad = []
        for service in self.run.comparison.services:
            found = self.run.containers.of_service(service)
            if late and not found:
                bad.append("%s has no container" % service.container)
            for container in found:
                unfinished = late and service.one_shot and condition(container) == "running"
                if self.judge(container, service.one_shot) == "well" and not unfinished:
                    continue
                how = "running and did not end" if unfinished else self.how(container)
                bad.append("%s is %s" % (name_of(container), how))
                lines += self.last_words(container)
        if said and not bad:  # nothing was started: Compose's own reason is all that there is to say
            raise EngineError("the containers could not be made: %s" % self._why(said), said)
        limit = " within %d s (bulkhead_wait_timeout)" % self._limit if late else ""
        raise EngineError(
            "the containers did not get healthy%s: %s" % (limit, "; ".join(bad) or "Compose failed"), "\n".join(lines)
        )

    def _why(self, said: str) -> str:
        """The line of Compose's words that says why it failed, and what to do about it where that is known."""
        lines = said.splitlines()
        reason = ([*filter(is_decisive, lines)] or lines)[-1].strip()
        if "address pools" not in said:
            return reason
        unused = self.engine.docker("network", "ls", "--filter", "dangling=true", "--format", "{{.Name}}")[1].split()
        free = ", ".join(unused[:10]) or "none"
        return (
            "%s. The engine has no addresses left for another network. Networks without a container: %s. Remove those "
            "that are unused (docker network rm), or set default-address-pools in /etc/docker/daemon.json"
            % (reason, free)
        )

    def how(self, container: dict[str, Any]) -> str:
        """How a container is. One that its restart policy started again looks as if it had just started."""
        again = restarts_since(container, self.run.before.get(container["Id"]))
        how = condition(container)
        ended_well = how.startswith(("exited", "restarting")) and container["State"].get("ExitCode") == 0
        refused = (container.get("State") or {}).get("Error", "").strip()
        how += ": the engine did not start it: %s" % refused.splitlines()[-1] if refused else ""
        how += ": it answers its health check with an error" if how == "starting" and answers_wrongly(container) else ""
        how += ": it ended, and was restarted %s" % number(again, "time") if again > 0 else ""
        return how + (' (a service that does its work and ends needs restart: "no")' if ended_well else "")

    def last_words(self, container: dict[str, Any]) -> list[str]:
        """What a container and its health check said last."""
        if condition(container).startswith("created"):
            return []
        name = name_of(container)
        probes = ((container["State"].get("Health") or {}).get("Log") or [])[-1:]
        lines = ["health check of %s: %s" % (name, last_lines(probe.get("Output", ""), 3)) for probe in probes]
        if lines and self._is_checked_by_image(container):
            lines.append(
                "This check is the HEALTHCHECK of its image. Set a healthcheck for the service that fits what it does, "
                "or healthcheck: {disable: true}"
            )
        log = self.engine.logs(container["Id"])
        hint = capability_hint(container, log)
        return [*lines, "log of %s:" % name, log, *(["%s: %s" % (name, hint)] if hint else [])]

    def stop(self, containers: Iterable[dict[str, Any]]) -> None:
        """Let running containers end, and tell of those that did not within their grace period and were killed."""
        ids = [container["Id"] for container in containers if is_running(container)]
        if not ids:
            return
        self.engine.docker("stop", *ids)
        for container in self.engine.inspect(ids):
            if (container.get("State") or {}).get("ExitCode") == _KILLED:
                seconds = (container.get("Config") or {}).get("StopTimeout")
                grace = "its grace period" if seconds is None else "its grace period of %d s" % seconds
                why = "it did not end within %s (stop_grace_period of its service)" % grace
                self._tell_step(Step("kill", name_of(container), "container", why))

    def _is_checked_by_image(self, container: dict[str, Any]) -> bool:
        """Whether a container's health check is its image's own: a worker that has it is asked for pages."""
        check = ((container.get("Config") or {}).get("Healthcheck") or {}).get("Test")
        images = inspect_objects(self.engine, "image", [container["Image"]]) if check and container.get("Image") else []
        return any(((image.get("Config") or {}).get("Healthcheck") or {}).get("Test") == check for image in images)

    def remove(self, containers: Iterable[dict[str, Any]]) -> None:
        """Remove containers at once."""
        ids = [container["Id"] for container in containers]
        if ids:
            self.engine.docker_ok("rm", "--force", *ids)
            self.run.refresh()
