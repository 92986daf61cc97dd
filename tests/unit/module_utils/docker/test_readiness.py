# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When a started container counts as ready."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker import readiness as readiness_module
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.readiness import Readiness
from unit.module_utils.deployments import Machine, files


class Clock:
    """A clock that moves with every sleep, or when the test moves it."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(readiness_module.time, "monotonic", made.monotonic)
    monkeypatch.setattr(readiness_module.time, "sleep", made.sleep)
    monkeypatch.setattr(readiness_module.time, "time", made.time)
    return made


def container(health: str = "none", restarts: int = 0, **state: Any) -> dict[str, Any]:
    found = {"Running": True, "Health": {"Status": health}, "StartedAt": "1970-01-01T00:01:00Z", **state}
    return {"Id": "web", "Name": "/web", "RestartCount": restarts, "State": found}


def checked(*codes: int, retries: int = 3, health: str = "starting") -> dict[str, Any]:
    """A container whose health check ended with these exit codes."""
    log = [{"ExitCode": code, "Output": "HTTP Error 500"} for code in codes]
    found = container(health)
    found["State"]["Health"]["Log"] = log
    return {**found, "Config": {"Healthcheck": {"Retries": retries}}}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (checked(3, 3, 3), "failed"),
        (checked(1, 3, 3, 3), "failed"),
        (checked(3, 3, 3, 3, 3, retries=20), "failed"),
        (checked(3, 3), "waiting"),
        (checked(1, 1, 1, 1, 1), "waiting"),
        (checked(3, 3, 1), "waiting"),
        (checked(3, 1, 3), "waiting"),
        (checked(), "waiting"),
        (checked(3, 3, 3, health="healthy"), "well"),
    ],
)
def test_a_wrong_answer_is_not_waited_for(found: dict[str, Any], expected: str) -> None:
    """The start period is for a program that does not answer yet."""
    assert Readiness(0).judge(found) == expected


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (container("healthy"), "well"),
        (container("healthy", restarts=7), "well"),
        (container("starting"), "waiting"),
        (container("unhealthy"), "failed"),
        (container("starting", restarts=3), "failed"),
        (container(), "waiting"),
        (container(Restarting=True), "waiting"),
        (container("healthy", Paused=True), "waiting"),
        (container(Restarting=True, restarts=3), "failed"),
        (container(Running=False, Status="exited", ExitCode=0), "failed"),
        (container(Running=False, Status="dead", ExitCode=1), "failed"),
        (container(Running=False, Status="created", ExitCode=0), "waiting"),
    ],
)
def test_what_was_started_by_this_run(clock: Clock, found: dict[str, Any], expected: str) -> None:
    assert Readiness(5).judge(found) == expected


@pytest.mark.parametrize(("code", "expected"), [(0, "well"), (1, "failed")])
def test_what_runs_once(code: int, expected: str) -> None:
    found = container(Running=False, Status="exited", ExitCode=code)
    assert Readiness(5).judge(found, one_shot=True) == expected


def test_without_a_health_check_it_has_to_run_for_a_while(clock: Clock) -> None:
    readiness = Readiness(5)
    assert readiness.judge(container()) == "waiting"
    clock.now += 4.9
    assert readiness.judge(container()) == "waiting"
    clock.now += 0.1
    assert readiness.judge(container()) == "well"


def test_each_new_start_begins_anew(clock: Clock) -> None:
    readiness = Readiness(5)
    assert readiness.judge(container()) == "waiting"
    clock.now += 4.9
    assert readiness.judge(container(restarts=1)) == "waiting"
    clock.now += 4.9
    assert readiness.judge(container(restarts=1)) == "waiting"
    assert readiness.judge(container(restarts=3)) == "failed"


@pytest.mark.parametrize(
    ("restarts", "expected"), [(4, "well"), (5, "waiting"), (7, "failed"), (0, "well"), (3, "failed")]
)
def test_what_ran_before_is_not_waited_for(clock: Clock, restarts: int, expected: str) -> None:
    """Only restarts by the engine since then count; a manual start resets the count."""
    assert Readiness(5).judge(container(restarts=restarts), restarts_before=4) == expected


@pytest.mark.parametrize(
    ("since", "left"),
    [
        ("1970-01-01T00:01:38Z", 3),  # it was down, or it goes up and down
        ("1970-01-01T01:00:00Z", 5),  # the clock was put back
    ],
)
def test_what_was_there_before_and_has_only_just_been_started_is_waited_for(
    clock: Clock, since: str, left: float
) -> None:
    found, readiness = container(StartedAt=since), Readiness(5)
    assert readiness.judge(found, restarts_before=0) == "waiting"
    clock.now += left
    assert readiness.judge(found, restarts_before=0) == "well"


def test_a_container_that_was_down_and_dies_again_is_seen(deployed: Machine, clock: Clock) -> None:
    """Its first moment is not enough for the deployment that started it."""
    deployed.engine.sick["web:1"] = "none"
    deployed.engine.container("web", State={"Running": False, "Status": "exited", "ExitCode": 1})

    def die(call: str) -> None:
        found = deployed.engine.running["web"]["State"]
        if call == "look" and found["Running"] and clock.now >= 102:
            deployed.engine.container("web", State={"Running": False, "Status": "exited", "ExitCode": 3})

    deployed.engine.on_call = die
    assert "aiia_prod_web is exited (3)" in deployed.fails(readiness_delay=5, wait_timeout=30).message


def test_a_new_version_that_starts_and_dies_is_gone_back_from(deployed: Machine, clock: Clock) -> None:
    """It was running at the first look."""
    deployed.engine.sick["web:2"] = "none"

    def die(call: str) -> None:
        found = deployed.engine.running.get("web", {"Config": {"Image": ""}})
        if call == "look" and found["Config"]["Image"] == "web:2" and clock.now >= 102:
            found["State"] = {"Running": False, "Status": "exited", "ExitCode": 3}

    deployed.engine.on_call = die
    error = deployed.fails(**files(web="web:2"), readiness_delay=5, wait_timeout=30)
    assert "aiia_prod_web is exited (3)" in error.message and "serves again" in error.message
    assert deployed.engine.images()["web"] == "web:1"


def test_a_delay_longer_than_the_limit_is_waited_for(deployed: Machine, clock: Clock) -> None:
    deployed.engine.sick["web:2"] = "none"
    deployed.deploy(**files(web="web:2"), readiness_delay=5, wait_timeout=1)
    assert deployed.engine.images()["web"] == "web:2" and clock.now >= 105


def test_pauses_are_short_at_first_and_bounded() -> None:
    """What is ready soon is seen soon; a minute's wait asks the engine a few times a second, not twenty."""
    first = [pause for _number, pause in zip(range(50), readiness_module.pauses(), strict=False)]
    assert first[0] == 0.05 and first == sorted(first)
    assert first[-1] == 0.3 and sum(first[:10]) < 1.5
