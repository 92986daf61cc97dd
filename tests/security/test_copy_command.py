# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whoever writes an environment's ``bulkhead_backup_copy_command`` is not root on the machine."""

from __future__ import annotations

import grp
import os
import pwd
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.copy_off import closed_directory
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.create import LOCK, Backups
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.schedule import Schedule
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.scheduled_run import Runner
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.engine import Engine, EngineError
from attackers import NOBODY, as_user, public_directory

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="running as another user needs root")

SOCKET = "unix:///var/run/docker.sock"


class Machine:
    """A state directory that is root's, with a key and another environment's backup, and a directory for all."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "state"
        self.state.mkdir(mode=0o700)
        (self.state / "key").write_text("the machine's key")
        self.production = Path(self.backups("aiia_prod").make("by hand")["path"]) / "manifest.json"
        self.out = folder / "out"
        self.out.mkdir()
        self.out.chmod(0o777)

    def backups(self, prefix: str = "aiia_staging", **more: Any) -> Backups:
        return Backups(Engine(Runner(), SOCKET), self.parameters(prefix, **more))

    def parameters(self, prefix: str = "aiia_staging", **more: Any) -> dict[str, Any]:
        own = {"prefix": prefix, "project": prefix, "environment": prefix, "protected": False, "directory": ""}
        places = {"state_directory": str(self.state), "home": str(self.state / "home" / prefix)}
        limits: dict[str, Any] = {"keep": 0, "timeout": 20, "kinds": [], "parts": []}
        return {**own, **places, **limits, "copy_command": "", "copy_user": "", "owner": "nobody", **more}

    def attack(self) -> str:
        """Take all that root has: its name, what other environments keep, its own shell's environment, its groups."""
        steps = [
            f"cat {self.state}/key {self.production} > {self.out}/taken",
            f"id -u > {self.out}/user",
            f"id -G > {self.out}/groups",
            f"tr '\\0' '\\n' < /proc/self/environ > {self.out}/environment",
            f"grep NoNewPrivs /proc/self/status > {self.out}/privileges",
            f'cp -a "$BULKHEAD_BACKUP" {self.out}/',
            f'touch "$BULKHEAD_BACKUP/forged" 2>> {self.out}/errors',
        ]
        return "; ".join([*steps, "true"])

    def seen(self, name: str) -> str:
        return (self.out / name).read_text().strip()


@pytest.fixture
def machine() -> Iterator[Machine]:
    with public_directory() as folder:
        yield Machine(folder)


def test_the_command_is_not_root(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOY_TOKEN", "of-root-s-shell")
    backups = machine.backups(copy_command=machine.attack())
    made = backups.make("by hand")
    assert machine.seen("user") == str(NOBODY.pw_uid) and machine.seen("taken") == ""
    lines = [line.partition("=") for line in machine.seen("environment").splitlines()]
    variables = {name: value for name, _equals, value in lines if name not in ("PWD", "OLDPWD")}
    assert variables == {
        "BULKHEAD_BACKUP": made["path"],
        "BULKHEAD_BACKUP_NAME": made["name"],
        "BULKHEAD_PREFIX": "aiia_staging",
        "HOME": NOBODY.pw_dir,
        "USER": "nobody",
        "LOGNAME": "nobody",
        "LANG": "C.UTF-8",
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    }
    assert machine.seen("privileges").split()[-1] == "1"
    # It has its own backup, can change nothing of it, and afterwards nobody can read it.
    copied = machine.out / made["name"] / "manifest.json"
    assert copied.read_text() == (Path(made["path"]) / "manifest.json").read_text()
    assert not (Path(made["path"]) / "forged").exists() and "Read-only" in machine.seen("errors")
    assert is_closed(Path(made["path"]))
    assert (Path(backups.directory) / LOCK).read_text() == ""
    # The control: root's shell takes everything.
    environment = {**os.environ, "BULKHEAD_BACKUP": made["path"]}
    subprocess.run(["/bin/sh", "-c", machine.attack()], env=environment, check=True)
    assert machine.seen("user") == "0" and "the machine's key" in machine.seen("taken")
    assert "of-root-s-shell" in machine.seen("environment")


def is_closed(backup: Path) -> bool:
    places = [backup, *backup.iterdir()]
    modes = {place.stat().st_mode & 0o777 for place in places}
    return modes == {0o700, 0o600} and not any(os.listxattr(place) for place in places)


@pytest.mark.parametrize(
    ("owner", "user", "message"),
    [
        ("", "", "would run as root, because neither bulkhead_backup_copy_user nor bulkhead_owner is set"),
        ("root", "", "bulkhead_owner is root, which is root"),
        ("nobody", "root", "bulkhead_backup_copy_user is root, which is root"),
        ("nobody", "no-such-user", "bulkhead_backup_copy_user is no-such-user, .* has no such user"),
    ],
)
def test_root_is_refused(machine: Machine, owner: str, user: str, message: str) -> None:
    backups = machine.backups(copy_command="true", owner=owner, copy_user=user)
    with pytest.raises(EngineError, match=message):
        backups.make("by hand")
    assert backups.complete() == []
    wanted = {"docker_host": SOCKET, "cron": "0 1 * * *", "calendar": "daily", "backup": backups.params}
    with pytest.raises(EngineError, match=message):
        Schedule(backups.engine, "aiia_staging", str(machine.state)).bring(wanted)
    # Without a command no user is needed.
    assert machine.backups(owner="").make("by hand")["name"]


def test_groups_that_are_root_are_left_out(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    docker, own = os.stat("/var/run/docker.sock").st_gid, grp.getgrnam("www-data").gr_gid
    groups = [NOBODY.pw_gid, own, docker, 0, grp.getgrnam("disk").gr_gid]
    monkeypatch.setattr(os, "getgrouplist", lambda _name, _gid: groups)
    machine.backups(copy_command=machine.attack()).make("by hand")
    assert {*machine.seen("groups").split()} == {str(NOBODY.pw_gid), str(own)}
    monkeypatch.setattr(pwd, "getpwnam", lambda _name: pwd.struct_passwd(("x", "x", 1234, 0, "", "/", "/bin/sh")))
    with pytest.raises(EngineError, match=r"whose own group \(0\) makes its members root"):
        machine.backups(copy_command="true").make("by hand")


def test_a_killed_run_lends_nothing_for_long(machine: Machine) -> None:
    started = machine.out / "started"
    command = f"echo $$ > {started}.new; mv {started}.new {started}; sleep 60"
    child = os.fork()
    if child == 0:
        try:
            machine.backups(copy_command=command).make("by hand")
        finally:
            os._exit(1)
    deadline = time.monotonic() + 20
    while not started.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    shell = int(started.read_text())
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while Path(f"/proc/{shell}").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not Path(f"/proc/{shell}").exists()
    (backup,) = machine.backups().complete()
    # The control: the killed run did lend it. Even so, nobody reaches it.
    assert not is_closed(Path(backup["path"]))
    assert not as_user(lambda: os.listdir(backup["path"]))
    machine.backups().make("by hand")
    assert is_closed(Path(backup["path"]))


def test_the_first_directory_that_a_user_cannot_enter(tmp_path: Path) -> None:
    with public_directory() as folder:
        (folder / "open/closed/inner").mkdir(parents=True)
        for path, mode in (("open", 0o755), ("open/closed", 0o710), ("open/closed/inner", 0o700)):
            (folder / path).chmod(mode)
        inner = str(folder / "open/closed/inner")
        assert closed_directory(inner, NOBODY.pw_uid, ()) == str(folder / "open/closed")
        assert closed_directory(inner, NOBODY.pw_uid, (0,)) == inner
        assert closed_directory(str(folder / "open"), NOBODY.pw_uid, ()) == ""
