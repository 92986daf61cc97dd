# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run ``bulkhead_backup_copy_command`` as an unprivileged user who can read one backup and nothing else of root's.

Backups lie in directories that only root can enter. The command runs in a mount namespace of its own, where the first
such directory is covered by an empty one, in which the backup is mounted again at its own path, read-only. An ACL on
the backup lets the user read it; it is removed when the command ends, and gives little before: outside of the namespace
the user cannot reach it. Runs on the targets, with Ansible and, on a schedule, without.
"""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import pwd
import stat
import struct
from collections.abc import Iterator
from typing import Any

from ..core.process import home_directory, stream
from ..docker.engine import PATH, Engine, EngineError
from .encryption import Encryption

#: Groups whose members can become root, or read root's files. The command runs without them.
ROOT_GROUPS = (
    *("root", "docker", "podman", "lxd", "lxc", "incus", "incus-admin", "libvirt", "kvm"),
    *("sudo", "wheel", "admin", "adm", "staff", "disk", "shadow", "kmem", "systemd-journal"),
)

_ACL = "system.posix_acl_access"
#: The fields of an ACL's entry: who it is for (tag), the permissions, and the user's number.
_ACL_VERSION, _ACL_ENTRY = "<I", "<HHI"
_OWNER, _USER, _GROUP, _MASK, _OTHER, _NOBODY = 0x01, 0x02, 0x04, 0x10, 0x20, 0xFFFFFFFF
_READ, _ENTER = 4, 5

#: $1 is the directory to cover, $2 the backup, the rest the command. What is covered is then reached by the working
#: directory alone, so mount must not look for its path.
_NAMESPACE = """
set -e
covered=$1 backup=$2
shift 2
cd -- "$backup"
mount -t tmpfs -o mode=0755,size=1m tmpfs "$covered"
mkdir -p -- "$backup"
mount --no-canonicalize --bind . "$backup"
mount -o remount,bind,ro,nosuid,nodev "$backup"
cd /
exec "$@"
"""


class CopyOff:
    """The command that copies an environment's backups off the machine, and the user who runs it."""

    def __init__(self, engine: Engine, params: dict[str, Any]) -> None:
        self.engine = engine
        self.command: str = params.get("copy_command") or ""
        self.name: str = params.get("copy_user") or params.get("owner") or ""
        self.variable = "bulkhead_backup_copy_user" if params.get("copy_user") else "bulkhead_owner"
        self.timeout: float = params.get("timeout") or 0
        recipients: list[str] = (params.get("recipients") or []) if self.command else []
        self.encryption = Encryption(engine, recipients, self.timeout) if recipients else None

    def check(self) -> None:
        """Raise EngineError where the command could not run, or only as root."""
        if not self.command:
            return
        account = self._account()
        if self.encryption:
            self.encryption.check()
        if os.getuid() == 0:
            self._groups(account)
            missing = [name for name in ("setpriv", "unshare", "mount") if not self.engine.find(name)]
            if missing:
                raise EngineError(
                    "bulkhead_backup_copy_command cannot run as %s: this machine has no %s. Install the package "
                    "util-linux (and mount), or leave the command empty" % (account.pw_name, " and no ".join(missing))
                )

    def run(self, path: str, variables: dict[str, str]) -> None:
        """Run the command. Raises EngineError, or StreamError where the command fails."""
        account = self._account()
        values = {
            **variables,
            "PATH": PATH,
            "HOME": account.pw_dir,
            "USER": account.pw_name,
            "LOGNAME": account.pw_name,
            "LANG": "C.UTF-8",
        }
        # First the environment: between setpriv and env, the user could read root's own.
        command = ["/usr/bin/env", "-i", *("%s=%s" % item for item in sorted(values.items()))]
        if os.getuid() == 0:
            covered = closed_directory(os.path.dirname(path), account.pw_uid, (account.pw_gid, *self._groups(account)))
            if covered:
                namespace = ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", _NAMESPACE, "sh"]
                command += [*namespace, covered, path]
            command += self._as_user(account)
        command += ["/bin/sh", "-c", self.command]
        stream(command, "bulkhead_backup_copy_command", limit=self.timeout, directory="/")

    @contextlib.contextmanager
    def lent(self, path: str) -> Iterator[None]:
        """Let the user read a backup meanwhile. Raises EngineError where the file system cannot grant that."""
        if os.getuid() != 0:
            yield
            return
        uid = self._account().pw_uid
        try:
            for place, is_directory in _places(path):
                _grant(place, uid, _ENTER if is_directory else _READ)
            yield
        except OSError as error:
            if error.errno not in (errno.ENOTSUP, errno.ENOSYS):
                raise
            raise EngineError(
                "the file system of %s has no POSIX ACLs, so %s cannot be allowed to read this backup alone. Set "
                "bulkhead_backup_directory to a directory on ext4, xfs or btrfs" % (path, self.name)
            ) from error
        finally:
            take_back(path)

    def _account(self) -> pwd.struct_passwd:
        """The user who runs the command. Raises EngineError for root, and for a user that cannot be used."""
        me = os.getuid()
        if not self.name and me != 0:
            return pwd.struct_passwd((_name(me), "x", me, os.getgid(), "", home_directory(), "/bin/sh"))
        if not self.name:
            raise EngineError(
                "bulkhead_backup_copy_command would run as root, because neither bulkhead_backup_copy_user nor "
                "bulkhead_owner is set: whoever may change that line would be root on this machine. Set one of the two "
                "to an unprivileged user of this machine"
            )
        try:
            account = pwd.getpwnam(self.name)
        except KeyError:
            raise EngineError(
                "%s is %s, who is to run bulkhead_backup_copy_command, but this machine has no such user. Create it, "
                "or name another one" % (self.variable, self.name)
            ) from None
        if account.pw_uid == 0:
            raise EngineError(
                "%s is %s, which is root: bulkhead_backup_copy_command does not run as root, because whoever may "
                "change that line would be root on this machine. Set bulkhead_backup_copy_user to an unprivileged user"
                % (self.variable, self.name)
            )
        if me not in (0, account.pw_uid):
            raise EngineError(
                "only root can run bulkhead_backup_copy_command as %s (%s), but this runs as %s. Set ansible_become: "
                "true, or leave bulkhead_backup_copy_user empty" % (self.name, self.variable, _name(me))
            )
        return account

    def _groups(self, account: pwd.struct_passwd) -> list[int]:
        """The user's supplementary groups, without those that make their members root."""
        powerful = {0, *self._engine_group()}
        for name in ROOT_GROUPS:
            with contextlib.suppress(KeyError):
                powerful.add(grp.getgrnam(name).gr_gid)
        if account.pw_gid in powerful:
            raise EngineError(
                "%s is %s, whose own group (%d) makes its members root: bulkhead_backup_copy_command does not run with "
                "it. Set bulkhead_backup_copy_user to a user with a group of its own"
                % (self.variable, self.name, account.pw_gid)
            )
        return sorted({*os.getgrouplist(account.pw_name, account.pw_gid)} - powerful - {account.pw_gid})

    def _engine_group(self) -> Iterator[int]:
        """The group that may use the engine, whatever its name."""
        if self.engine.docker_host.startswith("unix://"):
            with contextlib.suppress(OSError):
                yield os.stat(self.engine.docker_host[len("unix://") :]).st_gid

    def _as_user(self, account: pwd.struct_passwd) -> list[str]:
        groups = ",".join(map(str, self._groups(account)))
        return [
            *("setpriv", "--reuid=%d" % account.pw_uid, "--regid=%d" % account.pw_gid),
            *(["--groups=%s" % groups] if groups else ["--clear-groups"]),
            # No sudo either: an owner who may use it would be root in the name of whoever wrote the command.
            *("--no-new-privs", "--inh-caps=-all", "--bounding-set=-all", "--pdeathsig=KILL"),
        ]


def closed_directory(path: str, uid: int, gids: tuple[int, ...]) -> str:
    """The first directory on the way to a path, itself included, that a user cannot enter; empty if there is none."""
    step = "/"
    for name in ["", *os.path.abspath(path).split(os.sep)[1:]]:
        step = os.path.join(step, name)
        status = os.stat(step)
        shift = 6 if status.st_uid == uid else 3 if status.st_gid in gids else 0
        if not (stat.S_IMODE(status.st_mode) >> shift) & 1:
            return step
    return ""


def take_back(path: str) -> None:
    """Remove the ACLs of a backup. What is gone needs nothing."""
    with contextlib.suppress(FileNotFoundError):
        for place, is_directory in _places(path):
            with contextlib.suppress(FileNotFoundError):
                if _ACL in os.listxattr(place, follow_symlinks=False):
                    os.removexattr(place, _ACL, follow_symlinks=False)
                os.chmod(place, 0o700 if is_directory else 0o600)  # the mask of an ACL stays as the group's mode


def _places(path: str) -> list[tuple[str, bool]]:
    """A backup's directory last, so that nothing in it is open before the files are; and whether each is one."""
    names = sorted(os.listdir(path))
    files = [os.path.join(path, name) for name in names if os.path.isfile(os.path.join(path, name))]
    return [*((file, False) for file in files), (path, True)]


def _grant(path: str, uid: int, permissions: int) -> None:
    own = 7 if permissions == _ENTER else 6
    entries = [
        (_OWNER, own, _NOBODY),
        (_USER, permissions, uid),
        (_GROUP, 0, _NOBODY),
        (_MASK, permissions, _NOBODY),
        (_OTHER, 0, _NOBODY),
    ]
    value = struct.pack(_ACL_VERSION, 2) + b"".join(struct.pack(_ACL_ENTRY, *entry) for entry in entries)
    os.setxattr(path, _ACL, value, follow_symlinks=False)


def _name(uid: int) -> str:
    with contextlib.suppress(KeyError):
        return pwd.getpwuid(uid).pw_name
    return str(uid)
