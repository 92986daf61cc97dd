# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook of secrets as a user types it, on a copy of the guide's inventory."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ansible.parsing.vault import VaultSecret
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.secrets.editing import SecretsText
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.secrets.vault import opened
from checkout import ROOT
from unit.runs import Run, play

pytestmark = pytest.mark.slow

BOOK = ROOT / "playbooks" / "secrets.yml"
CANARY = "canary-Zx9k3mQ7vB2nL5tR8wY1cF4gH6jD0s"


@pytest.fixture(scope="module")
def inventory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The guide's inventory, in which staging has made its secrets."""
    directory = tmp_path_factory.mktemp("secrets") / "inventory"
    shutil.copytree(ROOT / "inventories" / "eduaiia", directory)
    (directory.parent / "staging.password").write_text("password of staging\n")
    made = job(directory, "init")
    assert made.code == 0, made.output
    return directory


def job(inventory: Path, verb: str, *options: str, group: str = "staging") -> Run:
    """One run of the playbook with the password of an environment."""
    password = inventory.parent / f"{group}.password"
    vault = ("--vault-id", f"{group}@{password}") if password.exists() else ()
    return play(inventory, "-l", group, *vault, "-e", f"bulkhead_secret={verb}", *options, playbook=BOOK)


def values(inventory: Path, group: str = "staging") -> dict[str, str]:
    """The secrets of an environment as they stand in its vault."""
    text = (inventory / "group_vars" / group / "vault.yml").read_text()
    password = VaultSecret((inventory.parent / f"{group}.password").read_bytes().strip())
    return dict(SecretsText(opened(text, [(group, password)], group)[0]).values)


def test_init_makes_what_the_stack_needs(inventory: Path) -> None:
    assert list(values(inventory)) == ["SECRET_KEY", "DB_PASSWORD", "POSTGRES_PASSWORD", "REDIS_PASSWORD"]
    folder = inventory / "group_vars" / "staging"
    assert (folder / "vault.yml").stat().st_mode & 0o777 == 0o600
    assert (folder / "fingerprints.yml").exists()


def test_a_value_from_a_command(inventory: Path) -> None:
    """The form of the documentation, in a shell: the value is in no argument and in no output."""
    password = inventory.parent / "staging.password"
    line = (
        f"exec ansible-playbook -vvv -i {inventory} {BOOK} -l staging --vault-id staging@{password} "
        f"-e 'bulkhead_secret=set bulkhead_secret_name=API_TOKEN' -e bulkhead_secret_file=<(cat {password}.value)"
    )
    password.with_suffix(".password.value").write_text(CANARY + "\n")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert values(inventory)["API_TOKEN"] == CANARY
    assert CANARY not in done.stdout + done.stderr


def test_a_value_that_is_typed(inventory: Path) -> None:
    """On a terminal, which does not show it; no line moves under it."""
    password = inventory.parent / "staging.password"
    arguments = [
        str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(inventory), str(BOOK), "-l", "staging",
        "--vault-id", f"staging@{password}", "-e", "bulkhead_secret=set bulkhead_secret_name=TYPED",
    ]  # fmt: skip
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(ROOT)
        os.environ.update(
            ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"), ANSIBLE_STDOUT_CALLBACK="aiia.bulkhead.story", TERM="xterm"
        )
        os.execv(arguments[0], arguments)
    shown, end = b"", time.monotonic() + 120
    while time.monotonic() < end:
        if not select.select([terminal], [], [], 1)[0]:
            # Ansible throws away what was typed before it reads, and it asks before that: typed again if so.
            if b"Value of TYPED for aiia_staging" in shown:
                os.write(terminal, CANARY[::-1].encode() + b"\r")
            continue
        try:
            shown += os.read(terminal, 4096)
        except OSError:  # the terminal ends with the program
            break
    _pid, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, shown.decode()
    assert values(inventory)["TYPED"] == CANARY[::-1] and CANARY[::-1].encode() not in shown


@pytest.mark.parametrize(
    "options",
    [
        ("set", "-e", f"bulkhead_secret_name=A bulkhead_secret_value={CANARY}"),
        (f"'set A={CANARY}'",),
    ],
)
def test_a_value_on_the_command_line_is_refused(inventory: Path, options: tuple[str, ...]) -> None:
    before = (inventory / "group_vars/staging/vault.yml").read_bytes()
    run = job(inventory, *options)
    assert run.code != 0 and "takes no value from the command line" in run.words, run.output
    assert CANARY not in run.output and "Traceback" not in run.output
    assert (inventory / "group_vars/staging/vault.yml").read_bytes() == before


@pytest.mark.parametrize(
    ("verb", "options", "said"),
    [
        ("set", ("-e", "bulkhead_secret_name=A"), "there is no terminal to ask on"),
        ("set", ("-e", "bulkhead_secret_name=A bulkhead_secret_file=/nowhere"), "there is no file /nowhere"),
        (
            "set",
            ("-e", "bulkhead_secret_name=LOG_LEVEL bulkhead_secret_file=/nowhere"),
            "is set by bulkhead_env_shared",
        ),
        ("show", (), "Use one of init, set"),
        ("", (), "say what to do"),
        ("rotate", ("--check", "-e", "bulkhead_secret_name=all"), "rotate has no check mode"),
    ],
)
def test_what_is_refused(inventory: Path, verb: str, options: tuple[str, ...], said: str) -> None:
    run = job(inventory, verb, *options)
    assert run.code != 0 and said in run.words and "Traceback" not in run.output, run.output


def test_without_a_limit_or_a_password(inventory: Path) -> None:
    run = play(inventory, "-e", "bulkhead_secret=show-names", playbook=BOOK)
    assert run.code != 0 and "Traceback" not in run.output
    fresh = job(inventory, "init", group="production")
    assert fresh.code != 0 and "add --vault-id production@prompt" in fresh.words
    assert not (inventory / "group_vars/production/vault.yml").exists()


def test_audit(inventory: Path) -> None:
    """A weak secret, and one that production has too, are found without production's password."""
    (inventory.parent / "production.password").write_text("password of production\n")
    shared = inventory.parent / "shared"
    shared.write_text(values(inventory)["API_TOKEN"])
    option = ("-e", f"bulkhead_secret_name=API_TOKEN bulkhead_secret_file={shared}")
    assert job(inventory, "set", *option, group="production").code == 0
    bad = job(inventory, "audit")
    assert bad.code != 0 and "shared-fingerprint" in bad.words and CANARY not in bad.output, bad.output
    shared.write_text("hunter22")
    assert job(inventory, "set", *option).code == 0
    weak = job(inventory, "audit")
    assert weak.code != 0 and "weak-secret" in weak.words and "hunter22" not in weak.output
    assert job(inventory, "rotate", "-e", "bulkhead_secret_name=API_TOKEN").code == 0
    good = job(inventory, "audit")
    assert good.code == 0 and "nothing wrong with them" in good.words, good.output


def test_another_vault_password(inventory: Path) -> None:
    """Of an environment of its own: the new password opens the file for every run, and the one before for none."""
    fresh = shutil.copytree(inventory, inventory.parent / "rekeyed" / "inventory")
    password, new = (fresh.parent / f"{name}.password" for name in ("staging", "new"))
    password.write_text("password of staging\n")
    new.write_text("the next password\n")
    before = values(fresh)
    done = job(fresh, "rekey", "--vault-id", f"new@{new}")
    assert done.code == 0 and "rotate the secrets too" in done.words, done.output
    refused = job(fresh, "show-names")
    assert refused.code != 0 and "Decryption failed" in refused.output
    password.write_text(new.read_text())
    opened_again = job(fresh, "show-names")
    assert opened_again.code == 0 and "SECRET_KEY" in opened_again.words, opened_again.output
    assert values(fresh) == before


def test_a_secret_of_a_kind_that_is_named(inventory: Path) -> None:
    """The form of the documentation."""
    made = job(inventory, "init", "-e", "bulkhead_secret_name=JWT_PRIVATE_KEY", "-e", "bulkhead_secret_kind=ed25519")
    assert made.code == 0 and "JWT_PRIVATE_KEY: made (ed25519)" in made.output, made.output
    assert values(inventory)["JWT_PRIVATE_KEY"].startswith("-----BEGIN")
