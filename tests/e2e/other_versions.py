# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Controllers with another Bulkhead than this one: the version before, and one that a test has altered."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from support import ROOT, Place, Run

#: The last commit of the version before this one.
EARLIER = "0cbfcb439d084362f44434dfb506203f38a9d6f8"
PARTS = ("meta", "playbooks", "plugins", "roles")


class OtherVersion:
    """A controller that has another version installed."""

    def __init__(self, directory: Path) -> None:
        self.collections = directory
        self.root = directory / "ansible_collections" / "aiia" / "bulkhead"

    def play(self, place: Place, *arguments: str, playbook: str = "deploy", **options: Any) -> Run:
        """Run one of its playbooks on an environment."""
        environment = {"ANSIBLE_COLLECTIONS_PATH": str(self.collections)}
        path = self.root / "playbooks" / f"{playbook}.yml"
        return place.site.play("-l", place.group, *arguments, playbook=path, environment=environment, **options)


def earlier_version(directory: Path) -> OtherVersion:
    """The version before, from this clone's history. Skips the test in a clone without it, and says how to get it."""
    known = subprocess.run(["git", "cat-file", "-e", EARLIER], cwd=ROOT, capture_output=True, check=False)
    if known.returncode != 0:
        pytest.skip(f"this clone does not have commit {EARLIER[:12]}, the version before: git fetch --unshallow")
    made = OtherVersion(directory)
    command = ["git", "archive", EARLIER, "galaxy.yml", *PARTS]
    archive = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        if hasattr(tarfile, "data_filter"):
            tar.extractall(made.root, filter="data")
        else:  # Debian 12's own Python; git has just made this archive
            tar.extractall(made.root)
    return made


def altered_version(directory: Path, changes: dict[str, tuple[str, str]]) -> OtherVersion:
    """This version with one text replaced in each of some files."""
    made = OtherVersion(directory)
    for part in PARTS:
        shutil.copytree(ROOT / part, made.root / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "galaxy.yml", made.root)
    for path, (before, after) in changes.items():
        text = (made.root / path).read_text(encoding="utf-8")
        assert text.count(before) == 1, f"{path} has not once {before!r}"
        (made.root / path).write_text(text.replace(before, after), encoding="utf-8")
    return made
