# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reach files by directory handles, so that nobody can lead root elsewhere with a link.

A path is walked from ``/``, one component at a time. A link is followed only if root (or the user who runs this) made
it, in a directory that nobody else can write: whoever can write a directory could exchange a link at any moment. Runs
on the targets: Python 3.8, standard library only.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import functools
import os
import pwd
import secrets
import shutil
import stat
from collections.abc import Iterator
from itertools import islice

from .errors import Failure

_STEP = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
#: Without O_NONBLOCK, opening a named pipe would wait for a writer for ever.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MOST_LINKS = 40
#: Bytes of the largest file that is read whole: whoever owns a directory could fill this process's memory with one.
LARGEST = 64 << 20
#: Names of the largest directory that is listed, for the same reason.
_MOST_NAMES = 100000


class TreeError(Failure):
    """A file could not be read or written."""


class PathError(TreeError):
    """A path passes a link, or a directory, that another user could exchange."""


@functools.lru_cache(maxsize=None)
def _trusted() -> frozenset[int]:
    """Users who can do everything that this process can: root, this user, and whoever owns ``/``."""
    return frozenset((0, os.geteuid(), os.stat("/").st_uid))


def _is_ours(status: os.stat_result) -> bool:
    """Whether only trusted users can exchange what is in a directory. In a sticky one, nobody can exchange theirs."""
    group = status.st_mode & 0o020 and status.st_gid != os.getegid()
    shared = group or status.st_mode & 0o002
    return status.st_uid in _trusted() and (not shared or bool(status.st_mode & stat.S_ISVTX))


def user_name(uid: int) -> str:
    """The name of a user, or the number of one that has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return "user %d" % uid


class _Walk:
    """A walk from ``/``. ``ours`` says whether only trusted users could have led it elsewhere."""

    def __init__(self, top: str = "") -> None:
        self.top = top
        self.links = 0
        self.handle = os.open("/", _STEP)
        self.ours = _is_ours(os.fstat(self.handle))
        self.alien = ""

    def place(self) -> str:
        """The real path of the directory that the walk reached."""
        return os.readlink("/proc/self/fd/%d" % self.handle)

    def down(self, path: str) -> None:
        """Walk on through a relative or absolute path. Raises PathError or OSError."""
        left = path.split("/")[::-1]
        while left:
            name = left.pop()
            if name not in ("", "."):
                left += self._enter(name)

    def _enter(self, name: str) -> list[str]:
        """Enter a directory. Of a link that may be followed, returns what it leads through, the last name first."""
        try:
            below = os.open(name, _STEP, dir_fd=self.handle)
        except NotADirectoryError:
            target = self.target(name)
            if target is None:
                raise
            if target.startswith("/"):
                os.close(self.handle)
                self.handle = os.open("/", _STEP)
            return target.split("/")[::-1]
        os.close(self.handle)
        self.handle = below
        status = os.fstat(below)
        if self.ours and not _is_ours(status):
            self.ours = False
            self.alien = "in %s, which %s can write" % (self.place(), _writers(status))
        return []

    def target(self, name: str) -> str | None:
        """Where a link leads; None if it is none. Raises PathError for one that others could have made."""
        status = os.lstat(name, dir_fd=self.handle)
        if not stat.S_ISLNK(status.st_mode):
            return None
        target = os.readlink(name, dir_fd=self.handle)
        path = os.path.join(self.place(), name)
        self.links += 1
        if self.ours and status.st_uid in _trusted() and self.links <= _MOST_LINKS:
            return target
        where = os.path.realpath(path)
        outside = self.top and not (where + "/").startswith(os.path.realpath(self.top) + "/")
        raise PathError(
            "%s is a link that %s can exchange at any time, so it is not followed. It leads to %s%s. Remove the link: "
            "files there could belong to another environment"
            % (
                path,
                user_name(status.st_uid) if self.ours else "whoever can write there",
                where,
                ", outside the environment's own directory %s" % self.top if outside else "",
            )
        )


def _writers(status: os.stat_result) -> str:
    if status.st_uid not in _trusted():
        return user_name(status.st_uid)
    return "every user" if status.st_mode & 0o002 else "group %d" % status.st_gid


@contextlib.contextmanager
def folder(path: str, below: str = "", ours: bool = False) -> Iterator[int]:
    """A handle of the directory ``path``, or of one ``below`` it, which may not lead out of it.

    With ``ours`` only trusted users may be able to exchange anything on the way. Raises PathError, or OSError if there
    is no such directory.
    """
    walk = _Walk(top=path if below else "")
    try:
        walk.down(os.path.abspath(path))
        top, links = walk.place(), walk.links
        walk.down(below)
        if walk.links > links and not (walk.place() + "/").startswith(top + "/"):
            raise PathError(
                "%s leads to %s, outside the environment's own directory %s. Remove the link: files there could belong "
                "to another environment" % (os.path.join(path, below), walk.place(), path)
            )
        if ours and not walk.ours:
            raise PathError(
                "%s is %s: what is kept there could be forged. Set bulkhead_state_directory (or "
                "bulkhead_backup_directory) to a directory that only %s can write"
                % (path, walk.alien, user_name(os.geteuid()))
            )
        yield walk.handle
    finally:
        os.close(walk.handle)


@contextlib.contextmanager
def directly(directory: str, path: str) -> Iterator[tuple[int, str]]:
    """A handle of the directory in which a relative path ends, and the path's last name. Below ``directory`` no link is
    followed, whoever made it. Raises OSError."""
    *steps, name = path.strip("/").split("/")
    handle = os.open(directory, _STEP)
    try:
        for step in steps:
            if step == "..":
                raise OSError(errno.EINVAL, "%s leads upwards" % path)
            above, handle = handle, os.open(step or ".", _STEP, dir_fd=handle)
            os.close(above)
        yield handle, name
    finally:
        os.close(handle)


def require_ours(path: str) -> None:
    """Raise PathError if others than trusted users can exchange a directory, or what it will be made in."""
    path = os.path.abspath(path)
    while True:
        try:
            with folder(path, ours=True):
                return
        except (FileNotFoundError, NotADirectoryError):
            path = os.path.dirname(path)


def read_at(handle: int, name: str) -> bytes | None:
    """The content of a regular file of a directory; None if there is none, or a link. Raises OSError."""
    try:
        descriptor = os.open(name, _READ, dir_fd=handle)
    except OSError as error:
        # A link, or a socket.
        if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENXIO, errno.ENOTDIR):
            return None
        raise
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        return None
    with os.fdopen(descriptor, "rb") as stream:
        if status.st_size > LARGEST:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        return stream.read(LARGEST)


def read_through(path: str) -> bytes | None:
    """The content of a file of the machine, such as a certificate, through links that only trusted users could make.

    None if there is none. Raises PathError or OSError.
    """
    walk = _Walk()
    try:
        left = os.path.abspath(path)
        while True:
            parent, name = os.path.split(left)
            walk.down(parent)
            target = walk.target(name)
            if target is None:
                return read_at(walk.handle, name)
            if target.startswith("/"):
                os.close(walk.handle)
                walk.handle = os.open("/", _STEP)
            left = target
    except (FileNotFoundError, NotADirectoryError):
        return None
    finally:
        os.close(walk.handle)


def status_at(handle: int, name: str) -> os.stat_result | None:
    """What a directory says of a name, links not followed; None if it has no such name."""
    try:
        return os.lstat(name, dir_fd=handle)
    except FileNotFoundError:
        return None


def names_at(handle: int) -> list[str]:
    """The names in a directory, sorted. Raises OSError where it has very many."""
    descriptor = os.open(".", _READ | os.O_DIRECTORY, dir_fd=handle)
    try:
        with os.scandir(descriptor) as entries:
            names = sorted(entry.name for entry in islice(entries, _MOST_NAMES + 1))
        if len(names) > _MOST_NAMES:
            raise OSError(errno.EFBIG, "it has more than %d names" % _MOST_NAMES)
        return names
    finally:
        os.close(descriptor)


def make_at(handle: int, name: str, mode: int, uid: int, gid: int) -> None:
    """Make a directory in another, unless another process makes it meanwhile. Raises OSError."""
    try:
        os.mkdir(name, 0o700, dir_fd=handle)
    except FileExistsError:
        return
    below = os.open(name, _READ | os.O_DIRECTORY, dir_fd=handle)
    try:
        if os.fstat(below).st_uid == os.geteuid():  # what another user put in its place stays as it is
            os.fchmod(below, mode)
            os.fchown(below, uid, gid)
    finally:
        os.close(below)


def tighten_at(handle: int) -> None:
    """Close a directory of this user to all others."""
    status = os.fstat(handle)
    if status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) & 0o077:
        descriptor = os.open(".", _READ | os.O_DIRECTORY, dir_fd=handle)
        try:
            os.fchmod(descriptor, 0o700)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def locked_at(handle: int, name: str) -> Iterator[None]:
    """Hold the lock of a file that only this user can open.

    One that others could open is replaced: somebody may still have it open, and hold its lock for ever.
    """
    while True:
        descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=handle)
        try:
            status = os.fstat(descriptor)
            if status.st_mode & 0o077 or status.st_uid != os.geteuid():
                unlink_at(handle, name)
                continue
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            now = status_at(handle, name)
            if now and now.st_ino == status.st_ino:
                yield
                return
        finally:
            os.close(descriptor)


def write_aside_at(handle: int, name: str, content: bytes, mode: int, uid: int, gid: int) -> str:
    """Write a new file under a temporary name, to the disk. Returns that name. Raises OSError, and leaves nothing."""
    temporary = ".%s.bulkhead-%d-%s" % (name, os.getpid(), secrets.token_hex(8))
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o600, dir_fd=handle)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(descriptor)
            # By the handle: the name may be another file's by now.
            os.fchown(descriptor, uid, gid)
            os.fchmod(descriptor, mode)
    except OSError:
        unlink_at(handle, temporary)
        raise
    return temporary


def rename_at(handle: int, old: str, new: str) -> None:
    """Rename within one directory; what had the new name is replaced."""
    os.rename(old, new, src_dir_fd=handle, dst_dir_fd=handle)


def unlink_at(handle: int, name: str) -> None:
    """Remove a file or link, if there is one."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=handle)


def remove_at(handle: int, name: str) -> None:
    """Remove a directory with all that is in it. Raises OSError."""
    shutil.rmtree("/proc/self/fd/%d/%s" % (handle, name))  # rmtree takes no handle; its own steps follow no link
