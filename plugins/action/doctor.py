# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Says what is wrong with environments, the likeliest cause first, from the controller. It changes nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..plugin_utils.isolation.live.doctor import as_dict, as_text, closing, diagnose
from ..plugin_utils.isolation.live.look import FAULT, Look
from ..plugin_utils.jobs.watch import Answer, begin, look


class ActionModule(ActionBase):
    """Ask each machine once, diagnose, and fail where there is a fault."""

    BYPASS_HOST_LOOP = True
    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask, diagnose and show."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        gate, declarations, wanted = begin(self, task_vars or {})
        answers, lost = look(self, gate, declarations, examine=True)
        known = [own.prefix for own in gate.declarations]
        found = {answer.prefix: diagnose(_seen(answer, known)) for answer in answers}
        told = as_dict(found, lost)
        Display().display(json.dumps(told, indent=2) if wanted == "json" else as_text(found, lost))
        faulty = any(each.kind == FAULT for results in found.values() for each in results)
        if faulty or lost:
            result.update(failed=True, msg=closing(found, lost))
            if wanted != "json":
                told = {}  # the screen has it, and callbacks would show it once more
        return {**result, "changed": False, **told}


def _seen(answer: Answer, known: Sequence[str]) -> Look:
    examined = answer.said["examined"]
    # The machine looked at its clock at some moment in between.
    now = min(max(float(examined["clock"]), answer.began), answer.ended)
    return Look(answer.environment, answer.observation, answer.watched, examined, now, known)
