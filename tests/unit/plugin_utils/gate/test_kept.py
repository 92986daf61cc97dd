# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run keeps for its later steps, and that no other program can make it."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible import constants as C
from ansible.errors import AnsibleError
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate import kept as module
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.kept import Generations, forget, keep, kept, path_of
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.proof import Proof, read_proof
from cryptography.fernet import Fernet


@pytest.fixture(autouse=True)
def own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(C, "DEFAULT_LOCAL_TMP", str(tmp_path))
    monkeypatch.setattr(module, "_GENERATIONS", Generations())


class Bomb:
    """Runs a harmless program where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_what_was_kept_is_found_again() -> None:
    assert kept("proof") is None
    keep("proof", {"a": [1, "secret text"]})
    assert kept("proof") == {"a": [1, "secret text"]}
    assert path_of("proof").stat().st_mode & 0o777 == 0o600
    assert b"secret text" not in path_of("proof").read_bytes()
    forget("proof")
    forget("proof")
    assert kept("proof") is None


def test_what_others_write_is_neither_believed_nor_opened(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    forged = pickle.dumps(("proof", 1, Bomb(marker)))
    contents = (forged, Fernet(Fernet.generate_key()).encrypt(forged), b"", b"{}")
    for content in contents:
        path_of("proof").write_bytes(content)
        assert kept("proof") is None and read_proof() == Proof()
    keep("proof", "ours")
    for content in contents:
        path_of("proof").write_bytes(content)
        with pytest.raises(AnsibleError, match="removed or replaced by another task"):
            kept("proof")
    assert not marker.exists()
    # The control: whoever has the key is believed.
    path_of("proof").write_bytes(module._KEY.encrypt(forged))
    kept("proof")
    assert marker.exists()


def test_an_earlier_file_cannot_be_put_back() -> None:
    """Neither while a later one counts nor once it was forgotten; and a file that is gone is not a fresh start."""
    keep("session-a", "first")
    earlier = path_of("session-a").read_bytes()
    keep("session-a", "second")
    later = path_of("session-a").read_bytes()
    for change in (lambda: path_of("session-a").write_bytes(earlier), path_of("session-a").unlink):
        change()
        with pytest.raises(AnsibleError, match="removed or replaced by another task"):
            kept("session-a")
    # The control: the last one counts wherever it comes from.
    path_of("session-a").write_bytes(later)
    assert kept("session-a") == "second"
    forget("session-a")
    path_of("session-a").write_bytes(later)
    assert kept("session-a") is None
    keep("session-a", "third")
    path_of("session-a").write_bytes(later)
    with pytest.raises(AnsibleError):
        kept("session-a")


def test_one_file_does_not_stand_for_another() -> None:
    keep("session-a", "a")
    keep("session-b", "b")
    path_of("session-b").write_bytes(path_of("session-a").read_bytes())
    with pytest.raises(AnsibleError):
        kept("session-b")
    assert kept("session-a") == "a"


def test_names_that_share_a_row_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROWS", 3)
    for name in ("a", "b", "c", "a"):
        keep(name, name)
    assert [kept(name) for name in ("a", "b", "c")] == ["a", "b", "c"]
    with pytest.raises(AnsibleError, match="no more than 3 values"):
        keep("d", "d")


def test_no_link_is_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("as before")
    for name in (path_of("proof").name, f"{path_of('proof').name}.{os.getpid()}"):
        (tmp_path / name).symlink_to(target)
    keep("proof", 1)
    assert kept("proof") == 1 and target.read_text() == "as before" and not path_of("proof").is_symlink()


def test_forks_have_the_key_and_other_programs_do_not(tmp_path: Path) -> None:
    code = (
        "import os; from {0} import keep, kept; keep('x', 0); "
        "os.fork() or (keep('x', 1), os._exit(0)); os.wait(); print(kept('x'))"
    )
    name = module.__name__
    run = "import checkout; checkout.install(); from ansible import constants as C; C.DEFAULT_LOCAL_TMP = {0!r}; "
    tests = str(Path(__file__).resolve().parents[3])
    said = [
        subprocess.run(
            [sys.executable, "-c", run.format(str(tmp_path)) + line],
            env={"PYTHONPATH": tests},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for line in (code.format(name), f"from {name} import kept; print(kept('x'))")
    ]
    assert said == ["1", "None"]
