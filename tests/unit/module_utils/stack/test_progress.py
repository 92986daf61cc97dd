# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How far the engine is with an update, as its words are judged."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.stack.progress import Outcome, outcomes, too_early
from unit.stacks import seen_service, seen_task

BEGAN = "2026-11-30T10:05:00Z"


def update(state: str, message: str = "") -> dict[str, str]:
    return {"State": state, "StartedAt": BEGAN, "CompletedAt": "", "Message": message}


def judged(service: dict[str, Any], *tasks: dict[str, Any], before: dict[str, Any] | None = None) -> Outcome:
    known = {service["name"]: before} if before else {}
    (found,) = outcomes(known, [service], list(tasks), ["t0"])
    return found


def test_a_service_that_runs_is_done() -> None:
    assert judged(seen_service("web"), seen_task("t1", "web")).state == "done"


@pytest.mark.parametrize("desired", ["shutdown", "remove"])
def test_tasks_that_are_to_end_do_not_count(desired: str) -> None:
    old = seen_task("t0", "web", desired=desired, tasks="tasks-0")
    assert judged(seen_service("web"), seen_task("t1", "web"), old).state == "done"


def test_a_task_of_the_release_before_is_waited_for() -> None:
    """The engine has the new service, and has not begun to replace its tasks."""
    found = judged(seen_service("web"), seen_task("t0", "web", tasks="tasks-0"), before=seen_service("web"))
    assert (found.state, found.why) == ("waiting", "a task of the release before still runs")


def test_a_restart_is_waited_for() -> None:
    found = judged(seen_service("web", forced=1), seen_task("t0", "web"), before=seen_service("web"))
    assert found.state == "waiting"


def test_an_update_is_waited_for() -> None:
    """All tasks are new, and the last is watched a while longer."""
    service = seen_service("web", update=update("updating"))
    assert judged(service, seen_task("t1", "web"), before=seen_service("web")).state == "waiting"


@pytest.mark.parametrize("state", ["rollback_started", "rollback_paused", "rollback_completed", "paused"])
def test_an_update_that_the_engine_gave_up_is_an_error(state: str) -> None:
    service = seen_service("web", update=update(state, "update rolled back due to failure"))
    bad = seen_task("t1", "web", state="failed", desired="shutdown", error="task: non-zero exit (3)")
    found = judged(service, bad, seen_task("t0", "web"), before=seen_service("web"))
    assert (found.state, found.task) == ("failed", "t1")
    assert "update rolled back due to failure" in found.why and "non-zero exit (3)" in found.why


def test_an_earlier_rollback_is_no_error_of_this_update() -> None:
    service = seen_service("web", update=update("rollback_completed"))
    assert judged(service, seen_task("t0", "web"), before=service).state == "done"


def test_a_new_service_that_does_not_stay_up_is_an_error() -> None:
    """It has no update that the engine could give up."""
    bad = [
        seen_task(f"t{number}", "web", state="failed", desired="shutdown", error="exit (1)", since=f"10:0{number}")
        for number in (1, 2, 3)
    ]
    next_one = seen_task("t4", "web", state="starting")
    assert judged(seen_service("web"), *bad[:2], next_one).state == "waiting"
    found = judged(seen_service("web"), *bad, next_one)
    assert (found.state, found.task, found.why) == ("failed", "t3", "none of its tasks stays up: exit (1)")


def test_tasks_that_ended_before_what_they_need_was_done_do_not_count() -> None:
    """A swarm starts services in no order: the application ends again and again until its database is set up."""
    services = [seen_service("web"), seen_service("db")]
    bad = [seen_task(f"t{number}", "web", state="failed", desired="shutdown") for number in (1, 2, 3)]
    starting = [*bad, seen_task("t9", "db", state="starting")]
    needs = {"app_prod_web": {"app_prod_db"}}
    early = too_early(outcomes({}, services, starting), services, starting, needs)
    assert early == {"t1", "t2", "t3"}
    done = [*bad, seen_task("t9", "db")]
    assert too_early(outcomes({}, services, done), services, done, needs) == set()
    assert [one.state for one in outcomes({}, services, done, (), early)] == ["waiting", "done"]
    again = [*done, *(seen_task(f"t{number}", "web", state="failed", desired="shutdown") for number in (4, 5, 6))]
    assert [one.state for one in outcomes({}, services, again, (), early)] == ["failed", "done"]


def test_what_is_missing_is_said() -> None:
    waiting = seen_task("t1", "web", state="pending", error="no suitable node (1 node not available)")
    found = judged(seen_service("web", desired=2), waiting)
    assert (found.state, found.why) == ("waiting", "0 of 2 tasks run: no suitable node (1 node not available)")


def test_a_service_without_tasks_is_done() -> None:
    assert judged(seen_service("web", desired=0)).state == "done"
