# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The file that keeps the key of locked managers: encrypted, with the swarm's own vault id."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..secrets import files, vault
from ..secrets.editing import SecretsProblem


def require_password(passwords: Sequence[tuple[str, Any]], group: str) -> Any:
    """The password of the swarm's own vault id. Raises SecretsProblem where this run has none."""
    for _identity, secret in vault.candidates(passwords, group):
        return secret
    raise SecretsProblem(f"this run has no password for the vault id {group}: add --vault-id {group}@prompt")


def read(path: str, passwords: Sequence[tuple[str, Any]], group: str) -> str:
    """The key that was kept; empty where none was. Raises SecretsProblem where the file is locked to this run."""
    file = Path(path).expanduser()
    if not file.parent.is_dir():
        raise SecretsProblem(f"there is no directory {file.parent}")
    text = files.read(file)
    return vault.opened(text, passwords, group)[0].strip() if text else ""


def write(path: str, key: str, passwords: Sequence[tuple[str, Any]], group: str, check: bool = False) -> bool:
    """Keep a key unless it is kept already. Returns whether the file changes, or with ``check`` would."""
    if read(path, passwords, group) == key:
        return False
    if not check:
        file = Path(path).expanduser()
        with files.alone(file.parent):
            files.replace(file, vault.closed(f"{key}\n", require_password(passwords, group), group))
    return True
