# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of modules that a killed run left in Ansible's temporary directory: ours are removed, nothing else is."""

from __future__ import annotations

import builtins
import io
import os
import time
from pathlib import Path

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.core import left_behind as subject

OURS = "module_fqn='ansible_collections.aiia.bulkhead.plugins.modules.converge',\njson_params='s3cret'\n"
FOLDER = "ansible-tmp-1700000000.1234-100-200"


def left(
    place: Path, text: str = OURS, folder: str = FOLDER, name: str = "AnsiballZ_converge.py", age: int = 600
) -> Path:
    """A module's file that has been there for some seconds."""
    made = place / folder / name
    made.parent.mkdir(parents=True, exist_ok=True)
    made.write_text(text)
    os.utime(made, (time.time() - age,) * 2)
    return made


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    """With its directory, unless something else is in there."""
    one, two = left(tmp_path), left(tmp_path, folder="ansible-tmp-1700000000.5-7-8")
    (two.parent / "more").touch()
    subject.remove_leftovers(str(tmp_path))
    assert not one.parent.exists() and [path.name for path in two.parent.iterdir()] == ["more"]


@pytest.mark.parametrize(
    "other",
    [
        {"text": "module_fqn='ansible.modules.command'"},
        {"folder": "somebodys"},
        {"name": "converge.py"},
        {"age": 10},
    ],
    ids=["Ansible's own", "another directory", "another name", "about to run"],
)
def test_nothing_else_is_removed(tmp_path: Path, other: dict[str, str]) -> None:
    kept = left(tmp_path, **other)  # type: ignore[arg-type]
    about_to_be_filled = tmp_path / "ansible-tmp-1.1-1-1"
    about_to_be_filled.mkdir()
    subject.remove_leftovers(str(tmp_path))
    assert kept.exists() and about_to_be_filled.exists()


def test_no_link_is_followed(tmp_path: Path) -> None:
    """Neither of a file nor of a directory: others own the places where root cleans up."""
    target = left(tmp_path / "elsewhere")
    place = tmp_path / "tmp"
    (place / FOLDER).mkdir(parents=True)
    (place / FOLDER / "AnsiballZ_converge.py").symlink_to(target)
    (place / "ansible-tmp-1.1-1-1").symlink_to(target.parent)
    os.mkfifo(place / FOLDER / "AnsiballZ_verify.py")
    subject.remove_leftovers(str(place))
    subject.remove_leftovers(str(tmp_path / "nowhere"))
    assert target.exists()


def test_the_home_of_whoever_became_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ansible's temporary directory is below the home of the user who logged in."""
    made = left(tmp_path / ".ansible" / "tmp")
    monkeypatch.setattr(subject, "home_directory", lambda: str(tmp_path))
    monkeypatch.setenv("SUDO_UID", "4000000000")
    subject.remove_leftovers("~/.ansible/tmp")
    assert not made.exists()


def test_a_module_removes_the_file_that_it_runs_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Python was given it on its command line; any other program's file stays."""
    for name, removed in (("AnsiballZ_converge.py", True), ("program.py", False)):
        path = left(tmp_path, name=name)
        words = b"/usr/bin/python3\0%s\0" % os.fsencode(path)
        monkeypatch.setattr(builtins, "open", lambda *_args, words=words: io.BytesIO(words))
        subject.remove_own_file()
        monkeypatch.undo()
        assert path.exists() is not removed
