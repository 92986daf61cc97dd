# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The private key for encrypted backups: from a file of the controller or from the vault, and never repeated."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible.parsing.vault import VaultSecret
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.secrets.editing import SecretsProblem
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.secrets.identity import backup_identity
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.secrets.vault import closed
from unit.fleets import SECRETS, declared

KEY = "AGE-SECRET-KEY-1" + "Q" * 58
FILE = f"# created: 2026-07-25T03:15:00Z\n# public key: age1{'q' * 58}\n{KEY}\n"
SSH = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n-----END OPENSSH PRIVATE KEY-----\n"
PASSWORD = VaultSecret(b"password of production")


def of_file(tmp_path: Path, text: str, **secrets: str) -> str:
    """What a run has whose ``bulkhead_restore_identity`` names a file with this text."""
    path = tmp_path / "backup.key"
    path.write_text(text)
    words = {name: value.format("prod") for name, value in SECRETS.items()}
    declaration = declared(tmp_path, bulkhead_secrets={**words, **secrets})
    return backup_identity(declaration, str(path), [("production", PASSWORD)])


@pytest.mark.parametrize("text", [FILE, SSH, KEY])
def test_a_file(tmp_path: Path, text: str) -> None:
    assert of_file(tmp_path, text).rstrip() == text.rstrip()


def test_a_file_goes_before_the_vault(tmp_path: Path) -> None:
    assert of_file(tmp_path, FILE, BULKHEAD_BACKUP_IDENTITY=SSH) == FILE


def test_a_file_that_ansible_vault_encrypted(tmp_path: Path) -> None:
    assert of_file(tmp_path, closed(FILE, PASSWORD, "production")) == FILE


def test_the_vault(tmp_path: Path) -> None:
    declaration = declared(tmp_path, bulkhead_secrets={"BULKHEAD_BACKUP_IDENTITY": KEY})
    assert backup_identity(declaration, "", []) == f"{KEY}\n"


def test_none(tmp_path: Path) -> None:
    assert backup_identity(declared(tmp_path), "", []) == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has neither a line AGE-SECRET-KEY-1"),
        (f"age1{'q' * 58}\n", "has neither a line AGE-SECRET-KEY-1"),
        (KEY[:-1] + "\n", "has neither a line AGE-SECRET-KEY-1"),
        (f"{KEY}\nAGE-PLUGIN-EVIL-1QQQ\n", "has neither a line AGE-SECRET-KEY-1"),
        ("age-encryption.org/v1\n-> scrypt x\n", "is locked with a passphrase"),
        ("-----BEGIN AGE ENCRYPTED FILE-----\n", "is locked with a passphrase"),
        (closed(FILE, VaultSecret(b"another"), "production"), "the password of production does not open it"),
        (closed(FILE, PASSWORD, "staging"), "encrypted with the vault id staging, but belongs to production"),
    ],
)
def test_what_is_no_key(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SecretsProblem, match=said) as refused:
        of_file(tmp_path, text)
    assert "backup.key" in str(refused.value) and KEY[20:40] not in str(refused.value)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(SecretsProblem, match=r"there is no file .*/nowhere"):
        backup_identity(declared(tmp_path), str(tmp_path / "nowhere"), [])


def test_a_key_that_is_typed_is_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(SecretsProblem, match="is no longer secret") as refused:
        backup_identity(declared(tmp_path), KEY, [])
    assert KEY[20:40] not in str(refused.value)


def test_the_vaults_key_may_be_none(tmp_path: Path) -> None:
    with pytest.raises(SecretsProblem, match="the secret BULKHEAD_BACKUP_IDENTITY has neither"):
        backup_identity(declared(tmp_path, bulkhead_secrets={"BULKHEAD_BACKUP_IDENTITY": "age1qqq"}), "", [])


def test_the_inventory_does_not_choose_a_file_of_the_controller(tmp_path: Path) -> None:
    """Whoever writes an environment's variables would get any private key of whoever restores it."""
    path = tmp_path / "id_ed25519"
    path.write_text(SSH)
    declaration = declared(tmp_path, bulkhead_restore_identity=str(path))
    with pytest.raises(SecretsProblem, match="is set in the inventory"):
        backup_identity(declaration, "", [])
    assert backup_identity(declaration, str(path), []) == SSH
