# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""In which order a run asks the nodes for their front doors, and what is left where one of them refuses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pytest
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge.routes import Route, relay_route
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.live.stack_doors import DoorChanges
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.jobs.stack_door import StackDoors
from unit.plugin_utils.jobs.test_stack import FakeStep
from unit.stacks import seen_node

ROUTE = relay_route("app_prod", ["a.example.com"], 100, 10)
LABEL = "io.bulkhead.door.app_prod"
CHANGES = DoorChanges(("h1", "h2"), ("h3",), {"n1": True, "n2": True, "n3": False})


class Fleet:
    """Three nodes; ``refuses`` are the (host, job) that fail, each with how."""

    def __init__(self, refuses: Mapping[tuple[str, str], Exception | str] | None = None) -> None:
        self.asked: list[tuple[str, str]] = []
        self.refuses = refuses or {}
        self.step = FakeStep(self.answer)

    def answer(self, host: str, job: str, given: Mapping[str, Any]) -> dict[str, Any]:
        self.asked.append((host, job))
        refused = self.refuses.get((host, job))
        if isinstance(refused, Exception):
            raise refused
        if refused:
            return {"failed": True, "msg": refused}
        return {"steps": [{"verb": job, "target": host}]}

    def doors(self, changes: DoorChanges = CHANGES, route: Route | None = ROUTE) -> StackDoors:
        return StackDoors(
            cast(Any, self.step), route, changes, [seen_node(f"n{one}", hostname=f"node{one}") for one in "123"]
        )

    def update(self) -> dict[str, Any]:
        self.asked.append(("h1", "apply"))
        return {"changed": True, "steps": [{"verb": "update", "target": "nginx"}], "release": "one"}


def test_ready_then_updated_then_led() -> None:
    """Relays can start before the update, and no door leads to one that does not run."""
    fleet = Fleet()
    answer = fleet.doors().around(fleet.update)
    assert fleet.asked == [
        ("h1", "ready"), ("h2", "ready"), ("h1", "label"), ("h1", "apply"),
        ("h1", "lead"), ("h2", "lead"), ("h3", "leave"), ("h1", "label"),
    ]  # fmt: skip
    assert [step["verb"] for step in answer["steps"]] == ["label", "update", "lead", "lead", "leave", "label"]
    assert answer["steps"][2]["detail"] == "on h1" and answer["release"] == "one"


def test_nothing_is_asked_where_nothing_changes() -> None:
    fleet = Fleet()
    doors = fleet.doors(DoorChanges())
    assert doors.foreseen() == []
    doors.around(fleet.update)
    assert fleet.asked == [("h1", "apply")]


def test_what_is_foreseen() -> None:
    fleet = Fleet()
    verbs = [(step["verb"], step["target"]) for step in fleet.doors().foreseen()]
    assert verbs == [
        ("label", LABEL), ("label", LABEL), ("publish", "a.example.com"), ("publish", "a.example.com"),
        ("withdraw", "app_prod"), ("unlabel", LABEL),
    ]  # fmt: skip
    fleet.step._task.check_mode = True
    assert len(fleet.doors().around(fleet.update)["steps"]) == 7
    assert fleet.asked == [("h1", "apply")]


def test_where_relays_will_run() -> None:
    """Their images are fetched there before."""
    labels = {node["id"]: node["labels"].get(LABEL, "") for node in Fleet().doors().nodes}
    assert labels == {"n1": "true", "n2": "true", "n3": "false"}


@pytest.mark.parametrize("refused", ["two doors take connections", AnsibleError("no route to host\nmore")])
def test_a_door_that_is_not_ready(refused: Exception | str) -> None:
    """Nothing was updated."""
    fleet = Fleet({("h2", "ready"): refused})
    with pytest.raises(AnsibleActionFail) as caught:
        fleet.doors().around(fleet.update)
    said = str(refused).partition("\n")[0]
    assert str(caught.value) == f"app_prod: h2: {said}. Nothing was updated"
    assert fleet.asked[-1] == ("h2", "ready")


def test_a_door_that_does_not_follow() -> None:
    """The release is in force, and the receipt has every step."""
    fleet = Fleet({("h2", "lead"): "nobody listens."})
    answer = fleet.doors().around(fleet.update)
    assert answer["failed"]
    assert answer["msg"] == "app_prod: h2: nobody listens. The release is in force; deploy again to go on here"
    assert [step["verb"] for step in answer["steps"]] == ["label", "update", "lead"]
    assert fleet.asked[-1] == ("h2", "lead")


def test_no_door_leads_to_a_failed_update() -> None:
    fleet = Fleet()
    answer = fleet.doors().around(lambda: {"failed": True, "msg": "rolled back", "steps": []})
    assert answer["msg"] == "rolled back" and ("h1", "lead") not in fleet.asked


def test_a_stack_that_is_gone() -> None:
    fleet = Fleet()
    steps = [*fleet.doors(DoorChanges((), ("h1", "h2"), {"n1": False}), None).lead()]
    assert fleet.asked == [("h1", "leave"), ("h2", "leave"), ("h1", "label")]
    assert [step.get("detail") for step in steps] == ["on h1", "on h2", None]
