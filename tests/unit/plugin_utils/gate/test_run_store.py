# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is kept between the steps of a run can be neither read nor written by its tasks."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from ansible import constants as C
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate import run_store
from cryptography.fernet import Fernet


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The run's temporary directory."""
    monkeypatch.setattr(C, "DEFAULT_LOCAL_TMP", str(tmp_path))
    return tmp_path


def test_what_was_kept_is_found_until_it_is_dropped() -> None:
    assert run_store.get("proof") is None
    run_store.put("proof", {"digests": {"aiia_prod": "é\n"}})
    run_store.put("session", {"token": "t"})
    assert run_store.get("proof") == {"digests": {"aiia_prod": "é\n"}}
    run_store.put("proof", {})
    assert run_store.get("proof") == {}
    run_store.drop("proof")
    run_store.drop("proof")
    assert run_store.get("proof") is None
    assert run_store.get("session") == {"token": "t"}


def test_a_file_that_anyone_else_wrote_is_not_believed(directory: Path) -> None:
    run_store.put("proof", {"digest": "ours"})
    file = directory / "bulkhead-proof"
    forged = json.dumps(["proof", {"digest": "theirs"}]).encode()
    for content in (b"", forged, Fernet(Fernet.generate_key()).encrypt(forged), file.read_bytes()[:-4] + b"AAA="):
        file.write_bytes(content)
        assert run_store.get("proof") is None


def test_one_thing_does_not_pass_as_another(directory: Path) -> None:
    run_store.put("session-aiia_staging", {"token": "t"})
    (directory / "bulkhead-session-aiia_prod").write_bytes((directory / "bulkhead-session-aiia_staging").read_bytes())
    assert run_store.get("session-aiia_prod") is None


def test_a_file_is_private_sealed_and_no_link_is_followed(directory: Path) -> None:
    target = directory / "target"
    target.write_text("as before")
    for name in ("bulkhead-proof", f"bulkhead-proof.{os.getpid()}"):
        (directory / name).symlink_to(target)
    run_store.put("proof", {"password": "correct horse"})
    file = directory / "bulkhead-proof"
    assert target.read_text() == "as before"
    assert not file.is_symlink() and file.stat().st_mode & 0o777 == 0o600
    assert b"correct horse" not in file.read_bytes()
    assert [path.name for path in directory.iterdir()].count(f"bulkhead-proof.{os.getpid()}") == 0
