# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a machine says of itself, in the engine's own answers."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.swarm import look as module
from ansible_collections.aiia.bulkhead.plugins.module_utils.swarm.api import SwarmError
from ansible_collections.aiia.bulkhead.plugins.module_utils.swarm.look import look, own_addresses
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.swarm.model import MachineLook

NO_LEADER = "rpc error: code = Unknown desc = The swarm does not have a leader."
NODE = {
    "ID": "n1", "Spec": {"Role": "manager", "Availability": "drain", "Labels": {"disk": "ssd"}},
    "Description": {"Hostname": "one"}, "Status": {"State": "ready", "Addr": "10.0.0.1"},
    "ManagerStatus": {"Leader": True, "Reachability": "reachable", "Addr": "10.0.0.1:2377"},
}  # fmt: skip


class FakeEngine:
    """An engine whose answers are given; ``nodes`` may be the words of its refusal."""

    def __init__(self, swarm: dict[str, Any] | None = None, nodes: Any = None, **more: Any) -> None:
        self._info = {"ServerVersion": "26.1.5", "ID": "e1", "Name": "one", "Swarm": swarm, **more}
        self._nodes = nodes
        self.asked = 0

    def info(self) -> dict[str, Any]:
        return self._info

    def nodes(self) -> list[dict[str, Any]]:
        self.asked += 1
        if isinstance(self._nodes, str):
            raise SwarmError(self._nodes)
        return list(self._nodes)

    def swarm(self) -> dict[str, Any]:
        return {"Spec": {"EncryptionConfig": {"AutoLockManagers": True}}, "JoinTokens": {"Worker": "SWMTKN-1"}}


MANAGER = {
    "LocalNodeState": "active", "ControlAvailable": True, "NodeID": "n1", "NodeAddr": "10.0.0.1", "Error": "",
    "Cluster": {"ID": "c1"}, "RemoteManagers": [{"NodeID": "n1", "Addr": "10.0.0.1:2377"}],
}  # fmt: skip


def seen(engine: Any, address: str = "") -> MachineLook:
    found = look(engine, address)
    assert "SWMTKN" not in str(found)
    return MachineLook.read("one", found, found["clock"] - 1, found["clock"] + 3)


def test_a_manager() -> None:
    found = seen(FakeEngine(MANAGER, [NODE]))
    (node,) = found.nodes
    assert found.manages and found.locked and (found.cluster, found.node, found.managers) == (
        "c1", "n1", ("10.0.0.1:2377",),
    )  # fmt: skip
    assert (node.id, node.role, node.availability, node.labels, node.state) == (
        "n1", "manager", "drain", {"disk": "ssd"}, "ready",
    )  # fmt: skip
    assert node.reachable and node.leader and node.manager_address == "10.0.0.1:2377"
    assert (found.clock, found.clock_within) == (-1, 2)


def test_a_worker_and_one_that_is_neither() -> None:
    worker = seen(FakeEngine({**MANAGER, "ControlAvailable": False, "Cluster": None}))
    assert not worker.manages and not worker.is_out and worker.cluster == ""
    for swarm in ({"LocalNodeState": "inactive"}, {}, None):
        assert seen(FakeEngine(swarm)).is_out


@pytest.mark.parametrize("first", [True, False])
def test_a_manager_without_quorum(first: bool) -> None:
    """The engine says so by itself once it knows; until then it does when it is asked."""
    engine = FakeEngine({**MANAGER, "Error": NO_LEADER if first else "", "Cluster": {"ID": ""}}, NO_LEADER)
    found = seen(engine)
    assert not found.manages and found.control and "does not have a leader" in found.refused
    assert engine.asked == (0 if first else 1)


def test_backends_of_the_firewall() -> None:
    for backend, expected in (({"Driver": "nftables"}, "nftables"), ({"Driver": "iptables"}, "iptables"), (None, "")):
        assert seen(FakeEngine(FirewallBackend=backend)).firewall == expected


def test_its_own_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    assert seen(FakeEngine(), "127.0.0.1").is_own
    assert not seen(FakeEngine(), "192.0.2.1").is_own
    assert not seen(FakeEngine()).is_own
    assert not any(address.startswith("127.") for address in own_addresses())
    monkeypatch.setattr(module, "listening", lambda: [("", 2377, "1"), ("10.0.0.9", 7946, "2"), ("", 80, "3")])
    monkeypatch.setattr(module, "process_of", {"1": "x (pid 5)", "2": ""}.get)
    assert seen(FakeEngine(), "10.0.0.1").taken == {"2377": "x (pid 5)"}
    assert set(seen(FakeEngine(), "10.0.0.9").taken) == {"2377", "7946"}
    assert seen(FakeEngine(MANAGER, [NODE]), "10.0.0.9").taken == {}
