# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads files of the controller for the heart: bounded, and only what is really a file."""

from __future__ import annotations

import posixpath
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

from ..isolation.readers.assemble import MAX_CHARACTERS


def reader(base: Path, machine_directories: Mapping[str, Path]) -> Callable[[str], str | None]:
    """Reads a path as the user wrote it, relative to ``base``.

    ``machine_directories`` maps directories of the machine to where their files are on the controller, for what a
    file names by its absolute path on the machine.
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
    """The deepest of the directories that contains the path, or the empty string."""
    while path not in ("/", ""):
        path = posixpath.dirname(path)
        if path in directories:
            return path
    return ""


def read_text(path: Path) -> str | None:
    """A file as text; ``None`` where there is none that can be read.

    Of a huge file only so much is read that the readers see that it is too large: a character has at most four bytes.
    """
    try:
        # A pipe or a device would never end.
        if not stat.S_ISREG(path.stat().st_mode):
            return None
        with path.open("rb") as stream:
            data = stream.read(4 * MAX_CHARACTERS + 1)
    except (OSError, ValueError):
        return None
    return data.decode("utf-8-sig", errors="replace")[: MAX_CHARACTERS + 1]
