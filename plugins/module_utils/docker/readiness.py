# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tell whether a container that was started is ready. Runs on the targets.

A health check says so. Without one, all that can be seen is that the program goes on: it has to for some seconds, so
that one that starts and dies is not taken for a new version that serves (Swarm calls this ``monitor``, Kamal
``readiness_delay``).
"""

from __future__ import annotations

import time
from typing import Any

from .containers import condition, is_well, started

#: A container that was started this often again will not get well.
_RESTARTS = 3


class Readiness:
    """Judges containers of one run. ``delay``: seconds that one without a health check has to run."""

    def __init__(self, delay: float) -> None:
        self.delay = delay
        self._seen: dict[tuple[str, int], float] = {}

    def limit(self, timeout: float) -> float:
        """Seconds to wait: a container that only has to run is not given up for having been looked at too early."""
        return max(timeout, self.delay + 1)

    def judge(self, container: dict[str, Any], restarts_before: int | None = None, one_shot: bool = False) -> str:
        """``well``, ``waiting``, or ``failed`` where there is no hope left.

        ``restarts_before``: how often the engine had started it again when this run began; None if this run made it.
        """
        how, restarts = condition(container), container.get("RestartCount", 0)
        again = restarts_since(container, restarts_before)
        if is_well(container, one_shot) and how != "running":
            return "well"
        if how == "unhealthy" or how.startswith(("exited", "dead")) or again >= _RESTARTS:
            return "failed"
        if how != "running":
            return "waiting"
        since = self._seen.setdefault((container["Id"], restarts), time.monotonic())
        ran = time.monotonic() - since
        if restarts_before is not None and again <= 0:  # it may run for long; or it was down, or goes up and down
            ran = max(ran, time.time() - started(container))
        return "well" if ran >= self.delay else "waiting"


def restarts_since(container: dict[str, Any], before: int | None) -> int:
    """How often the engine started a container again since it had done so ``before``; being started counts anew."""
    restarts: int = container.get("RestartCount", 0)
    return restarts - before if before and restarts >= before else restarts
