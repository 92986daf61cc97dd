# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Locks and the registry on a real machine: runs that are killed, two at once, inventories that know nothing of each
other, and a registry that is lost or edited."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.state.registry import Registry
from observe import eventually, running, say
from sabotage import (
    GATE,
    Meanwhile,
    descendants,
    done,
    entry,
    exists,
    gated,
    idle,
    is_held,
    lease,
    let_time_pass,
    not_ready,
    notes,
    open_gate,
    receipt,
    runs,
    slow,
    started,
    state,
    words,
)
from support import IMAGE, Place, Site, docker, free_port, only, remove_project, web


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, projects: Callable[[], str]) -> Iterator[Place]:
    """One small environment, deployed; each test leaves it deployable."""
    made = Site(tmp_path_factory.mktemp("locks"), projects()).small(
        services=only(web=web(), slow=slow(0)), env={"SAY": "first"}, wait_timeout=120
    )
    made.deploy().succeeded()
    yield made
    remove_project(made.site.project)


def moments(place: Place) -> dict[str, Callable[[], object]]:
    """What shows that a run is in the middle of a step."""
    site, aside = place.site, state(place.site) / "deployed" / place.prefix / "releases"
    before = set(aside.iterdir())
    return {
        "preflight": lambda: is_held(place),
        "staging": lambda: set(aside.iterdir()) - before,
        "converge": lambda: done(site, "preflight") and not_ready(f"{place.prefix}_slow"),
        "verify": lambda: done(site, "converge"),
    }


@pytest.mark.parametrize("step", ["preflight", "staging", "converge", "verify"])
def test_kill_9_of_the_controller(place: Place, step: str) -> None:
    """The lock stays until it ends by itself; the next run says so and puts everything right."""
    place.variables["bulkhead_env"] = {"SAY": f"killed in {step}"}
    if step == "converge":
        place.variables["bulkhead_services"]["slow"] = gated(labels={"step": step})
    reached = moments(place)[step]
    with started(place.site, "-l", "small") as process:
        eventually(reached, 120)
        assert process.poll() is None, (place.site.directory / "killed.log").read_text()
    assert is_held(place)
    if step == "converge":
        docker("exec", f"{place.prefix}_slow", "touch", GATE)
    busy = place.deploy("-e", "bulkhead_lock_wait=0").error
    assert f"{place.prefix} is locked by" in busy and "bulkhead_lock_takeover: true" in busy
    let_time_pass(place)
    run = place.deploy().succeeded()
    assert any("had expired" in note for note in notes(run)), notes(run)
    assert any("had expired" in note for note in receipt(run)["notes"])
    assert say(place.prefix) == f"killed in {step}"
    assert sorted(running(place.prefix)) == [f"{place.prefix}_slow", f"{place.prefix}_web"]
    assert not list(place.directory.rglob(".*.bulkhead-*"))
    assert not is_held(place)


def test_kill_9_during_a_build(site: Site, tmp_path: Path) -> None:
    """No image of the commit, nothing changed; the next run builds it."""
    repository, origin = tmp_path / "work", tmp_path / "origin.git"
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", "-C", str(repository)]
    subprocess.run(["git", "init", "--quiet", "--initial-branch", "main", str(repository)], check=True)
    (repository / "Dockerfile").write_text(f"FROM {IMAGE}\nARG SECONDS_TO_BUILD\nRUN sleep $SECONDS_TO_BUILD\n")
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "--quiet", "-m", "one"], check=True)
    subprocess.run(["git", "clone", "--quiet", "--bare", str(repository), str(origin)], check=True)
    command = ["sleep", "infinity"]
    service = {"command": command, "init": True, "stop_grace_period": "0s"}
    place = site.small(
        services=only(app=service), source_repository=str(origin), source_branch="main", app_service="app",
        build_arguments={"SECONDS_TO_BUILD": "60"},
    )  # fmt: skip
    with started(site, "-l", "small") as process:
        eventually(lambda: list(state(site).glob("builds/*")) or process.poll() is not None, 120)
        assert process.poll() is None, (site.directory / "killed.log").read_text()
        time.sleep(1)
    assert is_held(place) and not running(place.prefix)
    let_time_pass(place)
    place.variables["bulkhead_build_arguments"] = {"SECONDS_TO_BUILD": "0"}
    run = place.deploy().succeeded()
    assert run.result("source")["built"] and len(running(place.prefix)) == 1
    assert not is_held(place)


def test_a_controller_that_dies_alone(place: Place) -> None:
    """What runs on the machine goes on and keeps the lock, so that a second run does not work beside it."""
    place.variables["bulkhead_env"] = {"SAY": "orphan"}
    reached = moments(place)["staging"]
    with started(place.site, "-l", "small") as process:
        eventually(reached, 120)
        orphans = descendants(process.pid)[1:]
        os.kill(process.pid, 9)
        busy = place.deploy("-e", "bulkhead_lock_wait=0").error
        assert "is locked by" in busy
        eventually(lambda: not any(map(runs, orphans)), 120)
    assert is_held(place) and say(place.prefix) == "orphan"
    let_time_pass(place)
    place.deploy().succeeded()
    assert say(place.prefix) == "orphan"


def test_two_deployments_at_once(place: Place) -> None:
    """One is refused at once where it may not wait, and says whose the lock is; one that may wait goes on after it."""
    first, second = (Site(place.site.directory / name, place.site.project, places=place.site.places) for name in "ab")
    for controller in (first, second):
        controller.everyone["bulkhead_state_directory"] = str(state(place.site))
    place.variables["bulkhead_services"]["slow"] = gated(labels={"step": "both"})
    said: list[str] = []

    def meanwhile() -> None:
        said.append(second.play("-l", "small", "-e", "bulkhead_lock_wait=0").error)
        open_gate(f"{place.prefix}_slow")
        said.append(second.play("-l", "small", "-e", "bulkhead_lock_wait=120").succeeded().output)

    with Meanwhile(lambda: is_held(place), meanwhile):
        first.play("-l", "small").succeeded()
    since = lease(place)["since"]
    assert "is locked by" in said[0] and "(waited 0 s)" in said[0] and "s ago" in said[0]
    assert since > 0 and not is_held(place)


def test_a_lock_that_is_taken_over_on_purpose(place: Place) -> None:
    """The new run says whose lock it took; the old one notices, and writes no receipt."""
    slow_one = f"{place.prefix}_slow"
    place.variables["bulkhead_services"]["slow"] = gated(labels={"step": "takeover"})
    receipts = entry(place).parent / "receipts"
    before = set(receipts.iterdir())
    other = Site(place.site.directory / "other", place.site.project, places=place.site.places)
    other.everyone["bulkhead_state_directory"] = str(state(place.site))
    runs: list[str] = []

    def take_over() -> None:
        since = lease(place).get("since")
        with Meanwhile(lambda: lease(place).get("since") != since, lambda: open_gate(slow_one)):
            run = other.play("-l", "small", "-e", "bulkhead_lock_takeover=true", "-e", "bulkhead_lock_wait=0")
        runs.append(" ".join(notes(run.succeeded())))

    with Meanwhile(lambda: not_ready(slow_one), take_over):
        loser = place.deploy()
    assert "was taken over (bulkhead_lock_takeover)" in runs[0]
    assert loser.code != 0 and "the lock of" in words(loser.output) and "was lost" in words(loser.output)
    assert len(set(receipts.iterdir()) - before) == 1
    assert receipt(place.deploy())["changed"] == []


def test_a_registry_that_was_lost_or_edited(place: Place) -> None:
    """Rebuilt from the copy in the environment's directory, and reported; complete again after the run."""
    whole = json.loads(entry(place).read_text())
    entry(place).write_text(entry(place).read_text().replace(place.prefix + "_web", "something_else"))
    edited = place.deploy().succeeded()
    assert any(note.startswith("rebuilt-registry") and "edited by hand" in note for note in notes(edited))
    shutil.rmtree(state(place.site) / "environments")
    lost = place.deploy().succeeded()
    assert any(note.startswith("rebuilt-registry") and "lost" in note for note in notes(lost)), notes(lost)
    again = json.loads(entry(place).read_text())
    assert again["claims"] == whole["claims"] and again["directory"] == str(place.directory)
    (place.directory / ".bulkhead" / "environment.json").unlink()
    entry(place).write_text("{ half of it")
    damaged = place.deploy().succeeded()
    assert any(note.startswith("damaged-registry") for note in notes(damaged)), notes(damaged)
    assert not [note for note in notes(place.deploy().succeeded()) if "-registry" in note]


@pytest.mark.parametrize("what", ["machine_id", "engine_id"])
def test_another_machine_or_engine(place: Place, what: str) -> None:
    """An address that leads elsewhere today than at the last deployment is refused."""
    registry = Registry(str(state(place.site)))
    known = registry.entries()[place.prefix]
    registry.write(place.prefix, {**known, what: "0123456789abcdef"}, {"finished": "2026-01-01T00:00:00Z"})
    error = words(place.deploy().error)
    registry.write(place.prefix, known, {"finished": "2026-01-01T00:00:01Z"})
    assert "other-machine" in error and "0123456789ab" in error and "is elsewhere" in error
    place.deploy().succeeded()


def test_two_inventories_that_know_nothing_of_each_other(
    site: Site, tmp_path: Path, projects: Callable[[], str]
) -> None:
    """The registry keeps them apart, also while the other environment is stopped; disjoint ones live side by side."""
    port, name = free_port(), f"{site.project}-app"
    # A name that neither has for itself: the plan refuses it, and here the machine is asked.
    accepted = [
        {"rule": "outside-name", "resource": f"container_name: {name}", "reason": "a test", "until": "2099-01-01"}
    ]
    first = site.small(
        "first", "one", domains=["shop.example.com"], waivers=accepted,
        services=only(web=web(container_name=name, ports=[f"127.0.0.1:{port}:8000"])),
    )  # fmt: skip
    first.deploy().succeeded()
    docker("stop", "--timeout", "0", name)
    other = Site(tmp_path / "other", projects(), everyone={"bulkhead_state_directory": str(state(site))})
    mine = [f"0.0.0.0:{port}:8000"]
    second = other.small(
        "second", "two", domains=["shop.example.com"], waivers=accepted,
        services=only(web=web(container_name=name, ports=mine)),
    )  # fmt: skip
    error = words(second.deploy().error)
    for says in (first.prefix, name, str(port), "shop.example.com", "registered on the machine by"):
        assert says in error, error
    assert not running(second.prefix)
    second.variables["bulkhead_domains"] = ["other.example.com"]
    second.variables["bulkhead_services"] = only(web=web(ports=[f"127.0.0.1:{free_port()}:8000"]))
    del second.variables["bulkhead_waivers"]
    run = second.deploy()
    assert receipt(run)["bystanders"] == [first.prefix]
    impostor = other.small("third", "one", prefix=first.prefix)
    assert "other-directory" in words(impostor.deploy().error)


def test_no_room_for_the_registry(site: Site, tmp_path: Path) -> None:
    """A full disk below the registry: said in words before anything is made, and the next run succeeds."""
    if os.geteuid() != 0:
        pytest.skip("mounts a file system, as root")
    room = tmp_path / "room"
    room.mkdir()
    site.everyone["bulkhead_state_directory"] = str(room / "state")
    place = site.small(services=only(web=idle()))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600m", "tmpfs", str(room)], check=True)
    try:
        with (room / "ballast").open("wb") as ballast:
            os.posix_fallocate(ballast.fileno(), 0, shutil.disk_usage(room).free)
        error = place.deploy().error
        assert "the disk is full" in error and not exists(f"{place.prefix}_web")
        (room / "ballast").unlink()
        place.deploy().succeeded()
    finally:
        subprocess.run(["umount", "--lazy", str(room)], check=True)


def test_the_receipt_is_kept(place: Place, tmp_path: Path) -> None:
    """On the machine, on the controller if asked, and in at most ten lines on the screen; nothing of it is secret.

    Only what root keeps to start containers from is, as in the environment's directory.
    """
    path = tmp_path / "receipt.json"
    place.secrets["bulkhead_secrets"] = {"API_TOKEN": "correct-horse-battery"}
    run = place.deploy("-e", f"bulkhead_receipt={path}").succeeded()
    kept = json.loads(path.read_text())
    assert kept["prefix"] == place.prefix and kept["proved"]["claims"] > 0
    newest = sorted(entry(place).parent.glob("receipts/*.json"))[-1]
    assert json.loads(newest.read_text()) == {key: value for key, value in kept.items() if key != "path"}
    lines = run.output[run.output.index("receipt of ") :].split("\nok:")[0].splitlines()
    assert 6 <= len(lines) <= 10
    kept_files = [path for path in state(place.site).rglob("*") if path.is_file()]
    shown = [path for path in kept_files if not path.is_relative_to(state(place.site) / "deployed")]
    assert {path.stat().st_mode & 0o077 for path in shown} <= {0, 0o040}
    everything = "".join(path.read_text(errors="replace") for path in shown)
    assert "correct-horse-battery" not in everything + run.output
    assert (state(place.site) / "key").stat().st_mode & 0o777 == 0o600
