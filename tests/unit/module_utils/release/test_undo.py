# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A deployment that fails puts everything back: files, checkout, containers and the guard."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.core import directory as tree_module
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.errors import Failure
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.steps import Step
from ansible_collections.aiia.bulkhead.plugins.module_utils.release import comparison as comparison_module
from unit.module_utils.deployments import WEB, Machine, files
from unit.module_utils.fake_engine import (
    COMPOSE_FILE,
    FakeEngine,
    compose_text,
    file,
    service,
    snapshot,
)


def assert_as_before(machine: Machine, act: Callable[[], Failure], word: str) -> Failure:
    """The same files, images, commit and releases after a deployment that failed."""
    before = snapshot(machine.directory), machine.engine.images(), machine.checkout.commit, machine.releases()
    error = act()
    after = snapshot(machine.directory), machine.engine.images(), machine.checkout.commit, machine.releases()
    assert after == before
    assert word in error.message
    return error


@pytest.mark.parametrize("how", ["unhealthy", "exited 1"])
def test_a_container_that_never_gets_healthy(deployed: Machine, how: str) -> None:
    deployed.engine.sick["web:2"] = how
    error = assert_as_before(deployed, lambda: deployed.fails(**files(web="web:2"), commit="c2"), "serves again")
    shown = "unhealthy" if how == "unhealthy" else "exited (1)"
    assert f"the containers did not get healthy: aiia_prod_web is {shown}" in error.message
    assert "last words of web-3" in error.detail
    assert deployed.plan() == []


def test_a_container_that_starts_for_ever(deployed: Machine) -> None:
    deployed.engine.sick["web:2"] = "starting"
    error = assert_as_before(deployed, lambda: deployed.fails(**files(web="web:2"), wait_timeout=0), "serves again")
    assert "aiia_prod_web is starting" in error.message
    assert "health check of aiia_prod_web: probe: no answer" in error.detail


def test_files_that_a_service_does_not_take(deployed: Machine) -> None:
    services = [service("web", **WEB, on_change=["web", "reload"]), service("db")]
    deployed.engine.refuses = lambda call: (
        call.startswith("exec") and (deployed.directory / "web.conf").read_text() != "one"
    )
    error = assert_as_before(
        deployed, lambda: deployed.fails(**files(conf="two"), services=services), "The previous release serves again"
    )
    assert error.message == "service web did not take its changed files. The previous release serves again"
    assert "refused by the test" in error.detail and "last words of web-" in error.detail


def test_a_new_service_of_a_failed_release_goes(deployed: Machine) -> None:
    deployed.engine.sick["new:1"] = "unhealthy"
    changes = {
        "files": [file(COMPOSE_FILE, compose_text(web="web:1", db="db:1", extra="new:1")), file("web.conf", "one")],
        "services": [service("web", **WEB), service("db"), service("extra")],
    }
    assert_as_before(deployed, lambda: deployed.fails(**changes), "serves again")


def test_a_first_deployment_that_fails_leaves_nothing(machine: Machine) -> None:
    machine.engine.sick["web:1"] = "unhealthy"
    error = machine.fails()
    assert "There was no release before: what this run had started was removed, volumes were kept" in error.message
    assert machine.engine.running == {}
    assert snapshot(machine.directory) == {}
    assert "network rm aiia_prod_network" in machine.engine.calls
    assert not [call for call in machine.engine.calls if "volume" in call and "rm" in call]
    machine.engine.sick.clear()
    machine.deploy()
    assert machine.plan() == []


def test_a_failure_without_a_state_leaves_what_ran(deployed: Machine) -> None:
    """What took the place of a container that was there is all that there is."""
    (deployed.kept / "state.json").unlink()
    deployed.engine.sick["db:2"] = "unhealthy"
    services = [service("web", **WEB), service("db"), service("more")]
    error = deployed.fails(
        files=[file(COMPOSE_FILE, compose_text(web="web:2", db="db:2", more="more:1")), file("web.conf", "one")],
        services=services,
    )
    assert "Left running, as it was or replaced: aiia_prod_db and aiia_prod_web" in error.message
    assert sorted(deployed.engine.running) == ["db", "web"]


@pytest.mark.parametrize("error", [OSError(errno.ENOMEM, "Cannot allocate memory"), ValueError("Expecting value")])
def test_what_nobody_expected_is_undone_as_well(deployed: Machine, error: Exception) -> None:
    """The machine cannot start a process, or answers with nonsense."""

    def fail(call: str) -> None:
        if call.startswith("compose up"):
            deployed.engine.on_call = lambda _call: None
            raise error

    deployed.engine.on_call = fail
    said = assert_as_before(deployed, lambda: deployed.fails(**files(web="web:2")), "serves again")
    assert str(error) in said.message


def full_from(monkeypatch: pytest.MonkeyPatch, number: int, room_again: int = 10**6) -> None:
    """Let the disk be full for the nth file and those after it."""
    calls: list[int] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        calls.append(descriptor)
        if number <= len(calls) < room_again:
            raise OSError(errno.ENOSPC, "full")
        real(descriptor)

    monkeypatch.setattr(tree_module.os, "fsync", fsync)


@pytest.mark.parametrize("number", range(1, 6))
def test_a_full_disk_while_writing(deployed: Machine, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Files 1 to 3 go to the release, 4 and 5 are the changed ones."""
    full_from(monkeypatch, number)
    changes = files(web="web:2", conf="two")
    assert_as_before(deployed, lambda: deployed.fails(**changes, commit="c2"), "the disk is full")
    assert not [call for call in deployed.engine.calls if call.startswith("compose up")] or number > 3


@pytest.mark.parametrize("last", [6, 7])
def test_a_full_disk_at_the_very_end(deployed: Machine, monkeypatch: pytest.MonkeyPatch, last: int) -> None:
    """Manifest or state cannot be written: without them the next run would not know what runs, so this goes back."""
    full_from(monkeypatch, last, room_again=last + 1)
    changes = files(web="web:2", conf="two")
    assert_as_before(deployed, lambda: deployed.fails(**changes, commit="c2"), "serves again")
    assert deployed.plan() == []


def test_a_checkout_that_fails(deployed: Machine) -> None:
    deployed.checkout.broken = True

    def act() -> Failure:
        error = deployed.fails(**files(web="web:2"), commit="c2")
        deployed.checkout.broken = False
        return error

    assert_as_before(deployed, act, "git checkout failed")


def test_going_back_that_fails_is_told(deployed: Machine) -> None:
    deployed.engine.refuses = lambda call: call.startswith("up")
    error = deployed.fails(**files(web="web:2"))
    assert "Putting it back failed too" in error.message


# ---- the guard ---------------------------------------------------------------------------------------------------

OPEN = [{"protocol": "tcp", "address": "", "ports": "80"}]


class FakeFirewall:
    """The guard of a machine: ``up`` is what stands there. Writes what is done among the engine's calls."""

    up: list[dict[str, str]] | None = None

    missing = ""

    def __init__(self, engine: FakeEngine, _prefix: str, _chain: str, *more: Any) -> None:
        self.engine = engine
        self.networks, self.ports, _state, _optional = more

    def look_again(self) -> None:
        pass

    def incomplete(self) -> bool:
        return self.ports is not None and not self.engine.running

    def plan(self) -> list[Step]:
        return [] if FakeFirewall.up == self.ports else [Step("guard")]

    def apply(self, ports: list[dict[str, str]] | None) -> None:
        FakeFirewall.up = ports
        self.engine.calls.append(f"guard {'off' if ports is None else ports[0]['ports']}")


@pytest.fixture
def guarded(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """What makes a deployment a guarded one."""
    monkeypatch.setattr(comparison_module, "Firewall", FakeFirewall)
    monkeypatch.setattr(FakeFirewall, "up", None)
    return lambda ports=OPEN, **more: {"firewall": True, "firewall_chain": "C", "firewall_ports": ports, **more}


def guarding(machine: Machine) -> list[str]:
    """What was done to the guard and to Compose, in order."""
    return [call for call in machine.engine.calls if call.startswith(("guard", "compose up"))]


def test_the_guard_stands_before_anything_starts(machine: Machine, guarded: Callable[..., dict[str, Any]]) -> None:
    assert machine.plan(**guarded())[-1] == "guard"
    machine.deploy(**guarded())
    up = "compose up --detach --no-build --quiet-pull"
    assert guarding(machine) == ["compose up --no-start --no-build --quiet-pull", "guard 80", up, "guard 80"]
    assert machine.plan(**guarded()) == []
    machine.engine.calls.clear()
    machine.deploy(**guarded([{**OPEN[0], "ports": "81"}]))
    assert guarding(machine) == ["guard 81", up, "guard 81"]


def test_the_guard_goes_when_it_is_no_longer_wanted(machine: Machine, guarded: Callable[..., dict[str, Any]]) -> None:
    machine.deploy(**guarded())
    unguarded = {"firewall": False, "firewall_chain": "C", "firewall_ports": OPEN}
    assert machine.plan(**unguarded) == ["guard"]
    machine.deploy(**unguarded)
    assert FakeFirewall.up is None
    assert machine.look(**unguarded).firewall is None, "iptables is asked for ever after"


def test_the_guard_of_the_previous_release_comes_back(machine: Machine, guarded: Callable[..., dict[str, Any]]) -> None:
    machine.deploy(**guarded())
    machine.engine.sick["web:2"] = "unhealthy"
    machine.fails(**files(web="web:2"), **guarded([{**OPEN[0], "ports": "81"}]))
    assert FakeFirewall.up == OPEN


def test_no_guard_after_a_first_deployment_that_failed(
    machine: Machine, guarded: Callable[..., dict[str, Any]]
) -> None:
    machine.engine.sick["web:1"] = "unhealthy"
    machine.fails(**guarded())
    assert FakeFirewall.up is None and machine.engine.running == {}
    assert machine.engine.calls.index("guard off") < machine.engine.calls.index("network rm aiia_prod_network")


def test_an_engine_without_addresses(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason is the headline, with what could go and the setting."""
    said = "Network n  Error\nError response from daemon: all predefined address pools have been fully subnetted"
    real, docker = machine.engine.compose, machine.engine.docker

    def fake_compose(*args: str, **options: Any) -> tuple[int, str, str]:
        return (1, "", said) if args[0] == "up" else real(*args, **options)

    def fake_docker(*args: str, **options: Any) -> tuple[int, str, str]:
        return (0, "old_default\n", "") if args[:2] == ("network", "ls") else docker(*args, **options)

    monkeypatch.setattr(machine.engine, "compose", fake_compose)
    monkeypatch.setattr(machine.engine, "docker", fake_docker)
    error = machine.fails()
    assert "the containers could not be made: Error response from daemon: all predefined address" in error.message
    for word in ("old_default", "default-address-pools"):
        assert word in error.message


def test_a_container_that_the_engine_does_not_start(deployed: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine's reason is the headline."""
    why = 'failed to create task for container: exec: "serve": executable file not found in $PATH'
    deployed.engine.sick["web:2"] = "exited 127"
    made = deployed.engine._made

    def not_started(*args: Any, **options: Any) -> dict[str, Any]:
        container = made(*args, **options)
        container["State"]["Error"] = why
        return container

    monkeypatch.setattr(deployed.engine, "_made", not_started)
    message = deployed.fails(**files(web="web:2")).message
    assert f"aiia_prod_web is exited (127): the engine did not start it: {why}" in message


@pytest.mark.parametrize("own", [True, False], ids=["of the image", "of the service"])
def test_whose_health_check_failed(deployed: Machine, own: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that runs the application's image is asked for pages."""
    deployed.engine.named = {"web:1": "id-1", "db:1": "id-d", "web:2": "id-2"}
    test = ["CMD", "curl", "localhost"]
    healthcheck = {"Healthcheck": {"Test": test if own else ["NONE"]}}
    deployed.engine.objects["image"] = [{"Name": "id-2", "Id": "id-2", "Config": healthcheck}]
    deployed.engine.sick["web:2"] = "unhealthy"
    made = deployed.engine._made

    def with_check(*args: Any, **options: Any) -> dict[str, Any]:
        container = made(*args, **options)
        container["Config"]["Healthcheck"] = {"Test": test}
        return container

    monkeypatch.setattr(deployed.engine, "_made", with_check)
    said = deployed.fails(**files(web="web:2")).detail
    assert ("This check is the HEALTHCHECK of its image" in said) is own
