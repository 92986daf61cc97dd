# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The budgets of `make bench` that are stable on a busy machine: processor time and memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[1] / "bench"
SMALL, LARGE = 50, 300

#: KiB. `make bench` holds 10,000 environments to 600 MiB; a small fleet shares less.
MOST_MEMORY_PER_ENVIRONMENT = 90


def _measured(count: int) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, str(BENCH / "rules.py"), str(count), "1"], stdout=subprocess.PIPE, text=True, check=True
    )
    answer: dict[str, float] = json.loads(done.stdout)
    return answer


def test_time_and_memory_of_the_rules_grow_as_the_fleet_does() -> None:
    small, large = _measured(SMALL), _measured(LARGE)
    # Quadratic rules would take 36 times as long.
    assert large["seconds"] / small["seconds"] < 2 * LARGE / SMALL
    assert (large["memory"] - small["memory"]) * 1024 / (LARGE - SMALL) < MOST_MEMORY_PER_ENVIRONMENT


def test_a_check_of_two_projects_takes_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCH))
    import check
    from measure import processor_time, seconds

    program = check.write_projects(tmp_path)
    command = [sys.executable, "-c", program]
    # Twice the budget of `make bench`: a busy machine makes caches cold.
    assert seconds(lambda: subprocess.run(command, check=True), processor_time) < 2.0
