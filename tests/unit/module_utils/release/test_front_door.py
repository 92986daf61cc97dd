# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Behind the machine's front door: replaced without a gap, whoever is killed when, and no other's route moves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.steps import Step
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge.redirects import Move, Redirect
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge.routes import DoorError, DoorSettings, Route, digest
from ansible_collections.aiia.bulkhead.plugins.module_utils.release import comparison, front_door, stand_in
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.store import Releases
from unit.module_utils.deployments import files, roll_back
from unit.module_utils.fake_engine import COMPOSE_FILE, compose_text, file, service, snapshot
from unit.module_utils.rolled import ROLLING, Killed, Rolled

pytestmark = pytest.mark.usefixtures("quick")

OTHER = Route("aiia_staging", ("staging.example.com",), "s/http.sock", "s/https.sock", 10, 10)


class FakeDoor:
    """A front door in memory."""

    def __init__(self, machine: Behind) -> None:
        self.machine = machine
        self.there, self.silent = 1, False
        self.ways: dict[str, Route] = {OTHER.prefix: OTHER}
        self.changes = 0
        #: Whether the machine moves behind it, what is led there, and where it listens.
        self.move = Move()
        self.addresses: tuple[str, ...] = ("0.0.0.0", "::")

    def doors(self) -> list[dict[str, Any]]:
        return [{"Name": f"/door-{number}"} for number in range(self.there)]

    def present(self) -> bool:
        return bool(self.there)

    def live(self) -> Mapping[str, Route]:
        if self.silent:
            raise DoorError("the front door does not answer")
        return dict(self.ways)

    def leads_to(self, prefix: str) -> set[str]:
        return {route.container for key, route in self.live().items() if key == prefix}

    def has(self, prefix: str) -> bool:
        return prefix in self.ways

    def routes(self) -> Mapping[str, Route]:
        return dict(self.ways)

    def plan(self, route: Route) -> list[Step]:
        there = self.ways.get(route.prefix)
        return [] if there and digest(there) == digest(route) else [Step("publish", route.prefix)]

    def publish(self, route: Route) -> list[Step]:
        self.machine.hear("publish")
        steps = self.plan(route)
        self.changes += len(steps)
        self.ways[route.prefix] = route
        self.machine.hear("published")
        return steps

    @property
    def moving(self) -> FakeDoor:
        return self

    def look(self) -> Move:
        return self.move

    def settings(self) -> DoorSettings:
        return DoorSettings(addresses=self.addresses)

    def take_over(self, redirects: Sequence[Redirect]) -> bool:
        self.machine.hear("take over")
        if not self.move.open or {*redirects} <= {*self.move.redirects}:
            return False
        self.move = self.move._replace(redirects=(*self.move.redirects, *redirects))
        self.machine.hear("taken over")
        return True

    def give_back(self, prefix: str) -> bool:
        before, self.move = self.move, self.move.without(prefix)
        if before != self.move:
            self.machine.hear("given back")
        return before != self.move

    def withdraw(self, prefix: str) -> None:
        self.machine.hear("withdraw")
        assert self.move.without(prefix) == self.move, "it would be led to nobody"
        del self.ways[prefix]


class Behind(Rolled):
    """An environment whose web is behind the front door."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(directory)
        self.sockets = directory.parent / f"{directory.name}-sockets"
        self.door = FakeDoor(self)
        monkeypatch.setattr(comparison, "Door", lambda _engine, _state: self.door)
        made = self.engine._made

        def with_sockets(*args: Any, **options: Any) -> dict[str, Any]:
            found: dict[str, Any] = made(*args, **options)
            if "plain" not in found["Config"]["Image"]:
                found["Mounts"] = [{"Type": "bind", "Source": str(self.sockets), "Destination": "/run/edge"}]
            elif "plain" in found["Config"]["Image"]:
                found["NetworkSettings"] = {"Ports": {"443/tcp": [{"HostIp": "", "HostPort": "443"}]}}
            if found["State"]["Running"]:
                (self.sockets / found["Id"][:12]).mkdir(parents=True, exist_ok=True)
            return found

        self.engine._made = with_sockets  # type: ignore[method-assign]

    def web(self, **changes: Any) -> list[Any]:
        behind = {"domains": ["example.com"], "connections": 5, "rate": 6, "sockets": str(self.sockets), **changes}
        return [service("web", **{**ROLLING, "prepare": [], **behind}), service("db", awaited=True)]

    def params(self, **changes: Any) -> dict[str, Any]:
        return super().params(**{"services": self.web(), **changes})

    def hear(self, call: str) -> None:
        self.engine.on_call(call)

    def who_serves(self) -> str:
        way = self.door.ways.get("aiia_prod")
        for found in self.engine.running.values():
            if way and found["Id"][:12] == way.container and found["State"].get("Health", {}).get("Status"):
                return str(found["Config"]["Image"]) if found["State"]["Health"]["Status"] == "healthy" else ""
        return ""


class Moving(Behind):
    """One that publishes its port, on a machine that moves behind the front door."""

    def who_serves(self) -> str:
        """Who answers at the port that was published: the front door where that is led there."""
        if self.door.move.redirects:
            return super().who_serves()
        running = [found for found in self.engine.running.values() if found["State"]["Running"]]
        publishing = [found for found in running if "plain" in found["Config"]["Image"]]
        return str(publishing[0]["Config"]["Image"]) if publishing else ""


@pytest.fixture
def behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Behind:
    machine = Behind(tmp_path / "env", monkeypatch)
    machine.deploy()
    machine.watch()
    return machine


def test_a_route_after_it_is_healthy_and_only_its_own(behind: Behind) -> None:
    first = behind.engine.ids()["web"]
    assert behind.door.ways["aiia_prod"] == Route(
        "aiia_prod", ("example.com",), f"{first}/http.sock", f"{first}/https.sock", 5, 6
    )
    assert behind.door.ways["aiia_staging"] is OTHER
    assert behind.sockets.stat().st_mode & 0o777 == 0o711
    assert behind.plan() == []


def test_replaced_without_a_gap(behind: Behind) -> None:
    behind.deploy(**files(web="web:2"))
    assert behind.who_serves() == "web:2" and behind.is_clean()
    assert behind.door.changes == 3  # the first, the stand-in, the new one
    assert any("run --detach --no-deps --use-aliases --name" in call for call in behind.engine.calls)
    # Of the sockets only those of what runs are left.
    assert sorted(path.name for path in behind.sockets.iterdir()) == sorted(behind.engine.ids().values())
    assert behind.plan(**files(web="web:2")) == []


def test_connections_of_the_front_door_end_before_the_container_does(
    behind: Behind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They come by its sockets, and none is among the connections over TCP."""
    first = behind.engine.ids()["web"]
    left = {first: 3}
    monkeypatch.setattr(stand_in.sockets, "served_by", lambda _pid: 0)

    def counted(names: tuple[str, str]) -> int:
        container = names[1].partition("/")[0]
        assert names == (f"{container}/http.sock", f"{container}/https.sock")
        left[container] = max(left.get(container, 0) - 1, 0)
        return left[container]

    monkeypatch.setattr(front_door, "connected_to", counted)
    ended: list[int] = []
    look = behind.engine.on_call

    def hear(call: str) -> None:
        look(call)
        if "compose up" in call and not ended:
            ended.append(left[first])

    behind.engine.on_call = hear
    behind.deploy(drain_timeout=5, **files(web="web:2"))
    assert ended == [0]


def test_other_domains_and_limits_are_a_step(behind: Behind) -> None:
    changed = behind.web(domains=["example.com", "www.example.com"])
    assert behind.plan(services=changed) == [
        "lead the front door's requests for example.com, www.example.com to aiia_prod_web"
    ]
    behind.deploy(services=changed)
    assert behind.door.ways["aiia_prod"].domains == ("example.com", "www.example.com")
    assert behind.plan(services=behind.web(rate=9)) and behind.plan(services=changed) == []


def test_a_lost_route_is_put_back(behind: Behind) -> None:
    behind.engine.on_call = lambda _call: None
    del behind.door.ways["aiia_prod"]
    assert behind.plan() == ["lead the front door's requests for example.com to aiia_prod_web"]
    behind.deploy()
    assert behind.who_serves() == "web:1"


def test_a_new_version_that_does_not_get_healthy_gets_no_request(behind: Behind) -> None:
    before = behind.door.ways["aiia_prod"]
    behind.engine.sick["web:2"] = "unhealthy"
    assert "The previous release serves again" in behind.fails(**files(web="web:2")).message
    assert behind.door.ways == {"aiia_prod": before, "aiia_staging": OTHER}


def test_a_later_step_that_fails_puts_the_route_back(behind: Behind) -> None:
    behind.engine.sick["db:2"] = "unhealthy"
    behind.fails(**files(web="web:2", db="db:2"), allow_downtime=True)
    assert behind.who_serves() == "web:1" and behind.is_clean()


def test_a_rollback_has_the_domains_of_its_release(behind: Behind) -> None:
    behind.deploy(services=behind.web(domains=["other.example.com"]), **files(web="web:2"))
    roll_back(behind)
    assert behind.door.ways["aiia_prod"].domains == ("example.com",) and behind.who_serves() == "web:1"


def test_killed_at_every_call_and_finished_by_the_next_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Behind(tmp_path / "count", monkeypatch)
    counted.deploy()
    counted.watch()
    counted.deploy(**files(web="web:2"))
    assert counted.made >= 20
    monkeypatch.setattr(Releases, "remove", lambda *_args: None)
    for at in range(1, counted.made + 1):
        machine = Behind(tmp_path / f"again{at}", monkeypatch)
        machine.deploy()
        machine.watch()
        machine.killed_at = at
        with pytest.raises(Killed):
            machine.deploy(**files(web="web:2"))
        machine.killed_at = 0
        assert machine.who_serves(), at
        machine.deploy(**files(web="web:2"))
        assert (machine.who_serves(), machine.is_clean()) == ("web:2", True), at
        assert machine.door.ways["aiia_staging"] is OTHER


def test_from_published_ports_and_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What serves on ports of the machine serves until the front door sends requests to the new one."""
    machine = Behind(tmp_path / "env", monkeypatch)
    plain = {"services": [service("web", **{**ROLLING, "prepare": []}), service("db", awaited=True)]}
    machine.deploy(**plain, **files(web="plain:1"))
    assert "aiia_prod" not in machine.door.ways
    machine.deploy(**files(web="web:1"))
    assert machine.who_serves() == "web:1"
    machine.deploy(**plain, **files(web="plain:1"))
    assert set(machine.door.ways) == {"aiia_staging"}


#: What publishes its port.
PLAIN = [service("web", **{**ROLLING, "rolling": False, "steady": True, "prepare": []}), service("db", awaited=True)]


def moving(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Moving:
    machine = Moving(directory, monkeypatch)
    machine.deploy(services=PLAIN, **files(web="plain:1"))
    machine.watch()
    machine.door.move = Move(open=True)
    return machine


def test_while_the_machine_moves_its_port_is_never_nobodys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it is killed, fails or comes to its end."""
    counted = moving(tmp_path / "count", monkeypatch)
    counted.deploy(**files(web="web:1"))
    assert counted.made >= 20
    assert counted.door.move == Move(True, (Redirect("aiia_prod", "", 443, "https"),))
    assert counted.who_serves() == "web:1" and counted.is_clean()

    failing = moving(tmp_path / "fails", monkeypatch)
    failing.engine.sick["db:2"] = "unhealthy"
    failing.fails(**files(web="web:1", db="db:2"), allow_downtime=True)
    assert failing.door.move == Move(open=True) and failing.who_serves() == "plain:1" and failing.is_clean()
    assert "aiia_prod" not in failing.door.ways

    monkeypatch.setattr(Releases, "remove", lambda *_args: None)
    for at in range(1, counted.made + 1):
        machine = moving(tmp_path / f"again{at}", monkeypatch)
        machine.killed_at = at
        with pytest.raises(Killed):
            machine.deploy(**files(web="web:1"))
        machine.killed_at = 0
        assert machine.who_serves(), at
        machine.deploy(**files(web="web:1"))
        assert (machine.who_serves(), machine.is_clean()) == ("web:1", True), at


def failing_late(directory: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Moving, dict[str, Any]]:
    """A move that fails at a service that comes after web, which is behind the front door already."""
    machine = moving(directory, monkeypatch)
    machine.engine.sick["late:1"] = "exited 1"
    compose = file(COMPOSE_FILE, compose_text(web="web:1", db="db:1", late="late:1"))
    return machine, {"services": [*machine.web(), service("late")], "files": [compose, file("web.conf", "one")]}


def test_a_move_that_fails_late_goes_back_without_a_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind the front door a stand-in serves until what publishes the port is well again; whoever is killed then."""
    counted, late = failing_late(tmp_path / "fails", monkeypatch)
    assert "The previous release serves again" in counted.fails(**late).message
    assert counted.door.move == Move(open=True) and counted.who_serves() == "plain:1" and counted.is_clean()
    assert "aiia_prod" not in counted.door.ways

    monkeypatch.setattr(Releases, "remove", lambda *_args: None)
    for at in range(1, counted.made + 1):
        machine, late = failing_late(tmp_path / f"again{at}", monkeypatch)
        machine.killed_at = at
        with pytest.raises(Killed):
            machine.deploy(**late)
        machine.killed_at = 0
        assert machine.who_serves(), at
        machine.deploy(**files(web="web:1"))
        assert (machine.who_serves(), machine.is_clean()) == ("web:1", True), at


def test_a_move_that_goes_back_without_the_stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is a gap then, and nothing else goes wrong."""
    machine, late = failing_late(tmp_path / "env", monkeypatch)
    machine.engine.on_call = lambda _call: None
    stand_ins = 0

    def refuse(call: str) -> bool:
        nonlocal stand_ins
        starts = "run --detach" in call
        stand_ins += starts
        return starts and stand_ins > 1

    machine.engine.refuses = refuse
    assert "The previous release serves again" in machine.fails(**late).message
    assert stand_ins == 2 and machine.who_serves() == "plain:1" and machine.is_clean()


def test_where_the_front_door_does_not_listen_nothing_is_led(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = moving(tmp_path / "env", monkeypatch)
    machine.door.addresses = ("127.0.0.1",)
    error = machine.fails(**files(web="web:1"))
    assert "aiia_prod publishes port 443 on all addresses, where the front door does not listen" in error.message
    assert machine.who_serves() == "plain:1"
    machine.door.addresses = ("0.0.0.0", "::")
    machine.deploy(**files(web="web:1"))


def test_a_port_that_is_led_to_the_front_door_is_taken(behind: Behind) -> None:
    behind.door.move = Move(True, (Redirect("aiia_staging", "", 8443, "https"),))
    wanted = [{"port": 8443, "address": "", "service": "web"}]
    error = behind.fails(ports=wanted, **files(web="web:2"))
    assert "port 8443 of service web is taken by the front door, to which it leads while aiia_staging" in error.message
    behind.door.move = Move(True, (Redirect("aiia_prod", "", 8443, "https"),))
    behind.deploy(ports=wanted, **files(web="web:2"))


def test_a_first_deployment_that_fails_leaves_no_route(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Behind(tmp_path / "env", monkeypatch)
    machine.engine.sick["db:1"] = "unhealthy"
    machine.fails()
    assert machine.door.ways == {"aiia_staging": OTHER}


@pytest.mark.parametrize("domain", ["staging.example.com", "*.example.com"])
def test_a_domain_of_another_fleet_is_refused(behind: Behind, domain: str) -> None:
    before = (snapshot(behind.directory), behind.door.routes(), behind.engine.ids())
    error = behind.fails(services=behind.web(domains=["example.com", domain]), **files(web="web:2"))
    assert f"these are taken: {domain} is staging.example.com of aiia_staging" in error.message
    assert "Nothing was changed" in error.message
    assert before == (snapshot(behind.directory), behind.door.routes(), behind.engine.ids())


def test_a_machine_without_a_front_door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Behind(tmp_path / "env", monkeypatch)
    machine.door.there = 0
    error = machine.fails()
    assert "the front door is absent on this machine" in error.message
    assert "ansible-playbook aiia.bulkhead.edge" in error.message
    assert machine.engine.running == {}


@pytest.mark.parametrize(
    ("how", "said"), [("silent", "does not answer"), ("two", "door-0 and door-1 take connections")]
)
def test_a_front_door_that_would_not_take_the_route(behind: Behind, how: str, said: str) -> None:
    """Nothing is started for requests that would not come."""
    behind.door.silent, behind.door.there = how == "silent", 2 if how == "two" else 1
    before = (snapshot(behind.directory), behind.door.routes(), behind.engine.ids())
    error = behind.fails(**files(web="web:2"))
    assert said in error.message and "Nothing was changed" in error.message
    assert before == (snapshot(behind.directory), behind.door.routes(), behind.engine.ids())


def test_a_door_that_goes_away_in_between_leaves_what_serves(behind: Behind) -> None:
    """Its next start takes the route of before: that container has to be there still, and so has the stand-in."""
    behind.engine.on_call = lambda call: setattr(behind.door, "silent", behind.door.silent or "run --detach" in call)
    publish = behind.door.publish

    def refuse(route: Route) -> list[Step]:
        behind.door.live()
        return publish(route)

    behind.door.publish = refuse  # type: ignore[method-assign]
    before = behind.door.routes()
    assert "the front door does not answer" in behind.fails(**files(web="web:2")).message
    assert behind.door.ways == before and behind.who_serves() == "web:1"
    behind.engine.on_call, behind.door.silent = lambda _call: None, False
    behind.deploy(**files(web="web:2"))
    assert behind.who_serves() == "web:2" and behind.is_clean()
