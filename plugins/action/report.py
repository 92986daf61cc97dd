# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Proves the fleet on paper and writes the page that shows it, with what the machines say where that is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..plugin_utils.declaration.model import Declaration
from ..plugin_utils.gate.plan import Gate
from ..plugin_utils.gate.summary import refusal, summary
from ..plugin_utils.isolation.live.status import closing, status, unreachable
from ..plugin_utils.isolation.report.present import Seen, seen
from ..plugin_utils.jobs.watch import begin, live_report, look


class ActionModule(ActionBase):
    """Write the page. No host is contacted unless ``bulkhead_report_live`` says so, and none is changed."""

    BYPASS_HOST_LOOP = True
    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask, prove, write."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _checked, arguments = self.validate_argument_spec({"path": {"type": "path", "default": ""}})
        gate, declarations, _wanted = begin(self, task_vars or {})
        found = self._seen(gate, declarations) if live_report(gate) else {}
        verdict = gate.prove(False, arguments["path"], seen=found)
        said = [summary(verdict, deploying=False)]
        said += [closing([each.status for each in found.values()])] if found else []
        written = arguments["path"] or str(gate.inventory.extra_variables.get("bulkhead_report") or "")
        said += [f"written: {written}"] if written else []
        Display().display("\n".join(said))
        stops = {"failed": True, "msg": refusal(verdict)} if verdict.stopping else {}
        environments = {prefix: each.status.as_dict() for prefix, each in found.items()}
        return {**result, **stops, "changed": False, "environments": environments}

    def _seen(self, gate: Gate, declarations: Sequence[Declaration]) -> dict[str, Seen]:
        """What the machines say; one that gives no answer is said, and the others are shown."""
        answers, lost = look(self, gate, declarations, history=True)
        known = [own.prefix for own in gate.declarations]
        found = {prefix: Seen(unreachable(prefix, why)) for prefix, why in lost.items()}
        for answer in answers:
            judged = status(answer.environment, answer.observation, answer.watched)
            found[answer.prefix] = seen(answer.environment, judged, answer.observation, answer.history, known)
        return {own.prefix: found[own.prefix] for own in declarations}
