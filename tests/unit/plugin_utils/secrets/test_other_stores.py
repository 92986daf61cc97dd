# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets that stand in another store than the vault: looked up for the environment of the run, and for no other."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.inventory import holds_seal
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.environments import build_environment
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.live_fingerprints import LiveFingerprints
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Fleet
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.fingerprints import recorded
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.rules import rules
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.secrets.fingerprints import fingerprints, record
from checkout import ROOT
from debian import have_programs
from unit.fleets import PRODUCTION, SECRETS, STAGING, declarations, problems, read
from unit.runs import fleet, gate_alone, play

SALT = "00112233445566778899aabbccddeeff"
TOKEN = "Zx9-k3mQ_7vB2nL5tR8wY1cF4gH6jD0s"


@dataclass(frozen=True)
class Store:
    """A store that holds :data:`TOKEN`: how it is looked up, and the variables of the shell that it needs."""

    lookup: str
    missing: str
    shell: Mapping[str, str]


def run(*command: str, said: str = "", shell: Mapping[str, str] | None = None) -> None:
    subprocess.run(command, input=said, text=True, check=True, capture_output=True, env={**os.environ, **(shell or {})})


def password_store(directory: Path) -> Iterator[Store]:
    """pass, with a key of GnuPG's that this test makes."""
    have_programs(**{"pass": "pass", "gpg": "gnupg"})
    shell = {"GNUPGHOME": str(directory / "gpg"), "PASSWORD_STORE_DIR": str(directory / "store")}
    (directory / "gpg").mkdir(mode=0o700)
    try:
        who = "test@example.com"
        run(
            "gpg",
            "--batch",
            "--passphrase",
            "",
            "--quick-generate-key",
            who,
            "default",
            "default",
            "never",
            shell=shell,
        )
        run("pass", "init", who, shell=shell)
        run("pass", "insert", "--multiline", "app/token", said=TOKEN + "\n", shell=shell)
        lookup = "{{ lookup('community.general.passwordstore', 'app/%s') }}"
        yield Store(lookup % "token", lookup % "absent", shell)
    finally:
        run("gpgconf", "--kill", "gpg-agent", shell=shell)


def age(directory: Path) -> Iterator[Store]:
    """Files that age encrypted, and its program."""
    have_programs(**{"age": "age", "age-keygen": "age"})
    key = directory / "key"
    run("age-keygen", "-o", str(key))
    public = subprocess.run(["age-keygen", "-y", key], check=True, capture_output=True, text=True).stdout.strip()
    run("age", "--recipient", public, "--output", str(directory / "token.age"), said=TOKEN)
    lookup = f"{{{{ lookup('ansible.builtin.pipe', 'age --decrypt -i {key} {directory}/%s.age') }}}}"
    yield Store(lookup % "token", lookup % "absent", {})


def shell(directory: Path) -> Iterator[Store]:
    """A variable of the shell, as pipelines have them, and none of that name."""
    lookup = "{{ lookup('ansible.builtin.env', '%s', default=undef()) }}"
    yield Store(lookup % "APP_TOKEN", lookup % "APP_ABSENT", {"APP_TOKEN": TOKEN})


def sops(directory: Path) -> Iterator[Store]:
    """Files that sops encrypted for a key of age's. Debian 12 has no package of it, so its program must be there."""
    if not shutil.which("sops"):
        pytest.skip("sops is not installed, and Debian has no package of it")
    have_programs(**{"age-keygen": "age"})
    key = directory / "key"
    run("age-keygen", "-o", str(key))
    public = subprocess.run(["age-keygen", "-y", key], check=True, capture_output=True, text=True).stdout.strip()
    (directory / "plain.yaml").write_text(f"token: {TOKEN}\n")
    run("sops", "encrypt", "--age", public, "--output", str(directory / "token.yaml"), str(directory / "plain.yaml"))
    assert TOKEN not in (directory / "token.yaml").read_text()
    options = f"age_keyfile='{key}', extract='[\"token\"]'"
    lookup = f"{{{{ lookup('community.sops.sops', '{directory}/%s.yaml', {options}) }}}}"
    yield Store(lookup % "token", lookup % "absent", {})


@pytest.fixture(params=[password_store, age, shell, sops], ids=lambda made: made.__name__)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    yield from request.param(tmp_path)


def inventory(directory: Path, token: str, shared: bool = False) -> Path:
    """Staging looks its token up; production has another, or the fingerprint of the same and keeps it in its vault."""
    theirs = TOKEN if shared else TOKEN[::-1]
    found = {"bulkhead_fingerprints": record(fingerprints({"TOKEN": theirs}, SALT), SALT)}
    production, staging = (
        {**own, "bulkhead_secrets": {**{name: value.format(group) for name, value in SECRETS.items()}, **words}}
        for group, own, words in (
            ("prod", PRODUCTION, {} if shared else {"TOKEN": theirs}),
            ("staging", STAGING, {"TOKEN": token}),
        )
    )
    return fleet(directory, {"production": {**production, **found}, "staging": staging})


@pytest.mark.parametrize("shared", [False, True])
def test_a_value_is_looked_up_for_its_own_environment_only(
    tmp_path: Path, store: Store, shared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its fingerprint shows that production has the same, or that it has not."""
    for name, value in store.shell.items():
        monkeypatch.setenv(name, value)
    found = read(inventory(tmp_path / "fleet", store.lookup, shared), playbooks=tmp_path)
    fleet_ = declarations(found, opened=False)

    assert holds_seal(fleet_["staging"].values["bulkhead_secrets"]["TOKEN"])
    own = fleet_["staging"] = declarations(found)["staging"]
    assert [problem.message for problem in own.problems] == []
    assert own.values["bulkhead_secrets"]["TOKEN"] == TOKEN
    environments = [build_environment(each, None) for each in fleet_.values()]
    made, _findings = LiveFingerprints([own], [*fleet_.values()]).put_into(environments)
    findings = list(rules()["shared-fingerprint"].judge(Fleet(made)))
    assert bool(findings) is shared and TOKEN not in str(findings)


def test_what_is_not_in_the_store(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """One problem that names the variable."""
    for name, value in store.shell.items():
        monkeypatch.setenv(name, value)
    found = declarations(read(inventory(tmp_path / "fleet", store.missing), playbooks=tmp_path))["staging"]
    assert problems(found) == [("template-error", "bulkhead_secrets.TOKEN")]
    assert TOKEN not in str(found.problems)


@pytest.mark.parametrize("store", [password_store], indirect=True, ids=["pass"])
def test_as_it_is_typed(tmp_path: Path, store: Store) -> None:
    """The verb writes the fingerprint of what is looked up; then the gate accepts it."""
    found = inventory(tmp_path / "fleet", store.lookup)
    book = ROOT / "playbooks" / "secrets.yml"
    written = play(found, "-l", "staging", "-e", "bulkhead_secret=fingerprint", playbook=book, **store.shell)
    assert written.code == 0 and TOKEN not in written.output, written.output
    committed = yaml.safe_load((found / "group_vars/staging/fingerprints.yml").read_text())
    made = recorded(committed["bulkhead_fingerprints"])
    assert made["TOKEN"].endswith(fingerprints({"TOKEN": TOKEN}, SALT)["TOKEN"])
    gate = gate_alone(tmp_path / "gate.yml")
    accepted = play(found, "-l", "staging", playbook=gate, **store.shell)
    assert accepted.code == 0 and TOKEN not in accepted.output, accepted.output
