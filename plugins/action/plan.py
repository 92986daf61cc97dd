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
from ..plugin_utils.gate.plan import Gate, Verdict, write_plan
from ..plugin_utils.isolation.gc_pause import collector_paused
from ..plugin_utils.isolation.report.text import as_json, text
from ..plugin_utils.isolation.wording import number


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
            "report": {"type": "path", "default": ""},
        }
        _result, arguments = self.validate_argument_spec(specification)
        demanded = arguments["approval"] and not self._task.check_mode
        with collector_paused():
            gate = Gate(self, task_vars or {})
            verdict = gate.prove(arguments["deploying"], arguments["report"], demanded)
            plan = "" if arguments["deploying"] or verdict.stopping else write_plan(gate)
            # This process ends with the task, so a last garbage collection of the whole fleet would be wasted.
            gc.freeze()
        deploying = arguments["deploying"]
        Display().display("\n".join(filter(None, [_summary(verdict, deploying), plan])))
        if verdict.stopping:
            keep("refusal", list(verdict.stopping))
            return {"failed": True, "changed": False, "msg": _refusal(verdict)}
        return {"changed": False, "open": verdict.open, **as_json(verdict.prefixes, verdict.findings)}


def _summary(verdict: Verdict, deploying: bool) -> str:
    """Findings and proof, for the screen. A deployment only counts advice; the plan shows it."""
    advice = verdict.advice if deploying else []
    shown = [finding for finding in verdict.findings if finding not in advice]
    lines = [text(shown, stopping=verdict.stopping)] if shown else []
    if not verdict.stopping:
        aim = f"; this run is for {', '.join(verdict.targets)}" if verdict.targets else ""
        points = number(len(advice), "point")
        hint = f" (advice on {points}: ansible-playbook aiia.bulkhead.plan)" if advice else ""
        lines.append(f"{verdict.proved}{aim}{hint}")
        lines += map(str, verdict.approved.values())
    return "\n".join([*lines, *(verdict.open if not deploying else ())])


def _refusal(verdict: Verdict) -> str:
    """One line: the report was shown above it."""
    rules = ", ".join(dict.fromkeys(finding.rule for finding in verdict.stopping[:5]))
    return f"refused before any host was contacted: {rules} ({len(verdict.stopping)} in all)"
