# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The private key with which one run reads encrypted backups, from a file on the controller or from the vault."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..declaration.model import Declaration
from ..declaration.settings import BACKUP_IDENTITY
from . import files, vault
from .editing import SecretsProblem

#: What age takes, and nothing that would make it run another program (AGE-PLUGIN-…).
_KEY = re.compile(r"^(AGE-SECRET-KEY-1[0-9A-Z]{58}|-----BEGIN (OPENSSH|RSA) PRIVATE KEY-----)\s*$", re.MULTILINE)
_LOCKED = re.compile(r"^(age-encryption\.org/|-----BEGIN AGE ENCRYPTED FILE)", re.MULTILINE)

#: The variable of a run that names the file with the key.
VARIABLE = "bulkhead_restore_identity"

_NEITHER = "has neither a line AGE-SECRET-KEY-1… as age-keygen writes it, nor an ssh private key"


def backup_identity(declaration: Declaration, typed: str, passwords: Sequence[tuple[str, Any]]) -> str:
    """The private key of a run: that of the file that ``-e bulkhead_restore_identity`` names, or else of the
    environment's secrets; empty where neither is given.

    Raises :class:`SecretsProblem`, without a word of the key, where it cannot be one. ``passwords`` are the run's vault
    secrets: the file may be encrypted with the environment's own.
    """
    if declaration.values["bulkhead_restore_identity"] and not typed:
        raise SecretsProblem(
            "bulkhead_restore_identity is set in the inventory, and whoever writes there would choose which file of "
            "this controller goes to the machine. Type it: -e bulkhead_restore_identity=<file>, or keep the key as the "
            f"secret {BACKUP_IDENTITY}"
        )
    if not typed:
        stored = str(declaration.values["bulkhead_secrets"].get(BACKUP_IDENTITY) or "")
        return _checked(stored, f"the secret {BACKUP_IDENTITY}") if stored else ""
    if _KEY.search(typed):
        raise SecretsProblem(
            "bulkhead_restore_identity holds a key, but the shell's history and the list of processes keep what is "
            "typed: that key is no longer secret. Name the file that has it: -e bulkhead_restore_identity=<file>"
        )
    text = files.read(Path(typed).expanduser(), must_exist=True)
    what = f"bulkhead_restore_identity is {typed}, but it"
    if text.startswith(vault.MARK):
        try:
            text, _password = vault.opened(text, passwords, declaration.group)
        except SecretsProblem as problem:
            raise SecretsProblem(f"bulkhead_restore_identity is {typed}, but {problem}") from None
    return _checked(text, what)


def _checked(text: str, what: str) -> str:
    """A key that age can use without anybody's help. Raises :class:`SecretsProblem`."""
    if _LOCKED.search(text):
        raise SecretsProblem(
            f"{what} is locked with a passphrase, which nobody can type on the machine. Give the open one: "
            "-e bulkhead_restore_identity=<(age --decrypt <file>)"
        )
    if not _KEY.search(text) or "AGE-PLUGIN-" in text:
        raise SecretsProblem(f"{what} {_NEITHER}. Name the private key of one of bulkhead_backup_recipients")
    return text if text.endswith("\n") else f"{text}\n"
