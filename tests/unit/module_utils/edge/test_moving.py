# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ports of environments are led to the front door and given back, on a table in memory; a run that is killed anywhere
is finished by the next one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.steps import sentence
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge import machine as machine_module
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge import moving as module
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge.moving import FILE, Moving
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge.redirects import Move, Redirect
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge.routes import DoorError, DoorSettings
from ansible_collections.aiia.bulkhead.plugins.module_utils.host import firewall_boot
from ansible_collections.aiia.bulkhead.plugins.module_utils.host.firewall_rules import parse_save
from unit.module_utils.edge.fake_door import Killed, Running, a_route, running
from unit.module_utils.host.test_firewall import restored

__all__ = ["running"]

TABLE = """\
*nat
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
COMMIT
"""
FILTER = "*filter\n:INPUT ACCEPT [0:0]\n:DOCKER-USER - [0:0]\nCOMMIT\n"
MEANWHILE = DoorSettings(http_meanwhile=18080, https_meanwhile=18081)
PRODUCTION = Redirect("production", "", 443, "https")
STAGING = Redirect("staging", "", 8443, "https")


class Tables:
    """What an engine offers to whom changes tables: both families' in memory."""

    def __init__(self) -> None:
        self.saved = {"iptables": TABLE, "ip6tables": TABLE}
        self.broken = False
        self.killed_at = 0
        self.calls = 0

    def find(self, name: str) -> str:
        return "" if "legacy" in name or "nft" in name else f"/sbin/{name}"

    def tool(self, name: str, *args: str, data: str | None = None) -> tuple[int, str, str]:
        command, _dash, verb = name.rpartition("-")
        if verb == "save":
            return 0, self.saved[command] if args[-1] == "nat" else FILTER, ""
        self.calls += 1
        if self.calls == self.killed_at:
            raise Killed
        if self.broken:
            return 2, "", "ip6tables-restore: unable to initialize table 'nat'"
        assert data
        self.saved[command] = restored(self.saved[command], data)
        return 0, "", ""

    def led(self, command: str = "iptables") -> dict[str, str]:
        """Where each port is led, if both chains that see new connections jump there first."""
        chains = parse_save(self.saved[command])
        (own,) = [chain for chain in chains if chain.startswith("BULKHEAD-EDGE")] or [""]
        if own:
            for parent in ("PREROUTING", "OUTPUT"):
                assert chains[parent][0].endswith(f"-j {own}"), chains[parent]
        words = [rule.split() for rule in chains.get(own, ())]
        return {word[word.index("--dport") + 1]: word[-1] for word in words}


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Tables:
    for name in ("SYSTEMD", "UNITS", "CRON", "SCRIPTS"):
        monkeypatch.setattr(firewall_boot, name, str(tmp_path / name.lower()))
    (tmp_path / "cron").mkdir()
    (tmp_path / "running").touch()
    monkeypatch.setattr(firewall_boot, "CRON_RUNS", (str(tmp_path / "running"),))
    return Tables()


@pytest.fixture
def moving(tables: Tables, tmp_path: Path) -> Moving:
    return Moving(tables, str(tmp_path / "state"))


def test_led_there_and_given_back(moving: Moving, tables: Tables, tmp_path: Path) -> None:
    untouched = dict(tables.saved)
    assert moving.lead([PRODUCTION], MEANWHILE) is False  # the machine does not move
    moving.begin()
    assert moving.lead([PRODUCTION], MEANWHILE) is True
    assert moving.lead([PRODUCTION], MEANWHILE) is False
    assert moving.lead([STAGING], MEANWHILE) is True
    for command in tables.saved:
        assert tables.led(command) == {"443": ":18081", "8443": ":18081"}
    assert (moving.has("production"), moving.has("third")) == (True, False)
    (script,) = (tmp_path / "scripts").iterdir()
    text = script.read_text()
    assert text.count("<<'RULES'") == 2 and "put_up ip6tables nat PREROUTING" in text and "--dport 8443" in text
    assert moving.forget("production", MEANWHILE) is True
    assert moving.forget("production", MEANWHILE) is False
    assert tables.led() == {"8443": ":18081"} and "--dport 443 " not in script.read_text()
    # The door has its own ports now, and what was led to the others is led there.
    assert [sentence(step) for step in moving.plan(DoorSettings(), True)] == [
        "lead the port 8443 of staging to the front door"
    ]
    assert moving.bring(DoorSettings(), True) and not moving.bring(DoorSettings(), True)
    assert tables.led() == {"8443": ":443"}
    (step,) = moving.bring(DoorSettings(), False)
    assert sentence(step) == "end the move to the front door: no longer led there: 8443 of staging"
    assert moving.bring(DoorSettings(), False) == [] and tables.saved == untouched
    assert list((tmp_path / "scripts").iterdir()) == list((tmp_path / "cron").iterdir()) == []
    assert not (tmp_path / "state" / FILE).exists()


def test_what_others_took_away_is_put_back_by_the_role(moving: Moving, tables: Tables) -> None:
    moving.begin()
    moving.lead([PRODUCTION], MEANWHILE)
    tables.saved["ip6tables"] = TABLE
    assert [step.verb for step in moving.plan(MEANWHILE, True)] == ["lead"]
    moving.bring(MEANWHILE, True)
    assert tables.led("ip6tables") == {"443": ":18081"} and moving.plan(MEANWHILE, True) == []
    # Docker's own rules came before: nobody would be led anywhere.
    lines = tables.saved["iptables"].splitlines()
    lines.sort(key=lambda line: line.startswith("-A PREROUTING") and "BULKHEAD" in line)
    tables.saved["iptables"] = "\n".join([*(line for line in lines if line != "COMMIT"), "COMMIT", ""])
    assert moving.lead([PRODUCTION], MEANWHILE) is True and tables.led() == {"443": ":18081"}


def test_killed_anywhere_and_finished_by_the_next(moving: Moving, tables: Tables) -> None:
    moving.begin()
    for at in (1, 2):
        tables.calls, tables.killed_at = 0, at
        with pytest.raises(Killed):
            moving.lead([PRODUCTION], MEANWHILE)
        tables.killed_at = 0
        assert moving.lead([PRODUCTION], MEANWHILE) is True
        tables.calls, tables.killed_at = 0, at
        with pytest.raises(Killed):
            moving.bring(DoorSettings(), False)
        tables.killed_at = 0
        assert moving.bring(DoorSettings(), False) and tables.saved == {"iptables": TABLE, "ip6tables": TABLE}
        moving.begin()


def test_a_machine_that_cannot(moving: Moving, tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    moving.begin()
    tables.broken = True
    with pytest.raises(
        DoorError, match="cannot lead published ports to the front door: iptables-restore failed"
    ) as said:
        moving.lead([PRODUCTION], MEANWHILE)
    assert "unable to initialize" in said.value.detail
    monkeypatch.setattr(tables, "find", lambda _name: "")
    with pytest.raises(DoorError, match="It needs iptables, and ip6tables where it has IPv6"):
        moving.bring(MEANWHILE, True)


def test_without_ipv6_the_other_family_is_left_alone(
    moving: Moving, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_HAS_IPV6", "/nonexistent")
    moving.begin()
    moving.lead([PRODUCTION], MEANWHILE)
    assert tables.led() and tables.saved["ip6tables"] == TABLE


def test_where_nothing_moves_no_table_is_read(moving: Moving, tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "tool", lambda *_args: pytest.fail("a table was read"))
    assert moving.bring(DoorSettings(), False) == [] and moving.forget("production", DoorSettings()) is False
    assert moving.look() == Move()


# ---- the door of a machine that moves -------------------------------------------------------------------------------


def publisher(port: int, **labels: str) -> dict[str, Any]:
    return {
        "Id": f"publishes {port}",
        "Name": "/aiia_prod_nginx",
        "RestartCount": 0,
        "Config": {"Labels": labels},
        "State": {"Running": True},
        "HostConfig": {"RestartPolicy": {"Name": "always"}},
        "NetworkSettings": {"Ports": {f"{port}/tcp": [{"HostIp": "", "HostPort": str(port)}]}},
    }


OURS = {"io.bulkhead.prefix": "aiia_prod"}


@pytest.fixture
def taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tables: Tables) -> Running:
    """A machine on which production publishes 80 and 443, and that has no front door."""
    found = Running(tmp_path / "state", monkeypatch)
    found.made += [publisher(80, **OURS), publisher(443, **OURS)]
    found.find, found.tool = tables.find, tables.tool  # type: ignore[attr-defined]
    others = [("", 18080, "of another")]
    monkeypatch.setattr(
        machine_module,
        "listening",
        lambda: others + [("", int(one["Id"].split()[1]), one["Id"]) for one in found.made if "publ" in one["Id"]],
    )
    monkeypatch.setattr(machine_module, "process_of", lambda _inode: "docker-proxy (pid 7)")
    monkeypatch.setattr(machine_module, "_SETTLING", 0)
    return found


def verbs(running: Running, moves: bool, check: bool = False, **settings: Any) -> list[str]:
    made = running.machine(**settings)
    made.moves = moves
    return [step.verb for step in made.bring(check)]


def test_without_a_free_port_nothing_is_moved(taken: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_module, "_MEANWHILE", range(18080, 18082))
    with pytest.raises(DoorError, match="all ports from 18080 to 18081 of this machine are taken"):
        verbs(taken, moves=True)


def test_from_published_ports_to_the_doors_own(taken: Running, tables: Tables) -> None:
    with pytest.raises(DoorError, match=r"port 443 is taken by container aiia_prod_nginx: .*bulkhead_edge_move: true"):
        verbs(taken, moves=False)
    assert not taken.state.exists()
    assert verbs(taken, moves=True, check=True) == ["start", "begin the move"] and not taken.state.exists()
    assert verbs(taken, moves=True) == ["start", "begin the move"]
    assert taken.door.settings().listens == {"http": 18081, "https": 18082}
    assert verbs(taken, moves=True) == verbs(taken, moves=True, check=True) == []
    with pytest.raises(DoorError, match="port 80 is taken by container aiia_prod_nginx"):
        verbs(taken, moves=False)
    taken.door.publish(a_route("aiia_prod", "prod.test"))
    assert taken.door.take_over([Redirect("aiia_prod", "", 443, "https")]) and tables.led() == {"443": ":18082"}
    del taken.made[:2]
    assert verbs(taken, moves=True) == ["start", "end", "lead"]
    assert taken.door.settings().listens == {"http": 80, "https": 443} and tables.led() == {}
    assert verbs(taken, moves=True) == []
    assert verbs(taken, moves=False) == ["end the move"] and verbs(taken, moves=False) == []
    taken.stop()


def test_a_killed_role_is_finished_by_the_next(taken: Running, tables: Tables) -> None:
    """Wherever it is killed, the ports are led to a door that takes connections."""
    verbs(taken, moves=True)
    taken.door.publish(a_route("aiia_prod", "prod.test"))
    taken.door.take_over([Redirect("aiia_prod", "", 443, "https")])
    del taken.made[:2]
    for at in range(1, 20):
        count = 0

        def kill(_call: str, at: int = at) -> None:
            nonlocal count
            count += 1
            if count == at:
                raise Killed

        taken.on_call = kill
        try:
            verbs(taken, moves=True, idle_timeout=100 + at)
            break
        except Killed:
            taken.on_call = lambda _call: None
        assert tables.led() in ({"443": ":18082"}, {}), at
        assert taken.taking() and (tables.led() or taken.door.settings().listens["https"] == 443), at
        verbs(taken, moves=True, idle_timeout=100 + at)
        assert tables.led() == {} and len(taken.taking()) == 1, at
    assert at > 3
    taken.stop()


def test_what_is_no_environments_is_no_reason_to_move(taken: Running) -> None:
    taken.made[:] = [publisher(80, **OURS), publisher(443)]
    with pytest.raises(DoorError, match=r"port 443 is taken by docker-proxy \(pid 7\): .*stop what holds it") as said:
        verbs(taken, moves=True)
    assert "port 80" not in said.value.message


def test_an_environment_that_goes_takes_its_ports_along(taken: Running, tables: Tables) -> None:
    verbs(taken, moves=True)
    taken.door.publish(a_route("aiia_prod", "prod.test"))
    taken.door.take_over([Redirect("aiia_prod", "", 443, "https")])
    taken.door.withdraw("aiia_prod")
    assert tables.led() == {} and not taken.door.has("aiia_prod") and taken.door.give_back("aiia_prod") is False
    assert (taken.state / FILE).exists()  # others still move
    taken.stop()
