# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An environment on a swarm: its nodes, and what its variables may say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.vault import VaultSecretsContext
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.model import Declaration, StackNode
from unit.fleets import PRODUCTION, declarations, declared, inline, only, problems, read, secrets, write

SWARM: dict[str, Any] = {
    "bulkhead_engine": "swarm",
    "bulkhead_swarm": "main",
    "bulkhead_registry": "registry.example.com/shop",
}


def on_hosts(directory: Path, hosts: dict[str, Any], **variables: Any) -> Declaration:
    """An environment whose group has these hosts."""
    groups = {"production": {**PRODUCTION, **SWARM, **variables}}
    inventory = read(write(directory / "inventory", groups, {"production": {"hosts": hosts}}))
    return declarations(inventory)["production"]


def test_each_host_is_a_node(tmp_path: Path) -> None:
    """By its address or its name, or as it is called itself."""
    hosts = {"n1": {"ansible_host": "10.0.0.1"}, "n2": None, "n3": {"bulkhead_machine": "third"}}
    found = on_hosts(tmp_path, hosts)
    assert found.problems == []
    assert found.nodes == {
        "n1": StackNode("10.0.0.1", "ssh 10.0.0.1:22"),
        "n2": StackNode("n2", "ssh n2:22"),
        "n3": StackNode("third", "ssh n3:22"),
    }


def test_with_compose_there_is_one_machine(tmp_path: Path) -> None:
    """Several hosts are refused, and the message says what several would need."""
    found = on_hosts(
        tmp_path, {"n1": None, "n2": None}, bulkhead_engine="compose", bulkhead_swarm="", bulkhead_registry=""
    )
    assert problems(found) == [("several-hosts", "bulkhead_environment")]
    assert "bulkhead_engine: swarm" in found.problems[0].fix
    assert found.nodes == {}


def test_two_hosts_that_are_one_machine(tmp_path: Path) -> None:
    found = on_hosts(tmp_path, {"n1": {"ansible_host": "10.0.0.1"}, "n2": {"ansible_host": "10.0.0.1"}})
    assert "n1 and n2 of group production are one machine (10.0.0.1)" in only(found.problems).message


def test_a_host_whose_machine_is_sealed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What shares it could not be compared, so that is refused and not passed over."""
    inventory = write(
        tmp_path / "inventory", {"production": PRODUCTION | SWARM}, {"production": {"hosts": {"n1": None, "n2": None}}}
    )
    folder = inventory / "host_vars"
    folder.mkdir()
    (folder / "n2.yml").write_text(f"bulkhead_machine: {inline('second')}")
    sealed = declarations(read(inventory), opened=False)["production"]
    assert "the machine of n2 cannot be read here" in only(sealed.problems).message
    monkeypatch.setattr(VaultSecretsContext, "_current", VaultSecretsContext(secrets()))
    opened = declarations(read(inventory, "password"))["production"]
    assert opened.problems == []
    assert opened.nodes["n2"].machine == "second"


def test_a_host_with_a_value_of_its_own(tmp_path: Path) -> None:
    """It would have no effect, whatever its author expects."""
    found = on_hosts(tmp_path, {"n1": None, "n2": {"bulkhead_http_port": 81}})
    assert "bulkhead_http_port of host n2 differ" in only(found.problems).message


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"bulkhead_swarm": None}, "bulkhead_swarm"),
        ({"bulkhead_registry": None}, "bulkhead_registry"),
        ({"bulkhead_registry": "https://registry.example.com"}, "bulkhead_registry"),
        ({"bulkhead_edge": True, "bulkhead_edge_nodes": ["n9"]}, "bulkhead_edge_nodes"),
        ({"bulkhead_edge_nodes": ["production-host"]}, "bulkhead_edge_nodes"),
        ({"bulkhead_bind_address": "10.0.0.1"}, "bulkhead_bind_address"),
        ({"bulkhead_backup_schedule": "daily"}, "bulkhead_backup_schedule"),
        ({"bulkhead_engine": "kubernetes", "bulkhead_swarm": None, "bulkhead_registry": None}, "bulkhead_engine"),
        ({"bulkhead_engine": "compose", "bulkhead_registry": None}, "bulkhead_swarm"),
    ],
)
def test_what_does_not_go_together(tmp_path: Path, variables: dict[str, Any], named: str) -> None:
    """One problem, of the variable that is wrong."""
    assert [resource for _rule, resource in problems(declared(tmp_path, **SWARM | variables))] == [named]


def test_variables_of_the_roles_for_machines(tmp_path: Path) -> None:
    """A node may have them, each its own; what no role has is unknown."""
    hosts = {"n1": {"bulkhead_edge_addresses": ["10.0.0.1"]}, "n2": {"bulkhead_edge_addresses": ["10.0.0.2"]}}
    assert on_hosts(tmp_path / "known", hosts).problems == []
    unknown = on_hosts(tmp_path / "unknown", {"n1": {"bulkhead_edge_adresses": ["10.0.0.1"]}})
    assert problems(unknown) == [("unknown-variable", "bulkhead_edge_adresses")]


@pytest.mark.parametrize(
    "registry", ["localhost:5000", "registry.example.com", "registry.example.com:5000/shop/app", "10.0.0.5:5000"]
)
def test_registries(tmp_path: Path, registry: str) -> None:
    assert problems(declared(tmp_path, **SWARM | {"bulkhead_registry": registry})) == []
