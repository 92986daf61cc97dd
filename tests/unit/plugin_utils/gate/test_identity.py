# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Only the inventory says which environment is which, and no gate can be walked around."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from ansible import context
from ansible.parsing.dataloader import DataLoader
from ansible.utils.vars import load_extra_vars
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.selection import overrides, rewritten
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.variables import specification
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.plan import Gate
from unit.fleets import PRODUCTION, STAGING, only, read, write
from unit.runs import book, fleet, gate_alone, play, refused

ROLE = {"name": "Deploy", "ansible.builtin.import_role": {"name": "aiia.bulkhead.environment"}}


# ---- rules of what may be set where ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(specification()))
def test_a_variable_that_the_play_sets(name: str) -> None:
    found = only(rewritten({}, {name: "play"}, {name: "inventory"}, "staging"))
    assert (found.rule, found.environments) == ("variable-rewritten", ("staging",))
    assert f"sets {name}, which contradicts the inventory" in found.message
    assert rewritten({}, {name: "same"}, {name: "same"}, "staging") == []
    assert rewritten({name}, {name: "typed"}, {name: "inventory"}, "staging") == []  # -e is told as that


def test_a_host_that_contradicts_its_group(tmp_path: Path) -> None:
    hosts = {"staging": {"hosts": {"server": {"bulkhead_environment": "prod"}}}}
    inventory = read(write(tmp_path, {"staging": STAGING}, hosts))
    found = only(overrides(inventory, inventory.environment_groups))
    assert (found.rule, found.resource) == ("identity-overridden", "server")
    assert "whose bulkhead_environment is staging, but its own variables say prod" in found.message


def test_a_step_reads_the_inventory_only_for_variables_of_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it ships was proved: of a large fleet, each step would read every file again."""
    declaration: Any = SimpleNamespace(prefix="aiia_staging", values={}, group="staging")
    for extra, reads in ({}, False), ({"bulkhead_release": "x"}, True):
        monkeypatch.setattr(load_extra_vars, "extra_vars", extra, raising=False)
        monkeypatch.setattr(context, "CLIARGS", {})
        gate = Gate(SimpleNamespace(_loader=DataLoader()), {"playbook_dir": "/"})
        if reads:
            with pytest.raises(KeyError, match="ansible_inventory_sources"):
                gate.extra_findings(declaration)
        else:
            assert gate.extra_findings(declaration) == []


# ---- as a user does it -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("bulkhead_prefix=app_prod", "bulkhead_prefix"),
        ('{"bulkhead_environment": "prod"}', "bulkhead_environment"),
        ("bulkhead_waivers=[]", "bulkhead_waivers"),
        ("ansible_host=localhost", "ansible_host"),
        ("ansible_ssh_common_args=-oHostName=localhost", "ansible_ssh_common_args"),
        ("bulkhead_fail_on=critical", "bulkhead_fail_on"),
    ],
)
def test_the_command_line(tmp_path: Path, value: str, name: str) -> None:
    assert f"-e sets {name}" in refused(fleet(tmp_path), "-l", "staging", "-e", value)


def test_a_mistyped_name_on_the_command_line_is_told_the_right_one(tmp_path: Path) -> None:
    words = refused(fleet(tmp_path), "-l", "staging", "-e", "bulkhead_mange=migrate")
    assert "Did you mean bulkhead_manage?" in words
    assert "-e sets" not in words


def test_what_the_command_line_says_is_not_looked_for_in_the_inventory(tmp_path: Path) -> None:
    words = refused(fleet(tmp_path), "-l", "staging", "-e", "bulkhead_environment=staging")
    assert "-e sets bulkhead_environment" in words
    assert "of host" not in words


def test_the_plan_of_the_whole_fleet_refuses_it_too(tmp_path: Path) -> None:
    words = refused(fleet(tmp_path), "-e", "bulkhead_environment=staging", playbook=Path("playbooks/plan.yml"))
    assert "-e sets bulkhead_environment" in words


def test_a_file_of_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "extra.yml").write_text("bulkhead_directory: /srv/prod/app\n")
    assert "-e sets bulkhead_directory" in refused(fleet(tmp_path), "-l", "staging", "-e", f"@{tmp_path}/extra.yml")


def forging_plays() -> dict[str, tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Ways in which a play of somebody's own could retarget the role: the play's keys, and its tasks."""
    value = {"bulkhead_directory": "/srv/prod/app"}
    return {
        "vars of the play": ({"vars": value}, [ROLE]),
        "vars of the role": ({}, [{**ROLE, "vars": value}]),
        "set_fact": ({}, [{"name": "Forge", "ansible.builtin.set_fact": value}, ROLE]),
        "vars_files": ({"vars_files": ["values.yml"]}, [ROLE]),
    }


@pytest.mark.parametrize("way", list(forging_plays()))
def test_a_play_of_somebodys_own(tmp_path: Path, way: str) -> None:
    keys, tasks = forging_plays()[way]
    (tmp_path / "values.yml").write_text(yaml.safe_dump({"bulkhead_directory": "/srv/prod/app"}))
    playbook = book(tmp_path / "own.yml", *tasks, **keys)
    words = refused(fleet(tmp_path), "-l", "staging", playbook=playbook)
    assert "sets bulkhead_directory, which contradicts the inventory" in words


def test_a_play_of_somebodys_own_that_forges_nothing(tmp_path: Path) -> None:
    playbook = book(tmp_path / "own.yml", {"name": "Prove", "aiia.bulkhead.plan": None}, vars={"mine": 1})
    assert play(fleet(tmp_path), "-l", "staging", playbook=playbook).code == 0


def test_the_values_that_a_deployment_may_get(tmp_path: Path) -> None:
    options = ("-l", "staging", "-e", "bulkhead_source_commit=abc", "-e", "bulkhead_wait_timeout=10")
    run = play(fleet(tmp_path), *options, playbook=gate_alone(tmp_path / "book.yml"))
    assert run.code == 0, run.output


# ---- walking around the gate -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        ("--start-at-task", "aiia.bulkhead.environment : Converge to the release"),
        ("--start-at-task", "aiia.bulkhead.environment : Check out the commit and build its image"),
        ("--skip-tags", "always,all"),
        ("--tags", "none"),
    ],
)
def test_options_of_the_command_line(tmp_path: Path, options: tuple[str, ...]) -> None:
    """Either nothing runs, or what runs proves the fleet by itself: a broken fleet is never touched."""
    clash = {**STAGING, "bulkhead_directory": PRODUCTION["bulkhead_directory"]}
    run = play(fleet(tmp_path, {"production": PRODUCTION, "staging": clash}), "-l", "staging", *options)
    assert "UNREACHABLE" not in run.output, run.output
    assert run.code != 0 or "TASK [" not in run.output, run.output


@pytest.mark.parametrize("keys", [{"ignore_errors": True}, {"ignore_errors": True, "any_errors_fatal": False}])
def test_errors_that_are_ignored(tmp_path: Path, keys: dict[str, Any]) -> None:
    clash = {**STAGING, "bulkhead_directory": PRODUCTION["bulkhead_directory"]}
    inventory = fleet(tmp_path, {"production": PRODUCTION, "staging": clash})
    tasks = [
        {"name": action, f"aiia.bulkhead.{action}": None} for action in ("plan", "preflight", "source", "converge")
    ]
    run = play(inventory, "-l", "staging", playbook=book(tmp_path / "own.yml", *tasks, **keys))
    assert "UNREACHABLE" not in run.output, run.output
    assert run.output.count("...ignoring") == len(tasks), run.output


@pytest.mark.parametrize("action", ["preflight", "source", "converge"])
def test_an_action_alone_proves_by_itself(tmp_path: Path, action: str) -> None:
    clash = {**STAGING, "bulkhead_directory": PRODUCTION["bulkhead_directory"]}
    inventory = fleet(tmp_path, {"production": PRODUCTION, "staging": clash})
    playbook = book(tmp_path / "own.yml", {"name": "Go", f"aiia.bulkhead.{action}": None})
    words = refused(inventory, "-l", "staging", playbook=playbook)
    assert PRODUCTION["bulkhead_directory"] in words


@pytest.mark.parametrize("action", ["preflight", "source", "converge"])
def test_an_action_alone_wants_one_environment(tmp_path: Path, action: str) -> None:
    playbook = book(tmp_path / "own.yml", {"name": "Go", f"aiia.bulkhead.{action}": None})
    assert "there is no -l" in refused(fleet(tmp_path), playbook=playbook)
