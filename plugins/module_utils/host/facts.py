# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Facts about a machine that need no engine: identity, sockets, disk space, limits, schedules. Runs on the targets."""

from __future__ import annotations

import contextlib
import fnmatch
import glob
import grp
import hmac
import os
import pwd
import re
import struct
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from ..core.directory import Tree, digest, read, read_through
from ..core.errors import Failure
from ..core.layout import PAGE
from . import sockets

#: Files that define scheduled jobs.
CRON = ("/etc/crontab", "/etc/cron.d/*", "/var/spool/cron/crontabs/*")
UNITS = ("/etc/systemd/system/*.service", "/etc/systemd/system/*.timer")

#: The files of an environment's directory that are in force.
_IN_FORCE = (("", ".env"), ("", "docker-compose.*"), ("docker/nginx", "*"))
_PRIVATE = ".bulkhead/private"
#: How many of them are read, and about how many bytes in all: another environment's deployment waits for that.
_MOST_FILES, _MOST_BYTES = 1000, 128 << 20

#: What the files of a git repository say where nobody tampered with them.
_REF = re.compile(r"ref: refs/\S+\Z")
_COMMIT = re.compile(r"[0-9a-f]{40,64}\Z")
#: The longest path that the kernel takes, in bytes.
_LONGEST_PATH = 4096

#: Kernel limits that all environments share: name, file with the current count, file with the maximum.
_LIMITS = (
    ("tracked connections", "net/netfilter/nf_conntrack_count", "net/netfilter/nf_conntrack_max"),
    ("open files", "fs/file-nr", "fs/file-max"),
)

#: Secrets to mask in a line of a schedule: after a secret's name, after a password option, and in a URL.
_SECRETS = (
    (re.compile(r"(?i)((?:pass|secret|token|key|pwd)\w*\s*[=:]\s*)(\"[^\"]*\"|'[^']*'|\S+)"), r"\1***"),
    (re.compile(r"((?:--password[= ]|\blogin\b.*?\s-p)\s*)(\"[^\"]*\"|'[^']*'|\S+)"), r"\1***"),
    (re.compile(r"(://[^\s:/@]*:)[^\s@]+(?=@)"), r"\1***"),
)
#: Users write these lines: the time for masking grows with the square of a line's length. cron takes 1,000 characters.
_LONGEST_LINE, _MOST_LINES = 2000, 50


def _text(path: str) -> str:
    """The content of a small file; empty if this user cannot read it, or a link of another user's leads there."""
    try:
        return (read(path) or b"").decode("utf-8", "replace").strip()
    except Failure:
        return ""


def machine_id() -> str:
    """The machine's unique id; empty if it has none."""
    for path in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        with contextlib.suppress(Failure):
            content = (read_through(path) or b"").decode("utf-8", "replace").strip()
            if content:
                return content
    return ""


def generation(docker_host: str) -> str:
    """A value that changes when the machine or its engine restarts, which explains restarts of containers."""
    marks = [_text("/proc/sys/kernel/random/boot_id")]
    for path in ("/var/run/docker.pid", docker_host[len("unix://") :] if docker_host.startswith("unix://") else ""):
        try:
            status = os.stat(path)
            marks.append("%d.%d" % (status.st_ino, status.st_mtime_ns))
        except OSError:
            marks.append("")
    return digest("|".join(marks).encode())[:16]


def listening() -> list[dict[str, Any]]:
    """The machine's listening TCP sockets, each once, with the process that holds it if this user may see it."""
    inodes: dict[tuple[str, int], str] = {}
    for address, port, inode in sockets.listening():
        inodes.setdefault((address, port), inode)
    holders = sockets.holders(inodes.values())
    return [
        {"address": address, "port": port, "process": holders.get(inode, "")}
        for (address, port), inode in sorted(inodes.items())
    ]


def limits() -> dict[str, list[int]]:
    """Kernel limits that all environments share, by name: [current count, maximum]."""
    counts = {}
    for name, count, maximum in _LIMITS:
        try:
            counts[name] = [int(_text("/proc/sys/%s" % path).split()[0]) for path in (count, maximum)]
        except (ValueError, IndexError):
            continue
    return counts


def engine_users() -> list[str]:
    """The users who may use the engine because they are in the group ``docker``, which makes each of them root."""
    try:
        group = grp.getgrnam("docker")
    except KeyError:
        return []
    return sorted({*group.gr_mem, *(user.pw_name for user in pwd.getpwall() if user.pw_gid == group.gr_gid)})


def files_digest(directory: str, key: bytes) -> dict[str, str]:
    """Digests of an environment's files in force, by relative path. They are keyed, because short secrets can be
    guessed from plain digests."""
    tree, digests, left = Tree(directory), {}, _MOST_BYTES
    for path in islice(_in_force(tree), _MOST_FILES):
        try:
            if left <= 0:
                raise Failure("the files are too long together")
            content = tree.read(path)
        except Failure:
            digests[path] = "unreadable"
            continue
        if content is not None:
            left -= len(content)
            digests[path] = hmac.new(key, content, "sha256").hexdigest()[:32]
    return digests


def _in_force(tree: Tree) -> Iterator[str]:
    """The paths of the files in force. What lies behind a link of the owner's is not looked at."""
    for folder, pattern in _IN_FORCE:
        yield from fnmatch.filter(_paths(tree, folder), os.path.join(folder, pattern))
    for folder in _paths(tree, _PRIVATE):
        for path in _paths(tree, folder):
            yield path
            yield from _paths(tree, path)


def _paths(tree: Tree, folder: str) -> list[str]:
    """The paths in a directory; none where it is no directory, or cannot be read."""
    try:
        return [os.path.join(folder, name) for name in tree.names(folder)]
    except Failure:
        return []


def shows_page(directory: str) -> bool:
    """Whether an environment's maintenance page is up."""
    try:
        return Tree(directory).read(PAGE) is not None
    except Failure:
        return False


def checkout(path: str) -> dict[str, str]:
    """``branch`` and ``commit`` of a checkout, read from its files: git must not run in other users' directories.

    ``place`` and ``repository`` are the real paths of checkout and repository, with links and worktrees resolved.
    """
    repository = os.path.join(path, ".git")
    if os.path.isfile(repository):
        line = _line(repository)
        repository = os.path.join(path, line[len("gitdir:") :].strip()) if line.startswith("gitdir:") else repository
    shared = _line(os.path.join(repository, "commondir"))
    common = os.path.join(repository, shared) if shared else repository
    paths = {"place": os.path.realpath(path), "repository": os.path.realpath(common)}
    if not os.path.isdir(repository):
        return {"place": paths["place"]} if os.path.isdir(path) else {}
    head = _line(os.path.join(repository, "HEAD"))
    name = head[5:] if _REF.match(head) else ""
    commit = (_line(os.path.join(common, name)) or _packed(common, name)) if name else head
    # The owner decides what these files say: what is no commit is not repeated.
    commit = commit if _COMMIT.match(commit) else ""
    if not name:
        return dict(paths, branch="", commit=commit)
    return dict(paths, branch=name[len("refs/heads/") :] if name.startswith("refs/heads/") else name, commit=commit)


def _line(path: str) -> str:
    """The content of a file that names a path or a commit, as far as the kernel could take it for a path."""
    return _text(path)[:_LONGEST_PATH].partition("\0")[0]


def _packed(repository: str, name: str) -> str:
    found = re.search(
        "^([0-9a-f]+) %s$" % re.escape(name), _text(os.path.join(repository, "packed-refs")), re.MULTILINE
    )
    return found[1] if found else ""


def schedules() -> list[dict[str, Any]]:
    """Cron files and systemd units, each with its lines that mention Docker, with secrets masked."""
    files = []
    for pattern in CRON + UNITS:
        for path in sorted(glob.glob(pattern)):
            try:
                with open(path, encoding="utf-8", errors="replace") as stream:
                    text = stream.read(1 << 20)
            except OSError:
                continue
            lines = [line for line in text.splitlines() if "docker" in line and not line.startswith("#")]
            files.append({"path": path, "lines": [_shortened(line) for line in lines[:_MOST_LINES]]})
    return files


def _shortened(line: str) -> str:
    """A line without its secrets; of a very long one the beginning, so that no secret is cut in two."""
    return masked(line) if len(line) <= _LONGEST_LINE else masked(line[: 2 * _LONGEST_LINE])[:_LONGEST_LINE]


def masked(line: str) -> str:
    """Mask the secrets in a line."""
    for pattern, replacement in _SECRETS:
        line = pattern.sub(replacement, line)
    return line


def compose_files_above(directories: Iterable[str]) -> list[str]:
    """Compose files in parents of the directories, which Compose would use if called without ``-f``."""
    files = set()
    for directory in directories:
        step = os.path.dirname(os.path.abspath(directory))
        while True:
            files |= {
                path
                for path in glob.glob(os.path.join(glob.escape(step), "*compose.y*ml"))
                if os.path.basename(path).split(".")[0] in ("compose", "docker-compose")
            }
            if step == os.path.dirname(step):
                break
            step = os.path.dirname(step)
    return sorted(files)


def database_identity(mountpoint: str) -> str:
    """The system identifier of the PostgreSQL cluster in a volume, from its control file; empty if there is none."""
    for below in ("", "data", "pgdata", "17/docker", "18/docker"):
        try:
            content = Tree(mountpoint).read(os.path.join(below, "global", "pg_control"))
            if content:
                return str(struct.unpack("<Q", content[:8])[0])
        except (Failure, OSError, struct.error):
            continue
    return ""
