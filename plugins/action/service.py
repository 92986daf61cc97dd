# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Daily jobs on the services of one environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from ansible.errors import AnsibleActionFail
from ansible.utils.display import Display

from ..module_utils.core.masking import mask, texts_to_hide, typed_secrets
from ..plugin_utils.declaration.variables import defaults
from ..plugin_utils.gate.step import EnvironmentStep
from ..plugin_utils.isolation import naming
from ..plugin_utils.jobs import services as jobs
from ..plugin_utils.release.render import Release, secret_values
from ..plugin_utils.release.services import services as machine_services
from ..plugin_utils.release.stack import StackService


class ActionModule(EnvironmentStep):
    """List, logs, restart, shell and manage."""

    OPTIONS: ClassVar = {
        "job": {"type": "str", "required": True, "choices": ["list", "logs", "restart", "shell", "manage"]}
    }
    #: A job touches only containers that carry the environment's own labels.
    JUDGES: ClassVar = False

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
        hidden = [*secret_values(release), *texts_to_hide(typed_secrets(command))]
        answer: dict[str, Any] = mask(self._call(job, release, services, command), hidden)
        self._show(answer, job)
        if answer.get("failed"):
            return answer
        if job == "shell" and not command:
            return {**answer, "command": self._terminal(services[0], answer["services"][0]["container"])}
        if not self.only_reads(given):
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

    def _call(self, job: str, release: Release, services: Sequence[StackService], command: list[str]) -> dict[str, Any]:
        known = {service.name: service.as_dict() for service in machine_services(release)}
        values = self.declaration.values
        return self.module(
            "service",
            {
                "job": "list" if job == "shell" and not command else job,
                "project": naming.project_name(self.declaration.prefix),
                "services": [known[service.name] for service in services],
                "lines": values["bulkhead_lines"],
                "command": command,
                "secret_names": [setting.key for setting in release.settings if setting.secret],
                "timeout": values["bulkhead_wait_timeout"],
                "readiness_delay": values["bulkhead_readiness_delay"],
            },
        )

    def _show(self, answer: Mapping[str, Any], job: str) -> None:
        shown = []
        for log in answer.get("logs", ()):
            shown += [f"== {log['container']}", *log["lines"]]
        shown += answer.get("lines", ())
        if job == "list" and answer.get("services"):
            shown.append(jobs.listing(answer["services"]))
        if shown:
            Display().display("\n".join(shown))

    def _terminal(self, service: StackService, container: str) -> str:
        if not container:
            raise AnsibleActionFail(
                f"{self.declaration.prefix} is not deployed here: service {service.name} has no container. Deploy first"
            )
        usual = defaults(self.gate.inventory.loader)["bulkhead_docker_host"]
        host = self.declaration.values["bulkhead_docker_host"]
        line = jobs.terminal_command(container, host, usual, self.task_vars)
        Display().display(f"Ansible cannot open a terminal. Run:\n  {line}")
        return line
