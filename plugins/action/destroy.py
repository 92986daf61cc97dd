# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lists what is one environment's own, asks if it is protected, and removes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ansible.utils.display import Display

from ..module_utils.source.values import split_credentials
from ..plugin_utils.gate.session import Note
from ..plugin_utils.gate.step import EnvironmentStep
from ..plugin_utils.isolation import naming
from ..plugin_utils.release.services import services


class ActionModule(EnvironmentStep):
    """Destroy one environment."""

    #: Only what carries the environment's own labels is removed, whatever would stop a deployment.
    JUDGES: ClassVar = False

    NOT_ON_SWARM: ClassVar = ""

    def act(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """List, ask, remove, and leave a receipt that nothing else changed."""
        prefix = self.declaration.prefix
        if self.nodes is not None:
            from ..plugin_utils.jobs.stack import destroy  # only here: one machine does without

            return destroy(self)
        found = self.module("destroy", self._arguments())
        if found.get("failed"):
            return found
        Display().display(_listing(prefix, found))
        if not found["goes"]:
            self.live.ending.conclude(self.session, "destroy", [])
            return {**found, "msg": f"there is nothing of {prefix} on the machine"}
        if self._task.check_mode:
            self.live.ending.conclude(self.session, "destroy", [])
            return {**found, "msg": "check mode: nothing was removed"}
        self.confirm("destroy")
        answer = self.module("destroy", {**self._arguments(), "apply": True, "expected": found["goes"]})
        if answer.get("failed"):
            return answer
        for word, things in (("kept", found["stays"]), ("left", found["left"])):
            self.session.notes += [Note(f"{word}: {thing}") for thing in things]
        self.live.ending.conclude(self.session, "destroy", found["goes"], gone=True)
        return answer

    def _arguments(self) -> dict[str, Any]:
        values, prefix = self.declaration.values, self.declaration.prefix
        release = self.gate.render(self.declaration)
        mounts = [mount for service in services(release) for mount in service.mounts] if release else []
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


def _listing(prefix: str, found: Mapping[str, Any]) -> str:
    """The exact list, for the screen."""
    if not found["goes"]:
        lines = [f"there is nothing of {prefix} to remove"]
    else:
        lines = [f"{prefix}: to be removed:", *(f"  {step['kind']} {step['target']}" for step in found["goes"])]
    if found["stays"]:
        lines += ["kept (bulkhead_destroy_volumes, bulkhead_destroy_backups):"]
        lines += [f"  {thing}" for thing in found["stays"]]
    if found["left"]:
        lines += ["not this environment's, left alone:", *(f"  {thing}" for thing in found["left"])]
    return "\n".join(lines)
