# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of variables that others write: none ends a run, takes its time, or stands for more than its size."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from ansible import constants as C
from ansible.parsing.vault import VaultSecretsContext
from ansible.vars import plugins as vars_plugins
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.bounds import DEEPEST, room_after, yaml_problem
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.inventory import seal
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.loading import loader
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.resolve import declare
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.unread import undeclared
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import SEAL
from unit.fleets import PRODUCTION, STAGING, encrypted, inline, problems, read, secrets, write


def bomb(levels: int) -> str:
    """A text in which each line stands for ten times what the one before stands for."""
    lines = ["a0: &a0 [x]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, levels)]
    return "\n".join(lines)


MERGED = "\n".join(
    ["a0: &a0 {x: 1}", *(f"a{level}: &a{level} {{<<: [{', '.join([f'*a{level - 1}'] * 9)}]}}" for level in range(1, 9))]
)

BAD = {
    "aliases": (bomb(12), "its aliases stand for more than"),
    "merged": (MERGED, "its aliases stand for more than"),
    "itself": ("a: &a [*a]", "its alias *a stands for something that it is a part of"),
    "flow": ("a: " + "[" * 100_000 + "]" * 100_000, "not"),
    "list": ("a:\n  " + "- " * 100_000 + "x", f"nested deeper than {DEEPEST} levels"),
    "map": ("a:\n" + "".join(" " * level + "b:\n" for level in range(1, 300)), f"nested deeper than {DEEPEST} levels"),
    "json": ('{"a": ' + "[" * 500 + "]" * 500 + "}", f"nested deeper than {DEEPEST} levels"),
    "long": ("a: " + "x" * (1 << 20), "longer than"),
    "slow": ("a: " + ":".join(["1"] * 200_000), "is longer than any that can be meant"),
    "number": ("a: " + "1" * 5000, "is longer than any that can be meant"),
    "hexadecimal": ("a: [b, {c: -0x" + "f" * 5000 + "}]", "the number -0xfffffffffffffffff… is longer"),
    "sexagesimal": ("a: " + ":".join(["9"] * 2500), "is longer than any that can be meant"),
    "vault": ("a: !vault [1]", "!vault"),
    "broken": ("a: [", "YAML"),
    "list of all": ("- a", "it holds no variables"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_is_not_read_is_named(tmp_path: Path, name: str) -> None:
    """The environment has a finding on it, everything else of it is read, and no other environment notices."""
    text, why = BAD[name]
    inventory = read(write(tmp_path, {"production": PRODUCTION, "staging": STAGING}))
    (tmp_path / "group_vars/staging/more.yml").write_text(text)
    began = time.process_time()
    found = {environment.group: declare(environment, inventory.loader) for environment in inventory.environments()}
    assert time.process_time() - began < 20
    assert problems(found["production"]) == [] and found["production"].usable
    ((rule, resource),) = problems(found["staging"])
    message = found["staging"].problems[0].message
    assert rule == "unreadable-file" and resource.endswith("staging/more.yml") and why in message
    assert not found["staging"].usable and found["staging"].prefix == "app_staging"
    assert list(inventory.undeclared) == []


@pytest.mark.parametrize(
    "text",
    [
        "a: &a {x: [1, 2]}\nb: {<<: *a}\nc: *a\n",
        bomb(3),
        "a: '&x *y " + "[{" * 300 + "'",
        "a: |\n" + " " * 200 + "x\n",
        "a: '0x" + "f" * 5000 + "'\nb: " + "f" * 5000 + "\nc: 0x" + "f" * 990 + "\n",
        '{"a":\t[' + "[1]," * 200 + "[1]]}",
        "- &a x\n" * 100,
        "",
    ],
)
def test_ordinary_files_are_read(text: str) -> None:
    assert yaml_problem(text) == ""


def test_the_same_aliases_are_many_values_where_nobody_counts(tmp_path: Path) -> None:
    """The control: Ansible reads such a file at once, and whoever walks over it takes ten times as long per line."""
    (tmp_path / "bomb.yml").write_text(bomb(6))
    found = loader(str(tmp_path), None).load_from_file(str(tmp_path / "bomb.yml"))
    assert yaml_problem(bomb(6)) == "" and room_after(found, 1 << 20) < (1 << 20) - 10**5
    assert seal(found) is found


def test_a_number_that_python_cannot_write() -> None:
    """An expression may make one: ``int(base=16)``."""
    assert room_after(1 << 20_000, 1 << 20) < 0 < room_after([1 << 9_000], 1 << 20)
    with pytest.raises(ValueError, match="limit"):
        str(1 << 20_000)


def test_links_make_no_directory_endless(tmp_path: Path) -> None:
    inventory = read(write(tmp_path, {"production": PRODUCTION, "staging": STAGING}))
    for name in ("one", "two"):
        (tmp_path / "group_vars/staging" / name).symlink_to(".")
    (tmp_path / "group_vars/production/zero.yml").symlink_to("/dev/zero")
    found = {environment.group: declare(environment, inventory.loader) for environment in inventory.environments()}
    assert list(found) == ["production"]
    assert problems(found["production"]) == []  # Ansible itself passes over what is not a file
    ((group, ((path, why),)),) = inventory.undeclared.items()
    assert group == "staging" and path.endswith("group_vars/staging") and "too many" in why


def test_a_group_that_may_be_an_environment_stops_everybody(tmp_path: Path) -> None:
    """Nobody knows whose names such an environment would use."""
    groups = {"production": PRODUCTION, "staging": "bulkhead_environment: staging\na: ["}
    inventory = read(write(tmp_path / "one", groups))
    assert [environment.group for environment in inventory.environments()] == ["production"]
    (finding,) = undeclared(inventory)
    assert finding.rule == "unreadable-file" and finding.environments == ()
    assert "Group staging may be an environment" in finding.message
    # The near miss: the name is in another file.
    write(tmp_path / "other", groups)
    (tmp_path / "other/group_vars/staging/name.yml").write_text("bulkhead_environment: staging\n")
    inventory = read(tmp_path / "other")
    assert list(undeclared(inventory)) == []
    assert [environment.group for environment in inventory.environments()] == ["production", "staging"]


@pytest.mark.parametrize("stage", ["demand", "start"])
def test_no_stage_of_vars_plugins_opens_vaults_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    """With ANSIBLE_RUN_VARS_PLUGINS=start Ansible reads all variables with the hosts, and with all secrets."""
    monkeypatch.setattr(C, "RUN_VARS_PLUGINS", stage)
    monkeypatch.setattr(VaultSecretsContext, "_current", VaultSecretsContext(secrets()))
    vars_plugins._plugin_should_run.cache_clear()
    try:
        public = {key: value for key, value in STAGING.items() if key != "bulkhead_secrets"}
        write(tmp_path, {"production": PRODUCTION, "staging": yaml.safe_dump(public) + "own: " + inline("inline")})
        secret = yaml.safe_dump({"bulkhead_secrets": {"KEY": "stolen-secret-value"}})
        (tmp_path / "group_vars/staging/vault.yml").write_text(encrypted(secret))
        (tmp_path / "host_vars").mkdir()
        (tmp_path / "host_vars/staging-host.yml").write_text(encrypted("of_host: stolen-secret-value"))
        inventory = read(tmp_path, "password")
        bystander = declare(inventory.environment("staging"), inventory.loader)
        assert "stolen" not in f"{bystander.available} {bystander.values} {inventory.environment_groups}"
        assert bystander.values["bulkhead_secrets"] == {} and len(bystander.locked) == 2
        assert SEAL not in bystander.prefix
        # The control: the environment to deploy has them.
        own = declare(inventory.environment("staging", opened=True), inventory.loader)
        assert own.values["bulkhead_secrets"] == {"KEY": "stolen-secret-value"}
        assert own.available["of_host"] == "stolen-secret-value"
    finally:
        vars_plugins._plugin_should_run.cache_clear()


def test_hosts_that_are_encrypted_need_the_usual_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(C, "RUN_VARS_PLUGINS", "start")
    vars_plugins._plugin_should_run.cache_clear()
    try:
        write(tmp_path, {"production": PRODUCTION})
        (tmp_path / "hosts.yml").write_text(encrypted((tmp_path / "hosts.yml").read_text()))
        read_it: Callable[[], object] = lambda: list(read(tmp_path, "password").environments())  # noqa: E731
        with pytest.raises(Exception, match="is in a file of hosts that is encrypted"):
            read_it()
        monkeypatch.setattr(C, "RUN_VARS_PLUGINS", "demand")
        vars_plugins._plugin_should_run.cache_clear()
        assert read_it()
    finally:
        vars_plugins._plugin_should_run.cache_clear()
