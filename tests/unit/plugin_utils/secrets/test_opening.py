# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A vault file that Ansible cannot open: one message that names it, before Ansible ends the run in its own words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.secrets.opening import problem
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.secrets.vault import closed
from checkout import ROOT
from unit.fleets import PRODUCTION, SECRETS, STAGING, inline
from unit.runs import Run, book, fleet, gate_alone, play

STAGINGS, PRODUCTIONS = VaultSecret(b"password of staging"), VaultSecret(b"password of production")
WORDS = {name: value.format("canary") for name, value in SECRETS.items()}
WHOLE = closed(yaml.safe_dump({"bulkhead_secrets": WORDS}), STAGINGS, "staging")
STORY = {"ANSIBLE_STDOUT_CALLBACK": "aiia.bulkhead.story"}


def encrypted(plain: bytes) -> str:
    """A vault file of staging with something that ``closed`` would not write."""
    return str(VaultLib([("staging", STAGINGS)]).encrypt(plain, secret=STAGINGS, vault_id="staging").decode())


def flipped(text: str) -> str:
    """The same file with another digit in what is encrypted: still whole by its form."""
    first, _line_end, rest = text.partition("\n")
    inner = bytes.fromhex(rest)
    return f"{first}\n{(inner[:-1] + (b'1' if inner[-1:] != b'1' else b'2')).hex()}\n"


def conflict(text: str) -> str:
    """Both sides whole, as git leaves them."""
    return f"<<<<<<< HEAD\n{text}=======\n{text}>>>>>>> other\n"


def inner_conflict(text: str) -> str:
    """Both sides below one first line, which they have in common."""
    first, _line_end, rest = text.partition("\n")
    return f"{first}\n<<<<<<< HEAD\n{rest}=======\n{rest}>>>>>>> other\n"


DAMAGED: dict[str, tuple[Callable[[str], str], str]] = {
    "cut short": (lambda text: text[: len(text) // 2], "is damaged: cut short, or changed by hand"),
    "cut short within a digit": (lambda text: text[: len(text) // 2 | 1], "is damaged"),
    "without content": (lambda text: text.partition("\n")[0] + "\n", "is damaged"),
    "mangled": (lambda text: text.replace("3", "g", 1), "is damaged"),
    "another digit": (flipped, "no password of this run opens it"),
    "merge conflict": (conflict, "has the marks of a merge conflict"),
    "merge conflict inside": (inner_conflict, "has the marks of a merge conflict"),
    "not YAML": (lambda _: encrypted(b'a: "canary\nb: canary: x\n'), "cannot be read in line 3 of its plain text"),
    "a list": (lambda _: encrypted(b"- canary\n"), "holds no variables"),
    "not UTF-8": (lambda _: encrypted("ä: canary\n".encode("latin-1")), "plain text is not UTF-8"),
}


@pytest.mark.parametrize("how", DAMAGED)
def test_why_a_file_cannot_be_opened(how: str) -> None:
    mangle, said = DAMAGED[how]
    found = problem(mangle(WHOLE), [("production", PRODUCTIONS), ("staging", STAGINGS)], "staging")
    assert said in found and "canary" not in found


@pytest.mark.parametrize(
    "text",
    [
        WHOLE,
        WHOLE.replace("\n", "\r\n"),
        "",
        "bulkhead_environment: staging\n",
        "# ======= a heading\na: |\n  <<<<<<< HEAD\n",
        encrypted(b""),
        encrypted(b"# nothing yet\n---\n"),
        encrypted(b'{"a":\n\t1}'),
        encrypted(b"bulkhead_secrets: \"{{ lookup('env', 'ALL') }}\"\n"),
        encrypted(b"a: !unsafe b\nc: !vault |\n  x\n"),
    ],
)
def test_what_ansible_opens_is_no_problem(text: str) -> None:
    """Whatever the id of the password: which id belongs to whom is for the gate to judge."""
    assert problem(text, [("any", PRODUCTIONS), ("other", STAGINGS)], "staging") == ""


def test_no_password() -> None:
    assert "has no vault password. Add --vault-id staging@prompt" in problem(WHOLE, [], "staging")


def inventory(directory: Path, text: str = WHOLE, password: str = "password of staging") -> Path:
    """Production and staging, each with a vault file; the file of the password that a run is given for staging."""
    groups = {"production": PRODUCTION, "staging": STAGING}
    bare = {
        group: {name: value for name, value in variables.items() if name != "bulkhead_secrets"}
        for group, variables in groups.items()
    }
    found = fleet(directory, bare)
    words = {name: value.format("canary-2") for name, value in SECRETS.items()}
    theirs = closed(yaml.safe_dump({"bulkhead_secrets": words}), PRODUCTIONS, "production")
    (found / "group_vars/production/vault.yml").write_text(theirs)
    (found / "group_vars/staging/vault.yml").write_text(text)
    (directory / "password").write_text(password)
    (directory / "production.password").write_text("password of production")
    return found


def run(directory: Path, playbook: str, group: str = "staging") -> Run:
    """A run for an environment, as a user types it; of the gate alone, as a deployment has it, where ``playbook`` is
    empty."""
    path = ROOT / f"playbooks/{playbook}.yml" if playbook else gate_alone(directory / "gate.yml")
    name = "password" if group == "staging" else "production.password"
    options = ["-l", group, "--vault-id", f"{group}@{directory / name}"]
    options += ["-e", "bulkhead_secret=rotate bulkhead_secret_name=all"] if playbook == "secrets" else []
    done = play(directory / "inventory", *options, playbook=path, **STORY)
    assert "canary" not in done.output and "Traceback" not in done.output, done.output
    return done


@pytest.mark.slow
@pytest.mark.parametrize("playbook", ["deploy", "plan", "verify", "secrets"])
def test_a_playbook_says_which_file_and_whose(tmp_path: Path, playbook: str) -> None:
    """In place of Ansible's words; the file is as it was."""
    mangled = DAMAGED["cut short"][0](WHOLE)
    found = inventory(tmp_path, mangled)
    done = run(tmp_path, playbook)
    assert done.code == 4 and "unhexlify" not in done.output
    assert "group_vars/staging/vault.yml of staging: it is damaged" in done.words
    assert "git checkout -- " in done.words and "/vault.yml)" in done.words
    assert (found / "group_vars/staging/vault.yml").read_text() == mangled


@pytest.mark.slow
@pytest.mark.parametrize(
    ("password", "said"),
    [
        ("a typing error", "The password is mistyped or another one: --vault-id staging@prompt"),
        ("password of production", "What was given as staging opens"),
    ],
)
def test_a_wrong_password(tmp_path: Path, password: str, said: str) -> None:
    """That of another environment is named as such."""
    inventory(tmp_path, password=password)
    done = run(tmp_path, "plan")
    assert done.code == 4 and "no password of this run opens it (vault ids given: staging)" in done.words
    assert said in done.words and password not in done.output
    assert ("group_vars/production/vault.yml" in done.words) is (password == "password of production")


@pytest.mark.slow
def test_the_right_password(tmp_path: Path) -> None:
    inventory(tmp_path)
    done = run(tmp_path, "")
    assert done.code == 0 and "this run is for app_staging" in done.words, done.output


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("cut short", "damaged-vault"),
        ("merge conflict inside", "damaged-vault"),
        ("merge conflict", "it has the marks of a merge conflict. What it sets for staging is not known"),
        ("another digit", "this run is for app_prod"),
    ],
)
def test_another_environments_file_is_reported_and_stops_nothing(tmp_path: Path, how: str, said: str) -> None:
    """Its password is not here: that one digit is another one shows only where it is."""
    inventory(tmp_path, DAMAGED[how][0](WHOLE))
    done = run(tmp_path, "", "production")
    assert done.code == 0 and said in done.words, done.output


@pytest.mark.slow
def test_without_a_limit(tmp_path: Path) -> None:
    inventory(tmp_path)
    done = play(tmp_path / "inventory", playbook=ROOT / "deploy.yml", **STORY)
    assert done.code == 4 and "There is no -l" in done.words
    assert done.words.count("has no vault password") == 2


@pytest.mark.slow
def test_a_damaged_value_in_an_open_file(tmp_path: Path) -> None:
    """An inline value is named with its line, and Ansible's own exception does not get through."""
    lines = inline("canary").splitlines()
    value = "\n".join([lines[0], *(f"    {line}" for line in lines[1:-1]), f"    {lines[-1][:-3]}"])
    rest = "".join(f"  {name}: abc\n" for name in ("DB_PASSWORD", "POSTGRES_PASSWORD", "REDIS_PASSWORD"))
    inventory(tmp_path, f"bulkhead_secrets:\n  SECRET_KEY: {value}\n{rest}", password="password")
    done = run(tmp_path, "plan")
    assert done.code == 2 and "vault.yml:2, vault id default; it is damaged" in done.words, done.output
    assert "unhexlify" not in done.output


@pytest.mark.slow
def test_a_play_without_a_task_of_ours_is_ansibles(tmp_path: Path) -> None:
    found = inventory(tmp_path, DAMAGED["cut short"][0](WHOLE))
    own = book(tmp_path / "own.yml", {"name": "Theirs", "ansible.builtin.debug": {"msg": "x"}})
    options = ("-l", "staging", "--vault-id", f"staging@{tmp_path / 'password'}")
    done = play(found, *options, playbook=own, **STORY)
    assert done.code == 4 and "Vault format unhexlify error" in done.output
    for keys in (
        {"roles": [{"role": "aiia.bulkhead.environment"}]},
        {"tasks": [{"block": [{"ansible.builtin.include_role": {"name": "aiia.bulkhead.environment"}}]}]},
    ):
        ours = play(found, *options, playbook=book(tmp_path / "ours.yml", **keys), **STORY)
        assert ours.code == 4 and "staging: it is damaged" in ours.words, ours.output
