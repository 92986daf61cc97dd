# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The door is set up and replaced: what starts, what ends, and what a run that is killed leaves to the next."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge import machine as module
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge import no_links, places
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge.kept import NODE, SETTINGS
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge.machine import composed, problems
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge.routes import DoorError, DoorSettings
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.containers import Containers
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.front_door import FrontDoor
from unit.module_utils.edge.fake_door import Killed, Running, a_route, running
from unit.module_utils.fake_engine import service

__all__ = ["running"]


def files(running: Running) -> dict[str, bytes]:
    folder = running.state / places.FOLDER
    found = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def verbs(running: Running, check: bool = False, **settings: Any) -> list[str]:
    return [step.verb for step in running.machine(**settings).bring(check)]


def test_brought_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Running(tmp_path / "state", monkeypatch)
    assert verbs(found, check=True) == ["start"] and not found.state.exists()
    assert verbs(found) == ["start"]
    assert verbs(found) == verbs(found, check=True) == []
    assert found.door.present() and found.door.routes() == {}
    found.stop()


def test_other_settings_and_another_image_are_another_door(running: Running) -> None:
    (first,) = running.taking()
    assert verbs(running, check=True, idle_timeout=60) == ["start", "end"] and running.taking() == [first]
    assert verbs(running, idle_timeout=60) == ["start", "end"]
    (second,) = running.taking()
    assert second != first and len(running.made) == 1
    assert running.door.live() == running.door.routes()
    assert running.door.settings().idle_timeout == 60
    assert next(step.target for step in running.machine("haproxy:2", idle_timeout=60).bring()) == "haproxy:2"
    assert verbs(running, idle_timeout=60) == ["start", "end"]  # and back to the image of before


def test_a_door_that_does_not_start_changes_nothing(running: Running) -> None:
    before, doors = files(running), running.taking()
    running.broken = {"haproxy:broken"}
    with pytest.raises(DoorError, match="goes on as it was") as caught:
        running.machine("haproxy:broken", idle_timeout=60).bring()
    assert caught.value.detail.startswith("last words of")
    assert files(running) == before and running.taking() == doors
    assert verbs(running) == []


def test_one_that_never_started_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Running(tmp_path / "state", monkeypatch)
    found.broken = {"haproxy:1"}
    with pytest.raises(DoorError, match="does not start"):
        found.machine().bring()
    assert found.made == [] and not {Path(NODE).name, Path(SETTINGS).name} & files(found).keys()
    found.broken = set()
    assert verbs(found) == ["start"]
    found.stop()


def test_an_earlier_door_that_outlasts_its_update(running: Running) -> None:
    """It keeps its connections, takes no new ones, is no front door any more, and goes once it has ended."""
    running.lingering = True
    assert verbs(running, idle_timeout=60) == ["start", "end"]
    assert len(running.made) == 2 and len(running.taking()) == 1
    running.door.publish(a_route("staging"))
    assert running.door.live() == running.door.routes()
    assert verbs(running, idle_timeout=60) == []
    # Back to the earlier settings while the first door of these still ends: its successor has a name of its own.
    assert verbs(running) == ["start", "end"]
    assert len({one["Name"] for one in running.made}) == 3
    for one in running.made[:2]:
        one["State"]["Running"] = False
    assert verbs(running) == [] and len(running.made) == 1
    running.made[0]["State"]["Running"] = False
    assert not running.door.present()


def test_back_to_settings_whose_door_ended_late(running: Running) -> None:
    """Compose would start that container again, which ends with its last connection and is removed."""
    running.lingering = True
    verbs(running, idle_timeout=60)
    running.made[0]["State"]["Running"] = False
    assert verbs(running) == ["start", "end"]
    (name,) = running.taking()
    assert running.door.live() == running.door.routes() and verbs(running) == []
    assert running.taking() == [name]


def test_a_door_ends_within_bounds(running: Running) -> None:
    """An open connection cannot keep an earlier door for ever: HAProxy itself ends it."""
    text = files(running)["configuration/haproxy.cfg"].decode()
    assert "\n    hard-stop-after 10m\n" in text
    (door,) = composed("/s", DoorSettings(), "i", "n")["services"].values()
    assert door["stop_signal"] == "SIGUSR1" and door["restart"] == "unless-stopped"


def test_killed_at_every_call_and_finished_by_the_next_run(running: Running) -> None:
    at = 0
    for at in range(1, 20):
        count = 0

        def kill(_call: str, at: int = at) -> None:
            nonlocal count
            count += 1
            if count == at:
                raise Killed

        running.on_call = kill
        try:
            running.machine(idle_timeout=100 + at).bring()
            break
        except Killed:
            running.on_call = lambda _call: None
        if len(running.taking()) == 2:  # the new one has the routes, and the old one takes connections as well
            web = service("web", domains=["staging.test"], connections=1, rate=1)
            (problem,) = FrontDoor(running.door, "staging").problems([web], Containers(()))
            assert "an update of the front door was interrupted" in problem and "aiia.bulkhead.edge" in problem
        running.machine(idle_timeout=100 + at).bring()
        assert len(running.taking()) == 1, at
        assert verbs(running, idle_timeout=100 + at) == [] and len(running.made) == 1, at
        assert running.door.live() == running.door.routes() != {}
        assert running.door.settings().idle_timeout == 100 + at
    assert at > 3


def test_one_that_was_not_told_to_end_is_told_by_the_next_run(running: Running) -> None:
    """Killed between the two calls, it would never start again, and take connections until then."""
    running.lingering = True
    verbs(running, idle_timeout=60)
    running.calls.clear()
    running.lingering = False
    assert verbs(running, idle_timeout=60) == []
    assert [call for call in running.calls if call.startswith("kill --signal USR1")]


def test_what_stands_in_the_way_is_said_at_once(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = [("", 80, "1"), ("127.0.0.1", 443, "2"), ("", 22, "3")]
    monkeypatch.setattr(module, "listening", lambda: taken)
    monkeypatch.setattr(module, "process_of", lambda inode: {"1": "nginx (pid 7)"}.get(inode, ""))
    monkeypatch.setattr(module, "is_own_address", lambda address: address == "127.0.0.1")
    said = problems(DoorSettings(addresses=("0.0.0.0", "192.0.2.1")), frozenset())
    assert [text.partition(":")[0] for text in said] == [
        "bulkhead_edge_addresses",
        "port 80 is taken by nginx (pid 7)",
        "port 443 is taken by a process that this user may not see",
    ]
    assert problems(DoorSettings(addresses=("127.0.0.1",)), frozenset((80, 443))) == []
    # The ports of the running door are its own; others' are not.
    assert verbs(running) == []
    before = files(running)
    with pytest.raises(DoorError, match="port 22 is taken"):
        running.machine(http_port=22).bring()
    assert files(running) == before
    monkeypatch.setattr(module.os, "geteuid", lambda: 1000)
    with pytest.raises(DoorError, match="needs root"):
        running.machine().bring()


def test_a_machine_without_ipv6(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.os.path, "exists", lambda _path: False)
    assert running.machine().settings.addresses == ("0.0.0.0",)


def test_what_the_machine_does_when_it_starts_is_a_step(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(no_links, "keep_over_a_boot", lambda _engine, _state: True)
    assert verbs(running) == ["prepare"]


def test_nothing_of_a_door_is_anyone_elses(running: Running) -> None:
    for path in (running.state / places.FOLDER).rglob("*"):
        if not path.is_socket() and "bulkhead" not in path.name:
            assert path.stat().st_mode & 0o077 == 0, path
    assert json.loads(files(running)["compose.json"])["services"]


def test_after_a_boot_each_route_has_its_directory(running: Running) -> None:
    """A task of a stack whose sockets lie there could not start without."""
    folder = Path(places.sockets(str(running.state)), "production")
    running.machine().bring(check=True)
    assert not folder.exists()
    running.machine().bring()
    assert folder.stat().st_mode & 0o777 == 0o711
