# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The gate of a stack: what a person can say to it on the command line, and how the doors of its nodes are asked."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.stack_live import StackGate
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.stack_route import in_place, stack_route
from unit.plugin_utils.gate.test_stack_route import stack as routed_stack
from unit.plugin_utils.isolation.live.test_stack import seen, stack
from unit.plugin_utils.isolation.live.test_stack_doors import seen as doors_seen


@pytest.mark.parametrize(
    ("typed", "refused"), [({}, 1), ({"bulkhead_confirm": "app_other"}, 1), ({"bulkhead_confirm": "app_prod"}, 0)]
)
def test_the_data_is_meant_to_be_elsewhere(typed: dict[str, Any], refused: int) -> None:
    """The label is on n1, and at the last deployment another node had the data."""
    declaration: Any = SimpleNamespace(
        prefix="app_prod", values={"bulkhead_edge_nodes": []}, permissions=typed, nodes={}
    )
    gate = StackGate(None, {}, cast(Any, None), declaration, cast(Any, None))
    gate.__dict__["around"] = SimpleNamespace(environment=stack(), read=("app_prod",))
    assert [one.rule for one in gate.standing({**seen(), "data_node": "n2"})] == ["data-node"] * refused


def test_each_door_is_asked_for_the_domains() -> None:
    """In one call for each node with a door; what is wrong says at which of them."""
    environment = routed_stack("a.example.com")
    route = in_place(stack_route(environment))
    door = {"present": True, "routes": {"app_prod": route}, "damaged": {}, "problem": ""}
    found = doors_seen(door, door, {**door, "present": False, "routes": {}}, labelled="12")
    asked: list[str] = []

    def answers_at(host: str, requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
        asked.append(host)
        assert {request["kind"] for request in requests} == {"own", "unknown"}
        own = next(request for request in requests if request["kind"] == "own")
        return [] if host == "h1" else [{**own, "status": 0, "error": "refused", "headers": {}, "cookies": []}]

    declaration: Any = SimpleNamespace(prefix="app_prod", values={"bulkhead_edge_nodes": []})
    gate = StackGate(None, {}, cast(Any, None), declaration, cast(Any, None))
    gate.__dict__["around"] = SimpleNamespace(environment=environment, neighbours=())
    gate.__dict__["machine"] = SimpleNamespace(answers_at=answers_at)
    (told,) = gate._doors(found)
    assert asked == ["h1", "h2"] and told.rule == "own-domain-unanswered"
    assert told.message.startswith("At the front door of h2: http://a.example.com is a domain of app_prod")
