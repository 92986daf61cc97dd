# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Deploy keys against a real ssh server: one is replaced without a fetch that fails, and the earlier one opens nothing
afterwards."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.source.access import DeployKey
from ansible_collections.aiia.bulkhead.plugins.module_utils.source.checkout import Checkout, GitError
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.secrets.generate import generate
from attackers import public_directory
from debian import have_programs
from observe import eventually

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the ssh server lets root in, as root")

CONFIG = """Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
"""


class Module:
    """Runs git and ssh for real."""

    @staticmethod
    def run_command(command: list[str], **options: Any) -> tuple[int, str, str]:
        fds = options.get("pass_fds", ())
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", pass_fds=fds)
        return done.returncode, done.stdout, done.stderr

    @staticmethod
    def get_bin_path(name: str) -> str:
        return name


@dataclass
class Server:
    """An ssh server with one repository."""

    folder: Path
    port: int
    known_hosts: str

    @property
    def url(self) -> str:
        return f"ssh://root@127.0.0.1:{self.port}{self.folder}/a.git"

    def accept(self, *public: str) -> None:
        """Register these keys, and no other."""
        (self.folder / "authorized_keys").write_text("".join(f"{key}\n" for key in public))

    def commit(self) -> str:
        """One more commit in the repository."""
        git = ["git", "-C", str(self.folder / "a.git"), "-c", "user.name=a", "-c", "user.email=a@b"]
        tree = subprocess.run([*git, "mktree"], input=b"", capture_output=True, check=True).stdout.decode().strip()
        made = subprocess.run([*git, "commit-tree", "-m", os.urandom(4).hex(), tree], capture_output=True, check=True)
        commit = made.stdout.decode().strip()
        # Each is a root; fetch takes the branch as it is.
        subprocess.run([*git, "update-ref", "refs/heads/main", commit], check=True)
        return commit


def answers(port: int) -> bool:
    """Whether a program listens on a port of this machine."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def server() -> Iterator[Server]:
    have_programs(sshd="openssh-server", ssh="openssh-client", git="git")
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    with public_directory() as folder, socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        port = chosen.getsockname()[1]
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "host_key"], check=True)
        subprocess.run(["git", "init", "--quiet", "--bare", "-b", "main", folder / "a.git"], check=True)
        (folder / "config").write_text(CONFIG.format(folder=folder, port=port))
        chosen.close()
        command = ["/usr/sbin/sshd", "-D", "-e", "-f", str(folder / "config")]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            try:
                eventually(lambda: answers(port))
                key = " ".join((folder / "host_key.pub").read_text().split()[:2])
                yield Server(folder, port, f"[127.0.0.1]:{port} {key}\n")
            finally:
                process.terminate()


def checkout(server: Server, place: Path, key: str, known_hosts: str = "", url: str = "") -> Checkout:
    """The environment's checkout, with a deploy key."""
    hosts = known_hosts or server.known_hosts
    return Checkout(Module, str(place), url or server.url, "main", "", DeployKey(key, hosts))


def test_a_key_is_replaced_without_a_fetch_that_fails(server: Server, tmp_path: Path) -> None:
    """As docs/secrets.md has it: rotate, register, deploy, remove."""
    old, new = generate("K", "ssh"), generate("K", "ssh")
    server.accept(old["K_PUBLIC"])
    commit = server.commit()
    assert checkout(server, tmp_path, old["K"]).fetch() == commit
    with pytest.raises(GitError, match=r"(?s)Permission denied.*[Rr]egister its public half there"):
        checkout(server, tmp_path, new["K"]).fetch()
    server.accept(old["K_PUBLIC"], new["K_PUBLIC"])
    for key in (old, new):
        commit = server.commit()
        assert checkout(server, tmp_path, key["K"]).fetch() == commit
    server.accept(new["K_PUBLIC"])
    with pytest.raises(GitError, match="Permission denied") as refused:
        checkout(server, tmp_path, old["K"]).remote_commit()
    lines = [line for key in (old, new) for line in key["K"].splitlines()[1:-1]]
    assert not [line for line in lines if line in f"{refused.value.message}{refused.value.detail}"]
    commit, last = server.commit(), checkout(server, tmp_path, new["K"])
    assert last.remote_commit() == last.fetch() == commit
    # No key is in the checkout or beside it.
    for path in tmp_path.rglob("*"):
        if path.is_file():
            content = path.read_text(errors="replace")
            assert not [line for line in lines if line in content], path


def test_another_server_gets_no_key(server: Server, tmp_path: Path) -> None:
    """One whose host key is another than the inventory's, although the user may know it."""
    key = generate("K", "ssh")
    server.accept(key["K_PUBLIC"])
    server.commit()
    other = server.known_hosts[:-10] + ("AAAAAAAAA\n" if server.known_hosts[-10:] != "AAAAAAAAA\n" else "BBBBBBBBB\n")
    with pytest.raises(GitError, match=r"is none of bulkhead_source_known_hosts"):
        checkout(server, tmp_path, key["K"], other).fetch()
    assert checkout(server, tmp_path, key["K"]).fetch()


def test_a_run_that_is_killed_leaves_no_key(server: Server, tmp_path: Path) -> None:
    """While ssh waits for the server: git and ssh end with it or without it, and no file has the key."""
    key = generate("K", "ssh")
    public = key["K_PUBLIC"]
    (server.folder / "authorized_keys").write_text(f'command="touch {server.folder}/there; sleep 20" {public}\n')
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    child = os.fork()
    if child == 0:
        os.environ["TMPDIR"] = str(temporary)
        checkout(server, tmp_path / "home", key["K"]).fetch()
        os._exit(0)
    eventually((server.folder / "there").exists)
    os.kill(child, 9)
    os.waitpid(child, 0)
    secret = key["K"].splitlines()[2].encode()
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and secret in path.read_bytes()]
    server.accept(public)
    commit = server.commit()
    assert checkout(server, tmp_path / "home", key["K"]).fetch() == commit


def test_the_control(server: Server) -> None:
    """The server lets nobody in without a registered key."""
    server.accept()
    command = ["ssh", "-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no"]
    command += ["-o", "UserKnownHostsFile=/dev/null", "-p", str(server.port), "root@127.0.0.1", "true"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={"PATH": os.environ["PATH"]})
    assert done.returncode and "Permission denied" in done.stderr
