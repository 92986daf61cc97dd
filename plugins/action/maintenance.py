# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Puts the maintenance page of one environment up or down."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.utils.display import Display

from ..plugin_utils.declaration.templates import Templates
from ..plugin_utils.gate.step import EnvironmentStep
from ..plugin_utils.isolation.live.probes import own_request


class ActionModule(EnvironmentStep):
    """Render the page, call the module of the same name, and leave a receipt."""

    #: The page is needed most when something is wrong with the machine.
    JUDGES: ClassVar = False

    NOT_ON_SWARM: ClassVar = "its page would be a file of one machine, and nginx may run on any node"

    def act(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Put the page up or down, and say what visitors see."""
        values, prefix = self.declaration.values, self.declaration.prefix
        wanted = values["bulkhead_maintenance"]
        if wanted not in ("on", "off"):
            said = f"is {wanted!r}" if wanted else "is empty"
            raise AnsibleActionFail(f"{prefix}: bulkhead_maintenance {said}: use -e bulkhead_maintenance=on or =off")
        request = own_request(self.live.environment)
        if request is None:
            raise AnsibleActionFail(f"{prefix} has no domain with an HTTPS port that could answer with the page")
        answer = self.module(
            "maintenance",
            {
                "enabled": wanted == "on",
                "page": self._page(values["bulkhead_maintenance_page"]) if wanted == "on" else "",
                "request": request,
                "timeout": values["bulkhead_probe_timeout"],
            },
        )
        if answer.get("failed"):
            return answer
        # The machine was observed before the switch.
        self.session.notes = [note for note in self.session.notes if note.rule != "in-maintenance"]
        self.live.ending.conclude(self.session, f"maintenance {wanted}", answer["steps"])
        if not self._task.check_mode:
            Display().display(
                f"{prefix} {'answers' if wanted == 'on' else 'no longer answers'} with its maintenance page"
            )
        return answer

    def _page(self, template: str) -> str:
        path, templates = Path(template), self.gate.renderer.templates
        if path.is_absolute():  # the collection's own playbook has no templates of the user's beside it
            templates = Templates(self.gate.inventory.loader, [path.parent])
        try:
            return templates.file(path.name if path.is_absolute() else template, self.declaration.available)
        except AnsibleError as error:
            raise AnsibleActionFail(f"bulkhead_maintenance_page cannot be rendered: {error.message}") from error
