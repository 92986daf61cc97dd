# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What one step of a run keeps for the next: files in the run's own temporary directory that no other task can make.

They are encrypted with a key that is made when Ansible's main process loads an action of this collection. The steps,
which are forks of it, have the key; it is written nowhere. Other programs of the user who runs Ansible do not have
it. Plugins that are loaded into the same process could read it.
"""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

from ansible import constants as C

try:
    from cryptography.fernet import Fernet, InvalidToken

    _KEY = Fernet(Fernet.generate_key())
except ImportError:  # Ansible needs it too; only the sanity test that imports every file goes without
    pass


def keep(name: str, value: Any) -> None:
    """Keep a value under a name for later steps of this run."""
    path = path_of(name)
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    # Nobody else's file or link is written.
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(_KEY.encrypt(pickle.dumps((name, value))))
    fresh.replace(path)


def kept(name: str) -> Any:
    """What an earlier step of this run kept under a name; None where there is nothing that this run has written."""
    try:
        found, value = pickle.loads(_KEY.decrypt(path_of(name).read_bytes()))
    except (OSError, InvalidToken):
        return None
    return value if found == name else None


def forget(name: str) -> None:
    """Remove what was kept under a name."""
    path_of(name).unlink(missing_ok=True)


def path_of(name: str) -> Path:
    """The file of a name, in a directory that only this user can enter and that is removed at the end of the run."""
    return Path(C.DEFAULT_LOCAL_TMP, f"bulkhead-{name}")


def write_private(path: Path, content: bytes) -> None:
    """Write a file for this user alone."""
    path.touch(mode=0o600)
    path.write_bytes(content)
