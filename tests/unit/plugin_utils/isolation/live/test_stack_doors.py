# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The front doors of a swarm's nodes: which have to take or lose a stack's route, and what keeps visitors away."""

from __future__ import annotations

from typing import Any

from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.live.stack_doors import (
    DoorChanges,
    door_changes,
    door_findings,
    lost_routes,
)
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Environment, Severity
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.assemble import assemble
from unit.plugin_utils.isolation.live.observations import observation
from unit.stacks import seen_node, seen_swarm

PREFIX = "app_prod"
LABEL = {"io.bulkhead.door.app_prod": "true"}
ROUTE = "2 2"
DOOR: dict[str, Any] = {"present": True, "routes": {"other": "1 1"}, "damaged": {}, "problem": ""}
LEADS = {**DOOR, "routes": {"other": "1 1", PREFIX: ROUTE}}
NONE = {**DOOR, "present": False, "routes": {}}


def stack(behind: bool = True) -> Environment:
    return assemble(
        prefix=PREFIX,
        swarm="main",
        nodes=["m1", "m2", "m3"],
        domains=["a.example.com", "b.example.com"],
        http_port=80,
        https_port=443,
        variables={"bulkhead_edge": behind},
    )


def seen(*doors: dict[str, Any], labelled: str = "", **states: str) -> dict[str, Any]:
    """A swarm with a node for each door; ``labelled`` are the numbers of those with the label."""
    numbers = [str(number) for number in range(1, len(doors) + 1)]
    looked = {}
    for number, door in zip(numbers, doors, strict=True):
        found = observation()
        looked[f"h{number}"] = {**found, "engine": {**found["engine"], "node": f"n{number}"}, "door": door}
    nodes = [
        seen_node(
            f"n{number}",
            availability=states.get(f"n{number}", "active"),
            labels=LABEL if number in labelled else {},
        )
        for number in numbers
    ]
    first = looked.pop("h1")
    return {**first, "host": "h1", "nodes": looked, "away": {}, "stack": seen_swarm(nodes=nodes)}


def test_every_node_with_a_door() -> None:
    """Nothing is asked of those that lead there already, and nothing of a node without one."""
    found = door_changes(PREFIX, ROUTE, seen(LEADS, DOOR, NONE, labelled="1"))
    assert found == DoorChanges(("h2",), (), {"n2": True})
    assert door_changes(PREFIX, ROUTE, seen(LEADS, LEADS, NONE, labelled="12")) == DoorChanges()


def test_the_named_nodes() -> None:
    """A door that was named and is no longer has to lose the route."""
    found = door_changes(PREFIX, ROUTE, seen(LEADS, LEADS, DOOR, labelled="12"), ["h2", "h3"])
    assert found == DoorChanges(("h3",), ("h1",), {"n1": False, "n3": True})


def test_another_route() -> None:
    """Changed domains, on disk or in the running door; a damaged file."""
    for said in ("1 1", "2 none", "damaged 2"):
        door = {**DOOR, "routes": {PREFIX: said}}
        assert door_changes(PREFIX, ROUTE, seen(door, LEADS, labelled="12")).lead == ("h1",)


def test_a_node_that_takes_no_tasks_stays_as_it_is() -> None:
    """Its relay comes back with the other tasks."""
    found = seen(LEADS, LEADS, DOOR, labelled="12", n2="drain", n3="pause")
    assert door_changes(PREFIX, ROUTE, found) == DoorChanges()


def test_a_door_that_is_down_keeps_its_route() -> None:
    """Nobody said that it is not to lead there any more."""
    down = {**NONE, "routes": {PREFIX: "2 none"}}
    found = seen(LEADS, down, labelled="12")
    assert door_changes(PREFIX, ROUTE, found).leave == ()
    (told,) = door_findings(stack(), found)
    assert told.message.startswith("No front door runs on h2,")
    assert door_changes(PREFIX, ROUTE, found, ["h1"]).leave == ("h2",)


def test_behind_no_door_any_more() -> None:
    """Every node forgets it, drained ones too."""
    found = door_changes(PREFIX, "", seen(LEADS, LEADS, DOOR, labelled="12", n2="drain"))
    assert found == DoorChanges((), ("h1", "h2"), {"n1": False, "n2": False})


def test_what_keeps_visitors_away() -> None:
    def told(found: dict[str, Any], *named: str) -> list[str]:
        return [one.message for one in door_findings(stack(), found, named)]

    assert told(seen(DOOR, NONE)) == []
    (absent,) = door_findings(stack(), seen(DOOR, NONE), ["h1", "h2"])
    assert absent.message.startswith("No front door runs on h2,") and "-l h2 first" in absent.fix
    assert absent.severity == Severity.HIGH
    assert "no node of its swarm that takes tasks has a front door" in told(seen(NONE, NONE))[0]
    assert "no node of its swarm that takes tasks" in told(seen(NONE, DOOR, n2="drain"))[0]
    away = {**DOOR, "routes": None, "problem": "no answer"}
    assert told(seen(DOOR, away)) == ["The routes of the front door of h2 cannot be read: no answer."]
    assert list(door_findings(stack(behind=False), seen(NONE, NONE))) == []


def test_a_damaged_route_of_another_stops_nobody() -> None:
    door = {**DOOR, "damaged": {"other": "it is no route"}}
    (told,) = door_findings(stack(behind=False), seen(DOOR, door))
    assert (told.rule, told.severity, told.resource) == ("damaged-route", Severity.LOW, "route other on h2")


def test_a_route_that_was_lost() -> None:
    changed = {**DOOR, "routes": {PREFIX: "1 1"}}
    found = [one.message for one in lost_routes(stack(), ROUTE, seen(LEADS, DOOR, changed))]
    assert found[0].startswith("The route of app_prod at the front door of h2 is gone")
    assert found[1].startswith("The route of app_prod at the front door of h3 was changed")
    assert list(lost_routes(stack(behind=False), "", seen(DOOR))) == []


def test_a_host_that_left_the_swarm_and_one_without_an_answer() -> None:
    """The door of the first leads to a stack no more. What the other has is unknown, so its label stays for the next
    run."""
    found = seen(NONE, LEADS, LEADS, labelled="23")
    found["stack"]["nodes"].pop(1)
    del found["nodes"]["h3"]
    found["away"] = {"h3": "timed out"}
    assert door_changes(PREFIX, "", found) == DoorChanges((), ("h2",), {})
    assert door_changes(PREFIX, ROUTE, found) == DoorChanges()
