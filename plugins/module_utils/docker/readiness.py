# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Judge whether a started container is ready. Runs on the targets.

A health check decides, before the end of its start period where it says that waiting is useless. Without one, the
container must run for some seconds, so that a program that crashes at once is not taken for a version that serves
(Swarm calls this ``monitor``, Kamal ``readiness_delay``).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from .containers import condition, is_well, started

#: The exit code of a health check by which a program answers wrongly, so that waiting will not help. Any other failure
#: may mean that it does not answer yet, and the check's start period is for that.
_WRONG = 3

#: How many of a health check's results the engine keeps.
_KEPT = 5

#: After this many restarts a container has failed.
_RESTARTS = 3

#: Seconds between two looks at what is awaited: the first pause, the longest, and by how much one exceeds the other.
_FIRST_PAUSE, _LONGEST_PAUSE, _LONGER = 0.05, 0.3, 1.2


def pauses() -> Iterator[float]:
    """How long to wait before each next look, in seconds: nearly everything is ready soon."""
    pause = _FIRST_PAUSE
    while True:
        yield pause
        pause = min(pause * _LONGER, _LONGEST_PAUSE)


class Readiness:
    """Judges the containers of one run. ``delay``: seconds that a container without a health check must run."""

    def __init__(self, delay: float) -> None:
        self.delay = delay
        self._seen: dict[tuple[str, int], float] = {}

    def limit(self, timeout: float) -> float:
        """Seconds to wait for readiness: ``timeout``, but at least long enough for a container to run for ``delay``."""
        return max(timeout, self.delay + 1)

    def judge(self, container: dict[str, Any], restarts_before: int | None = None, one_shot: bool = False) -> str:
        """``well``, ``waiting``, or ``failed`` if waiting longer is pointless.

        ``restarts_before`` is the container's restart count when this run began; None if this run created it.
        """
        now, restarts = condition(container), container.get("RestartCount", 0)
        new_restarts = restarts_since(container, restarts_before)
        if is_well(container, one_shot) and now != "running":
            return "well"
        if now == "unhealthy" or now.startswith(("exited", "dead")) or new_restarts >= _RESTARTS:
            return "failed"
        if now == "starting" and answers_wrongly(container):
            return "failed"
        if now != "running":
            return "waiting"
        since = self._seen.setdefault((container["Id"], restarts), time.monotonic())
        ran = time.monotonic() - since
        if restarts_before is not None and new_restarts <= 0:  # it may have been running long before this run
            ran = max(ran, time.time() - started(container))
        return "well" if ran >= self.delay else "waiting"


def answers_wrongly(container: dict[str, Any]) -> bool:
    """Whether a container's health check has failed as often as it may, each time because of a wrong answer."""
    check = (container.get("Config") or {}).get("Healthcheck") or {}
    results = ((container.get("State") or {}).get("Health") or {}).get("Log") or []
    last = results[-min(check.get("Retries") or 3, _KEPT) :]
    return len(last) == min(check.get("Retries") or 3, _KEPT) and all(found.get("ExitCode") == _WRONG for found in last)


def restarts_since(container: dict[str, Any], before: int | None) -> int:
    """The number of restarts since the count was ``before``. Starting a container resets its count."""
    restarts: int = container.get("RestartCount", 0)
    return restarts - before if before and restarts >= before else restarts
