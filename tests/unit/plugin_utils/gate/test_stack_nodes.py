# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which manager of a swarm is asked, and what all of its nodes are called for."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest
from ansible.errors import AnsibleActionFail, AnsibleActionSkip, AnsibleConnectionFailure
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.model import Declaration
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.proof import Surroundings
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.session import Session
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.stack_calls import StackCalls
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.stack_nodes import StackNodes
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.live.probes import Probes
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Environment
from unit.plugin_utils.isolation.live.observations import observation
from unit.stacks import seen_swarm

HOSTS = ("h1", "h2", "h3")
VALUES = {
    "bulkhead_prefix": "app_prod",
    "bulkhead_docker_host": "unix:///var/run/docker.sock",
    "bulkhead_state_directory": "",
    "bulkhead_owner": "",
    "bulkhead_lock_wait": 1,
    "bulkhead_lock_takeover": False,
    "bulkhead_probe_timeout": 0.5,
}


def look(state: str = "active", control: bool = True, refused: str = "") -> dict[str, Any]:
    return {"look": seen_swarm(state=state, control=control, refused=refused), "data_node": ""}


class Nodes(StackNodes):
    """Nodes that answer what a test says; ``None`` is a host that cannot be reached."""

    def __init__(self, answer: Callable[[str, str], dict[str, Any] | None], own: str = "h1") -> None:
        # What is kept of a run is kept by the environment's name.
        declaration = Declaration("production", HOSTS, {**VALUES, "bulkhead_prefix": f"p{uuid.uuid4().hex}"}, {}, {})
        connection = SimpleNamespace(has_option=lambda _name: False)
        task_vars = {"inventory_hostname": own, "hostvars": {own: {}}}
        super().__init__(SimpleNamespace(_connection=connection), task_vars, cast(Any, None), declaration)
        self.answer = answer
        self.asked: list[tuple[str, str]] = []

    def call(self, host: str, name: str, arguments: Mapping[str, Any], hide: Any = None) -> dict[str, Any]:
        self.asked.append((host, "release" if arguments.get("release") else name))
        found = self.answer(host, name)
        if found is None:
            raise AnsibleConnectionFailure(f"no route to {host}")
        return found


def test_the_first_host_acts_for_all() -> None:
    Nodes(lambda _host, _name: None).require_turn()
    with pytest.raises(AnsibleActionSkip, match="h1 acts for the whole stack"):
        Nodes(lambda _host, _name: None, own="h2").require_turn()


def test_the_first_manager_that_answers() -> None:
    """One is away, one is a worker; a later step of the run asks nobody again."""
    said = {"h1": None, "h2": look(control=False), "h3": look()}
    nodes = Nodes(lambda host, _name: said[host])
    nodes.choose()
    assert nodes.manager == "h3" and nodes.others() == ["h1", "h2"] and list(nodes.away) == ["h1"]
    again = Nodes(lambda _host, _name: None)
    again.declaration = nodes.declaration
    again.choose()
    assert again.manager == "h3" and again.asked == []


def test_no_manager_can_decide() -> None:
    """What each host said is in the one error."""
    said = {"h1": look(refused="the swarm does not have a leader"), "h2": look(state="inactive"), "h3": None}
    with pytest.raises(AnsibleActionFail) as caught:
        Nodes(lambda host, _name: said[host]).choose()
    for line in (
        "h1: it cannot decide: the swarm does not have a leader",
        "h2: its engine is in no swarm (its state is inactive)",
        "h3: no route to h3",
        "what runs goes on",
    ):
        assert line in str(caught.value)


def calls(nodes: Nodes) -> StackCalls:
    nodes.manager = "h1"
    around = Surroundings(Environment(prefix="app_prod", machine="swarm main"), (), ("app_prod",), 1)
    action = SimpleNamespace(_task=SimpleNamespace(check_mode=False))
    return StackCalls(nodes, VALUES, around, action)


def answered(host: str, name: str) -> dict[str, Any] | None:
    if name == "stack_info":
        return look()
    return {"observation": {**observation(), "host-of-test": host}, "note": ""}


def test_every_node_is_locked_and_looked_at() -> None:
    """One call for each, and one question to the manager."""
    nodes = Nodes(answered)
    session = Session("app_prod", "token", "now")
    calls(nodes).take_lock(session)
    assert nodes.asked == [("h1", "preflight"), ("h2", "preflight"), ("h3", "preflight"), ("h1", "stack_info")]
    seen = session.observation
    assert seen["host"] == "h1" and [found["host-of-test"] for found in seen["nodes"].values()] == ["h2", "h3"]


def test_a_node_that_is_away_is_no_error_yet() -> None:
    """Whether it is up in the swarm is for the gate to judge."""
    session = Session("app_prod", "token", "now")
    calls(Nodes(lambda host, name: None if host == "h3" else answered(host, name))).take_lock(session)
    assert session.observation["away"] == {"h3": "no route to h3"} and set(session.observation["nodes"]) == {"h2"}


def test_nodes_are_probed_in_one_call_each() -> None:
    """Those without probes are looked at. A node that fails gives no answer; the manager has to give one."""
    bad = {"failed": True, "msg": "no python3"}
    nodes = Nodes(lambda host, name: bad if (host, name) == ("h2", "verify") else answered(host, name))
    probes = {"h1": Probes(), "h2": Probes()}
    seen, answers = calls(nodes).probe_nodes("app_prod", None, probes)
    assert nodes.asked == [("h1", "verify"), ("h2", "verify"), ("h3", "machine_info"), ("h1", "stack_info")]
    assert set(answers) == {"h1"} and set(seen["nodes"]) == {"h3"} and seen["away"] == {"h2": "no python3"}
    with pytest.raises(AnsibleActionFail, match="no python3"):
        calls(Nodes(lambda _host, _name: dict(bad))).probe_nodes("app_prod", None, probes)


def test_a_lock_that_another_run_has_on_one_node() -> None:
    """The locks that were taken go back."""

    def busy(host: str, name: str) -> dict[str, Any] | None:
        taken = {"failed": True, "msg": "app_prod is locked by ann@laptop"}
        return taken if (host, name) == ("h3", "preflight") else answered(host, name)

    nodes = Nodes(busy)
    with pytest.raises(AnsibleActionFail, match="h3: app_prod is locked by ann@laptop"):
        calls(nodes).take_lock(Session("app_prod", "token", "now"))
    assert ("h1", "release") in nodes.asked and ("h2", "release") in nodes.asked
