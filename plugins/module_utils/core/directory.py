# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write files below an environment's directory: staged, renamed into place, and restored if a later step fails.

Runs on the targets: Python 3.8, standard library only.
"""

from __future__ import annotations

import errno
import glob
import hashlib
import os
import pwd
import shutil
import stat
from collections.abc import Iterable

from .errors import Failure


class TreeError(Failure):
    """A file could not be read or written."""


def digest(data: bytes) -> str:
    """The SHA-256 digest in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


class DesiredFile:
    """The desired state of a file: its path below the environment's directory, content, mode and secrecy.

    ``source`` is the file on the machine from which the content was copied, if any.
    """

    def __init__(self, path: str, content: bytes, mode: int = 0o644, sensitive: bool = False, source: str = "") -> None:
        self.path = path
        self.content = content
        self.mode = mode
        self.sensitive = sensitive
        self.source = source


def read(path: str) -> bytes | None:
    """The content of a regular file; None if there is none. Links are not followed, because they will be replaced."""
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return None
        with open(path, "rb") as stream:
            return stream.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise TreeError("cannot read %s: %s" % (path, error.strerror)) from error


class Tree:
    """The directory of one environment. ``owner`` will own the files; only root can write files for another user."""

    #: Closed to other users, because secrets are below it. The files themselves may be readable for every user of a
    #: container, whose mount does not pass through this directory.
    PRIVATE = ".bulkhead"

    def __init__(self, directory: str, owner: str = "") -> None:
        self.directory = directory
        self.uid = self.gid = -1
        if owner:
            try:
                entry = pwd.getpwnam(owner)
            except KeyError:
                raise TreeError(
                    "bulkhead_owner is %s, but this machine has no such user. Create it, or set bulkhead_owner to the "
                    "user who should own %s" % (owner, directory)
                ) from None
            if os.getuid() == 0:
                self.uid, self.gid = entry.pw_uid, entry.pw_gid
            elif entry.pw_uid != os.getuid():
                raise TreeError(
                    "only root can write files for %s, but this runs as %s. Connect as %s, or set ansible_become: true"
                    % (owner, pwd.getpwuid(os.getuid()).pw_name, owner)
                )
        self._kept: list[tuple[str, bytes | None, int, str]] = []

    def path(self, relative: str) -> str:
        """The absolute path of a relative one."""
        return os.path.join(self.directory, relative)

    def holds(self, relative: str) -> bool:
        """Whether a path is inside the environment's own directory after links in its parents are resolved."""
        folder = os.path.realpath(os.path.dirname(self.path(relative)))
        return (folder + os.sep).startswith(os.path.realpath(self.directory) + os.sep)

    def differs(self, file: DesiredFile) -> bool:
        """Whether a file differs from the desired one in content, mode or owner."""
        path = self.path(file.path)
        if read(path) != file.content:
            return True
        status = os.lstat(path)
        return stat.S_IMODE(status.st_mode) != file.mode or self.uid not in (-1, status.st_uid)

    def make_directory(self, relative: str = "") -> None:
        """Create a directory and its parents. Raises TreeError if a link leads out of the environment's directory."""
        path = self.path(relative) if relative else self.directory
        if not self.holds(os.path.join(relative, "")):
            raise TreeError(
                "%s leads to %s, outside the environment's own directory %s. Remove the link: files there could belong "
                "to another environment" % (path, os.path.realpath(path), self.directory)
            )
        missing = []
        step = path
        while not os.path.isdir(step):
            missing.append(step)
            step = os.path.dirname(step)
        try:
            for step in reversed(missing):
                try:
                    os.mkdir(step)
                except FileExistsError:
                    if os.path.isdir(step):  # another process created it just now
                        continue
                    raise
                os.chmod(step, 0o700 if step == self.path(self.PRIVATE) else 0o755)
                self._give(step)
        except OSError as error:
            raise TreeError(self._explain("create the directory", step, error)) from error

    def write(self, file: DesiredFile, base: str = "") -> None:
        """Write a file atomically: completely under a temporary name, then rename it into place."""
        temporary = self._write_aside(file, base)
        try:
            self._rename(temporary, self.path(os.path.join(base, file.path)))
        except TreeError:
            os.unlink(temporary)
            raise

    def install(self, files: Iterable[DesiredFile], removed: Iterable[str] = ()) -> None:
        """Put all files into place and remove those in ``removed``, or change nothing. :meth:`restore` undoes it.

        All files are written aside before the first is renamed, so that a full disk is noticed before any change.
        """
        aside: list[tuple[str, str]] = []
        try:
            for file in files:
                aside.append((self._write_aside(file), self.path(file.path)))
            while aside:
                temporary, final = aside[0]
                self._keep(final)
                self._rename(temporary, final)
                del aside[0]
            for relative in removed:
                self._keep(self.path(relative))
                self._unlink(self.path(relative))
        except TreeError:
            for temporary, _final in aside:
                os.unlink(temporary)
            self.restore()
            raise

    def sweep(self, paths: Iterable[str]) -> None:
        """Remove temporary files that a killed run left behind: they may contain secrets."""
        for folder in {os.path.dirname(self.path(path)) for path in paths}:
            for leftover in glob.glob(os.path.join(glob.escape(folder), ".*.bulkhead-[0-9]*")):
                if not leftover.endswith("-%d" % os.getpid()):
                    self._unlink(leftover)

    def restore(self) -> None:
        """Restore the files that :meth:`install` replaced or removed."""
        while self._kept:
            path, content, mode, link = self._kept.pop()
            if content is not None:
                self.write(DesiredFile(os.path.relpath(path, self.directory), content, mode))
            elif link or not os.path.isdir(path):
                self._unlink(path)
            if link:
                os.symlink(link, path)

    def remove(self, relative: str) -> None:
        """Remove a directory that Bulkhead created."""
        shutil.rmtree(self.path(relative), ignore_errors=True)

    def _keep(self, path: str) -> None:
        content = read(path)
        mode = stat.S_IMODE(os.lstat(path).st_mode) if content is not None else 0
        self._kept.append((path, content, mode, os.readlink(path) if os.path.islink(path) else ""))

    def _write_aside(self, file: DesiredFile, base: str = "") -> str:
        relative = os.path.join(base, file.path)
        self.make_directory(os.path.dirname(relative))
        folder, name = os.path.split(self.path(relative))
        temporary = os.path.join(folder, ".%s.bulkhead-%d" % (name, os.getpid()))
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(file.content)
                stream.flush()
                os.fsync(stream.fileno())
            self._give(temporary)
            os.chmod(temporary, file.mode)
        except OSError as error:
            if os.path.lexists(temporary):
                os.unlink(temporary)
            raise TreeError(self._explain("write", self.path(relative), error)) from error
        return temporary

    def _rename(self, temporary: str, final: str) -> None:
        try:
            os.rename(temporary, final)
        except OSError as error:
            raise TreeError(self._explain("write", final, error)) from error

    def _unlink(self, path: str) -> None:
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise TreeError(self._explain("remove", path, error)) from error

    def _give(self, path: str) -> None:
        if self.uid != -1:
            os.lchown(path, self.uid, self.gid)

    @staticmethod
    def _explain(what: str, path: str, error: OSError) -> str:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return (
                "cannot %s %s: the disk is full. Free some space and deploy again; files in force were not changed"
                % (what, path)
            )
        return "cannot %s %s: %s. Files in force were not changed" % (what, path, error.strerror)
