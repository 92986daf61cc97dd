# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The version before this one, from the history of this clone, as a controller of its own."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from support import ROOT, Place, Run

#: The last commit of the version before.
COMMIT = "0cbfcb439d084362f44434dfb506203f38a9d6f8"
PARTS = ("galaxy.yml", "meta", "playbooks", "plugins", "roles")


class EarlierVersion:
    """A controller that has the version before this one installed."""

    def __init__(self, directory: Path) -> None:
        self.collections = directory
        self.root = directory / "ansible_collections" / "aiia" / "bulkhead"

    @classmethod
    def install(cls, directory: Path) -> EarlierVersion:
        """Extract it. Skips the test in a clone without that much history, and says how to get it."""
        known = subprocess.run(["git", "cat-file", "-e", COMMIT], cwd=ROOT, capture_output=True, check=False)
        if known.returncode != 0:
            pytest.skip(f"this clone does not have commit {COMMIT[:12]}, the version before: git fetch --unshallow")
        made = cls(directory)
        archive = subprocess.run(["git", "archive", COMMIT, *PARTS], cwd=ROOT, capture_output=True, check=True).stdout
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.extractall(made.root, filter="data")
        return made

    def play(self, place: Place, *arguments: str, playbook: str = "deploy", **options: Any) -> Run:
        """Run one of its playbooks on an environment."""
        environment = {"ANSIBLE_COLLECTIONS_PATH": str(self.collections)}
        path = self.root / "playbooks" / f"{playbook}.yml"
        return place.site.play("-l", place.group, *arguments, playbook=path, environment=environment, **options)
