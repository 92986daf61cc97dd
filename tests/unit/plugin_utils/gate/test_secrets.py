# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The gate's proof about secrets of environments that it cannot open: fingerprints, and whose password opens what."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.vault import VaultSecret
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.environments import build_environment
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.live_fingerprints import LiveFingerprints
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.secrets import (
    TRIED,
    Vaults,
    plain_names,
    salt_for,
    usual_salt,
    weak_secrets,
)
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Fleet
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.rules import rules
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.rules.secrets import open_checks
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.secrets.fingerprints import fingerprints, record
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.secrets.vault import closed
from unit.fleets import PRODUCTION, STAGING, declarations, declared, inline, only, read, write
from unit.runs import fleet, gate_alone, play

SALT = "00112233445566778899aabbccddeeff"
ONE, TWO = "Zx9-k3mQ_7vB2nL5tR8wY1cF4gH6jD0s", "Qa7_pW2xE9-rT4yU6iO1sD3fG5hJ8kL0"
STAGINGS, PRODUCTIONS = VaultSecret(b"password of staging"), VaultSecret(b"password of production")


def lock(directory: Path, group: str, values: Mapping[str, str], password: VaultSecret, label: str = "") -> Path:
    """Lock secrets of a group in its vault file, with its fingerprints beside it."""
    folder = directory / "group_vars" / group
    (folder / "vault.yml").write_text(closed(yaml.safe_dump({"bulkhead_secrets": values}), password, label or group))
    found = {"bulkhead_fingerprints": record(fingerprints(values, SALT), SALT)}
    (folder / "fingerprints.yml").write_text(yaml.safe_dump(found))
    return folder


def locked(
    directory: Path, production: Mapping[str, str], staging: Mapping[str, str], both: VaultSecret | None = None
) -> Path:
    """Production and staging, each with its secrets in a vault of its own."""
    bare = {name: {**own, "bulkhead_secrets": None} for name, own in (("production", PRODUCTION), ("staging", STAGING))}
    groups = {name: {key: value for key, value in own.items() if value is not None} for name, own in bare.items()}
    found = fleet(directory, groups)
    lock(found, "production", production, both or PRODUCTIONS)
    lock(found, "staging", staging, both or STAGINGS)
    return found


def judged(directory: Path, opened: bool = False) -> tuple[Fleet, list[Any]]:
    """The fleet as the gate sees it; staging is selected, and ``opened`` with this run's password."""
    inventory = read(directory, "password of staging" if opened else "")
    found = declarations(inventory, False)
    if opened:
        found["staging"] = declarations(inventory)["staging"]
    environments = [build_environment(declaration, None) for declaration in found.values()]
    selected = [declaration for declaration in found.values() if opened and declaration.group == "staging"]
    made, findings = LiveFingerprints(selected, [*found.values()]).put_into(environments)
    return Fleet(made), findings


def shared(fleet_: Fleet) -> list[Any]:
    """What the rule for fingerprints finds."""
    return list(rules()["shared-fingerprint"].judge(fleet_))


def test_equal_secrets_in_two_locked_vaults(tmp_path: Path) -> None:
    directory = locked(tmp_path, {"API_TOKEN": ONE, "OTHER": TWO}, {"PAYMENT_TOKEN": ONE, "OTHER": TWO[::-1]})
    found = only(shared(judged(directory)[0]))
    assert found.environments == ("app_prod", "app_staging")
    assert "API_TOKEN of app_prod and PAYMENT_TOKEN of app_staging have the same value" in found.message
    assert ONE not in str(found)


def test_a_shared_signing_key_is_critical(tmp_path: Path) -> None:
    directory = locked(tmp_path, {"SECRET_KEY": ONE}, {"SECRET_KEY": ONE})
    assert only(shared(judged(directory)[0])).severity.label == "critical"


def test_different_secrets_and_different_salts(tmp_path: Path) -> None:
    directory = locked(tmp_path, {"API_TOKEN": ONE}, {"API_TOKEN": TWO})
    assert shared(judged(directory)[0]) == []
    other = {"bulkhead_fingerprints": record(fingerprints({"API_TOKEN": ONE}, "f" * 32), "f" * 32)}
    (directory / "group_vars/staging/fingerprints.yml").write_text(yaml.safe_dump(other))
    assert shared(judged(directory)[0]) == []
    assert "made with 2 salts and cannot be compared" in open_checks(judged(directory)[0])[0]


def test_what_has_a_fingerprint_is_not_called_uncompared(tmp_path: Path) -> None:
    directory = locked(tmp_path, {"API_TOKEN": ONE}, {"API_TOKEN": TWO})
    assert open_checks(judged(directory)[0]) == []
    (directory / "group_vars/staging/fingerprints.yml").write_text("---\n")
    assert "app_staging: bulkhead_secrets is sealed here" in open_checks(judged(directory)[0])[0]


def test_the_selected_environments_own_values_count_not_its_record(tmp_path: Path) -> None:
    """Staging's record says otherwise than its vault: production's secret in it is found all the same."""
    directory = locked(tmp_path, {"API_TOKEN": ONE}, {"API_TOKEN": ONE, "B": TWO})
    false = {"bulkhead_fingerprints": record(fingerprints({"API_TOKEN": TWO, "GONE": TWO[::-1]}, SALT), SALT)}
    (directory / "group_vars/staging/fingerprints.yml").write_text(yaml.safe_dump(false))
    assert shared(judged(directory)[0]) == []  # the control: by the records alone
    found, findings = judged(directory, opened=True)
    assert only(shared(found)).environments == ("app_prod", "app_staging")
    assert [(each.rule, each.resource, each.severity.label) for each in findings] == [
        ("stale-fingerprint", "API_TOKEN and GONE", "medium"),
        ("missing-fingerprint", "B", "low"),
    ]
    assert ONE not in str(findings) and TWO not in str(findings)


def test_true_fingerprints_are_no_finding(tmp_path: Path) -> None:
    directory = locked(tmp_path, {"API_TOKEN": ONE}, {"API_TOKEN": TWO, "WEAK": "word"})
    assert judged(directory, opened=True)[1] == []


def test_one_salt_for_the_inventory(tmp_path: Path) -> None:
    directory = locked(tmp_path, {"API_TOKEN": ONE}, {"API_TOKEN": TWO})
    (directory / "group_vars/staging/fingerprints.yml").unlink()
    found = declarations(read(directory), False)
    assert salt_for(found["staging"], usual_salt([*found.values()])) == SALT
    assert salt_for(found["production"], "f" * 32) == SALT
    assert usual_salt([found["staging"]]) == ""


def test_nothing_is_digested_for_environments_that_are_not_selected(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand environments with fingerprints, four each: the comparison is one of texts."""
    import hashlib

    def never(*_arguments: Any, **_options: Any) -> bytes:
        raise AssertionError("scrypt was called")

    three = [declared_once(number) for number in range(3)]
    environments = [build_environment(own, None) for own in three]
    monkeypatch.setattr(hashlib, "scrypt", never)
    began = time.process_time()
    live = LiveFingerprints([], [three[number % 3] for number in range(1000)])
    made, findings = live.put_into([environments[number % 3] for number in range(1000)])
    assert len(made) == 1000 and findings == [] and time.process_time() - began < 1


def declared_once(number: int) -> Any:
    """One environment with fingerprints that nobody else has."""
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        found = record({name: secrets.token_hex(16) for name in "ABCD"}, SALT)
        return declared(Path(directory), bulkhead_environment=f"e{number}", bulkhead_fingerprints=found)


def of_vaults(directory: Path, selected: list[str], *passwords: tuple[str, VaultSecret]) -> list[tuple[str, str]]:
    """Rule and place of what is wrong with vault files."""
    inventory = read(directory)
    vaults = Vaults(inventory, list(declarations(inventory, False).values()))
    found = vaults.findings(selected, passwords, TRIED)
    return [(each.rule, Path(each.resource).name) for each in found if each.environments]


def test_a_password_of_ones_own_is_no_finding(tmp_path: Path) -> None:
    directory = locked(tmp_path, {"A": ONE}, {"A": TWO})
    both = [("staging", STAGINGS), ("production", PRODUCTIONS)]
    assert of_vaults(directory, ["staging"], ("staging", STAGINGS)) == []
    assert of_vaults(directory, ["staging"], *both) == []
    assert of_vaults(directory, []) == []


def test_a_password_that_opens_two_environments(tmp_path: Path) -> None:
    """Its id does not matter: to Ansible it is a hint."""
    directory = locked(tmp_path, {"A": ONE}, {"A": TWO}, both=STAGINGS)
    for identity in ("staging", "production", "default"):
        assert of_vaults(directory, ["staging"], (identity, STAGINGS)) == [("shared-vault-password", "vault.yml")]
    assert of_vaults(directory, ["staging"], ("staging", PRODUCTIONS)) == []


def test_a_file_under_anothers_id(tmp_path: Path) -> None:
    directory = locked(tmp_path, {"A": ONE}, {"A": TWO})
    lock(directory, "staging", {"A": TWO}, PRODUCTIONS, "production")
    assert of_vaults(directory, []) == [("foreign-vault-id", "vault.yml")]
    assert ("shared-vault-password", "vault.yml") in of_vaults(directory, ["staging"], ("any", PRODUCTIONS))


def test_a_file_that_nobody_can_open(tmp_path: Path) -> None:
    """Also of an environment that is not deployed; a whole one, however locked, is none."""
    directory = locked(tmp_path, {"A": ONE}, {"A": TWO})
    vault = directory / "group_vars/staging/vault.yml"
    whole = vault.read_text()
    vault.write_text(whole[:-40])
    assert of_vaults(directory, ["production"]) == [("damaged-vault", "vault.yml")]
    vault.write_text(whole)
    assert of_vaults(directory, ["production"]) == []


def test_a_copy_of_productions_vault_does_not_stop_production(tmp_path: Path) -> None:
    """Whoever writes staging's variables can copy what is in the repository; the finding is staging's alone."""
    directory = locked(tmp_path, {"A": ONE}, {"A": TWO})
    copied = (directory / "group_vars/production/vault.yml").read_text()
    (directory / "group_vars/staging/sets.yml").write_text(copied)
    inventory = read(directory)
    vaults = Vaults(inventory, list(declarations(inventory, False).values()))
    found = list(vaults.findings(["production"], [("production", PRODUCTIONS)], TRIED))
    assert [(each.rule, each.environments) for each in found] == [("foreign-vault-id", ("app_staging",))]


def test_inline_values_count_as_files_do(tmp_path: Path) -> None:
    groups = {
        "production": {**PRODUCTION, "bulkhead_secrets": None},
        "staging": {**STAGING, "bulkhead_secrets": None},
    }
    directory = write(tmp_path, groups)
    for group in groups:
        path = directory / "group_vars" / group / "main.yml"
        path.write_text(f"{path.read_text()}bulkhead_tls_key: {inline('the key')}")
    found = of_vaults(directory, ["staging"], ("staging", VaultSecret(b"password")))
    (rule, resource) = only(found)
    assert rule == "shared-vault-password" and resource.startswith("main.yml:")


def test_a_file_for_everybody_is_nobodys(tmp_path: Path) -> None:
    directory = locked(tmp_path, {"A": ONE}, {"A": TWO})
    (directory / "group_vars/all/vault.yml").write_text(closed("a: b\n", STAGINGS, "everybody"))
    assert of_vaults(directory, ["staging"], ("staging", STAGINGS)) == []


def test_weak_and_plain_secrets_of_the_selected(tmp_path: Path) -> None:
    directory = fleet(
        tmp_path, {"production": PRODUCTION, "staging": {**STAGING, "bulkhead_secrets": {"A": ONE, "B": "x"}}}
    )
    inventory = read(directory)
    declaration = declarations(inventory)["staging"]
    found = [(each.rule, each.resource) for each in weak_secrets(declaration, plain_names(inventory, "staging"))]
    assert found == [("plain-secret", "A"), ("plain-secret", "B"), ("weak-secret", "B")]


def test_what_stands_in_a_vault_is_not_plain(tmp_path: Path) -> None:
    directory = locked(tmp_path, {"A": ONE}, {"A": TWO})
    assert plain_names(read(directory), "staging") == []


@pytest.mark.parametrize("how", ["by file", "inline"])
def test_staging_is_proved_while_productions_vault_is_locked(tmp_path: Path, how: str) -> None:
    """The paper plan of a deployment with staging's password alone; an equal secret in the locked vault is refused."""
    directory = locked(tmp_path, {"API_TOKEN": ONE}, {"API_TOKEN": TWO})
    if how == "inline":
        folder = directory / "group_vars" / "production"
        (folder / "vault.yml").write_text(f"bulkhead_secrets:\n  API_TOKEN: {inline(ONE, 'production only')}")
    # What a deployment needs of its own.
    own = {
        "SECRET_KEY": TWO + "1",
        "DB_PASSWORD": TWO + "2",
        "POSTGRES_PASSWORD": TWO + "3",
        "REDIS_PASSWORD": TWO + "4",
    }
    lock(directory, "staging", {"API_TOKEN": TWO, **own}, STAGINGS)
    password = tmp_path / "staging.password"
    password.write_text("password of staging")
    options = ("-l", "staging", "--vault-id", f"staging@{password}")
    book = gate_alone(tmp_path / "gate.yml")
    proved = play(directory, *options, playbook=book)
    assert proved.code == 0 and "this run is for app_staging" in proved.words, proved.output
    lock(directory, "staging", {"API_TOKEN": ONE, **own}, STAGINGS)
    refused = play(directory, *options, playbook=book)
    assert refused.code != 0 and "shared-fingerprint" in refused.words and ONE not in refused.output, refused.output
    assert "API_TOKEN of app_prod and app_staging" in refused.words or "API_TOKEN of app_staging" in refused.words
