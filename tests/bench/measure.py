# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure side by side, and say a ratio as one line with its verdict."""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

ROUNDS = 5


@dataclass(frozen=True)
class Line:
    """One ratio against its budget. A line without a budget only informs."""

    title: str
    ratio: float
    budget: float | None
    detail: str = ""
    unit: str = "×"

    @property
    def kept(self) -> bool:
        return self.budget is None or self.ratio <= self.budget

    def __str__(self) -> str:
        verdict = "info" if self.budget is None else "pass" if self.kept else "FAIL"
        budget = "" if self.budget is None else f"<= {self.budget:g} {self.unit}"
        return f"{verdict}  {self.ratio:7.2f} {self.unit} {budget:9}  {self.title}  ({self.detail})"


def processor_time() -> float:
    """Seconds of processor time that this process and its ended children took; a busy machine does not change them."""
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def seconds(action: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """How long one call takes."""
    began = clock()
    action()
    return clock() - began


def side_by_side(
    actions: Mapping[str, Callable[[], object]],
    rounds: int = ROUNDS,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """The median of each action. They take turns, so that a busy machine is busy for all of them; the first turn,
    which fills caches, does not count."""
    times: dict[str, list[float]] = {name: [] for name in actions}
    for turn in range(rounds + 1):
        # Forth and back: whoever runs after the slow one is not always the same.
        order = [*actions] if turn % 2 else [*actions][::-1]
        for name in order:
            taken = seconds(actions[name], clock)
            if turn:
                times[name].append(taken)
    return {name: statistics.median(taken) for name, taken in times.items()}


def ratio(title: str, medians: Mapping[str, float], one: str, other: str, budget: float | None = None) -> Line:
    """The ratio of two medians as a line."""
    detail = f"{one} {medians[one]:.2f} s, {other} {medians[other]:.2f} s"
    return Line(title, medians[one] / medians[other], budget, detail)
