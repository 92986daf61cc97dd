# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The waits after requests are sent another way: as short as nginx allows, and longer after the engine was away."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.release import settling
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.settling import SETTLING, Settling
from unit.module_utils.fake_engine import FakeEngine


class Clock:
    """A clock that moves with every sleep, or when the test moves it."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 3))
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(settling, "time", made)
    return made


@pytest.fixture
def engine(tmp_path: Path, clock: Clock) -> FakeEngine:
    made = FakeEngine(tmp_path)
    made.began = clock.now
    return made


def test_there_and_back(clock: Clock, engine: FakeEngine) -> None:
    """Both names have not been asked for a second when their turn comes: only what is under way is waited for."""
    waits = Settling(engine)
    clock.now += 2  # the stand-in gets healthy
    waits.before("web_next")
    waits.after("web")
    clock.now += 2  # the container is replaced
    waits.before("web")
    waits.after("web_next")
    assert clock.slept == [0, SETTLING, 0, SETTLING]


def test_a_name_that_was_asked_for_just_now(clock: Clock, engine: FakeEngine) -> None:
    """Near miss: nginx still knows the address of the container that had the name, so it is given time to forget."""
    waits = Settling(engine)
    clock.now += 2
    waits.after("web_next")
    clock.now += 0.25
    waits.before("web_next")
    assert clock.slept == [SETTLING, 0.75]


def test_a_run_that_just_began_does_not_know_who_asked(clock: Clock, engine: FakeEngine) -> None:
    waits = Settling(engine)
    clock.now += 0.4
    waits.before("web")
    assert clock.slept == [0.6]


@pytest.mark.parametrize(("ago", "waited"), [(0.5, 5.5), (5.8, SETTLING), (60, SETTLING)])
def test_after_the_engine_was_away(clock: Clock, engine: FakeEngine, ago: float, waited: float) -> None:
    """nginx asks it again after five seconds, and only then does the request reach the container of the old way."""
    waits = Settling(engine)
    engine.lost = clock.now
    clock.now += ago
    waits.after("web")
    assert clock.slept == [waited]
