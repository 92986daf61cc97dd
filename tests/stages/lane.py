# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work that runs beside the tests, one piece after the other; a test of its own waits for each piece."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent import futures

import pytest

#: Does the work, and says now and then how far it is. What it returns or raises is the test's.
Work = Callable[[Callable[[str], object]], str]

LANE = pytest.StashKey["Lane"]()


class Ended(Exception):
    """The session is over, and nobody waits for the work any more."""


class Lane:
    """One piece of work at a time: beside the tests there is one processor left, and no more."""

    def __init__(self, work: Mapping[str, Work]) -> None:
        # Linux counts niceness by thread, and what a thread starts inherits it: the tests go first.
        self._pool = futures.ThreadPoolExecutor(1, "beside", initializer=os.nice, initargs=(10,))
        self._over = False
        self._last = ""
        self._news: deque[str] = deque()
        self._running = {name: self._pool.submit(self._do, name, each) for name, each in work.items()}

    def _do(self, name: str, work: Work) -> str:
        began = time.monotonic()
        how = "failed"
        try:
            found = work(self._hear)
            how = "passed"
            return found
        finally:
            took = time.monotonic() - began
            self._news.append(f"beside the tests: {name.rpartition('::')[2]} {how} in {took:.0f} s")

    def _hear(self, line: str) -> None:
        if self._over:
            raise Ended
        self._last = line

    def news(self) -> list[str]:
        """What came to its end since this was asked last."""
        return [self._news.popleft() for _unused in range(len(self._news))]

    def wait(self, name: str, say: Callable[[str], object], pulse: float = 30.0) -> str:
        """The result of a piece of work, or its failure. Says now and then how far the lane is."""
        future = self._running[name]
        while not futures.wait([future], pulse).done:
            say(self._last)
        return future.result()

    def end(self) -> None:
        """Start nothing more; what runs ends the next time it says something."""
        self._over = True
        self._pool.shutdown(wait=False, cancel_futures=True)
