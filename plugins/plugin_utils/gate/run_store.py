# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What one step of a run keeps for a later one, sealed with a key that is never written down.

Tasks of a run can write into its temporary directory. The key exists only in the memory of ansible-playbook and of the
workers that it forks: Ansible's strategies load an action in the parent process, and with it this module. A worker that
had to make a key of its own would find nothing here, and so prove again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible import constants as C
from cryptography.fernet import Fernet, InvalidToken

_SEAL = Fernet(Fernet.generate_key())


def put(name: str, data: Mapping[str, Any]) -> None:
    """Keep data for later steps of this run, in place of what was kept under this name."""
    sealed = _SEAL.encrypt(json.dumps([name, data]).encode())
    path = _path(name)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(sealed)
    unfinished.replace(path)


def get(name: str) -> dict[str, Any] | None:
    """What an earlier step of this run kept under a name; None if it kept nothing, or anyone else wrote the file."""
    try:
        kept_as, data = json.loads(_SEAL.decrypt(_path(name).read_bytes()))
    except (OSError, ValueError, InvalidToken):
        return None
    return data if kept_as == name else None


def drop(name: str) -> None:
    """Forget what was kept under a name."""
    _path(name).unlink(missing_ok=True)


def _path(name: str) -> Path:
    return Path(C.DEFAULT_LOCAL_TMP, f"bulkhead-{name}")
