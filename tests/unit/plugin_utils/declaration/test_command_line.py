# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What ``-e`` may set: each variable has one class, and what is in no class is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import trust_as_template
from ansible.utils.vars import load_extra_vars
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.command_line import (
    MAY_SET,
    TypedAs,
    identity,
    ingredients,
    inputs,
    permissions,
    tighten,
    typed,
)
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.resolve import declare
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.variables import defaults, specification
from unit.fleets import PRODUCTION, STAGING, declarations, only, read, write

#: The permissions and thresholds of the trust model. A new one belongs into docs/security.md as well.
PERMISSIONS = {
    "bulkhead_allow_downtime",
    "bulkhead_allow_many",
    "bulkhead_backup_before_restore",
    "bulkhead_confirm",
    "bulkhead_destroy_backups",
    "bulkhead_destroy_volumes",
    "bulkhead_lock_takeover",
}
THRESHOLDS = {"bulkhead_fail_on", "bulkhead_fail_on_bystanders"}

VALUES = {"aiia_staging": {"bulkhead_fail_on": "medium", "bulkhead_fail_on_bystanders": False}}


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The variables of ``-e`` of this run."""
    extra: dict[str, Any] = {}
    monkeypatch.setattr(load_extra_vars, "extra_vars", extra, raising=False)
    yield extra


def named(use: TypedAs) -> set[str]:
    return {name for name, its in MAY_SET.items() if its is use}


def test_every_variable_has_one_class() -> None:
    assert set(specification()) >= set(MAY_SET)
    assert named(TypedAs.PERMISSION) == PERMISSIONS
    assert named(TypedAs.STRICTER) == THRESHOLDS


@pytest.mark.parametrize("name", sorted(set(specification()) - set(MAY_SET)))
def test_a_variable_without_a_class_is_refused_and_has_no_effect(name: str) -> None:
    found = only(typed({name: "x"}))
    assert (found.rule, found.resource) == ("extra-variable", name)
    assert found.message == f"-e sets {name}, which would apply to every environment of the run"
    assert inputs({name: "x"}) == {}


@pytest.mark.parametrize("name", sorted(named(TypedAs.INPUT) | PERMISSIONS))
def test_an_input_or_a_permission_is_accepted_as_plain_text_only(name: str) -> None:
    assert typed({name: "x"}) == []
    assert inputs({name: "x"}) == {name: "x"}
    expression = {name: trust_as_template("{{ lookup('pipe', 'id') }}")}
    assert "could have another value at each step" in only(typed(expression)).message
    assert inputs(expression) == {}


@pytest.mark.parametrize(
    ("name", "given", "effective", "refused"),
    [
        ("bulkhead_fail_on", "critical", "medium", "weaker than medium, as it is for aiia_staging"),
        ("bulkhead_fail_on", "high", "medium", "weaker than medium"),
        ("bulkhead_fail_on", "medium", "medium", ""),
        ("bulkhead_fail_on", "low", "low", ""),
        ("bulkhead_fail_on", "none", "medium", "-e sets bulkhead_fail_on to 'none'"),
        ("bulkhead_fail_on", trust_as_template("{{ 'low' }}"), "medium", "another value at each step"),
        ("bulkhead_fail_on_bystanders", "true", True, ""),
        ("bulkhead_fail_on_bystanders", "false", False, ""),
        ("bulkhead_fail_on_bystanders", "perhaps", False, "use one of true, false"),
    ],
)
def test_a_threshold_only_becomes_stricter(name: str, given: Any, effective: Any, refused: str) -> None:
    values: dict[str, Any] = dict(VALUES["aiia_staging"])
    findings = typed({name: given}, VALUES)
    tighten(values, {name: given})
    assert values[name] == effective
    assert bool(findings) == bool(refused)
    assert all(refused in f"{finding.message} {finding.fix}" for finding in findings)


def test_a_threshold_that_the_inventory_raised_stays() -> None:
    values: dict[str, Any] = {"bulkhead_fail_on": "low", "bulkhead_fail_on_bystanders": True}
    extra = {"bulkhead_fail_on": "medium", "bulkhead_fail_on_bystanders": "no"}
    assert [finding.resource for finding in typed(extra, {"aiia_prod": values})] == list(extra)
    tighten(values, extra)
    assert values == {"bulkhead_fail_on": "low", "bulkhead_fail_on_bystanders": True}


@pytest.mark.parametrize(
    "name",
    [
        "ansible_become",
        "ansible_become_user",
        "ansible_connection",
        "ansible_host",
        "ansible_limit",
        "ansible_pipelining",
        "ansible_port",
        "ansible_python_interpreter",
        "ansible_remote_tmp",
        "ansible_shell_executable",
        "ansible_ssh_common_args",
        "ansible_ssh_executable",
        "ansible_ssh_extra_args",
        "ansible_ssh_host",
        "ansible_user",
    ],
)
def test_how_to_reach_the_machine_is_not_for_the_command_line(name: str) -> None:
    assert f"-e sets {name}, which could lead elsewhere" in only(typed({name: "x"})).message


@pytest.mark.parametrize(
    "name",
    [
        "ansible_password",
        "ansible_ssh_pass",
        "ansible_become_pass",
        "ansible_become_password",
        "ansible_ssh_private_key_file",
        "ansible_private_key_file",
        "ansible_sudo_pass",
        "my_own_variable",
    ],
)
def test_credentials_and_variables_of_others(name: str) -> None:
    assert typed({name: "x"}) == []


@pytest.mark.parametrize("name", ["inventory_hostname", "inventory_hostname_short", "group_names", "hostvars"])
def test_which_host_it_is_is_not_for_the_command_line(name: str) -> None:
    assert "by which Ansible says which host" in only(typed({name: "production-host"})).message
    assert [finding.resource for finding in identity({name: "x", "mine": 1})] == [name]


def test_what_an_environment_is_made_of() -> None:
    """Each name in an expression counts, through any number of variables."""
    variables = {
        "base": "{{ root }}/x",
        "bulkhead_directory": "{{ base }}/app",
        "bulkhead_env": {"A": ["{{ lookup('vars', 'hidden') }}"]},
        "ansible_host": "{{ server }}",
        "unrelated": "{{ mine }}",
        "app": "no expression",
    }
    extra = dict.fromkeys(["root", "hidden", "server", "mine", "app", "bulkhead_env"], "x")
    assert [finding.resource for finding in ingredients(extra, variables)] == ["hidden", "root", "server"]
    assert ingredients({"mine": "x"}, variables) == []


def test_the_inventory_is_read_without_the_command_line(tmp_path: Path, given: dict[str, Any]) -> None:
    """Control: Ansible's own reading of the same inventory has the variables of ``-e``."""
    staging = {**STAGING, "base": "/srv/staging", "bulkhead_directory": "{{ base }}/app", "bulkhead_fail_on": "high"}
    directory = write(tmp_path / "inventory", {"production": PRODUCTION, "staging": staging})
    given.update(
        base="/srv/prod",
        bulkhead_prefix="app_prod",
        bulkhead_fail_on="critical",
        bulkhead_allow_downtime="true",
        ansible_host="localhost",
    )
    inventory = read(directory)
    values = declarations(inventory)["staging"].values
    assert values["bulkhead_directory"] == "/srv/staging/app"
    assert values["bulkhead_prefix"] == "app_staging"
    assert values["bulkhead_machine"] == "staging-host"
    assert values["bulkhead_fail_on"] == "high"
    assert values["bulkhead_allow_downtime"] is True
    assert permissions(values, given) == {"bulkhead_allow_downtime": True}
    plain = type(inventory.variables)(loader=inventory.loader, inventory=inventory.manager)
    theirs = plain.get_vars(host=inventory.manager.get_host("staging-host"), include_hostvars=False)
    assert (theirs["base"], theirs["bulkhead_prefix"]) == ("/srv/prod", "app_prod")


def test_each_default_is_the_strictest_where_only_strictness_may_be_added() -> None:
    """Otherwise ``-e`` could only repeat it."""
    known = defaults(DataLoader())
    assert not any(known[name] for name in PERMISSIONS - {"bulkhead_backup_before_restore"})
    assert known["bulkhead_backup_before_restore"] is True


def test_an_unknown_name_is_told_the_right_one() -> None:
    found = only(typed({"bulkhead_mange": "x"}))
    assert (found.rule, found.fix) == ("unknown-variable", "did you mean bulkhead_manage?")


def test_what_the_front_doors_role_reads_is_no_deployments() -> None:
    found = only(typed({"bulkhead_edge_image": "haproxy:3.0"}))
    assert (found.rule, found.resource) == ("extra-variable", "bulkhead_edge_image")
    assert found.fix.endswith("ansible-playbook aiia.bulkhead.edge")


def test_a_malformed_threshold_of_the_inventory_stops_at_everything(tmp_path: Path) -> None:
    inventory = read(write(tmp_path / "inventory", {"staging": {**STAGING, "bulkhead_fail_on": "hgih"}}))
    assert declare(next(inventory.environments()), inventory.loader).fail_on.label == "low"
