# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The demo makes its secrets once, and as a user does."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ansible.parsing.vault import VaultSecret
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.secrets.editing import SecretsText
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.secrets.vault import opened
from checkout import ROOT
from unit.runs import play


def make(directory: Path) -> subprocess.CompletedProcess[str]:
    """Make what is missing, in a directory of its own."""
    places = {
        "BULKHEAD_DEMO_INVENTORY": directory / "inventory",
        "BULKHEAD_DEMO_SECRETS": directory / "passwords",
        "BULKHEAD_DEMO_ROOT": directory / "machine",
    }
    environment = {**os.environ, **{name: str(path) for name, path in places.items()}}
    program = [sys.executable, "tests/setup/demo_secrets.py"]
    return subprocess.run(program, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def files(directory: Path) -> dict[Path, tuple[bytes, int]]:
    return {path: (path.read_bytes(), path.stat().st_mode & 0o777) for path in directory.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_once_and_for_both_environments(tmp_path: Path) -> None:
    """The plan of one environment accepts them; a second run changes nothing; a lost password is refused."""
    ignored = shutil.ignore_patterns("vault.yml", "fingerprints.yml", "own.yml")
    shutil.copytree(ROOT / "inventories/demo", tmp_path / "inventory", ignore=ignored)
    done = make(tmp_path)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    made = files(tmp_path)
    for group in ("production", "staging"):
        password = tmp_path / f"passwords/{group}.vault-password"
        assert made[password][1] == made[tmp_path / f"machine/certificates/{group}.key"][1] == 0o600
        vault = (tmp_path / f"inventory/group_vars/{group}/vault.yml").read_text()
        secret = VaultSecret(password.read_bytes().strip())
        names = SecretsText(opened(vault, [(group, secret)], group)[0]).names
        assert set(names) == {"SECRET_KEY", "DB_PASSWORD", "POSTGRES_PASSWORD", "REDIS_PASSWORD"}
    options = ("-l", "staging", "--vault-id", f"staging@{tmp_path}/passwords/staging.vault-password")
    plan = play(tmp_path / "inventory", *options, playbook=ROOT / "playbooks/plan.yml")
    assert plan.code == 0, plan.output

    assert make(tmp_path).returncode == 0 and files(tmp_path) == made
    (tmp_path / "passwords/staging.vault-password").unlink()
    lost = make(tmp_path)
    assert lost.returncode != 0 and "Put the password file back" in lost.stderr and "Traceback" not in lost.stderr
