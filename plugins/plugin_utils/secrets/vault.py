# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Vault files, opened and closed with Ansible's own vault library, and with the vault id of one environment only.

To Ansible a vault id is a hint: it tries every password that it has on every file. Here a file belongs to the vault id
in its first line, and is opened with that id's password or with one that was given without an id.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
from collections.abc import Iterator, Sequence
from typing import Any

from ansible.parsing.vault import AnsibleVaultError, VaultLib

from ..declaration.bounds import has_conflict
from .editing import SecretsProblem

#: How a file that is encrypted begins.
MARK = "$ANSIBLE_VAULT;"

#: The id of a password that was given without one.
UNNAMED = "default"

#: The id under which ``rekey`` gets the password that is to come.
NEW = "new"


def label_of(text: str) -> str:
    """The vault id in an encrypted text's first line; empty where it has none."""
    header = text.partition("\n")[0].strip().split(";")
    return header[3].strip() if len(header) > 3 else ""


def candidates(secrets: Sequence[tuple[str, Any]], group: str) -> list[tuple[str, Any]]:
    """The passwords of a run that may be an environment's: those of its own vault id, and those without an id."""
    return [(identity, secret) for identity, secret in secrets if secret and identity in (group, UNNAMED)]


def opened(text: str, secrets: Sequence[tuple[str, Any]], group: str) -> tuple[str, Any]:
    """The plain text of a vault file of an environment, and the password that opened it.

    Raises :class:`SecretsProblem` where it is damaged, another environment's, or locked to this run.
    """
    whole(text)
    label = label_of(text)
    if label not in ("", group, UNNAMED):
        raise SecretsProblem(
            f"it is encrypted with the vault id {label}, but belongs to {group}: whoever deploys {label} could read "
            f"it. Encrypt it anew: ansible-vault rekey --vault-id {label}@prompt --new-vault-id {group}@prompt"
        )
    own = candidates(secrets, group)
    if not own:
        raise SecretsProblem(f"this run has no password for the vault id {group}: add --vault-id {group}@prompt")
    for _identity, secret in own:
        try:
            return decrypted(text, secret), secret
        except AnsibleVaultError:
            continue
    raise SecretsProblem(
        f"the password of {group} does not open it: it is another one (perhaps another environment's), or the file is "
        "damaged (git log -p shows earlier versions)"
    )


def decrypted(text: str, secret: Any) -> str:
    """The plain text of an encrypted one. Raises AnsibleVaultError where the password is another one, and
    :class:`SecretsProblem` where it is not text."""
    try:
        return str(VaultLib([(UNNAMED, secret)]).decrypt(text.encode()).decode())
    except UnicodeDecodeError:
        raise SecretsProblem("its plain text is not UTF-8. Correct it with ansible-vault edit") from None


def closed(plain: str, secret: Any, group: str) -> str:
    """A text encrypted with an environment's password, under its vault id."""
    found: bytes = VaultLib([(group, secret)]).encrypt(plain.encode(), secret=secret, vault_id=group)
    return found.decode()


def opens(text: str, secret: Any) -> bool:
    """Whether a password opens an encrypted text. Nothing is decrypted: only the text's own checksum is compared."""
    try:
        salt, checksum, content = _parts(text)
    except SecretsProblem:
        return False
    key = hashlib.pbkdf2_hmac("sha256", secret.bytes, salt, 10000, 80)[32:64]
    return hmac.compare_digest(hmac.new(key, content, hashlib.sha256).digest(), checksum)


def openers(text: str, secrets: Sequence[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """The passwords of a run that open an encrypted text, whatever their ids."""
    return ((identity, secret) for identity, secret in secrets if secret and opens(text, secret))


def whole(text: str) -> None:
    """Raise :class:`SecretsProblem` where a vault file is not whole, or not encrypted."""
    if has_conflict(text):
        raise SecretsProblem(
            "it has the marks of a merge conflict, and two encrypted texts cannot be merged. Take one side whole (git "
            "checkout --ours or --theirs), and set what the other changed again"
        )
    if not text.lstrip().startswith(MARK):
        raise SecretsProblem(
            "it is not encrypted, so everybody who can read the inventory has these secrets. Encrypt it "
            "(ansible-vault encrypt --vault-id <group>@prompt), and then rotate what was committed"
        )
    _parts(text)


def _parts(text: str) -> tuple[bytes, bytes, bytes]:
    """Salt, checksum and content of an encrypted text. Raises :class:`SecretsProblem` where it is not whole."""
    try:
        salt, checksum, content = (
            binascii.unhexlify(part)
            for part in binascii.unhexlify("".join(text.split("\n")[1:]).replace("\r", "")).split(b"\n", 2)
        )
        if not salt or len(checksum) != 32 or not content or len(content) % 16:
            raise ValueError
    except ValueError:  # binascii.Error is one
        raise SecretsProblem(
            "it is damaged: cut short, or changed by hand. Take the last whole version (git checkout -- <file>)"
        ) from None
    return salt, checksum, content
