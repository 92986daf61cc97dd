# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets that cannot be deployed, and vault files that cannot be read: an error without a value, and others go on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from ansible.parsing.vault import VaultSecret
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.inert import in_time
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.environments import build_environment
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Fleet
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.rules import rules
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.release.render import Renderer
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.secrets.vault import closed
from unit.fleets import PRODUCTION, SECRETS, STAGING, declared, read
from unit.runs import fleet, gate_alone, play

PASSWORD = "password of staging"
WORDS = {name: value.format("staging") for name, value in SECRETS.items()}


def inventory(directory: Path, mangle: Callable[[str], str]) -> Path:
    """Production, and staging with a vault file that somebody did something to."""
    bare = {name: value for name, value in STAGING.items() if name != "bulkhead_secrets"}
    found = fleet(directory, {"production": PRODUCTION, "staging": bare})
    text = closed(yaml.safe_dump({"bulkhead_secrets": WORDS}), VaultSecret(PASSWORD.encode()), "staging")
    (found / "group_vars/staging/vault.yml").write_text(mangle(text))
    (directory / "password").write_text(PASSWORD)
    return found


@pytest.mark.parametrize(
    ("mangle", "said"),
    [
        (lambda text: text[: len(text) // 2 | 1], "Vault"),
        (lambda text: f"<<<<<<< HEAD\n{text}=======\n{text}>>>>>>> other\n", "group_vars/staging/vault.yml"),
    ],
    ids=["cut short", "merge conflict"],
)
def test_a_damaged_vault_file_is_its_own_environments_alone(
    tmp_path: Path, mangle: Callable[[str], str], said: str
) -> None:
    """Ansible says so itself, before any task; production's gate goes on."""
    found, gate = inventory(tmp_path, mangle), gate_alone(tmp_path / "gate.yml")
    own = play(found, "-l", "staging", "--vault-id", f"staging@{tmp_path}/password", playbook=gate)
    assert own.code != 0 and said in own.output and "Traceback" not in own.output, own.output
    assert not [word for word in WORDS.values() if word in own.output]
    other = play(found, "-l", "production", playbook=gate)
    assert other.code == 0, other.output


@pytest.mark.parametrize("long", ["canary", "a:", "://a"])
def test_a_value_of_a_megabyte_is_refused_soon(tmp_path: Path, long: str) -> None:
    """Rules do not read what is refused already, whatever its length."""
    value = long * (900_000 // len(long))
    declaration = declared(tmp_path, bulkhead_secrets={**WORDS, "TOKEN": value})
    assert [problem.resource for problem in declaration.problems] == ["bulkhead_secrets.TOKEN"]
    assert "128 KiB or longer" in declaration.problems[0].message and value[:90] not in declaration.problems[0].message
    release = Renderer(read(tmp_path / "inventory").loader).render(declaration)
    judged = Fleet([build_environment(declaration, release)])
    in_time(30.0, lambda: [list(rule.judge(judged)) for rule in rules().values()])
