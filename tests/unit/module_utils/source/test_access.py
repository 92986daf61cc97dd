# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An environment's deploy key is git's and ssh's alone, for the time of one call."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.source import access, git
from ansible_collections.aiia.bulkhead.plugins.module_utils.source.access import DeployKey
from ansible_collections.aiia.bulkhead.plugins.module_utils.source.checkout import Checkout
from ansible_collections.aiia.bulkhead.plugins.module_utils.source.git import GitError
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.secrets.generate import generate

HOSTS = "git.example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG\n"

#: Stands for ssh: OpenSSH's own reader shows what it makes of the key, and the repository is on this machine.
SSH = """#!/bin/sh
printf '%s\\n' "$@" > OUT/arguments
while [ $# -gt 1 ]; do
  case "$1 $2" in
    "-i "*) ssh-keygen -y -f "$2" > OUT/public && stat -L -c '%a %u' "$2" > OUT/mode ;;
    "-o UserKnownHostsFile="*) cat "${2#*=}" > OUT/hosts ;;
  esac
  shift
done
exec sh -c "$1"
"""


class Module:
    """Runs git for real, with the stand-in for ssh."""

    def __init__(self, ssh: Path) -> None:
        self.ssh = ssh
        self.commands: list[str] = []

    def run_command(self, command: list[str], **options: Any) -> tuple[int, str, str]:
        self.commands += command
        changed = [word.replace("GIT_SSH_COMMAND=ssh", f"GIT_SSH_COMMAND={self.ssh}") for word in command]
        done = subprocess.run(
            changed, capture_output=True, text=True, check=False, cwd="/", pass_fds=options.get("pass_fds", ())
        )
        return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("owner", ["", "nobody"])
def test_only_ssh_gets_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: str) -> None:
    if owner and os.geteuid() != 0:
        pytest.skip("runs git as another user, as root")
    # Another user must get there; pytest's own directory is closed.
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        place.chmod(0o755)
        repository, out, temporary = place / "a.git", place / "out", place / "temporary"
        subprocess.run(["git", "init", "--quiet", "--bare", "-b", "main", repository], check=True)
        blob = subprocess.run(["git", "-C", repository, "mktree"], input=b"", capture_output=True, check=True).stdout
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        made = ["git", "-C", str(repository), *who, "commit-tree", "-m", "x", blob.decode().strip()]
        commit = subprocess.run(made, capture_output=True, text=True, check=True).stdout.strip()
        subprocess.run(["git", "-C", repository, "update-ref", "refs/heads/main", commit], check=True)
        out.mkdir()
        out.chmod(0o777)
        temporary.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(temporary))
        script = place / "ssh"
        script.write_text(SSH.replace("OUT", str(out)))
        script.chmod(0o755)
        if owner:
            subprocess.run(["chown", "-R", owner, repository], check=True)
        key = generate("K", "ssh")
        module = Module(script)
        checkout = Checkout(
            module, str(tmp_path), f"ssh://git@git.example.com{repository}", "main", owner, DeployKey(key["K"], HOSTS)
        )
        assert checkout.remote_commit() == commit
        assert (out / "public").read_text().split()[:2] == key["K_PUBLIC"].split()
        uid = int((out / "mode").read_text().split()[1])
        assert (out / "mode").read_text().split()[0] == "600" and (uid == os.geteuid()) is not bool(owner)
        assert (out / "hosts").read_text() == HOSTS
        arguments = (out / "arguments").read_text()
        assert "StrictHostKeyChecking=yes" in arguments and "IdentitiesOnly=yes" in arguments
        secret = key["K"].splitlines()[2]
        assert secret not in arguments and not any(secret in word for word in module.commands)
        assert list(temporary.iterdir()) == []


def test_without_host_keys_the_users_own_count() -> None:
    with DeployKey("key").opened(os.getuid()) as (command, descriptors):
        assert command.startswith(f"{access.SSH} ") and "ConnectTimeout" in access.SSH and "ServerAlive" in access.SSH
        assert len(descriptors) == 1 and "KnownHosts" not in command
        assert os.pread(descriptors[0], 10, 0) == b"key\n"
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptors[0])


def test_a_server_that_says_nothing_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody asks for the end of a fetch, and the environment is locked meanwhile."""
    assert "http.lowSpeedTime=120" in git._NO_STALLS
    monkeypatch.setattr(git, "_NO_STALLS", ("-c", "http.lowSpeedLimit=1", "-c", "http.lowSpeedTime=1"))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/a.git"
        with pytest.raises(GitError, match="cannot be read"):
            Checkout(Module(tmp_path), str(tmp_path), url, "main").remote_commit()
