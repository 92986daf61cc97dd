# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan gate as a task: on the controller only, once for all hosts of the play."""

from __future__ import annotations

import gc
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..plugin_utils.gate.kept import keep
from ..plugin_utils.gate.packing import following, packed_ahead
from ..plugin_utils.gate.plan import Gate, write_plan
from ..plugin_utils.gate.summary import refusal, summary
from ..plugin_utils.isolation.gc_pause import collector_paused
from ..plugin_utils.isolation.report.text import as_json


class ActionModule(ActionBase):
    """Prove the fleet, or fail with every finding at once."""

    BYPASS_HOST_LOOP = True
    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the gate."""
        super().run(tmp, task_vars)
        specification = {
            "deploying": {"type": "bool", "default": True},
            "approval": {"type": "bool", "default": False},
        }
        _result, arguments = self.validate_argument_spec(specification)
        demanded = arguments["approval"] and not self._task.check_mode
        ahead = following("plan") if arguments["deploying"] else ()
        # The proof takes as long as packing two modules; the largest is left to the next step.
        with packed_ahead(self, task_vars or {}, ahead, 2), collector_paused():
            gate = Gate(self, task_vars or {})
            verdict = gate.prove(arguments["deploying"], approval=demanded)
            plan = "" if arguments["deploying"] or verdict.stopping else write_plan(gate)
            # This process ends with the task, so a last garbage collection of the whole fleet would be wasted.
            gc.freeze()
        deploying = arguments["deploying"]
        Display().display("\n".join(filter(None, [summary(verdict, deploying), plan])))
        if verdict.stopping:
            keep("refusal", list(verdict.stopping))
            return {"failed": True, "changed": False, "msg": refusal(verdict)}
        return {"changed": False, "open": verdict.open, **as_json(verdict.prefixes, verdict.findings)}
