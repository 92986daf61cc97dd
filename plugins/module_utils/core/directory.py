# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write files below an environment's directory: staged, renamed into place, and restored if a later step fails.

Runs on the targets: Python 3.8, standard library only.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import stat
from collections.abc import Iterable, Iterator

from . import handles
from .errors import Failure
from .owner import Owner

#: A file that is being written, with the number of the process that writes it.
_TEMPORARY = re.compile(r"\..+\.bulkhead-(\d+)(?:-[0-9a-f]+)?\Z")


TreeError = handles.TreeError


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
    """The content of a regular file; None if there is none. A link is not followed, because it will be replaced; one on
    the way only if nobody else could have made it."""
    parent, name = os.path.split(os.path.abspath(path))
    try:
        with handles.folder(parent) as handle:
            return handles.read_at(handle, name)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise TreeError("cannot read %s: %s" % (path, error.strerror)) from error


def read_through(path: str) -> bytes | None:
    """The content of a file of the machine, such as a certificate, through links that only root could have made."""
    try:
        return handles.read_through(path)
    except OSError as error:
        raise TreeError("cannot read %s: %s" % (path, error.strerror)) from error


class Tree:
    """The directory of one environment. ``owner`` will own the files; only root can write files for another user.

    Everything below it is reached by handles: the owner can exchange any name there for a link at any moment. With
    ``private`` it is a directory of this process's user alone, such as the machine's state, and closed to all others.
    ``inner`` is the mode of directories below it.
    """

    #: Closed to other users, because secrets are below it. The files themselves may be readable for every user of a
    #: container, whose mount does not pass through this directory.
    PRIVATE = ".bulkhead"

    def __init__(self, directory: str, owner: str = "", private: bool = False, inner: int = 0o755) -> None:
        self.directory = directory
        self.private = private
        self.inner = inner
        self._owner = Owner(owner, directory)
        self.uid, self.gid = self._owner.uid, self._owner.gid
        self._kept: list[tuple[str, bytes | None, int, str]] = []

    def path(self, relative: str) -> str:
        """The absolute path of a relative one, for people and for programs."""
        return os.path.join(self.directory, relative)

    # ---- looking --------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _at(self, relative: str) -> Iterator[tuple[int, str]]:
        """A handle of the directory that holds a path, and the path's last name."""
        parent, name = os.path.split(self._inside(relative))
        with handles.folder(self.directory, parent, ours=self.private) as handle:
            yield handle, name or "."

    def read(self, relative: str) -> bytes | None:
        """The content of a regular file; None if there is none. A link in its place is not followed."""
        try:
            with self._at(relative) as (handle, name):
                return handles.read_at(handle, name)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise TreeError("cannot read %s: %s" % (self.path(relative), error.strerror)) from error

    def status(self, relative: str = "") -> os.stat_result | None:
        """What is in a place, links not followed; None if nothing is."""
        try:
            with self._at(relative) as (handle, name):
                return handles.status_at(handle, name)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise TreeError("cannot look at %s: %s" % (self.path(relative), error.strerror)) from error

    def is_folder(self, relative: str = "") -> bool:
        """Whether a directory, and not a link to one, is in a place."""
        found = self.status(relative)
        return bool(found and stat.S_ISDIR(found.st_mode))

    def is_link(self, relative: str = "") -> bool:
        """Whether a link is in a place."""
        found = self.status(relative)
        return bool(found and stat.S_ISLNK(found.st_mode))

    def names(self, relative: str = "") -> list[str]:
        """The names in a directory, sorted; none if it is not there."""
        try:
            with handles.folder(self.directory, self._inside(relative), ours=self.private) as handle:
                return handles.names_at(handle)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise TreeError("cannot read %s: %s" % (self.path(relative), error.strerror)) from error

    def walk(self, relative: str) -> Iterator[str]:
        """The paths of all files and links below a directory, below this one."""
        for name in self.names(relative):
            path = os.path.join(relative, name)
            if self.is_folder(path):
                yield from self.walk(path)
            else:
                yield path

    def holds(self, relative: str) -> bool:
        """Whether a path is inside the environment's own directory, with no link on the way that others could make."""
        try:
            self.status(relative)
        except Failure:
            return False
        return True

    def differs(self, file: DesiredFile) -> bool:
        """Whether a file differs from the desired one in content, mode or owner."""
        if self.read(file.path) != file.content:
            return True
        status = self.status(file.path)
        return status is None or stat.S_IMODE(status.st_mode) != file.mode or self.uid not in (-1, status.st_uid)

    # ---- writing --------------------------------------------------------------------------------------------------

    def make_directory(self, relative: str = "") -> None:
        """Create a directory and its parents. Raises PathError if a link leads out of the environment's directory, and
        TreeError where that belongs to a stranger."""
        relative = self._inside(relative)
        self.refuse_others()
        step = self.path(relative) if relative else self.directory
        try:
            if not self._exists(relative):
                for start, above, name in self._steps(relative):
                    step = os.path.join(start, above, name)
                    mode = self._mode(start, os.path.join(above, name))
                    with handles.folder(start, above, ours=self.private) as handle:
                        if handles.status_at(handle, name) is None:
                            handles.make_at(handle, name, mode, *self._owner.for_new(step))
                # A file in the place of a directory, for example.
                with handles.folder(self.directory, relative, ours=self.private):
                    pass
            if self.private:
                self._tighten(relative)
        except OSError as error:
            raise TreeError(self._explain("create the directory", step, error)) from error

    def refuse_others(self) -> None:
        """Raise TreeError where the directory, or the closed one in it, belongs to neither root nor its owner."""
        for relative in () if self.private else ("", self.PRIVATE):
            found = self.status(relative)
            if found and stat.S_ISDIR(found.st_mode):
                self._owner.refuse_others(self.path(relative) if relative else self.directory, found.st_uid)

    def _mode(self, start: str, below: str) -> int:
        """The mode of a directory that is made."""
        if start != self.directory:
            return 0o700 if self.private else 0o755
        return 0o700 if below == self.PRIVATE else self.inner

    def _exists(self, relative: str) -> bool:
        try:
            with handles.folder(self.directory, relative, ours=self.private):
                return True
        except FileNotFoundError:
            return False

    def _steps(self, relative: str) -> Iterator[tuple[str, str, str]]:
        """Every directory from ``/`` down to one below this: where its parent is reached from, that, and its name."""
        top = os.path.abspath(self.directory).split(os.sep)
        for depth in range(1, len(top)):
            yield os.sep.join(top[:depth]) or os.sep, "", top[depth]
        parts = relative.split(os.sep) if relative else []
        for depth, name in enumerate(parts):
            yield self.directory, os.sep.join(parts[:depth]), name

    def _inside(self, relative: str) -> str:
        """A path below the directory, in its shortest form. Raises TreeError for any other."""
        path = os.path.normpath(relative) if relative else ""
        if os.path.isabs(path) or path.split(os.sep)[0] == "..":
            raise TreeError("%s lies outside the environment's own directory %s" % (relative, self.directory))
        return "" if path == "." else path

    def _tighten(self, relative: str) -> None:
        """Close this directory and those down to another, which older versions left open."""
        parts = relative.split(os.sep) if relative and self.inner == 0o700 else []
        for depth in range(len(parts) + 1):
            with handles.folder(self.directory, os.sep.join(parts[:depth]), ours=True) as handle:
                handles.tighten_at(handle)

    def write(self, file: DesiredFile, base: str = "") -> None:
        """Write a file atomically: completely under a temporary name, then rename it into place."""
        relative = os.path.join(base, file.path)
        temporary = self._write_aside(file, base)
        try:
            self._rename(temporary, relative)
        except TreeError:
            self.unlink(temporary)
            raise

    def install(self, files: Iterable[DesiredFile], removed: Iterable[str] = ()) -> None:
        """Put all files into place and remove those in ``removed``, or change nothing. :meth:`restore` undoes it.

        All files are written aside before the first is renamed, so that a full disk is noticed before any change.
        """
        aside: list[tuple[str, str]] = []
        try:
            for file in files:
                aside.append((self._write_aside(file), file.path))
            while aside:
                temporary, final = aside[0]
                self._keep(final)
                self._rename(temporary, final)
                del aside[0]
            for relative in removed:
                self._keep(relative)
                self.unlink(relative)
        except Failure:
            for temporary, _final in aside:
                self.unlink(temporary)
            self.restore()
            raise

    def sweep(self, paths: Iterable[str]) -> None:
        """Remove temporary files that a killed run left behind: they may contain secrets."""
        for folder in {os.path.dirname(path) for path in paths}:
            for name in self.names(folder):
                left = _TEMPORARY.match(name)
                if left and int(left[1]) != os.getpid():
                    self.unlink(os.path.join(folder, name))

    def restore(self) -> None:
        """Restore the files that :meth:`install` replaced or removed."""
        while self._kept:
            path, content, mode, link = self._kept.pop()
            if content is not None:
                self.write(DesiredFile(path, content, mode))
            elif link or not self.is_folder(path):
                self.unlink(path)
            if link:
                with self._at(path) as (handle, name):
                    os.symlink(link, name, dir_fd=handle)

    @contextlib.contextmanager
    def locked(self, relative: str) -> Iterator[None]:
        """Hold the lock of a file, which is made, until the kernel releases it with the process at the latest."""
        self.make_directory(os.path.dirname(relative))
        with contextlib.ExitStack() as stack:
            try:
                place = stack.enter_context(self._at(relative))
                stack.enter_context(handles.locked_at(*place))
            except OSError as error:
                raise TreeError("cannot lock %s: %s" % (self.path(relative), error.strerror)) from error
            yield

    def unlink(self, relative: str) -> None:
        """Remove a file or link, if there is one."""
        try:
            with self._at(relative) as (handle, name):
                handles.unlink_at(handle, name)
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError as error:
            raise TreeError(self._explain("remove", self.path(relative), error)) from error

    def remove(self, relative: str) -> None:
        """Remove a directory that Bulkhead created, with all that is in it."""
        with contextlib.suppress(OSError):
            self.remove_all(relative)

    def remove_all(self, relative: str) -> None:
        """Remove a directory with all that is in it. Raises OSError."""
        with self._at(relative) as (handle, name):
            handles.remove_at(handle, name)

    def remove_empty(self, relative: str = "") -> None:
        """Remove a directory that is empty. Raises OSError for any other."""
        start, below = (self.directory, relative) if relative else os.path.split(os.path.abspath(self.directory))
        parent, name = os.path.split(below)
        with handles.folder(start, parent) as handle:
            os.rmdir(name, dir_fd=handle)

    def _keep(self, relative: str) -> None:
        content, status = self.read(relative), self.status(relative)
        mode = stat.S_IMODE(status.st_mode) if content is not None and status else 0
        link = ""
        if status and stat.S_ISLNK(status.st_mode):
            with self._at(relative) as (handle, name):
                link = os.readlink(name, dir_fd=handle)
        self._kept.append((relative, content, mode, link))

    def _write_aside(self, file: DesiredFile, base: str = "") -> str:
        """Write a file under a temporary name beside its place. Returns that path below the directory."""
        relative = os.path.join(base, file.path)
        self.make_directory(os.path.dirname(relative))
        try:
            with self._at(relative) as (handle, name):
                temporary = handles.write_aside_at(handle, name, file.content, file.mode, self.uid, self.gid)
        except OSError as error:
            raise TreeError(self._explain("write", self.path(relative), error)) from error
        return os.path.join(os.path.dirname(relative), temporary)

    def _rename(self, temporary: str, final: str) -> None:
        try:
            with self._at(final) as (handle, name):
                handles.rename_at(handle, os.path.basename(temporary), name)
        except OSError as error:
            raise TreeError(self._explain("write", self.path(final), error)) from error

    @staticmethod
    def _explain(what: str, path: str, error: OSError) -> str:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return (
                "cannot %s %s: the disk is full. Free some space and deploy again; files in force were not changed"
                % (what, path)
            )
        return "cannot %s %s: %s. Files in force were not changed" % (what, path, error.strerror)
