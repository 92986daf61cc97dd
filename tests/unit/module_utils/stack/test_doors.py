# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The front door of a node leads to a stack's relay, once that listens, and forgets it again."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.engine import Engine
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge import places
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge.routes import DoorError
from ansible_collections.aiia.bulkhead.plugins.module_utils.stack import doors
from unit.module_utils.edge.fake_door import Running, running

__all__ = ["running"]

GIVEN = {"domains": ["app.test", "www.app.test"], "connections": 100, "rate": 10}


class Node:
    """A machine with a front door, and perhaps a relay that listens."""

    def __init__(self, running: Running, relay: ExitStack) -> None:
        self.running = running
        self.engine = cast(Engine, running)
        self.relay = relay
        self.params = {"prefix": "app_prod", "state_directory": str(running.state)}
        self.sockets = Path(places.sockets(str(running.state)), "app_prod")

    def listen(self) -> None:
        folder = self.sockets / "relay"
        folder.mkdir()
        handle = os.open(folder, os.O_PATH)
        self.relay.callback(os.close, handle)
        for name in ("http", "https"):
            listener = self.relay.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(f"/proc/self/fd/{handle}/{name}.sock")  # a path has 107 bytes
            listener.listen()

    def do(self, job: Any, check: bool = False) -> list[str]:
        setattr(self.running, "check_mode", check)  # noqa: B010 - what a module has
        return [step.verb for step in job(self.engine, self.params, GIVEN)]


@pytest.fixture
def node(running: Running, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    monkeypatch.setattr(doors, "_LISTENS", 0.3)
    with ExitStack() as relay:
        yield Node(running, relay)


def test_ready_led_and_left(node: Node) -> None:
    """Nothing of another environment changes."""
    others = node.running.door.fingerprints()
    assert node.do(doors.ready) == ["publish"] and node.sockets.is_dir()
    assert "app_prod" not in node.running.door.live()
    node.listen()
    assert node.do(doors.lead) == ["publish"] and node.do(doors.lead) == node.do(doors.ready) == []
    route = node.running.door.live()["app_prod"]
    assert route.domains == ("app.test", "www.app.test") and route.https == "relay/https.sock"
    assert node.do(doors.leave, check=True) == ["withdraw"]
    assert node.do(doors.leave) == ["withdraw"] and node.do(doors.leave) == []
    assert node.running.door.fingerprints() == others and not node.sockets.exists()


def test_a_door_that_starts_again_leads_there(node: Node) -> None:
    node.do(doors.ready)
    node.listen()
    node.do(doors.lead)
    node.running.start()
    assert node.running.door.live()["app_prod"].container == "relay"


def test_check_mode_makes_nothing(node: Node) -> None:
    assert node.do(doors.ready, check=True) == ["publish"] and not node.sockets.exists()


def test_no_door_leads_to_a_relay_that_does_not_listen(node: Node) -> None:
    node.do(doors.ready)
    with pytest.raises(DoorError, match=r"nobody listens at .*/app_prod/relay/http.sock .*service relay on this node"):
        node.do(doors.lead)
    assert "app_prod" not in node.running.door.live()


def test_a_domain_of_another_environment(node: Node) -> None:
    """Of another fleet, perhaps: it is refused before anything is updated."""
    domain = node.running.door.routes()["production"].domains[0]
    with pytest.raises(DoorError, match="one environment for each domain"):
        doors.ready(node.engine, node.params, {**GIVEN, "domains": [domain]})


def test_a_machine_without_a_door(node: Node) -> None:
    node.running.made.clear()
    with pytest.raises(DoorError, match="the front door is absent on this machine"):
        node.do(doors.ready)


class Manager:
    """Nodes of a swarm, with what became of their labels."""

    def __init__(self, **labels: dict[str, str]) -> None:
        self.labels = labels

    def node(self, identity: str) -> dict[str, Any]:
        spec = {"Labels": self.labels[identity], "Role": "worker"}
        return {"ID": identity, "Version": {"Index": 7}, "Spec": spec, "Description": {"Hostname": f"node-{identity}"}}

    def update_node(self, identity: str, version: int, spec: dict[str, Any]) -> None:
        assert (version, spec["Role"]) == (7, "worker")
        self.labels[identity] = spec["Labels"]


@pytest.mark.parametrize("check", [False, True])
def test_labels(monkeypatch: pytest.MonkeyPatch, check: bool) -> None:
    """Other labels stay, and a node that is as it should be is left alone."""
    manager = Manager(a={"disk": "ssd"}, b={"door": "true"}, c={"door": "true", "disk": "ssd"})
    before = dict(manager.labels)
    monkeypatch.setattr(doors, "SwarmApi", lambda _host: manager)
    engine = cast(Engine, SimpleNamespace(docker_host="", module=SimpleNamespace(check_mode=check)))
    steps = doors.label(engine, {}, {"label": "door", "nodes": {"a": True, "b": True, "c": False}})
    assert [(step.verb, step.detail) for step in steps] == [("label", "node-a"), ("unlabel", "node-c")]
    after = {"a": {"disk": "ssd", "door": "true"}, "b": {"door": "true"}, "c": {"disk": "ssd"}}
    assert manager.labels == (before if check else after)
