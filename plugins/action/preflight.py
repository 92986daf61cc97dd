# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The live gate before anything is changed: takes the environment's lock, looks at the machine, and judges it."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate import Gate, require_proof
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.live import LiveGate


class ActionModule(ActionBase):
    """Lock, look, judge; refuse with every finding at once, and nothing changed."""

    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the gate."""
        task_vars = task_vars or {}
        result: dict[str, Any] = super().run(tmp, task_vars)
        self.validate_argument_spec({})
        gate = Gate(self, task_vars)
        declaration = gate.declaration_of(task_vars["inventory_hostname"])
        require_proof(gate, declaration)
        session = LiveGate(self, task_vars, gate, declaration).ensure()
        for note in session.notes:
            Display().display(f"note: {note}")
        return {**result, "changed": False, "notes": session.notes}
