# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What one step of a run keeps for the next: files in the run's own temporary directory that no other task can make.

They are encrypted with a key that is made when Ansible's main process loads an action of this collection. The steps,
which are forks of it, have the key; it is written nowhere. Nor can a task put an earlier file back: each file has a
generation, and which one is the last is known in memory that the forks share. Other programs of the user who runs
Ansible have neither. Plugins that are loaded into the same process could reach both.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import pickle
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any

from ansible import constants as C
from ansible.errors import AnsibleError

try:
    from cryptography.fernet import Fernet, InvalidToken

    _KEY = Fernet(Fernet.generate_key())
except ImportError:  # Ansible needs it too; only the sanity test that imports every file goes without
    pass

#: A digest of a name and its generation: odd while something is kept, even once it was forgotten.
_ROW = struct.Struct("=16sQ")
_ROWS = 1 << 16


class Generations:
    """The last generation of each name, in memory that only this process and its forks share."""

    def __init__(self) -> None:
        self._table = mmap.mmap(-1, _ROW.size * _ROWS)
        # A lock that a killed fork does not keep; the file has no name and no content, and is open until the run ends.
        self._lock, name = tempfile.mkstemp()
        Path(name).unlink()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Let no other fork read or change a generation meanwhile."""
        fcntl.lockf(self._lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self._lock, fcntl.LOCK_UN)

    def of(self, name: str) -> int:
        """The last generation of a name; 0 where nothing was ever kept under it."""
        return self._find(name)[1]

    def advance(self, name: str, keeps: bool) -> int:
        """Begin and return the next generation of a name: one that ``keeps`` something, or not."""
        row, last = self._find(name)
        following = last + 1 + ((last + 1) % 2 != keeps)
        _ROW.pack_into(self._table, row * _ROW.size, _digest(name), following)
        return following

    def _find(self, name: str) -> tuple[int, int]:
        """The row of a name, or the one that it would get, and its generation."""
        wanted = _digest(name)
        first = int.from_bytes(wanted[:4], "little")
        for step in range(_ROWS):
            row = (first + step) % _ROWS
            digest, generation = _ROW.unpack_from(self._table, row * _ROW.size)
            if not generation or digest == wanted:
                return row, generation
        raise AnsibleError(f"a run keeps no more than {_ROWS} values: deploy fewer environments in one run")


def _digest(name: str) -> bytes:
    return blake2b(name.encode(), digest_size=16).digest()


_GENERATIONS = Generations()


def keep(name: str, value: Any) -> None:
    """Keep a value under a name for later steps of this run."""
    path = path_of(name)
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    with _GENERATIONS.locked():
        content = pickle.dumps((name, _GENERATIONS.advance(name, keeps=True), value))
        # Nobody else's file or link is written.
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(_KEY.encrypt(content))
        fresh.replace(path)


def kept(name: str) -> Any:
    """What the last step of this run that kept something under a name kept; None where there is nothing.

    Raises AnsibleError where that is gone, or something else is in its place: another task of the run did that.
    """
    with _GENERATIONS.locked():
        last = _GENERATIONS.of(name)
        if last % 2 == 0:
            return None
        try:
            found, generation, value = pickle.loads(_KEY.decrypt(path_of(name).read_bytes()))
        except (OSError, InvalidToken):
            found, generation, value = "", 0, None
    if (found, generation) == (name, last):
        return value
    raise AnsibleError(
        f"{path_of(name)}, which an earlier step of this run wrote, was removed or replaced by another task of the "
        "run. What that step found is lost, so this step does nothing: take that task out of the playbook, and deploy "
        "again"
    )


def forget(name: str) -> None:
    """Remove what was kept under a name, for good: a copy of it counts no more."""
    with _GENERATIONS.locked():
        _GENERATIONS.advance(name, keeps=False)
    path_of(name).unlink(missing_ok=True)


def path_of(name: str) -> Path:
    """The file of a name, in a directory that only this user can enter and that is removed at the end of the run."""
    return Path(C.DEFAULT_LOCAL_TMP, f"bulkhead-{name}")


def write_private(path: Path, content: bytes) -> None:
    """Write a file; a new one is for this user alone."""
    path.touch(mode=0o600)
    path.write_bytes(content)
