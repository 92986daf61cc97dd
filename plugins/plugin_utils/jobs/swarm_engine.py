# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An environment that is a stack of a swarm."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from ansible.errors import AnsibleActionFail
from ansible.utils.display import Display

from ...module_utils.core.steps import as_dicts
from ..release.render import Release
from ..release.stack import StackService
from .engine import CommandPlace, EnvironmentEngine
from .image import build_image
from .service_arguments import service_arguments
from .stack_data import forget_prepared, on_data_node
from .stack_door import stack_doors
from .stack_images import forget_images, pin_images
from .stack_module import call_stack, of_the_run
from .stack_release import deploy, return_to
from .stack_remains import kept_on_nodes, left_on_unreached
from .stack_services import engine_names, task_of, task_rows


class SwarmEngine(EnvironmentEngine):
    """The manager that was chosen, and the nodes of its swarm."""

    PLACE: ClassVar = "on the swarm"

    def bring_image(self) -> dict[str, Any]:
        """Build it on the manager, send it to the registry, and have the nodes fetch it."""
        given = self.step.declaration.values["bulkhead_image"]
        answer = {"changed": False} if given else build_image(self.step)
        return answer if answer.get("failed") else pin_images(self.step, answer)

    def converge(self, release: Release, commit: str) -> dict[str, Any]:
        """Have the manager update the stack."""
        return deploy(self.step, release, commit)

    def roll_back(self, release: Release, target: Mapping[str, Any]) -> dict[str, Any]:
        """Have the manager return to it."""
        return return_to(self.step, target)

    def at_data(self, release: Release, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Call it on the node with the volumes."""
        self.step.session.steps.append(name)
        return on_data_node(self.step, release, name, arguments)

    def forget_prepared(self) -> list[str]:
        """Have the swarm note it."""
        return forget_prepared(self.step)

    def services(self, release: Release, services: Sequence[StackService]) -> tuple[dict[str, Any], str]:
        """List them with their tasks."""
        look = self.step.all_nodes.look()
        names = engine_names(self.step, services)
        missing = f"{self.step.declaration.prefix} has no services here: it is not deployed"
        shown = "\n".join(task_rows(look, names)) or missing
        found = [{"service": names[one["name"]], **one} for one in look["services"] if one["name"] in names]
        return {"changed": False, "services": found}, shown

    def logs(self, release: Release, services: Sequence[StackService], **bounds: Any) -> dict[str, Any]:
        """The logs of their tasks, from all nodes."""
        values, prefix = self.step.declaration.values, self.step.declaration.prefix
        arguments = {"prefix": prefix, "docker_host": values["bulkhead_docker_host"]}
        arguments.update(lines=values["bulkhead_lines"], since=values["bulkhead_since"])
        secret = [setting.key for setting in release.settings if setting.secret]
        arguments.update(logs=[*engine_names(self.step, services)], secret_names=secret, **bounds)
        answer = self.step.call("stack_info", arguments)
        answer.pop("look", None)
        for missing in dict.fromkeys(log["missing"] for log in answer.get("logs", ()) if log["missing"]):
            Display().warning(f"{prefix}: some lines of the logs are missing: {missing}")
        return {"changed": False, **answer}

    def restart(self, release: Release, services: Sequence[StackService]) -> dict[str, Any]:
        """Have the engine replace their tasks, as in an update."""
        keys = [service.key for service in services]
        return call_stack(self.step, "restart", {**of_the_run(self.step), "services": keys})

    def terminal_place(self, release: Release, service: StackService) -> CommandPlace:
        """A task of the service that runs, on whichever node has it."""
        return self.command_place(service)

    def command_place(self, service: StackService) -> CommandPlace:
        """A task of the service that runs, on whichever node has it."""
        host, container = task_of(self.step, service)
        return CommandPlace(host, container[:12], self.step.all_nodes.variables(host))

    def execute(
        self, release: Release, place: CommandPlace, service: StackService, job: str, **given: Any
    ) -> dict[str, Any]:
        """Run it in that task's container."""
        self.step.session.steps.append("service")
        arguments = service_arguments(self.step, release, job, [service], swarm=True, **given)
        return self.step.all_nodes.call(place.host, "service", {**self.step.common(), **arguments})

    def own(self) -> dict[str, Any]:
        """What of the swarm carries the environment's own label. Volumes and backups stay on their nodes."""
        values = self.step.declaration.values
        if values["bulkhead_destroy_volumes"] or values["bulkhead_destroy_backups"]:
            raise AnsibleActionFail(
                f"{self.step.declaration.prefix} is a stack of a swarm: volumes and backups are on its nodes, and are "
                "not removed from here. Nothing was changed"
            )
        given = json.dumps({**of_the_run(self.step), "list": True})
        found = self.step.call("stack", {**self.step.common(), "job": "destroy", "given": given})
        if found.get("failed"):
            return found
        prefix, observation = self.step.declaration.prefix, self.step.session.observation
        on_nodes = as_dicts(kept_on_nodes(prefix, observation, images=not values["bulkhead_image"]))
        goes = [*stack_doors(self.step, gone=True).foreseen(), *(found.get("steps") or ()), *on_nodes]
        return {
            **found,
            "changed": bool(goes),
            "goes": goes,
            "stays": ["the volumes of its nodes, and backups"],
            "unreached": left_on_unreached(prefix, observation),
        }

    def destroy(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """Remove it, each by its id, once no front door leads there, and then the images that were built for it from
        the nodes."""
        for _step in stack_doors(self.step, gone=True).lead():
            pass
        answer = call_stack(self.step, "destroy", of_the_run(self.step))
        if not answer.get("failed"):
            forget_images(self.step, [], limit=self.step.declaration.values["bulkhead_wait_timeout"])
        return answer
