# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets that cannot be deployed, and vault files that cannot be read: an error without a value, and others go on."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

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
from unit.runs import Run, fleet, gate_alone, play

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


#: A vault file as people write them by hand. Each secret that stops a deployment, with its rule and words about it.
BY_HAND = {
    "PIN": ("0123", "unquoted-value", "bulkhead_secrets.PIN is not in quotes, and YAML reads it as a number"),
    "VERSION": ("1.10", "unquoted-value", "VERSION is not in quotes"),
    "LOG_LEVEL": ("canary-of-a-setting", "setting-twice", "LOG_LEVEL is in bulkhead_secrets and in bulkhead_env;"),
    "NULL_BYTE": ('"canary\\0canary"', "invalid-setting", "a NUL character"),
    "LARGE": (f'"{"canary" * 200_000}"', "invalid-setting", "128 KiB or longer"),
    "REDIS_PASSWORD": ('"canary\\ncanary"', "invalid-setting", "REDIS_PASSWORD has a line break"),
    "SMTP_PASSWORD": ("changeme", "placeholder-secret", "SMTP_PASSWORD is a placeholder from an example"),
    "STRIPE_KEY": ("sk_test_canary", "test-key", "STRIPE_KEY is a key of its provider's test mode"),
}

#: Those that are advice: one value twice, and one that is short.
ADVICE = {
    "ONE": ("one-Zx9k3mQ7vB2nL5tR8wY1cF4gH6jD0s", "reused-secret", "ONE and TWO have one value"),
    "TWO": ("one-Zx9k3mQ7vB2nL5tR8wY1cF4gH6jD0s", "", ""),
    "SHORT": ("hunter22", "weak-secret", "SHORT is short or easy to guess"),
}


def written(directory: Path, cases: Mapping[str, tuple[str, str, str]], **more: Any) -> Run:
    """The gate on staging alone, whose vault file has these secrets besides what it needs, as they stand there."""
    own = {name: value for name, value in WORDS.items() if name not in cases}
    text = yaml.safe_dump({"bulkhead_secrets": own}) + "".join(f"  {name}: {case[0]}\n" for name, case in cases.items())
    bare = {name: value for name, value in STAGING.items() if name != "bulkhead_secrets"}
    found = fleet(directory, {"staging": {**bare, "bulkhead_env": {"LOG_LEVEL": "info"}, **more}})
    vault = closed(text, VaultSecret(PASSWORD.encode()), "staging")
    (found / "group_vars/staging/vault.yml").write_text(vault)
    (directory / "password").write_text(PASSWORD)
    options = ("-l", "staging", "--vault-id", f"staging@{directory}/password")
    report = ("-e", f"bulkhead_report={directory}/found")
    return play(found, *options, *report, playbook=gate_alone(directory / "gate.yml"))


def test_whatever_is_wrong_with_secrets_is_said_at_once(tmp_path: Path) -> None:
    """Each by its name, its rule and its page, and none by its value; both the file and the machine are left alone."""
    run = written(tmp_path, {**BY_HAND, **ADVICE}, bulkhead_protected=True)
    assert run.code != 0 and "Traceback" not in run.output, run.output[-4000:]
    found = json.loads((tmp_path / "found").read_text())["findings"]
    for name, (_value, rule, said) in {**BY_HAND, **ADVICE}.items():
        about = [each for each in found if each["rule"] == rule and said in each["message"]]
        assert len(about) == (1 if rule else 0), (name, found)
        if name in BY_HAND:
            assert name in run.words and f"page docs/refusals.md#{rule}" in run.words, (name, run.words)
    assert "canary" not in run.output and "canary" not in str(found)


def test_a_live_key_outside_of_production(tmp_path: Path) -> None:
    """From the vault, as from any other file. Control: without it the same secrets are proved."""
    live = written(tmp_path / "live", {"STRIPE_KEY": ("sk_live_canary", "live-payments", "")})
    assert live.code != 0 and "live-payments" in live.words and "docs/rules/live-payments.md" in live.words
    assert "sk_live_canary" not in live.output
    good = written(tmp_path / "good", ADVICE)
    assert good.code == 0 and "this run is for app_staging" in good.words, good.output


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
