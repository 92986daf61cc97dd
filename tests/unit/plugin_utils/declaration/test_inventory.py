# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading the fleet: every environment, and none of the others' secrets needed."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest
import yaml
from ansible.parsing.vault import EncryptedString, VaultSecretsContext
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.inventory import (
    FilesOfGroups,
    Inventory,
    place,
    seal,
    seal_each,
)
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.loading import OthersLoader
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import SEAL
from unit.fleets import PRODUCTION, STAGING, declarations, encrypted, inline, problems, read, secrets, write


def test_every_environment_is_read(tmp_path: Path) -> None:
    inventory = read(write(tmp_path, {"production": PRODUCTION, "staging": STAGING, "tools": {"ansible_user": "me"}}))
    found = {environment.group: environment for environment in inventory.environments()}
    assert list(found) == ["production", "staging"]
    assert found["production"].hosts == ("production-host",)
    assert found["production"].variables["bulkhead_project"] == "app"
    assert found["production"].own["bulkhead_environment"] == "prod"
    assert "bulkhead_project" not in found["production"].own


def test_all_groups_are_not_walked_for_each_host(tmp_path: Path) -> None:
    """Each host has them, so that the time for a fleet would be quadratic. Control: what is beside them is sealed."""

    class Unread(dict[str, list[str]]):
        """All groups with their hosts, which nothing looks at."""

        def values(self) -> NoReturn:
            raise AssertionError

    groups = Unread(production=["one"])
    variables = {"groups": groups, "a": [EncryptedString(ciphertext=encrypted("x"))]}
    found = seal_each(variables, opened=False)
    assert found["groups"] is groups
    assert "bulkhead_sealed" in found["a"][0]
    inventory = read(write(tmp_path, {"production": {**PRODUCTION, "groups": {"own": ["value"]}}}))
    assert "production" in inventory.environment("production").variables["groups"]


def test_an_environment_without_hosts_is_none(tmp_path: Path) -> None:
    hosts = {"production": {"hosts": {"one": None}}, "staging": {"hosts": {}}}
    inventory = read(write(tmp_path, {"production": PRODUCTION, "staging": STAGING}, hosts))
    assert [environment.group for environment in inventory.environments()] == ["production"]


def test_group_variables_beside_the_playbook_count(tmp_path: Path) -> None:
    write(tmp_path / "inventory", {"production": {}})
    folder = tmp_path / "playbooks" / "group_vars"
    folder.mkdir(parents=True)
    (folder / "production.yml").write_text("bulkhead_environment: prod\n")
    inventory = read(tmp_path / "inventory", playbooks=tmp_path / "playbooks")
    assert [environment.group for environment in inventory.environments()] == ["production"]


def test_a_host_variable_declares_no_environment(tmp_path: Path) -> None:
    hosts = {"servers": {"hosts": {"one": {"bulkhead_environment": "prod"}}}}
    inventory = read(write(tmp_path, {"servers": {}}, hosts))
    assert list(inventory.environments()) == []
    assert inventory.declared_on_host("one") == "prod"


def locked_fleet(tmp_path: Path) -> Path:
    """Production's secrets are in a vault file with a password of its own."""
    public = {key: value for key, value in PRODUCTION.items() if key != "bulkhead_secrets"}
    write(tmp_path, {"production": public, "staging": STAGING})
    secret = yaml.safe_dump({"bulkhead_secrets": PRODUCTION["bulkhead_secrets"]})
    (tmp_path / "group_vars/production/vault.yml").write_text(encrypted(secret, "production's"))
    return tmp_path


@pytest.mark.parametrize("password", ["", "staging's"])
def test_a_locked_vault_file_hides_its_values_and_nothing_else(tmp_path: Path, password: str) -> None:
    inventory = read(locked_fleet(tmp_path), password)
    found = {environment.group: environment for environment in inventory.environments()}
    assert list(found) == ["production", "staging"]
    assert found["production"].variables["bulkhead_domains"] == ["prod.example.com"]
    assert "bulkhead_secrets" not in found["production"].variables
    assert [Path(path).relative_to(tmp_path).as_posix() for path in found["production"].locked] == [
        "group_vars/production/vault.yml"
    ]
    assert found["staging"].locked == ()


def test_an_open_vault_file_is_read_for_the_environment_to_deploy(tmp_path: Path) -> None:
    inventory = read(locked_fleet(tmp_path), "production's")
    found = inventory.environment("production", opened=True)
    assert found.locked == ()
    assert found.variables["bulkhead_secrets"] == PRODUCTION["bulkhead_secrets"]
    bystander = inventory.environment("production")
    assert len(bystander.locked) == 1
    assert "bulkhead_secrets" not in bystander.variables


def test_two_locked_files_are_both_named(tmp_path: Path) -> None:
    locked_fleet(tmp_path)
    (tmp_path / "group_vars/production/more.yml").write_text(encrypted("x: 1", "other"))
    found = {environment.group: environment for environment in read(tmp_path).environments()}
    assert sorted(Path(path).name for path in found["production"].locked) == ["more.yml", "vault.yml"]


def test_what_a_locked_file_may_hold_is_said(tmp_path: Path) -> None:
    """A missing variable may be missing only here."""
    locked_fleet(tmp_path)
    main = tmp_path / "group_vars/production/main.yml"
    main.write_text("\n".join(line for line in main.read_text().splitlines() if "http_port" not in line))
    declaration = declarations(read(tmp_path))["production"]
    assert problems(declaration) == [("missing-variable", "bulkhead_http_port")]
    assert "vault.yml, which is locked here" in declaration.problems[0].message


def hold(monkeypatch: pytest.MonkeyPatch, password: str) -> None:
    """Let this run hold a vault password, as the command line does."""
    monkeypatch.setattr(VaultSecretsContext, "_current", VaultSecretsContext(secrets(password)))


def test_an_inline_vault_value_is_sealed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = yaml.safe_dump({**PRODUCTION, "bulkhead_secrets": {}}).replace("bulkhead_secrets: {}\n", "")
    text += "bulkhead_secrets:\n  SECRET_KEY: " + inline("hunter2", "production's").replace("\n    ", "\n      ")
    text += "\nbulkhead_build_target: " + inline("final", "production's")
    write(tmp_path, {"production": text})
    hold(monkeypatch, "staging's")
    sealed = declarations(read(tmp_path))["production"]
    assert sealed.values["bulkhead_secrets"] == {"SECRET_KEY": SEAL}
    assert sealed.values["bulkhead_build_target"] == SEAL
    hold(monkeypatch, "production's")
    opened = declarations(read(tmp_path, "production's"))["production"]
    assert opened.values["bulkhead_secrets"] == {"SECRET_KEY": "hunter2"}
    assert opened.values["bulkhead_build_target"] == "final"


def test_seal_leaves_open_values_as_they_are() -> None:
    value = {"a": [1, {"b": None}], "c": "text"}
    assert seal(value) is value


def test_the_place_of_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = "bulkhead_environment: prod\nbulkhead_domains:\n  - a.example.com\n"
    inventory = read(write(tmp_path / "inventory", {"production": text}))
    (found,) = inventory.environments()
    where = place(found.variables["bulkhead_environment"], "bulkhead_environment")
    assert str(where) == "inventory/group_vars/production/main.yml:1 (bulkhead_environment)"
    assert str(place(None, "bulkhead_prefix")) == "bulkhead_prefix"


def test_several_sources_are_one_inventory(tmp_path: Path) -> None:
    write(tmp_path / "a", {"production": PRODUCTION})
    write(tmp_path / "b", {"staging": STAGING})
    inventory = Inventory([str(tmp_path / "a"), str(tmp_path / "b")], [], str(tmp_path))
    assert [environment.group for environment in inventory.environments()] == ["production", "staging"]


def test_files_that_were_read_ahead_are_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path / "inventory", {"production": PRODUCTION, "staging": STAGING, "locked": encrypted("a: b")})
    expected = Inventory([str(folder)], [], str(tmp_path))
    files = FilesOfGroups([str(folder), "a-host,"], str(tmp_path))(["production", "staging", "locked", "absent"])
    assert {Path(path).parent.name for path in files} == {"production", "staging", "locked"}
    inventory = Inventory([str(folder)], [], str(tmp_path))
    inventory.know(files)
    monkeypatch.setattr(OthersLoader, "_read", lambda _self, path, *_rest, **_options: {"read": Path(path).parent.name})
    found = {name: inventory.group_variables(group) for name, group in inventory.manager.groups.items()}
    assert found["all"]["read"] == "all"
    monkeypatch.undo()
    for name in ("production", "staging", "locked"):
        assert found[name] == expected.group_variables(expected.manager.groups[name])
