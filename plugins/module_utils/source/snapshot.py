# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Copy a directory that another user can write to one that he cannot, without following links. Runs on the targets."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator

from ..core import handles
from ..core.directory import Tree
from ..core.process import CHUNK


@contextlib.contextmanager
def snapshot(source: Tree, path: str, target: Tree, name: str) -> Iterator[str]:
    """Yield a copy of a directory, ``name`` below ``target``, that is removed afterwards. Raises Failure or OSError."""
    parent = os.path.dirname(name)
    target.make_directory(parent)
    target.remove(name)
    try:
        with handles.folder(source.directory, path) as start, handles.folder(target.directory, parent) as folder:
            _copy_folder(start, folder, os.path.basename(name), 0o755)
        yield target.path(name)
    finally:
        target.remove(name)


def _copy_folder(source: int, parent: int, name: str, mode: int) -> None:
    os.mkdir(name, mode, dir_fd=parent)
    folder = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    try:
        os.fchmod(folder, mode)
        for inner in handles.names_at(source):
            _copy(source, folder, inner)
    finally:
        os.close(folder)


def _copy(source: int, target: int, name: str) -> None:
    """Copy a file, a directory or a link; anything else, and what vanished meanwhile, is left out."""
    status = handles.status_at(source, name)
    if status is None:
        return
    if stat.S_ISLNK(status.st_mode):
        os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
    elif stat.S_ISDIR(status.st_mode):
        below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=source)
        try:
            _copy_folder(below, target, name, stat.S_IMODE(status.st_mode) & 0o777)
        finally:
            os.close(below)
    elif stat.S_ISREG(status.st_mode):
        _copy_file(source, target, name)


def _copy_file(source: int, target: int, name: str) -> None:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    with os.fdopen(os.open(name, flags, dir_fd=source), "rb") as old:
        status = os.fstat(old.fileno())
        if not stat.S_ISREG(status.st_mode):
            return
        made = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=target)
        with os.fdopen(made, "wb") as new:
            for chunk in iter(lambda: old.read(CHUNK), b""):
                new.write(chunk)
            os.fchmod(made, stat.S_IMODE(status.st_mode) & 0o777)
