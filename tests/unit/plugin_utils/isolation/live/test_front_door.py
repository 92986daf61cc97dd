# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The live gates and the machine's front door: whether it is there, and whether the environment's route is in force."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.labels import FRONT_DOOR, WORKING_DIRECTORY
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge.door import STATE_LABEL
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.live.drift import drift
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.live.machine import machine
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.live.probes import plan_probes
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.live.registered import entry_of, strangers
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Environment, Severity
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.assemble import assemble
from unit.plugin_utils.isolation.live.observations import container, observation


def environment(prefix: str = "aiia_staging", behind: bool = True) -> Environment:
    domain = f"{prefix.rpartition('_')[2]}.example.com"
    return assemble(prefix=prefix, domains=[domain], http_port=80, https_port=443, variables={"bulkhead_edge": behind})


def seen(routes: dict[str, str] | None, present: bool = True, **more: Any) -> dict[str, Any]:
    return observation(**more) | {"door": {"present": present, "routes": routes, "problem": "no answer"}}


def missing(env: Environment, found: dict[str, Any]) -> list[str]:
    return [finding.message for finding in machine(env, found) if finding.rule == "absent-front-door"]


def test_absent() -> None:
    assert "the front door is absent on this machine" in missing(environment(), seen({}, present=False))[0]
    assert "cannot be read: no answer" in missing(environment(), seen(None))[0]
    assert missing(environment(), seen({})) == []
    assert missing(environment(behind=False), seen({}, present=False)) == []


def test_a_damaged_route_stops_nobody_and_is_told_by_name() -> None:
    found = seen({"aiia_prod": "damaged a", "aiia_staging": "a a"})
    found["door"]["damaged"] = {"aiia_prod": "the file of the route of aiia_prod is no route"}
    for env in (environment(), environment(behind=False), environment("aiia_prod")):
        (told,) = [finding for finding in machine(env, found) if finding.rule == "damaged-route"]
        assert (told.severity, told.resource) == (Severity.LOW, "route aiia_prod")
        assert "no route" in told.message and "Deploy aiia_prod" in told.fix
        assert missing(env, found) == []


@pytest.mark.parametrize(
    ("routes", "what"),
    [
        ({"aiia_staging": "a a"}, ""),
        ({}, "is gone"),
        ({"aiia_staging": "a none"}, "is gone"),
        ({"aiia_staging": "none a"}, "is gone"),
        ({"aiia_staging": "a b"}, "was changed"),
        ({"aiia_staging": "damaged a"}, "was damaged"),
        (None, ""),
    ],
)
def test_a_lost_route_is_drift(routes: dict[str, str] | None, what: str) -> None:
    env = environment()
    found = drift(env, seen(routes, registry={env.prefix: entry_of(env)}))
    lost = [finding.message for finding in found if finding.resource == "route aiia_staging"]
    assert len(lost) == bool(what) and what in "".join(lost)
    plain = environment(behind=False)
    assert "route aiia_staging" not in [
        finding.resource for finding in drift(plain, seen(routes, registry={plain.prefix: entry_of(plain)}))
    ]


def test_others_behind_the_same_door_are_not_asked_for_here() -> None:
    """The front door answers for all of them, as it should; for those that are not behind it, it must not."""
    asked = plan_probes(environment(), [environment("aiia_prod"), environment("aiia_qa", behind=False)], seen({}))
    assert {(one["host"], one["kind"]) for one in asked.requests if one["kind"] != "unknown"} == {
        ("staging.example.com", "own"),
        ("staging.example.com", "asset"),
        ("qa.example.com", "foreign"),
    }


def test_it_is_asked_where_the_front_door_listens() -> None:
    """The machine knows where that is: the door has addresses of its own."""
    made = plan_probes(environment(), [], seen({}))
    assert {(one["address"], one["port"]) for one in made.requests} == {("front door", 80), ("front door", 443)}
    plain = plan_probes(environment(behind=False), [], seen({}))
    assert {one["address"] for one in plain.requests} == {"127.0.0.1", "::1"}


def test_the_front_door_is_no_stranger() -> None:
    """Its directory holds the sockets of all that are behind it."""
    door = container(
        "door", {"com.docker.compose.project": "bulkhead_edge", FRONT_DOOR: "/s", WORKING_DIRECTORY: "/s/edge"}
    )
    assert list(strangers(observation(containers=[door]), (), "localhost")) == []
    assert STATE_LABEL == FRONT_DOOR
