# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done to a swarm, on a swarm that is a dictionary."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.swarm import change
from ansible_collections.aiia.bulkhead.plugins.module_utils.swarm.api import SwarmError


class FakeSwarm:
    """A swarm as the engine of node ``a`` has it. ``conflicts`` changes are refused because another came before."""

    def __init__(self, **roles: str) -> None:
        self.found = {name: node(name, role) for name, role in roles.items()}
        self.done: list[tuple[str, ...]] = []
        self.conflicts = 0
        self.state = "active"
        self.refusal = ""
        self.spec: dict[str, Any] = {"EncryptionConfig": {"AutoLockManagers": False}}

    def info(self) -> dict[str, Any]:
        return {"Swarm": {"NodeID": "a", "LocalNodeState": self.state}}

    def node(self, identity: str) -> dict[str, Any]:
        return copy.deepcopy(self.found[identity])

    def swarm(self) -> dict[str, Any]:
        tokens = {"Manager": "m-token", "Worker": "w-token"}
        return {"Spec": copy.deepcopy(self.spec), "Version": {"Index": 7}, "JoinTokens": tokens}

    def update(self, version: int, spec: dict[str, Any]) -> None:
        assert version == 7
        self.spec = spec

    def unlock_key(self) -> str:
        return "the key" if self.spec["EncryptionConfig"]["AutoLockManagers"] else ""

    def update_node(self, identity: str, version: int, spec: dict[str, Any]) -> None:
        assert version == self.found[identity]["Version"]["Index"]
        if self.conflicts:
            self.conflicts -= 1
            self.found[identity]["Version"]["Index"] += 1
            raise SwarmError("update out of sequence")
        self.found[identity]["Spec"] = spec
        self.found[identity]["ManagerStatus"] = {"Reachability": "reachable"} if spec["Role"] == "manager" else None
        self.done.append(("update", identity))

    def remove_node(self, identity: str) -> None:
        assert not self.found[identity]["ManagerStatus"]
        del self.found[identity]
        self.done.append(("remove", identity))

    def join(self, address: str, managers: list[str], token: str) -> None:
        self.done.append(("join", address, *managers, token))
        if self.refusal:
            self.state = "pending"
            raise SwarmError(self.refusal)

    def leave(self, force: bool = False) -> None:
        self.done.append(("leave", str(force)))


def node(name: str, role: str, state: str = "ready") -> dict[str, Any]:
    manages = {"Reachability": "reachable"} if role == "manager" else None
    spec = {"Role": role, "Availability": "active", "Labels": {}}
    return {"ID": name, "Version": {"Index": 1}, "Spec": spec, "Status": {"State": state}, "ManagerStatus": manages}


def wanted(identity: str, role: str, **more: Any) -> dict[str, Any]:
    return {
        "id": identity,
        "host": identity,
        "role": role,
        "availability": "active",
        "labels": {},
        "new": False,
        **more,
    }


def settled(swarm: Any, *nodes: dict[str, Any]) -> list[str]:
    return [f"{step.target}: {step.detail}" for step in change.settle(swarm, nodes)]


def test_new_managers_come_first_and_the_asked_one_becomes_a_worker_last() -> None:
    swarm = FakeSwarm(a="manager", b="manager", c="worker", d="worker")
    nodes = [wanted("a", "worker"), wanted("b", "worker"), wanted("c", "manager"), wanted("d", "worker")]
    assert settled(swarm, *nodes) == ["c: role manager", "b: role worker", "a: role worker"]
    assert swarm.done == [("update", "c"), ("update", "b"), ("update", "a")]
    assert settled(swarm, *nodes) == []


def test_a_change_that_another_one_came_before_is_tried_again() -> None:
    swarm = FakeSwarm(a="manager", b="worker")
    swarm.conflicts = 2
    assert settled(swarm, wanted("b", "worker", availability="drain")) == ["b: availability drain"]
    swarm.conflicts = 99
    with pytest.raises(SwarmError, match="out of sequence"):
        settled(swarm, wanted("b", "worker"))


def test_a_quorum_that_is_lost_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine speaks of its own parts then; other refusals stay in its words."""
    swarm = FakeSwarm(a="manager", b="worker")
    said = "code = Unknown desc = raft: failed to process the request: node lost leader status"

    def refuse(*_arguments: Any) -> None:
        raise SwarmError(said)

    monkeypatch.setattr(swarm, "update_node", refuse)
    with pytest.raises(SwarmError, match="the swarm lost its quorum while it was changed") as refused:
        settled(swarm, wanted("b", "worker", availability="drain"))
    assert refused.value.detail == said
    said = "invalid availability"
    with pytest.raises(SwarmError, match=r"^invalid availability$"):
        settled(swarm, wanted("b", "worker", availability="drain"))


def test_a_new_node_that_does_not_become_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change, "_READY", 0.0)
    swarm = FakeSwarm(a="manager", b="worker")
    swarm.found["b"]["Status"]["State"] = "unknown"
    with pytest.raises(SwarmError, match="b joined, but is not ready"):
        settled(swarm, wanted("b", "worker", new=True))
    assert settled(swarm, wanted("b", "worker")) == []  # one that was there before may be down


def test_only_what_is_down_is_removed() -> None:
    swarm = FakeSwarm(a="manager", b="manager", c="worker")
    with pytest.raises(SwarmError, match=r"the node c \(three\) is up again: it was not removed"):
        change.remove(swarm, [{"id": "c", "host": "three"}])
    for lost in "bc":
        swarm.found[lost]["Status"]["State"] = "down"
    steps = change.remove(swarm, [{"id": "b", "host": "two"}, {"id": "c", "host": "three"}])
    assert [step.target for step in steps] == ["two", "three"]
    assert swarm.done == [("update", "b"), ("remove", "b"), ("remove", "c")]


def test_joining() -> None:
    swarm = FakeSwarm(a="worker")
    identity, (step,) = change.join(swarm, "one", "10.0.0.9", ["10.0.0.1:2377"], "w-token")
    assert (identity, step.target, step.detail) == ("a", "one", "at 10.0.0.9")
    assert swarm.done == [("join", "10.0.0.9", "10.0.0.1:2377", "w-token")]


def test_who_does_not_get_in_stops_trying() -> None:
    swarm = FakeSwarm()
    swarm.refusal = "Timeout was reached before node joined."
    with pytest.raises(SwarmError) as caught:
        change.join(swarm, "one", "10.0.0.9", ["10.0.0.1:2377"], "w-token")
    assert "one (10.0.0.9) cannot join the swarm of 10.0.0.1:2377, and is in none, as before" in caught.value.message
    assert "w-token" not in caught.value.message
    assert swarm.done[1:] == [("leave", "True")]


def test_locking() -> None:
    swarm: Any = FakeSwarm(a="manager")
    assert change.lock(swarm, None, False) == ("", [])
    key, (step,) = change.lock(swarm, True, True)
    assert (key, step.verb) == ("", "lock the managers of") and not swarm.unlock_key()
    assert change.lock(swarm, True, False)[0] == "the key"
    for left in (True, None):
        assert change.lock(swarm, left, False) == ("the key", [])
    key, (step,) = change.lock(swarm, False, False)
    assert (key, step.verb) == ("", "unlock the managers of")


def test_tokens() -> None:
    swarm: Any = FakeSwarm()
    assert change.tokens(swarm) == {"manager": "m-token", "worker": "w-token"}
