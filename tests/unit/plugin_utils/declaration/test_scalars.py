# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Values that YAML changes are refused where they stand; those that it leaves alone pass."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.model import Declaration
from unit.fleets import declarations, encrypted, environment, only, read, write


def written(directory: Path, text: str, name: str = "main.yml") -> Declaration:
    """An environment whose file has this text as well, which may say a variable anew."""
    variables = {key: value for key, value in environment("prod").items() if f"{key}:" not in text}
    return declarations(read(write(directory, {"production": yaml.safe_dump(variables) + text})))["production"]


@pytest.mark.parametrize(
    ("text", "path", "seen", "becomes"),
    [
        ("bulkhead_env: {PIN: 0123456}", "bulkhead_env.PIN", "0123456", "42798"),
        ("bulkhead_env:\n  TIME: 12:30:45  # noon", "bulkhead_env.TIME", "12:30:45", "45045"),
        ("bulkhead_env_shared: {VERSION: 1.10, LEVEL: info}", "bulkhead_env_shared.VERSION", "1.10", "1.1"),
        ("bulkhead_env: {RATE: 1.0e+3}", "bulkhead_env.RATE", "1.0e+3", "1000.0"),
        ("bulkhead_env: {COUNTRY: no}", "bulkhead_env.COUNTRY", "no", "false"),
        ("bulkhead_env: {FEATURE: On}", "bulkhead_env.FEATURE", "On", "true"),
        ("bulkhead_env: {DEBUG: False}", "bulkhead_env.DEBUG", "False", "false"),
        ("bulkhead_env: {AT: 2026-01-02T10:00:00Z}", "bulkhead_env.AT", "2026-01-02T10:00:00Z", "2026-01-02 10:00"),
        ("bulkhead_build_arguments: {DEBUG: yes}", "bulkhead_build_arguments.DEBUG", "yes", "true"),
        ("bulkhead_build_arguments:\n  NODE: 18.10", "bulkhead_build_arguments.NODE", "18.10", "18.1"),
        ("bulkhead_source_branch: 1.10", "bulkhead_source_branch", "1.10", "1.1"),
        ("bulkhead_source_commit: 0123456", "bulkhead_source_commit", "0123456", "42798"),
        ("bulkhead_build_timeout: 10:30", "bulkhead_build_timeout", "10:30", "630"),
        ("bulkhead_prepare: [[sh, 0777]]", "bulkhead_prepare.0.1", "0777", "511"),
        ("bulkhead_services: {web: {image: x, ports: [22:22]}}", "bulkhead_services.web.ports.0", "22:22", "1342"),
        ("bulkhead_services:\n  web:\n    image: x\n    user: 0100", "bulkhead_services.web.user", "0100", "64"),
        ("bulkhead_services: {web: {image: x, restart: no}}", "bulkhead_services.web.restart", "no", "false"),
        (
            'bulkhead_services: {web: {image: x, "environment": {"A B": yes}}}',
            "bulkhead_services.web.environment.A B",
            "yes",
            "true",
        ),
        ("bulkhead_env: {PIN: &pin 0123456}", "bulkhead_env.PIN", "0123456", "42798"),
        ("bulkhead_env:\n  A: &flag yes", "bulkhead_env.A", "yes", "true"),
        ("bulkhead_env: {V: 'v{{ version }}'}\nversion: 1.10", "version", "1.10", "1.1"),
        ("bulkhead_services: {web: {image: 'x:{{ v.web }}'}}\nv: {web: 3.10}", "v.web", "3.10", "3.1"),
        ("bulkhead_source_commit: '{{ a }}'\na: '{{ b }}'\nb: 0123456", "b", "0123456", "42798"),
        ("bulkhead_env: '{{ base }}'\nbase: {COUNTRY: no}", "base.COUNTRY", "no", "false"),
    ],
)
def test_a_value_that_yaml_changes(tmp_path: Path, text: str, path: str, seen: str, becomes: str) -> None:
    found = only([problem for problem in written(tmp_path, text).problems if problem.rule == "unquoted-value"])
    assert found.resource == path
    assert f"{path} is {seen} in the file, which YAML reads as" in found.message and becomes in found.message
    assert found.fix == f'put it into quotes: "{seen}"'
    place = found.where[0]
    assert seen in Path(place.file).read_text().splitlines()[place.line - 1]


@pytest.mark.parametrize(
    "text",
    [
        'bulkhead_env: {PIN: "0123456", TIME: \'12:30:45\', VERSION: "1.10", "NO": "no"}',
        "bulkhead_env: {WORKERS: 4, RATIO: 0.5, DEBUG: false, EMPTY: null, ALSO: , DAY: 2026-01-02, E: 1e3}",
        "bulkhead_env: &base {WORKERS: 4}\nbulkhead_env_shared: *base",
        'bulkhead_env: {WORKERS: "{{ 10 + 1 }}"}',
        "bulkhead_build_arguments: {DEBUG: true, JOBS: 2}",
        "bulkhead_protected: yes",
        "bulkhead_env: {A: &flag true, B: *flag, C: &number 5, D: *number, E: !!int '7'}",
        "bulkhead_env:\n  A: # a comment\n    false\n  B:\n    8",
        "bulkhead_build_timeout: 600 # seconds",
        "bulkhead_services: {web: {image: x, init: True, cpus: 0.50, mem_swappiness: 0, ports: ['22:22', 8080]}}",
        "bulkhead_services: {web: {image: x, deploy: {resources: {limits: {cpus: 1.0, pids: 100}}}}}",
        "bulkhead_env: {A: &number\n  5, B: *number}",
        "bulkhead_env: {A: '{{ minutes * 60 }}', B: '{{ 1 if flag else 2 }}'}\nminutes: 1_0\nflag: yes\nunused: 0123",
        "bulkhead_protected: '{{ live }}'\nlive: yes",
    ],
)
def test_a_value_that_yaml_leaves_alone(tmp_path: Path, text: str) -> None:
    assert written(tmp_path, text).problems == []


def test_names_that_lead_nowhere(tmp_path: Path) -> None:
    text = "bulkhead_env: {A: '{{ a }}', B: '{{ b.c }}', C: '{{ d }}', D: '{{ e.f }}'}\na: '{{ a }}'\nb: 5\ne: {g: 7}"
    assert {problem.rule for problem in written(tmp_path, text).problems} == {"template-error"}


def test_a_secret_is_not_shown(tmp_path: Path) -> None:
    found = only(written(tmp_path, "bulkhead_secrets: {PIN: 0123456}").problems)
    assert (found.rule, found.resource, found.fix) == ("unquoted-value", "bulkhead_secrets.PIN", "put it into quotes")
    assert "0123456" not in str(found) and "42798" not in str(found) and found.where[0].line > 0


def test_a_secret_in_a_vault_file(tmp_path: Path) -> None:
    """Its text is compared where the file is opened, and there alone."""
    folder = write(
        tmp_path, {"production": {key: value for key, value in environment("prod").items() if "sec" not in key}}
    )
    text = "# first\nbulkhead_secrets:\n  PIN: 0123456\n  CODE: '0123456'\n  COUNT: 7\n"
    (folder / "group_vars/production/vault.yml").write_text(encrypted(text))
    inventory = read(folder, "password")
    found = only(declarations(inventory)["production"].problems)
    assert (found.resource, found.where[0].line) == ("bulkhead_secrets.PIN", 3)
    assert declarations(inventory, opened=False)["production"].problems == []


@pytest.mark.parametrize("holder", ["bulkhead_secrets: {PIN: '{{ pin }}'}", "bulkhead_env: {PIN: '{{ pin }}'}"])
def test_a_secret_that_is_named(tmp_path: Path, holder: str) -> None:
    """What an encrypted file has is not shown, whoever names it."""
    variables = {key: value for key, value in environment("prod").items() if f"{key}:" not in holder}
    folder = write(tmp_path, {"production": yaml.safe_dump(variables) + holder})
    (folder / "group_vars/production/vault.yml").write_text(encrypted("pin: 0123456\n"))
    found = only(declarations(read(folder, "password"))["production"].problems)
    assert (found.rule, found.resource, found.fix) == ("unquoted-value", "pin", "put it into quotes")
    assert "0123456" not in str(found) and "42798" not in str(found)


def test_a_truth_value_in_a_list_of_compose(tmp_path: Path) -> None:
    found = only(written(tmp_path, "bulkhead_services: {web: {image: x, command: [serve, on]}}").problems)
    assert (found.rule, found.resource) == ("unquoted-value", "bulkhead_services.web.command.1")
    assert found.where[0].line > 0


def test_a_name_that_is_not_text(tmp_path: Path) -> None:
    found = only(written(tmp_path, "bulkhead_services: {web: {image: x, environment: {NO: x}}}").problems)
    assert found.resource == "bulkhead_services.web.environment.False" and found.where[0].line > 0
    assert found.fix == 'put the name into quotes, such as "NO"'


def test_an_inventory_in_ini(tmp_path: Path) -> None:
    folder = write(tmp_path / "inventory", {})
    (folder / "hosts.yml").unlink()
    values = "bulkhead_environment=prod\nbulkhead_source_branch=1.10\nbulkhead_http_port=80\nbulkhead_protected=True\n"
    (folder / "hosts").write_text(f"[production]\nhost\n[production:vars]\n{values}")
    declaration = declarations(read(folder))["production"]
    found = only([problem for problem in declaration.problems if problem.rule == "unquoted-value"])
    assert found.resource == "bulkhead_source_branch" and "is 1.10 in the file" in found.message


@pytest.mark.parametrize(("value", "text"), [(False, "false"), (True, "true"), (2, "2"), (None, ""), ("x", "x")])
def test_a_build_argument_is_written_as_a_setting_is(tmp_path: Path, value: Any, text: str) -> None:
    folder = write(tmp_path, {"production": environment("prod", bulkhead_build_arguments={"A": value})})
    declaration = declarations(read(folder))["production"]
    assert declaration.values["bulkhead_build_arguments"] == {"A": text}
    assert declaration.problems == []


def test_a_build_argument_is_one_text(tmp_path: Path) -> None:
    folder = write(tmp_path, {"production": environment("prod", bulkhead_build_arguments={"A": [1]})})
    found = only(declarations(read(folder))["production"].problems)
    assert found.message == "bulkhead_build_arguments.A is a list, but an argument is one string"
