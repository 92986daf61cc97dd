# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An environment whose application is replaced without a gap, watched at every call of the engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.aiia.bulkhead.plugins.module_utils.core.layout import TRAFFIC
from unit.module_utils.deployments import WEB, Machine
from unit.module_utils.fake_engine import service

ROLLING = {**WEB, "rolling": True, "bare": True, "prepare": [["migrate"], ["collect"]], "prepare_status": ["plan"]}


class Killed(BaseException):
    """kill -9: nothing that was to be done afterwards is done."""


class Rolled(Machine):
    """An environment whose web is replaced without a gap, and nginx before it."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.killed_at = 0
        #: The call at which the engine goes away.
        self.lost_at = 0
        self.made = 0
        self.steered: set[str] = set()

    def params(self, **changes: Any) -> dict[str, Any]:
        return super().params(**{"services": [service("web", **ROLLING), service("db", awaited=True)], **changes})

    def watch(self) -> None:
        """From here on somebody has to serve at every call."""
        self.engine.on_call = self._look

    def _look(self, call: str) -> None:
        self.made += 1
        if self.killed_at and self.made >= self.killed_at:
            raise Killed
        if self.made == self.lost_at:
            self.engine.away = True
        assert self.who_serves(), f"nobody serves when {call!r} is called"

    def who_serves(self) -> str:
        """The image that answers a request now; empty where none does."""
        stand_in = (self.directory / TRAFFIC / "web.next").exists()
        found = self.engine.running.get("aiia_prod_web_next" if stand_in else "web")
        image = found["Config"]["Image"] if found else ""
        if stand_in:
            self.steered.add(image)
        return image if found and found["State"].get("Health", {}).get("Status") == "healthy" else ""

    def is_clean(self) -> bool:
        """Whether nothing is left of what a deployment only needs while it works."""
        return set(self.engine.running) == {"web", "db"} and not list((self.directory / TRAFFIC).glob("*"))
