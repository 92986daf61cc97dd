# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a deployment decides to do on its machine, and that it puts everything back where that fails."""

from __future__ import annotations

import errno
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils import comparison as comparison_module
from ansible_collections.aiia.bulkhead.plugins.module_utils import tree as tree_module
from ansible_collections.aiia.bulkhead.plugins.module_utils.comparison import STATE
from ansible_collections.aiia.bulkhead.plugins.module_utils.failure import Failure
from ansible_collections.aiia.bulkhead.plugins.module_utils.refusals import refuse_foreign
from unit.module_utils.deployments import WEB, Machine, files
from unit.module_utils.fake_engine import (
    COMPOSE_FILE,
    FakeEngine,
    compose_text,
    file,
    service,
    snapshot,
)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "env")


@pytest.fixture
def deployed(machine: Machine) -> Machine:
    machine.deploy()
    machine.engine.calls.clear()
    return machine


# ---- deciding ----------------------------------------------------------------------------------------------------


def test_first_deployment(machine: Machine) -> None:
    assert machine.plan() == [
        f"write {COMPOSE_FILE}",
        "write web.conf",
        "write .env",
        "check out c1 in code",
        "start aiia_prod_web",
        "start aiia_prod_db",
    ]
    machine.deploy()
    assert machine.engine.images() == {"web": "web:1", "db": "db:1"}
    assert machine.checkout.commit == "c1"
    state = json.loads((machine.directory / STATE).read_text())
    assert state["commit"] == "c1"
    assert state["files"] == [COMPOSE_FILE, "web.conf", ".env"]
    assert [state["release"]] == machine.releases()


def test_nothing_to_do(deployed: Machine) -> None:
    assert deployed.plan() == []
    assert not [call for call in deployed.engine.calls if call.startswith("compose")]


def test_a_changed_file(deployed: Machine) -> None:
    before = deployed.engine.ids()
    assert deployed.plan(**files(conf="two")) == ["write web.conf", "bring changed files to aiia_prod_web"]
    deployed.deploy(**files(conf="two"))
    after = deployed.engine.ids()
    assert after["web"] != before["web"]  # it has no command to take the file: recreated
    assert after["db"] == before["db"]
    assert deployed.plan(**files(conf="two")) == []


def test_a_service_with_a_command_keeps_its_container(deployed: Machine) -> None:
    before = deployed.engine.ids()
    services = [service("web", **WEB, on_change=["web", "reload"]), service("db")]
    deployed.deploy(**files(conf="two"), services=services)
    assert deployed.engine.ids() == before
    assert f"exec {before['web']} web reload" in deployed.engine.calls


def test_a_new_container_is_not_started_twice(deployed: Machine) -> None:
    deployed.deploy(**files(web="web:2", conf="two"))
    assert not [call for call in deployed.engine.calls if call.startswith(("stop", "rm"))]
    assert deployed.engine.images()["web"] == "web:2"


def test_who_is_waited_for_takes_its_files_first(deployed: Machine) -> None:
    """An application that starts with a new password needs a database that knows it."""
    services = [service("web"), service("db", files=["db.sql"], on_change=["psql"], awaited=True)]
    changes = [file(COMPOSE_FILE, compose_text(web="web:2", db="db:1")), file("db.sql", "new")]
    deployed.deploy(files=changes, services=services)
    calls = [call for call in deployed.engine.calls if call.startswith(("exec", "compose up"))]
    assert calls.index("exec db-2 psql") < calls.index("compose up --detach --no-build --quiet-pull")


def test_volumes_may_be_older_than_the_first_deployment(machine: Machine) -> None:
    """The directory was lost and they were kept: the database learns its new password before anybody uses it."""
    services = [service("web"), service("db", files=["db.sql"], on_change=["psql"], awaited=True)]
    files = [file(COMPOSE_FILE, compose_text(web="web:1", db="db:1")), file("db.sql", "new")]
    machine.deploy(files=files, services=services)
    calls = [call for call in machine.engine.calls if call.startswith(("exec", "compose up"))]
    assert calls.index("exec db-1 psql") < calls.index("compose up --detach --no-build --quiet-pull")


@pytest.mark.parametrize(
    ("spoilt", "step"),
    [
        ({"State": {"Running": False, "Status": "exited", "ExitCode": 137}}, ["start aiia_prod_web"]),
        ({"State": {"Running": True, "Restarting": True}}, ["start aiia_prod_web"]),
        ({"State": {"Running": True, "Health": {"Status": "unhealthy"}}}, ["start aiia_prod_web"]),
        ({"State": {"Running": True, "Health": {"Status": "starting"}}}, ["start aiia_prod_web"]),
        ({"State": {"Running": True}}, []),
        ({"State": {"Running": True, "Health": {"Status": "none"}}}, []),
    ],
)
def test_what_does_not_run_as_it_should_is_started(deployed: Machine, spoilt: dict[str, Any], step: list[str]) -> None:
    deployed.engine.container("web", **spoilt)
    assert deployed.plan() == step


def test_a_container_that_was_removed(deployed: Machine) -> None:
    del deployed.engine.running["db"]
    assert deployed.plan() == ["start aiia_prod_db"]


def test_a_container_that_somebody_recreated_by_hand(deployed: Machine) -> None:
    """`docker compose up` with another file gives it another configuration."""
    deployed.engine.container("web")["Config"]["Labels"]["com.docker.compose.config-hash"] = "other"
    assert deployed.plan() == ["start aiia_prod_web"]


@pytest.mark.parametrize(("one_shot", "code", "steps"), [(True, 0, 0), (True, 1, 1), (False, 0, 1)])
def test_a_service_that_runs_once(deployed: Machine, one_shot: bool, code: int, steps: int) -> None:
    deployed.engine.container("db", State={"Running": False, "Status": "exited", "ExitCode": code})
    assert len(deployed.plan(services=[service("web", **WEB), service("db", one_shot=one_shot)])) == steps


def test_a_service_that_is_gone(deployed: Machine) -> None:
    changes = {"files": [file(COMPOSE_FILE, compose_text(db="db:1"))], "services": [service("db")]}
    assert deployed.plan(**changes) == [
        f"write {COMPOSE_FILE}",
        "remove web.conf",
        "remove aiia_prod_web, whose service is gone",
    ]
    deployed.deploy(**changes)
    assert list(deployed.engine.images()) == ["db"]
    assert not (deployed.directory / "web.conf").exists()
    assert deployed.plan(**changes) == []


def test_one_off_containers_are_nobodys_business(deployed: Machine) -> None:
    """`docker compose run django manage.py shell` of a person at work."""
    one_off = json.loads(json.dumps(deployed.engine.running["web"]))
    one_off["Config"]["Labels"]["com.docker.compose.oneoff"] = "True"
    deployed.engine.running["run-1"] = {**one_off, "Id": "run-1", "Name": "/aiia_prod-web-run-1"}
    assert deployed.plan() == []
    deployed.deploy(**files(web="web:2"))
    assert "run-1" in deployed.engine.running


def test_a_file_changed_by_hand_is_written_again(deployed: Machine) -> None:
    (deployed.directory / ".env").write_text("A=2\n")
    assert deployed.plan() == ["write .env"]
    (deployed.directory / ".env").write_text("A=1\n")
    (deployed.directory / ".env").chmod(0o644)
    assert deployed.plan() == ["write .env"]


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\x00\xff"])
def test_a_state_that_cannot_be_read_is_no_state(deployed: Machine, text: str) -> None:
    """Everything is brought into force once more; nothing breaks."""
    (deployed.directory / STATE).write_text(text, encoding="latin-1")
    assert "start aiia_prod_web" in deployed.plan()
    deployed.deploy()
    assert deployed.plan() == []


@pytest.mark.parametrize("path", ["../other/.env", "link/.env", "/etc/passwd"])
def test_a_state_never_names_files_of_others(deployed: Machine, path: str) -> None:
    """The environment's owner can write it, and a deployment may run as root."""
    other = deployed.directory.parent / "other"
    other.mkdir()
    (other / ".env").touch()
    (deployed.directory / "link").symlink_to(other)
    state = json.loads((deployed.directory / STATE).read_text())
    state["files"].append(path)
    (deployed.directory / STATE).write_text(json.dumps(state))
    assert deployed.plan() == []


def test_a_commit_that_is_not_checked_out(deployed: Machine) -> None:
    assert deployed.plan(commit="c2") == ["check out c2 in code"]
    deployed.checkout.branch = "feature"
    deployed.checkout.current_branch = lambda: "main"  # type: ignore[method-assign]
    assert deployed.plan() == ["check out c1 in code"]


def test_a_file_from_the_machine(machine: Machine, tmp_path: Path) -> None:
    """A certificate that a renewal replaced: certbot's names are links."""
    (tmp_path / "archive1.pem").write_text("old")
    (tmp_path / "live.pem").symlink_to("archive1.pem")
    wanted = {**file("tls.pem", ""), "source": str(tmp_path / "live.pem")}
    changes = {"files": [*files()["files"], wanted], "services": [service("web", files=["tls.pem"]), service("db")]}
    machine.deploy(**changes)
    assert (machine.directory / "tls.pem").read_text() == "old"
    (tmp_path / "archive2.pem").write_text("new")
    (tmp_path / "live.pem").unlink()
    (tmp_path / "live.pem").symlink_to("archive2.pem")
    assert machine.plan(**changes) == ["write tls.pem", "bring changed files to aiia_prod_web"]
    (tmp_path / "live.pem").unlink()
    with pytest.raises(Failure, match=r"live\.pem does not exist on this machine \(it is wanted as tls\.pem\)"):
        machine.plan(**changes)


def test_old_releases_go(deployed: Machine) -> None:
    for number in range(4):
        deployed.deploy(**files(conf=str(number)))
    assert len(deployed.releases()) <= 2


def test_a_container_says_for_which_release_it_was_made(machine: Machine) -> None:
    """One whose service did not change keeps its label, and is kept."""

    def changes(number: int) -> dict[str, Any]:
        definitions = {
            name: f"{name}:{version} io.bulkhead.release=<release-of-{name}> io.bulkhead.input={name}{version}"
            for name, version in (("web", number), ("db", 1))
        }
        return {
            "files": [file(COMPOSE_FILE, compose_text(**definitions)), file("web.conf", "one")],
            "services": [
                service("web", **WEB, input=f"web{number}", release="<release-of-web>"),
                service("db", input="db1", release="<release-of-db>"),
            ],
        }

    def labels() -> dict[str, str]:
        return {key: each["Config"]["Labels"]["io.bulkhead.release"] for key, each in machine.engine.running.items()}

    first = machine.deploy(**changes(1))
    assert labels() == {"web": first, "db": first}
    assert machine.plan(**changes(1)) == []
    before = machine.engine.ids()
    second = machine.deploy(**changes(2))
    assert labels() == {"web": second, "db": first}
    assert machine.engine.ids()["db"] == before["db"]
    assert machine.plan(**changes(2)) == []


# ---- refusing ----------------------------------------------------------------------------------------------------


def refusal(machine: Machine, **changes: Any) -> str:
    """Why a deployment is refused; it must have changed nothing."""
    before = snapshot(machine.directory), machine.engine.ids()
    error = machine.fails(**changes)
    assert (snapshot(machine.directory), machine.engine.ids()) == before
    assert machine.releases() == []
    return error.message


def test_the_guides_trap(machine: Machine) -> None:
    """Another directory's containers run under our project's name, and Compose would replace them."""
    machine.engine._start("web", "other:1", False)
    machine.engine.container("web")["Config"]["Labels"]["com.docker.compose.project.working_dir"] = "/home/u/main/app"
    message = refusal(machine)
    for part in ("aiia_prod_web of the Compose project aiia_prod runs from /home/u/main/app", "stop that project"):
        assert part in message


@pytest.mark.parametrize(("project", "owner"), [("shop", "the Compose project shop"), ("", "no Compose project")])
def test_a_container_with_our_name(machine: Machine, project: str, owner: str) -> None:
    machine.engine.stranger("aiia_prod_db", project)
    assert f"a container called aiia_prod_db exists and belongs to {owner}: rename or remove it" in refusal(machine)


@pytest.mark.parametrize(("kind", "name"), [("network", "aiia_prod_network"), ("volume", "aiia_prod_pgdata_prod")])
def test_a_network_or_volume_with_our_name(machine: Machine, kind: str, name: str) -> None:
    label = "com.docker.compose.project"
    machine.engine.objects[kind] = [{"Name": name, "Labels": {label: "shop"}}]
    assert f"a {kind} called {name} exists and belongs to the Compose project shop" in refusal(machine)
    machine.engine.objects[kind] = [{"Name": name, "Labels": {label: "aiia_prod"}}]
    machine.deploy()


def test_a_port_of_another_container(machine: Machine) -> None:
    machine.engine.stranger("blog_nginx", "blog", {8443: "127.0.0.1", 81: ""})
    ports = [{"service": "web", "address": "", "port": 8443}, {"service": "web", "address": "10.0.0.1", "port": 81}]
    message = refusal(machine, ports=ports)
    owner = "container blog_nginx of the Compose project blog: stop what holds it, or choose another port"
    assert f"port 8443 of service web is taken by {owner}" in message
    assert f"port 81 on 10.0.0.1 of service web is taken by {owner}" in message


def test_a_port_of_another_process(machine: Machine) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        message = refusal(machine, ports=[{"service": "web", "address": "", "port": port}])
        assert f"port {port} of service web is taken by " in message
        assert f"(pid {os.getpid()})" in message
        # On another address of the machine it is free.
        machine.deploy(ports=[{"service": "web", "address": "127.0.0.2", "port": port}])


def test_our_own_port_is_free_for_us(deployed: Machine) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()  # the engine's proxy for our own container
        port = server.getsockname()[1]
        bindings = {"80/tcp": [{"HostPort": str(port), "HostIp": "127.0.0.1"}]}
        deployed.engine.container("web", HostConfig={"PortBindings": bindings})
        refuse_foreign(deployed.look(ports=[{"service": "web", "address": "127.0.0.1", "port": port}]))


def test_everything_in_the_way_is_told_at_once(machine: Machine) -> None:
    machine.engine.stranger("aiia_prod_db")
    machine.engine.objects["network"] = [{"Name": "aiia_prod_network", "Labels": None}]
    message = refusal(machine)
    assert "aiia_prod_db" in message
    assert "aiia_prod_network" in message
    assert message.endswith("Nothing was changed")


def test_what_compose_does_not_accept(deployed: Machine) -> None:
    before = snapshot(deployed.directory)
    deployed.engine.refuses = lambda call: call.startswith("config --quiet")
    error = deployed.fails(**files(web="web:2"))
    assert error.message == f"Compose does not accept {COMPOSE_FILE}"
    assert error.detail == "refused by the test"
    assert snapshot(deployed.directory) == before
    assert deployed.engine.images()["web"] == "web:1"
    assert len(deployed.releases()) == 1


def test_what_the_services_program_does_not_accept(deployed: Machine) -> None:
    before = snapshot(deployed.directory)
    services = [service("web", **WEB, image="web:1", validate=["web", "-t"]), service("db")]
    deployed.engine.refuses = lambda call: call.startswith("run ")
    error = deployed.fails(**files(conf="broken"), services=services)
    assert error.message == "web of service web does not accept its new configuration"
    (call,) = [call for call in deployed.engine.calls if call.startswith("run ")]
    assert "--network none" in call
    assert "--entrypoint web web:1 -t" in call
    assert "/.bulkhead/releases/" in call.split("--volume ")[1].split(":")[0]  # not what is in force
    assert snapshot(deployed.directory) == before


def test_a_program_is_asked_only_about_changed_files(deployed: Machine) -> None:
    services = [service("web", **WEB, image="web:1", validate=["web", "-t"]), service("db")]
    deployed.deploy(**files(db="db:2"), services=services)
    assert not [call for call in deployed.engine.calls if call.startswith("run ")]


# ---- failing, and going back -------------------------------------------------------------------------------------


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
    assert "service web did not take its changed files (web reload)" in error.message


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
    assert "And putting back what was failed" in error.message


# ---- the guard ---------------------------------------------------------------------------------------------------

OPEN = [{"protocol": "tcp", "address": "", "ports": "80"}]


class FakeFirewall:
    """The guard of a machine: ``up`` is what stands there. Writes what is done among the engine's calls."""

    up: list[dict[str, str]] | None = None

    def __init__(self, engine: FakeEngine, _prefix: str, _chain: str, networks: list[str], ports: Any) -> None:
        self.engine, self.networks, self.ports = engine, networks, ports

    def incomplete(self) -> bool:
        return self.ports is not None and not self.engine.running

    def plan(self) -> list[str]:
        return [] if FakeFirewall.up == self.ports else ["guard"]

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
