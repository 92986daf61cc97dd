# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An environment that Compose runs on one machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from ansible.errors import AnsibleActionFail

from ...module_utils.core.masking import mask
from ...module_utils.source.values import split_credentials
from ..gate.connection import evaluated
from ..isolation import naming
from ..release.render import Release, secret_values
from ..release.services import services as machine_services
from ..release.stack import StackService
from .converge import release_arguments, run_arguments, ship
from .engine import CommandPlace, EnvironmentEngine
from .image import build_image, pull_image
from .promotion import require_promotion
from .service_arguments import service_arguments
from .services import REACHED, listing


class ComposeEngine(EnvironmentEngine):
    """Compose on the environment's machine."""

    PLACE: ClassVar = "on the machine"
    ALSO_DESTROYS: ClassVar = ("bulkhead_destroy_volumes", "bulkhead_destroy_backups")

    def bring_image(self) -> dict[str, Any]:
        """Build or fetch it on the machine."""
        return pull_image(self.step) if self.step.declaration.values["bulkhead_image"] else build_image(self.step)

    def converge(self, release: Release, commit: str) -> dict[str, Any]:
        """Ship the whole tree in one module call."""
        require_promotion(self.step, release)
        return ship(self.step, commit, run_arguments(self.step, release), release_arguments(self.step, release))

    def roll_back(self, release: Release, target: Mapping[str, Any]) -> dict[str, Any]:
        """Have the machine bring it into force."""
        return ship(self.step, "", run_arguments(self.step, release), {"name": target["release"]})

    def at_data(self, release: Release, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Call it on the machine."""
        return self.step.module(name, arguments)

    def forget_prepared(self) -> list[str]:
        """Nothing: one machine forgets as it restores."""
        return []

    def services(self, release: Release, services: Sequence[StackService]) -> tuple[dict[str, Any], str]:
        """List their containers."""
        answer = self._service(release, "list", services)
        return answer, listing(answer["services"]) if answer.get("services") else ""

    def logs(self, release: Release, services: Sequence[StackService], **bounds: Any) -> dict[str, Any]:
        """The logs of their containers."""
        return self._service(release, "logs", services, **bounds)

    def restart(self, release: Release, services: Sequence[StackService]) -> dict[str, Any]:
        """Restart dependencies first; services with a stand-in at last, and without a gap."""
        current = self.step.module("releases", {}).get("current")
        rolling = [service.name for service in services if service.rolling and current]
        others = [service for service in services if service.name not in rolling]
        answer: dict[str, Any] = {"steps": [], "changed": False}
        if others or not rolling:
            answer = self._service(release, "restart", others)
        if answer.get("failed") or not rolling:
            return answer
        again = {"name": current, "restart": rolling}
        replaced = ship(self.step, "", run_arguments(self.step, release), again)
        if replaced.get("failed"):
            return replaced
        return {**answer, "changed": True, "steps": [*answer["steps"], *replaced["steps"]]}

    def terminal_place(self, release: Release, service: StackService) -> CommandPlace:
        """Its first container, as the machine says."""
        answer = mask(self._service(release, "list", [service]), secret_values(release))
        if answer.get("failed"):
            raise AnsibleActionFail(str(answer.get("msg")), result={"detail": answer.get("detail", "")})
        container = answer["services"][0]["container"]
        if not container:
            raise AnsibleActionFail(
                f"{self.step.declaration.prefix} is not deployed here: service {service.name} has no container. Deploy "
                "first"
            )
        return self._place(container)

    def command_place(self, service: StackService) -> CommandPlace:
        """Its first container, whether it is there or not."""
        return self._place(f"{service.container}-1" if service.replicas > 1 else service.container)

    def execute(
        self, release: Release, place: CommandPlace, service: StackService, job: str, **given: Any
    ) -> dict[str, Any]:
        """Run it there."""
        return self._service(release, job, [service], **given)

    def _place(self, container: str) -> CommandPlace:
        found = evaluated(self.step, self.step.task_vars, REACHED)
        return CommandPlace(str(found["inventory_hostname"]), container, found)

    def own(self) -> dict[str, Any]:
        """What of the machine is the environment's."""
        return self.step.module("destroy", self._destruction())

    def destroy(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """Remove it, if it is still the same."""
        return self.step.module("destroy", {**self._destruction(), "apply": True, "expected": found["goes"]})

    def _service(self, release: Release, job: str, services: Sequence[StackService], **more: Any) -> dict[str, Any]:
        return self.step.module("service", service_arguments(self.step, release, job, services, **more))

    def _destruction(self) -> dict[str, Any]:
        values, prefix = self.step.declaration.values, self.step.declaration.prefix
        release = self.step.gate.render(self.step.declaration)
        mounts = [mount for service in machine_services(release) for mount in service.mounts] if release else []
        return {
            "project": naming.project_name(prefix),
            "image_repository": naming.image_name(prefix, values["bulkhead_app_service"]),
            "firewall_chain": naming.firewall_chain(prefix),
            "repository": split_credentials(values["bulkhead_source_repository"])[0],
            "branch": values["bulkhead_source_branch"],
            "mounts": [mount.partition(":")[0][2:] for mount in mounts],
            "volumes": values["bulkhead_destroy_volumes"],
            "backups": values["bulkhead_destroy_backups"],
            "backup_directory": values["bulkhead_backup_directory"],
        }
