# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Repository, branch and commit are values for git, and never options or commands."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from support import Site, only


@pytest.mark.parametrize("variable", ["bulkhead_source_repository", "bulkhead_source_branch", "bulkhead_source_commit"])
def test_a_value_that_git_takes_for_an_option(site: Site, tmp_path: Path, variable: str) -> None:
    """Refused on paper; git by itself runs the command in it."""
    command = f"--upload-pack=touch {tmp_path}/ran;git-upload-pack"
    subprocess.run(["git", "init", "--quiet", "--bare", str(tmp_path / "origin.git")], check=True)
    place = site.small(
        source_repository=str(tmp_path / "origin.git"), source_branch="main", app_service="web", services=only(web={})
    )
    place.variables[variable] = command
    run = place.deploy()
    assert run.code != 0 and f"{variable} is --upload-pack" in run.output and run.ran == ["plan"]
    assert not (tmp_path / "ran").exists()
    if variable == "bulkhead_source_repository":  # the control
        subprocess.run(["git", "ls-remote", command, str(tmp_path / "origin.git")], capture_output=True, check=False)
        assert (tmp_path / "ran").exists()
