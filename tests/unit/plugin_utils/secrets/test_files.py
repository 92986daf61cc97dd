# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A file is replaced by one person at a time, and as a whole or not at all, wherever the run is killed."""

from __future__ import annotations

import os
import signal
import stat
from pathlib import Path

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.secrets import files
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.secrets.editing import SecretsProblem

#: What the replacement of a file asks of the operating system.
CALLS = ["open", "fchmod", "fsync", "replace", "rename"]


def killed_at(number: int, path: Path, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Replace a file in a process that is killed before its nth call; returns whether it was."""
    child = os.fork()
    if child == 0:
        count = 0

        def counting(function: object) -> object:
            def called(*arguments: object, **options: object) -> object:
                nonlocal count
                count += 1
                if count == number:
                    os.kill(os.getpid(), signal.SIGKILL)
                return function(*arguments, **options)  # type: ignore[operator]

            return called

        for name in CALLS:
            monkeypatch.setattr(os, name, counting(getattr(os, name)))
        files.replace(path, "new")
        os._exit(0)
    _pid, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def test_a_kill_at_every_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, seen, number = tmp_path / "vault.yml", [], 1
    while True:
        path.write_text("old")
        path.chmod(0o640)
        if not killed_at(number, path, monkeypatch):
            break
        seen.append(path.read_text())
        assert path.stat().st_mode & 0o777 == 0o640
        # What is left is hidden, so that Ansible does not load it.
        assert all(left.name.startswith(".") for left in tmp_path.iterdir() if left != path)
        number += 1
    assert number > 4 and set(seen) <= {"old", "new"} and seen[0] == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path], "the run that succeeds removes what the killed ones left"


def test_mode_and_a_new_file(tmp_path: Path) -> None:
    path = tmp_path / "vault.yml"
    files.replace(path, "a")
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o660)
    files.replace(path, "b")
    assert path.stat().st_mode & 0o777 == 0o660


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    target, link = tmp_path / "there" / "real.yml", tmp_path / "vault.yml"
    target.write_text("old")
    link.symlink_to(target)
    files.replace(link, "new")
    assert link.is_symlink() and target.read_text() == "new"


def test_two_at_once(tmp_path: Path) -> None:
    with (
        files.alone(tmp_path),
        pytest.raises(SecretsProblem, match="somebody else is changing the secrets"),
        files.alone(tmp_path),
    ):
        pass
    with files.alone(tmp_path):  # the lock ends with its holder
        assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "vault.yml"
    path.write_text("old")

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SecretsProblem, match="No space left on device"):
        files.replace(path, "new")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_directory_that_cannot_be_made_is_a_problem_and_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "group_vars").write_text("")
    said = r"group_vars/prod cannot be used: Not a directory. Nothing was changed"
    with pytest.raises(SecretsProblem, match=said), files.alone(tmp_path / "group_vars/prod"):
        pass


def test_a_file_that_is_replaced_is_replaced_although_its_directory_cannot_be_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def fsync(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(22, "Invalid argument")
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    files.replace(tmp_path / "vault.yml", "new")
    assert (tmp_path / "vault.yml").read_text() == "new"
