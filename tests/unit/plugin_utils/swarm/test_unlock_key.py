# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file that keeps the key of locked managers."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible.parsing.vault import VaultSecret
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.secrets.editing import SecretsProblem
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.swarm import unlock_key

OURS = [("swarm", VaultSecret(b"ours"))]
OTHERS = [("prod", VaultSecret(b"others"))]


def test_written_once_and_read_again(tmp_path: Path) -> None:
    path = str(tmp_path / "key")
    assert unlock_key.read(path, OURS, "swarm") == ""
    assert unlock_key.write(path, "SWMKEY-1", OURS, "swarm", check=True)
    assert not (tmp_path / "key").exists()
    assert unlock_key.write(path, "SWMKEY-1", OURS, "swarm")
    text = (tmp_path / "key").read_text()
    assert text.startswith("$ANSIBLE_VAULT;1.2;AES256;swarm\n")
    assert unlock_key.read(path, OURS, "swarm") == "SWMKEY-1"
    assert not unlock_key.write(path, "SWMKEY-1", OURS, "swarm")
    assert (tmp_path / "key").read_text() == text
    assert unlock_key.write(path, "SWMKEY-2", OURS, "swarm")
    assert unlock_key.read(path, OURS, "swarm") == "SWMKEY-2"


def test_another_password_neither_reads_nor_writes(tmp_path: Path) -> None:
    path = str(tmp_path / "key")
    for _again in range(2):
        with pytest.raises(SecretsProblem, match="no password for the vault id swarm"):
            unlock_key.write(path, "SWMKEY-1", OTHERS, "swarm")
    assert not (tmp_path / "key").exists()
    unlock_key.write(path, "SWMKEY-1", OURS, "swarm")
    with pytest.raises(SecretsProblem, match="no password for the vault id swarm"):
        unlock_key.read(path, OTHERS, "swarm")


def test_a_place_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SecretsProblem, match="there is no directory"):
        unlock_key.read(str(tmp_path / "nowhere" / "key"), OURS, "swarm")
