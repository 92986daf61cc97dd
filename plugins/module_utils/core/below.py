# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read a file below a directory, and none outside of it. Runs on the targets: Python 3.8, standard library only."""

from __future__ import annotations

import errno
import os
import stat

from .directory import TreeError


def read_regular(path: str, folder: int | None = None) -> bytes | None:
    """The content of a regular file, which is not opened by a link; None if it is anything else. Raises OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return None
        with os.fdopen(handle, "rb", closefd=False) as stream:
            return stream.read()
    finally:
        os.close(handle)


def read_below(directory: str, relative: str) -> bytes | None:
    """The content of a regular file below a directory; None if there is none, or a link in its place.

    Links in its parents may lead to other places below the directory. Raises TreeError if they leave it, or if somebody
    exchanges one meanwhile.
    """
    top = os.path.realpath(directory)
    folder, name = os.path.split(os.path.join(directory, relative))
    real = os.path.realpath(folder)
    path = os.path.join(folder, name)
    if not (real + os.sep).startswith(os.path.join(top, "")):
        raise TreeError(
            "%s leads to %s, outside the environment's own directory %s. Remove the link: files there could belong to "
            "another environment" % (path, os.path.join(real, name), directory)
        )
    parts = [part for part in os.path.relpath(real, top).split(os.sep) if part != "."]
    try:
        opened = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        for part in parts:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=opened)
            os.close(opened)
            opened = inner
        return read_regular(name, opened)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:
            return None  # a link, which is replaced and not followed
        raise TreeError("cannot read %s: %s" % (path, error.strerror)) from error
    finally:
        os.close(opened)
