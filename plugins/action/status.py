# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Shows the status of all environments, or of those that ``-l`` selects, from the controller.

It changes nothing but the files for node_exporter of environments that a deployment gave one."""

from __future__ import annotations

import json
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..plugin_utils.isolation.live.metrics import status_metrics
from ..plugin_utils.isolation.live.status import Status, as_text, closing, status, unreachable
from ..plugin_utils.jobs.watch import Answer, begin, look, refresh


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
        answers, lost = look(self, gate, declarations)
        seen = {prefix: unreachable(prefix, why) for prefix, why in lost.items()}
        seen |= {answer.prefix: status(answer.environment, answer.observation, answer.watched) for answer in answers}
        found = [seen[own.prefix] for own in declarations]
        if not self._task.check_mode:
            refresh(self, [(answer, _known(answer, seen[answer.prefix])) for answer in answers if _is_watched(answer)])
        environments = [each.as_dict() for each in found]
        told = json.dumps({"environments": environments, "summary": closing(found)}, indent=2)
        Display().display(told if wanted == "json" else as_text(found))
        return {**result, "changed": False, "environments": environments}


def _is_watched(answer: Answer) -> bool:
    """Whether an environment has a file for node_exporter. Nothing has proved this inventory: it writes of what it has
    deployed only."""
    environment, entry = answer.environment, answer.observation["registry"].get(answer.prefix) or {}
    same = entry.get("directory") == environment.directory and entry.get("group") == environment.group
    return bool(same and answer.watched.get("metrics"))


def _known(answer: Answer, found: Status) -> dict[str, float]:
    return status_metrics(found, answer.watched, str(answer.observation["engine"].get("time") or ""))
