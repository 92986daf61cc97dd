# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The live gate before a change: takes the environment's lock, looks at the machine, and judges it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ansible.utils.display import Display

from ..plugin_utils.gate.step import EnvironmentStep
from ..plugin_utils.isolation.live.drift import as_diff


class ActionModule(EnvironmentStep):
    """Lock, look and judge, or refuse with every finding at once and nothing changed."""

    NOT_ON_SWARM: ClassVar = ""

    def act(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Show the notes of the look, with which every step begins."""
        notes = list(map(str, self.session.notes))
        for note in notes:
            Display().display(f"note: {note}")
        drift = self.live.drift(self.session.observation) if self._task.diff else []
        if drift:
            Display().display(as_diff(drift))
        return {"changed": False, "notes": notes}
