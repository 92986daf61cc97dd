# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Shows the status of all environments, or of those that ``-l`` selects, from the controller.

It changes nothing but the files for node_exporter of environments that a deployment gave one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..plugin_utils.declaration.model import Declaration
from ..plugin_utils.gate.plan import Gate
from ..plugin_utils.isolation.live.metrics import status_metrics
from ..plugin_utils.isolation.live.status import Status, as_text, closing, status, unreachable
from ..plugin_utils.jobs.watch import ask, begin, places, refresh


class ActionModule(ActionBase):
    """Ask each machine once, and show one line for each environment."""

    BYPASS_HOST_LOOP = True
    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask, judge and show."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        gate, declarations, wanted = begin(self, task_vars or {})
        found = self._look(gate, declarations)
        environments = [each.as_dict() for each in found]
        told = json.dumps({"environments": environments, "summary": closing(found)}, indent=2)
        Display().display(told if wanted == "json" else as_text(found))
        return {**result, "changed": False, "environments": environments}

    def _look(self, gate: Gate, declarations: Sequence[Declaration]) -> list[Status]:
        asked, lost = places(gate, declarations)
        found = {prefix: unreachable(prefix, why) for prefix, why in lost.items()}
        for place in asked:
            answer = ask(self, place, "status")
            for environment in place.environments:
                prefix = environment.prefix
                if answer.get("failed"):
                    found[prefix] = unreachable(prefix, answer["msg"])
                    continue
                watched = answer["watched"].get(prefix) or {}
                found[prefix] = status(environment, answer["observation"], watched)
                entry = answer["observation"]["registry"].get(prefix) or {}
                # Nothing has proved this inventory: it writes of what it has deployed only.
                same = entry.get("directory") == environment.directory and entry.get("group") == environment.group
                if same and watched.get("metrics") and not self._task.check_mode:
                    now = str(answer["observation"]["engine"].get("time") or "")
                    refresh(self, place, prefix, status_metrics(found[prefix], watched, now))
        return [found[own.prefix] for own in declarations]
