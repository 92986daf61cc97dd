# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan proves stacks of a swarm beside Compose projects; what does not work on a swarm says so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from checkout import ROOT
from hazards.mutants import prove
from unit.fleets import environment, write
from unit.runs import NOWHERE, play, refused

#: Addresses that nobody has (RFC 5737).
UNREACHED = {f"n{number}": {"ansible_host": f"192.0.2.{number}"} for number in (1, 2, 3)}

NODES = {f"n{number}": {"ansible_host": f"10.0.0.{number}"} for number in (1, 2, 3)}


def stack(name: str, port: int = 80, **more: Any) -> dict[str, Any]:
    """The variables of an environment that is a stack."""
    swarm = {"bulkhead_engine": "swarm", "bulkhead_swarm": "main", "bulkhead_registry": "registry.example.com/shop"}
    return environment(name, port, **swarm, **more)


def fleet(directory: Path, staging: dict[str, Any], host: dict[str, Any] | None = None, **more: Any) -> Path:
    """Production as a stack on three nodes, and staging on one host or on the same nodes."""
    of_staging = {"staging-host": host} if host else {f"{name}-staging": address for name, address in NODES.items()}
    hosts = {"production": {"hosts": NODES}, "staging": {"hosts": of_staging}}
    groups = {"production": stack("prod", **more), "staging": staging}
    return write(directory / "inventory", groups, hosts)


def found(inventory: Path, tmp_path: Path) -> list[tuple[str, tuple[str, ...], str]]:
    """What stops a plan: rule, environments, machine."""
    verdict = prove(inventory, tmp_path)
    return [(finding.rule, finding.environments, finding.machine) for finding in verdict.stopping]


def test_a_stack_beside_a_project_on_one_of_its_nodes(tmp_path: Path) -> None:
    """Both are proved, and what a person has to know of the stack is said."""
    verdict = prove(fleet(tmp_path, environment("staging", 8080), NODES["n2"]), tmp_path)
    assert [finding.message for finding in verdict.stopping] == []
    assert verdict.prefixes == ["app_prod", "app_staging"]
    assert verdict.claims > 60
    assert any("Swarm starts services in no order" in note for note in verdict.open)


def test_a_port_of_a_node(tmp_path: Path) -> None:
    """A stack's task may come to any node, so the port is taken on all of them; elsewhere it is free."""
    on_node = found(fleet(tmp_path / "on", environment("staging", 80), NODES["n2"]), tmp_path)
    assert on_node == [("shared-port", ("app_prod", "app_staging"), "10.0.0.2")] * 2
    assert found(fleet(tmp_path / "off", environment("staging", 80), {"ansible_host": "10.0.0.9"}), tmp_path) == []


def test_a_directory_of_a_node(tmp_path: Path) -> None:
    staging = environment("staging", 8080, bulkhead_directory="/srv/prod/app")
    rules = {rule for rule, _environments, _machine in found(fleet(tmp_path, staging, NODES["n3"]), tmp_path)}
    assert rules == {"nested-directories"}


def test_two_stacks_of_one_swarm(tmp_path: Path) -> None:
    """One port is found once, not for each node; ports of their own are accepted."""
    clash = found(fleet(tmp_path / "one", stack("staging", 80)), tmp_path)
    assert clash == [("shared-port", ("app_prod", "app_staging"), "swarm main")] * 2
    assert found(fleet(tmp_path / "two", stack("staging", 8080)), tmp_path) == []


def test_one_swarm_with_two_names(tmp_path: Path) -> None:
    other = {**stack("staging", 8080), "bulkhead_swarm": "cluster"}
    assert {rule for rule, _environments, _machine in found(fleet(tmp_path, other), tmp_path)} == {"node-of-two-swarms"}


def test_a_node_under_another_name(tmp_path: Path) -> None:
    """It would not be compared with the stack."""
    host = {**NODES["n1"], "bulkhead_machine": "elsewhere"}
    assert ("one-machine-two-names", ("app_prod", "app_staging"), "") in found(
        fleet(tmp_path, environment("staging", 80), host), tmp_path
    )


def test_two_nodes_with_one_address(tmp_path: Path) -> None:
    """Two names for one machine: what shares it would be compared with one of the two."""
    same = {f"n{number}": {"ansible_host": "10.0.0.1", "bulkhead_machine": f"m{number}"} for number in (1, 2)}
    inventory = write(tmp_path / "inventory", {"production": stack("prod")}, {"production": {"hosts": same}})
    assert found(inventory, tmp_path) == [("one-machine-two-names", ("app_prod",), "")]


def test_what_a_user_adds_is_judged_as_a_stack(tmp_path: Path) -> None:
    """What Swarm ignores is refused by name, an attachable network too."""
    more = {
        "bulkhead_services": {"redis": {"mem_limit": "1g"}},
        "bulkhead_compose": {"networks": {"open": {"name": "app_prod_open", "attachable": True}}},
    }
    rules = {
        rule
        for rule, _environments, _machine in found(
            fleet(tmp_path, environment("staging", 8080), NODES["n2"], **more), tmp_path
        )
    }
    assert rules == {"ignored-by-swarm", "joinable-overlay", "outside-reach"}


#: Playbooks that work on a swarm's environment: on the controller, or on machines of which they know no environment.
WORKS = {"plan", "report", "new", "adopt", "secrets", "provision", "edge", "swarm"}

#: Those that a manager of the swarm is asked for.
ASK = {
    "backup",
    "backups",
    "deploy",
    "destroy",
    "logs",
    "manage",
    "releases",
    "restart",
    "restore",
    "rollback",
    "services",
    "shell",
    "verify",
}

#: Those that look at many machines, and have a line for it.
LINE = {"status", "doctor"}

PLAYBOOKS = sorted(path.stem for path in (ROOT / "playbooks").glob("*.yml"))


@pytest.fixture(scope="module")
def swarm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stack on three nodes that nobody reaches."""
    groups = {"production": stack("prod")}
    hosts = {"production": {"hosts": UNREACHED}}
    return write(tmp_path_factory.mktemp("swarm") / "inventory", groups, hosts, NOWHERE)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(PLAYBOOKS) - WORKS - LINE - ASK))
def test_what_does_not_work_on_a_swarm_says_so(name: str, swarm: Path) -> None:
    """In one sentence, before any host is contacted. A new playbook is in this list by itself."""
    said = refused(
        swarm, "-l", "production", "-e", "bulkhead_confirm=app_prod", playbook=ROOT / "playbooks" / f"{name}.yml"
    )
    assert re.search(r"app_prod is a stack of a swarm \(bulkhead_engine: swarm\): .+\. Nothing was changed", said)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["deploy", "services"])
def test_no_manager_answers(name: str, swarm: Path) -> None:
    """Each host was asked in turn, and the error says what became of each."""
    run = play(swarm, "-l", "production", playbook=ROOT / "playbooks" / f"{name}.yml")
    assert run.code != 0 and "Traceback" not in run.output
    assert "app_prod: no manager of the swarm can be asked" in run.words
    assert all(f"{host}: " in run.output for host in UNREACHED)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(LINE))
def test_who_looks_at_machines_has_a_line_for_it(name: str, swarm: Path) -> None:
    run = play(swarm, playbook=ROOT / "playbooks" / f"{name}.yml")
    assert "UNREACHABLE" not in run.output and "Traceback" not in run.output
    assert "app_prod is a stack of a swarm" in run.words or "is a stack of a swarm" in run.words


@pytest.mark.slow
def test_a_project_beside_a_stack_is_deployed(tmp_path: Path) -> None:
    """The stack keeps nobody else away: the run goes on to the machine of staging."""
    hosts = {"production": {"hosts": UNREACHED}, "staging": {"hosts": {"staging-host": UNREACHED["n2"]}}}
    groups = {"production": stack("prod"), "staging": environment("staging", 8080)}
    inventory = write(tmp_path / "inventory", groups, hosts, NOWHERE)
    run = play(inventory, "-l", "staging")
    assert "UNREACHABLE" in run.output, run.output


@pytest.mark.slow
def test_the_plan_of_a_swarm(swarm: Path, tmp_path: Path) -> None:
    """It succeeds. One to approve would have to name the images' digests."""
    run = play(swarm, playbook=ROOT / "playbooks" / "plan.yml")
    assert run.code == 0, run.output
    assert "the label io.bulkhead.data.app_prod=true" in run.words
    written = play(swarm, "-e", f"bulkhead_plan={tmp_path}/plan.json", playbook=ROOT / "playbooks" / "plan.yml")
    assert written.code != 0 and "its plan cannot be approved yet" in written.words
    assert not (tmp_path / "plan.json").exists()
