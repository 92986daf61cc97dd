# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The steps of the role ``swarm`` by the names that its tasks have for them, each on one machine of the play.

First every machine is looked at, and tried from the others; then one step judges all of it, and plans; only then is a
machine changed.
"""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail

from .changing import Changing
from .looking import Looking

_LOOKING = ("look", "listen", "reach", "quiet", "plan")
_CHANGING = ("form", "lock", "tokens", "join", "remove", "settle", "close")

#: What a task of the role may ask for, in their order.
JOBS = (*_LOOKING, *_CHANGING)


def take_step(job: str, action: Any, task_vars: dict[str, Any]) -> dict[str, Any]:
    """Do a job on this machine if it is one for it; returns the task's result.

    Raises AnsibleActionFail in whole sentences; the last step does for a machine that gave no answer.
    """
    kind = Looking if job in _LOOKING else Changing
    machine = kind(action, task_vars)
    if job not in ("look", "plan"):
        away = machine.seen(machine.host).away
        if away and job == "close":
            raise AnsibleActionFail(
                f"{machine.host} could not be reached and was left as it is; the run went on with the others. When it "
                "is back, run this again",
                result={"detail": away},
            )
        if away:
            return {"changed": False, "skipped": True}
    found: dict[str, Any] | None = getattr(machine, job)()
    return {"changed": False, "skipped": True} if found is None else found
