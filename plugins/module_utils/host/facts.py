# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a machine says without its engine: identity, sockets, room, limits, schedules. Runs on the targets."""

from __future__ import annotations

import glob
import hmac
import os
import re
import struct
from collections.abc import Iterable
from typing import Any

from ..core.directory import TreeError, digest, read
from . import sockets

#: Where scheduled work of the machine stands.
CRON = ("/etc/crontab", "/etc/cron.d/*", "/var/spool/cron/crontabs/*")
UNITS = ("/etc/systemd/system/*.service", "/etc/systemd/system/*.timer")

#: Files in force of an environment's directory.
_IN_FORCE = (".env", "docker-compose.*", "docker/nginx/*", ".bulkhead/private/*/*", ".bulkhead/private/*/*/*")

#: What the kernel counts for everybody: its name, how many there are, and how many there may be.
_LIMITS = (
    ("tracked connections", "net/netfilter/nf_conntrack_count", "net/netfilter/nf_conntrack_max"),
    ("open files", "fs/file-nr", "fs/file-max"),
)

#: Values that a line of a schedule must not carry away: what follows a secret's name, a password option, and a URL's.
_SECRETS = (
    (re.compile(r"(?i)(\w*(?:pass|secret|token|key|pwd)\w*\s*[=:]\s*)(\"[^\"]*\"|'[^']*'|\S+)"), r"\1***"),
    (re.compile(r"((?:--password[= ]|\blogin\b.*?\s-p)\s*)(\"[^\"]*\"|'[^']*'|\S+)"), r"\1***"),
    (re.compile(r"(://[^\s:/@]*:)[^\s@]+(?=@)"), r"\1***"),
)


def _text(path: str) -> str:
    """A small file of the machine; empty where this user may not read it."""
    try:
        return (read(path) or b"").decode("utf-8", "replace").strip()
    except TreeError:
        return ""


def machine_id() -> str:
    """What tells this machine from every other."""
    for path in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        content = _text(os.path.realpath(path))
        if content:
            return content
    return ""


def generation(docker_host: str) -> str:
    """Changes when the machine or its engine was started again: then restarts of containers are the engine's."""
    marks = [_text("/proc/sys/kernel/random/boot_id")]
    for path in ("/var/run/docker.pid", docker_host[len("unix://") :] if docker_host.startswith("unix://") else ""):
        try:
            found = os.stat(path)
            marks.append("%d.%d" % (found.st_ino, found.st_mtime_ns))
        except OSError:
            marks.append("")
    return digest("|".join(marks).encode())[:16]


def listening() -> list[dict[str, Any]]:
    """Listening TCP sockets of the machine, each once, with the process that holds it as far as this user may see."""
    found: dict[tuple[str, int], str] = {}
    for address, port, inode in sockets.listening():
        found.setdefault((address, port), inode)
    holders = sockets.holders(found.values())
    return [
        {"address": address, "port": port, "process": holders.get(inode, "")}
        for (address, port), inode in sorted(found.items())
    ]


def limits() -> dict[str, list[int]]:
    """What the kernel counts for all environments together: [how many there are, how many there may be]."""
    found = {}
    for name, count, most in _LIMITS:
        try:
            with open("/proc/sys/%s" % count) as one, open("/proc/sys/%s" % most) as other:
                found[name] = [int(one.read().split()[0]), int(other.read().split()[0])]
        except (OSError, ValueError, IndexError):
            continue
    return found


def free_bytes(path: str) -> int:
    """Free space where a directory is or would be."""
    while path != "/" and not os.path.isdir(path):
        path = os.path.dirname(path) or "/"
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize


def files_digest(directory: str, key: bytes) -> dict[str, str]:
    """Keyed digests of the files in force of an environment's directory: some are secret, and short secrets can be
    guessed from a plain digest."""
    found = {}
    for pattern in _IN_FORCE:
        for path in glob.glob(os.path.join(glob.escape(directory), pattern)):
            if os.path.isfile(path):
                try:
                    with open(path, "rb") as stream:
                        content = hmac.new(key, stream.read(), "sha256").hexdigest()[:32]
                except OSError:
                    content = "unreadable"
                found[os.path.relpath(path, directory)] = content
    return found


def checkout(path: str) -> dict[str, str]:
    """Branch and commit of a checkout, read from its files: no git runs in somebody else's directory.

    ``place`` and ``repository`` are where checkout and repository really are, links and worktrees followed.
    """
    repository = os.path.join(path, ".git")
    if os.path.isfile(repository):
        line = _text(repository)
        repository = os.path.join(path, line[len("gitdir:") :].strip()) if line.startswith("gitdir:") else repository
    shared = _text(os.path.join(repository, "commondir"))
    common = os.path.join(repository, shared) if shared else repository
    found = {"place": os.path.realpath(path), "repository": os.path.realpath(common)}
    if not os.path.isdir(repository):
        return {"place": found["place"]} if os.path.isdir(path) else {}
    head = _text(os.path.join(repository, "HEAD"))
    if not head.startswith("ref: "):
        return dict(found, branch="", commit=head)
    name = head[5:]
    commit = _text(os.path.join(common, name)) or _packed(common, name)
    return dict(found, branch=name[len("refs/heads/") :] if name.startswith("refs/heads/") else name, commit=commit)


def _packed(repository: str, name: str) -> str:
    for line in _text(os.path.join(repository, "packed-refs")).splitlines():
        commit, _space, ref = line.partition(" ")
        if ref == name:
            return commit
    return ""


def schedules() -> list[dict[str, Any]]:
    """Cron files and systemd units: their digests, and their lines that call Docker, without what may be secret."""
    found = []
    for pattern in CRON + UNITS:
        for path in sorted(glob.glob(pattern)):
            try:
                with open(path, encoding="utf-8", errors="replace") as stream:
                    text = stream.read(1 << 20)
            except OSError:
                continue
            lines = [masked(line) for line in text.splitlines() if "docker" in line and not line.startswith("#")]
            found.append({"path": path, "lines": lines[:50]})
    return found


def masked(line: str) -> str:
    """A line without the passwords that it carries."""
    for pattern, instead in _SECRETS:
        line = pattern.sub(instead, line)
    return line


def compose_files_above(directories: Iterable[str]) -> list[str]:
    """Compose files in parents of the directories: Compose finds those when it is called without a file."""
    found = set()
    for directory in directories:
        step = os.path.dirname(os.path.abspath(directory))
        while True:
            found |= {
                path
                for path in glob.glob(os.path.join(glob.escape(step), "*compose.y*ml"))
                if os.path.basename(path).split(".")[0] in ("compose", "docker-compose")
            }
            if step == os.path.dirname(step):
                break
            step = os.path.dirname(step)
    return sorted(found)


def database_identity(mountpoint: str) -> str:
    """The system identifier of a PostgreSQL cluster in a volume, from its control file. The server is not asked."""
    for below in ("", "data", "pgdata", "17/docker", "18/docker"):
        try:
            with open(os.path.join(mountpoint, below, "global", "pg_control"), "rb") as stream:
                return str(struct.unpack("<Q", stream.read(8))[0])
        except (OSError, struct.error):
            continue
    return ""
