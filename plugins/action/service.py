# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Daily jobs on the services of one environment."""

from __future__ import annotations

import base64
import json
import re
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from ansible.errors import AnsibleActionFail
from ansible.utils.display import Display

from ..module_utils.core.masking import mask, texts_to_hide, typed_secrets
from ..plugin_utils.declaration.variables import defaults
from ..plugin_utils.gate.step import EnvironmentStep
from ..plugin_utils.jobs import services as jobs
from ..plugin_utils.jobs.engine import CommandPlace
from ..plugin_utils.jobs.engines import engine_of
from ..plugin_utils.release.render import Release, secret_values
from ..plugin_utils.release.stack import StackService

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

#: Seconds between two looks at a log that is followed, and the most lines that one look shows.
_PAUSE, _MOST_LINES = 1.0, 5000


class ActionModule(EnvironmentStep):
    """List, logs, restart, shell and manage."""

    OPTIONS: ClassVar = {
        "job": {"type": "str", "required": True, "choices": ["list", "logs", "restart", "shell", "manage"]}
    }
    #: A job touches only containers that carry the environment's own labels.
    JUDGES: ClassVar = False

    NOT_ON_SWARM: ClassVar = ""

    def only_reads(self, given: Mapping[str, Any]) -> bool:
        """List and logs only read, and a shell without a command only prints a line to run."""
        values = self.declaration.values
        return given["job"] in ("list", "logs") or (given["job"] == "shell" and not values["bulkhead_command"])

    def act(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Do the job, show its output without secrets, and leave a receipt of the changes."""
        job = given["job"]
        release = self.release()
        try:
            services, command = self._meant(job, release)
        except ValueError as error:
            raise AnsibleActionFail(str(error)) from error
        if job == "shell" and not command:
            return self._open(release, services[0])
        if job in ("shell", "manage"):
            return self._execute(job, release, services[0], command)
        engine, hidden = engine_of(self), secret_values(release)
        shown = ""
        if job == "list":
            found, shown = engine.services(release, services)
        elif job == "logs":
            found = engine.logs(release, services)
        else:
            found = engine.restart(release, services)
        answer: dict[str, Any] = mask(found, hidden)
        if answer.get("failed"):
            return answer
        _show(answer, mask(shown, hidden))
        if job == "logs":
            self._follow(answer, lambda **more: mask(engine.logs(release, services, **more), hidden))
        if job == "restart":
            self.live.ending.conclude(self.session, job, answer["steps"])
        return answer

    def _open(self, release: Release, service: StackService) -> dict[str, Any]:
        """Say how to open a terminal in a service's container."""
        line = self._line(engine_of(self).terminal_place(release, service), ["sh"])
        Display().display(f"Ansible cannot open a terminal. Run:\n  {line}")
        return {"changed": False, "command": line}

    def _execute(self, job: str, release: Release, service: StackService, command: list[str]) -> dict[str, Any]:
        """Run a command in a service's container."""
        engine = engine_of(self)
        place, sent = engine.command_place(service), self._sent()
        if job == "manage" and "input" not in sent and jobs.needs_terminal(command[len(service.manage) :]):
            raise AnsibleActionFail(
                f"{shlex.join(command)} asks a person, and Ansible cannot open a terminal. Run:\n  "
                f"{self._line(place, command)}\nor give it its input (bulkhead_input_file)"
            )
        given_values = [str(value) for value in (sent.get("variables") or {}).values()]
        hidden = [*secret_values(release), *texts_to_hide([*typed_secrets(command), *given_values])]
        done = engine.execute(release, place, service, job, command=command, sent=_packed(sent))
        answer: dict[str, Any] = mask(done, hidden)
        silent = "lines" in answer and not answer["lines"] and not self._task.check_mode
        _show(answer, "(no output; a command has no terminal, and no input but bulkhead_input_file)" if silent else "")
        if not answer.get("failed"):
            self.live.ending.conclude(self.session, job, answer["steps"])
        return answer

    def _meant(self, job: str, release: Release) -> tuple[list[StackService], list[str]]:
        """The services of a job and its command. Raises ValueError for unknown names and malformed commands."""
        values, stack = self.declaration.values, release.stack
        wanted, usual = values["bulkhead_service"], values["bulkhead_app_service"]
        if job == "manage":
            arguments = jobs.words("bulkhead_manage", values["bulkhead_manage"])
            if not arguments:
                raise ValueError(
                    "bulkhead_manage is empty: name the command, for example -e bulkhead_manage=showmigrations"
                )
            service = jobs.managed(self.declaration.prefix, stack, wanted, usual)
            return [service], [*service.manage, *arguments]
        if job == "shell":
            found = jobs.chosen(self.declaration.prefix, stack, wanted or usual)
            return found, jobs.words("bulkhead_command", values["bulkhead_command"])
        if job == "logs" and values["bulkhead_lines"] < 1:
            raise ValueError(f"bulkhead_lines is {values['bulkhead_lines']}; it must be 1 or more")
        return jobs.chosen(self.declaration.prefix, stack, wanted), []

    def _sent(self) -> dict[str, Any]:
        """What a command gets beside its words: standard input from a file, variables from the inventory."""
        values = self.declaration.values
        found: dict[str, Any] = {}
        path = str(values["bulkhead_input_file"] or "")
        if path:
            try:  # read once: it may be the end of a pipe, as of <(command)
                found["input"] = Path(path).read_text(encoding="utf-8")
            except (OSError, ValueError) as error:
                raise AnsibleActionFail(f"bulkhead_input_file: {path} cannot be read: {error}") from error
        variables = values["bulkhead_command_env"] or {}
        for name, value in variables.items():
            if not _NAME.fullmatch(str(name)) or not isinstance(value, str) or "\n" in value:
                raise AnsibleActionFail(
                    f"bulkhead_command_env.{name}: write a name such as DJANGO_SUPERUSER_PASSWORD, and a text of one "
                    "line in quotes; what is longer goes through bulkhead_input_file"
                )
        return {**found, **({"variables": dict(variables)} if variables else {})}

    def _follow(self, answer: Mapping[str, Any], call: Callable[..., Mapping[str, Any]]) -> None:
        """Show new lines as they come, for as many seconds as were asked for."""
        last = {log["container"]: _time_of(log["lines"]) for log in answer["logs"]}
        deadline = time.monotonic() + self.declaration.values["bulkhead_follow"]
        while time.monotonic() < deadline:
            time.sleep(_PAUSE)
            since = min(filter(None, last.values()), default="")
            more = call(since=since, lines=_MOST_LINES) if since else call()
            if more.get("failed"):  # its container was replaced, or the machine is gone
                Display().warning(str(more.get("msg")))
                return
            for log in more["logs"]:
                fresh = jobs.log_lines_after(log["lines"], last.get(log["container"], ""))
                if fresh:
                    last[log["container"]] = _time_of(fresh)
                    Display().display("\n".join([f"== {log['container']}", *fresh]))

    def _line(self, place: CommandPlace, inside: Sequence[str]) -> str:
        usual = defaults(self.gate.inventory.loader)["bulkhead_docker_host"]
        host = self.declaration.values["bulkhead_docker_host"]
        return jobs.terminal_command(place.container, host, usual, place.variables, inside)


def _show(answer: Mapping[str, Any], *more: str) -> None:
    """Show logs and lines of an answer, and what else there is to say."""
    logs = (line for log in answer.get("logs", ()) for line in (f"== {log['container']}", *log["lines"]))
    shown = [*logs, *answer.get("lines", ()), *filter(None, more)]
    if shown:
        Display().display("\n".join(shown))


def _packed(sent: Mapping[str, Any]) -> str:
    return base64.b64encode(json.dumps(sent).encode()).decode() if sent else ""


def _time_of(lines: Sequence[str]) -> str:
    """The time of the last line of a log; empty where there is none."""
    return lines[-1].split(" ")[0] if lines else ""
