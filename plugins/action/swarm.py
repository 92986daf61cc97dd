# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One step of forming or mending a swarm; see ``plugin_utils/swarm/run.py``."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ..plugin_utils.swarm.run import JOBS, take_step


class ActionModule(ActionBase):
    """Do one job on one machine. The role has the order."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_diff = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Do what ``job`` says."""
        found = task_vars or {}
        result: dict[str, Any] = super().run(tmp, found)
        spec = {"job": {"type": "str", "required": True, "choices": list(JOBS)}}
        _validated, arguments = self.validate_argument_spec(spec)
        answer = take_step(arguments["job"], self, found)
        for internal in ("invocation", "_ansible_parsed"):
            answer.pop(internal, None)
        return {**result, **answer}
