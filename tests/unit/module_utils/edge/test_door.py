# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Routes in the running door and on disk: damaged files, refusals, and runs that are killed at every step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.directory import Tree, TreeError
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge import places
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge.admin import DoorAway, ask
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge.door import Door
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge.kept import SETTINGS
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge.observed import door_facts
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge.routes import (
    DoorError,
    Route,
    configuration,
    listened,
    render,
)
from ansible_collections.aiia.bulkhead.plugins.module_utils.state.locks import Locks
from unit.module_utils.edge.fake_door import Killed, Running, a_route, running

__all__ = ["running"]

OLD = a_route("staging")
NEW = a_route("staging", "staging.test", "www.staging.test", container="ba9876543210")


def file_of(running: Running, prefix: str) -> Path:
    return Path(places.routes(str(running.state)), f"{prefix}.json")


def facts(running: Running) -> dict[str, Any]:
    labels = {"running": True, "labels": {"io.bulkhead.edge": str(running.state)}}
    seen = [{**labels, "labels": running.made[0]["Config"]["Labels"]}]
    return door_facts(running.door, seen)


def after_a_restart(running: Running) -> dict[str, Route]:
    """What a door that is killed now starts with."""
    running.start()
    return running.door.live()


def test_a_route_comes_changes_and_goes_and_no_other_one_does(running: Running) -> None:
    door, before = running.door, running.door.fingerprints()["production"]
    for route in (OLD, NEW, OLD):
        assert [step.target for step in door.publish(route)] == [", ".join(sorted(route.domains))]
        assert door.publish(route) == door.plan(route) == []
        assert door.live()["staging"] == door.routes()["staging"] == route
        assert after_a_restart(running)["staging"] == route
    assert not [command for command in running.commands if "production" in command]
    assert door.has("staging") and door.leads_to("staging") == {OLD.container}
    assert [step.verb for step in door.withdraw("staging")] == ["withdraw"]
    assert door.withdraw("staging") == [] and not door.has("staging") and door.leads_to("staging") == set()
    assert door.fingerprints() == {"production": before}
    assert set(after_a_restart(running)) == {"production"}


def test_routes_change_under_the_machines_lock(running: Running) -> None:
    """Two deployments at once change them one after the other."""
    publishing = Thread(target=running.door.publish, args=(OLD,), daemon=True)
    with Locks(str(running.state)).machine():
        publishing.start()
        publishing.join(0.3)
        assert publishing.is_alive() and "staging" not in running.door.live() | running.door.routes()
    publishing.join(10)
    assert running.door.live()["staging"] == running.door.routes()["staging"] == OLD


@pytest.mark.parametrize("damage", [b"", b"{}", b'{"domains": ["staging.test"]}', "folder", "link"], ids=str)
def test_a_damaged_file_concerns_its_own_environment_alone(running: Running, damage: bytes | str) -> None:
    door, path = running.door, file_of(running, "production")
    before, digest = door.routes()["production"], door.fingerprints()["production"].split()[0]
    path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage == "link":
        path.symlink_to("/etc/passwd")
    else:
        path.write_bytes(bytes(damage))  # type: ignore[arg-type]
    found = facts(running)
    assert set(found["damaged"]) == {"production"} and "production" in found["damaged"]["production"]
    assert found["routes"] == {"production": f"damaged {digest}"} and not found["problem"]
    # Another environment comes, and goes, and the damaged one's domains stay its own, after a restart as well.
    assert door.publish(OLD) and door.plan(OLD) == []
    assert after_a_restart(running) == {"production": before, "staging": OLD}
    with pytest.raises(DoorError, match=r"a\.production\.test is \*\.production\.test of production"):
        door.publish(a_route("staging", "a.production.test"))
    door.withdraw("staging")
    assert running.machine().bring() == []
    assert after_a_restart(running) == {"production": before}
    # Its own deployment mends it, and only what is no file has to be removed by hand.
    if damage == "folder":
        with pytest.raises(TreeError, match=str(path)):
            door.publish(before)
        path.rmdir()
    assert [step.verb for step in door.publish(before)] == ["publish"]
    assert door.publish(before) == [] and facts(running)["damaged"] == {}


def test_a_damaged_route_that_no_door_would_know_is_none_and_can_be_withdrawn(running: Running) -> None:
    running.door.publish(OLD)
    file_of(running, "other").write_bytes(b"x")
    assert set(running.door.routes()) == {"production", "staging"} and running.door.has("other")
    running.door.withdraw("other")
    assert not file_of(running, "other").exists() and running.door.look().damaged == {}


@pytest.mark.parametrize(
    ("word", "earlier"),
    [
        *((word, OLD) for word in ("add server https", "set server https/staging.b", "set map", "add map")),
        *((word, None) for word in ("add server http/", "set server https/staging.b", "add map")),
    ],
    ids=lambda value: value if isinstance(value, str) else "changed" if value else "new",
)
def test_what_the_door_refuses_is_taken_back(running: Running, word: str, earlier: Route | None) -> None:
    if earlier:
        running.door.publish(earlier)
    before = (running.door.fingerprints(), file_of(running, "staging").exists())
    running.refuses = lambda command: "Out of memory.\n" if word in command and "ba98" in command else ""
    with pytest.raises(DoorError, match=r"refused .*: Out of memory"):
        running.door.publish(NEW)
    assert (running.door.fingerprints(), file_of(running, "staging").exists()) == before
    running.refuses = lambda _command: ""
    running.door.publish(NEW)
    assert running.door.live()["staging"] == NEW


def interrupted(running: Running, at: int, monkeypatch: pytest.MonkeyPatch, work: Callable[[], object]) -> bool:
    """Do something, killed before the command or the file with a number; whether it was."""
    count = 0
    write = Tree.write

    def hear() -> None:
        nonlocal count
        count += 1
        if count == at:
            raise Killed

    def heard_write(*args: Any) -> None:
        hear()
        write(*args)

    def heard_tell(*args: Any) -> None:
        hear()
        tell(*args)

    monkeypatch.setattr(Tree, "write", heard_write)
    monkeypatch.setattr(Door, "_tell", heard_tell)
    try:
        work()
    except Killed:
        return True
    finally:
        monkeypatch.setattr(Tree, "write", write)
        monkeypatch.setattr(Door, "_tell", tell)
    return False


tell = Door._tell


@pytest.mark.parametrize("restarted", [False, True])
def test_a_run_that_is_killed_anywhere_is_finished_by_the_next(
    running: Running, monkeypatch: pytest.MonkeyPatch, restarted: bool
) -> None:
    """Whatever it came to, requests go to the earlier container or to the new one, and both are known."""
    door, other, at = running.door, running.door.fingerprints()["production"], 0
    door.publish(OLD)
    while interrupted(running, at := at + 1, monkeypatch, lambda: door.publish(NEW)):
        assert door.leads_to("staging") & {OLD.container, NEW.container}
        assert (after_a_restart(running) if restarted else door.live()).keys() >= {"production"}
        # Somebody else deploys in between: what a door starts with is written anew.
        door.publish(a_route("third", rate=at))
        if after_a_restart(running).get("staging") not in (OLD, NEW):
            assert door.plan(NEW), at
        assert door.publish(NEW) and door.plan(NEW) == [], at
        assert door.live()["staging"] == door.routes()["staging"] == after_a_restart(running)["staging"] == NEW
        door.publish(OLD)
    assert at > 10
    at = 0
    while interrupted(running, at := at + 1, monkeypatch, lambda: door.withdraw("staging")):
        assert door.has("staging"), at
        door.withdraw("staging")
        assert not door.has("staging") and "staging" not in after_a_restart(running)
        door.publish(OLD)
    assert at > 4
    assert door.fingerprints()["production"] == other


def test_a_door_that_is_killed_meanwhile_gets_the_route_all_the_same(running: Running) -> None:
    """The engine starts it again, from the files that are there then."""

    def killed_at(at: int, work: Callable[[], object]) -> bool:
        """Do something while the door is killed by a command with a number; whether there were as many."""
        heard = 0

        def kill(_command: str) -> None:
            nonlocal heard
            heard += 1
            if heard == at:
                running.start()

        running.on_command = kill
        work()
        running.on_command = lambda _command: None
        return heard >= at

    at = 0
    running.door.publish(OLD)
    while killed_at(at := at + 1, lambda: running.door.publish(NEW)):
        assert running.door.live()["staging"] == running.door.routes()["staging"] == NEW, at
        assert after_a_restart(running)["staging"] == NEW
        running.door.publish(OLD)
    assert at > 15
    at = 0
    while killed_at(at := at + 1, lambda: running.door.withdraw("staging")):
        assert set(running.door.live()) == set(running.door.routes()) == {"production"}, at
        running.door.publish(OLD)
    assert at > 5


def test_a_door_that_is_away(running: Running) -> None:
    running.door.publish(OLD)
    before = running.door.routes()
    running.stop()
    for call in (running.door.live, lambda: running.door.publish(NEW), running.door.fingerprints):
        with pytest.raises(DoorAway, match=r"does not answer at its admin socket .*admin\.sock"):
            call()
    assert running.door.routes() == before
    found = facts(running)
    assert found["routes"] is None and "does not answer" in found["problem"]
    # Destroyed meanwhile: it is said, and a door that starts again knows nothing of it.
    with pytest.raises(DoorAway):
        running.door.withdraw("staging")
    assert set(after_a_restart(running)) == {"production"}
    assert running.door.withdraw("staging") == []


def test_an_answer_that_breaks_off_is_none(running: Running) -> None:
    """Taken for all of it, a map that is cut would lead to entries that are added twice."""
    running.on_command = lambda _command: running.start()
    with pytest.raises(DoorAway, match="breaks off"):
        ask(str(running.state), "show map x")


def test_no_command_is_two(running: Running) -> None:
    for command in ("show info;show stat", "show\ninfo", "show\\ info"):
        with pytest.raises(DoorError, match="no single command"):
            ask(str(running.state), command)
    assert running.commands == []


def test_a_machine_without_a_door_is_asked_for_nothing(tmp_path: Path) -> None:
    door = Door(None, str(tmp_path / "state"))
    assert door.routes() == {} and not door.has("staging") and door.withdraw("staging") == []
    with pytest.raises(DoorError, match=r"no front door\. Run the playbook"):
        door.settings()


def test_damaged_settings_are_mended_by_the_playbook(running: Running) -> None:
    path = running.state / SETTINGS
    path.write_bytes(b"{}]")
    with pytest.raises(DoorError, match=r"settings\.json is damaged\. Run the playbook"):
        running.door.publish(OLD)
    assert "staging" not in running.door.live()
    assert running.machine()._own_ports() == {80, 443}
    assert running.machine().bring() == []
    running.door.publish(OLD)


def test_ports_of_a_configuration(running: Running) -> None:
    settings = running.machine(http_port=8080, https_port=8443, addresses=("127.0.0.1", "::1")).settings
    assert listened(configuration({}, settings, "/run/x/admin.sock")) == {8080, 8443}
    assert listened("") == frozenset()


def test_left_by_a_killed_run(running: Running) -> None:
    """A file that was being written is no route, and the next run of its environment removes it."""
    left = Path(places.routes(str(running.state)), ".staging.json.bulkhead-1")
    left.write_bytes(render(OLD)[:20])
    assert running.door.look().damaged == {}
    running.door.publish(OLD)
    assert not left.exists()
