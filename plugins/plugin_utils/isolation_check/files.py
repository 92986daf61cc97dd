# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read files of the controller: bounded, and regular files only."""

from __future__ import annotations

import posixpath
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

from ..isolation.readers.assemble import MAX_CHARACTERS

#: How git-crypt begins a file. What is in it is not known here, as if the file were not in the repository.
_ENCRYPTED = b"\0GITCRYPT\0"


def reader(base: Path, machine_directories: Mapping[str, Path]) -> Callable[[str], str | None]:
    """Return a function that reads a path as the user wrote it, relative to ``base``.

    ``machine_directories`` maps directories on the machine to directories on the controller, so that absolute paths
    on the machine can be read.
    """

    def read(path: str) -> str | None:
        text = read_text(base / path)
        if text is None and path.startswith("/"):
            directory = _containing(posixpath.normpath(path), machine_directories)
            if directory:
                rest = posixpath.relpath(posixpath.normpath(path), directory)
                return read_text(machine_directories[directory] / rest)
        return text

    return read


def _containing(path: str, directories: Mapping[str, Path]) -> str:
    """The deepest of ``directories`` that contains the path, or the empty string."""
    while path not in ("/", ""):
        path = posixpath.dirname(path)
        if path in directories:
            return path
    return ""


def read_text(path: Path) -> str | None:
    """A file as text, or ``None`` if it is encrypted or not a readable regular file.

    Of a huge file, only enough is read for the readers to see that it is too large (a character has four bytes at
    most).
    """
    try:
        # Reading a pipe or a device might never end.
        if not stat.S_ISREG(path.stat().st_mode):
            return None
        with path.open("rb") as stream:
            data = stream.read(4 * MAX_CHARACTERS + 1)
    except (OSError, ValueError):
        return None
    if data.startswith(_ENCRYPTED):
        return None
    return data.decode("utf-8-sig", errors="replace")[: MAX_CHARACTERS + 1]
