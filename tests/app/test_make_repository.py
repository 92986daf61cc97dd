# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo's git repository: the same commits everywhere, and nobody's work on it undone."""

from __future__ import annotations

from pathlib import Path

import pytest
from app.make_repository import STAGING_HEADLINE, Git, commit, make_repository, project_files


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    make_repository(tmp_path / "app.git")
    return tmp_path / "app.git"


def test_the_same_commits_on_every_machine(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Somebody")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere.git"))
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert make_repository(tmp_path / "again.git") == make_repository(repository)
    assert not (tmp_path / "elsewhere.git").exists()


def test_a_second_run_changes_nothing(repository: Path) -> None:
    def state() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in repository.rglob("*") if path.is_file()}

    before = state()
    make_repository(repository)
    assert state() == before


def test_staging_is_one_commit_ahead_with_another_headline(repository: Path) -> None:
    git = Git(repository)
    assert git("rev-list", "--count", "main..staging") == "1"
    assert git("rev-list", "--count", "staging..main") == "0"
    assert git("diff", "--name-only", "main", "staging") == "notes/headline.py"
    assert STAGING_HEADLINE in git("show", "staging:notes/headline.py")
    assert git("ls-tree", "main", "entrypoint.sh").startswith("100755 ")
    assert set(git("ls-tree", "-r", "--name-only", "main").splitlines()) == set(project_files())


def test_a_commit_adds_changes_and_removes(repository: Path) -> None:
    git = Git(repository)
    before = git.tip("staging")
    changes = {"README.md": None, "notes/headline.py": 'HEADLINE = "x"\n', "entrypoint.sh": "exit 1\n", "a/b": "ü"}
    sha = commit(repository, "staging", changes, "Break it")
    assert git.tip("staging") == sha
    assert git("rev-parse", f"{sha}^") == before
    names = git("diff", "--no-renames", "--name-status", f"{sha}^", sha).split()
    assert names == ["D", "README.md", "A", "a/b", "M", "entrypoint.sh", "M", "notes/headline.py"]
    assert git("ls-tree", sha, "entrypoint.sh").startswith("100755 ")
    assert git("show", f"{sha}:a/b") == "ü"
    assert commit(repository, "staging", changes, "Once more") == sha


def test_work_on_a_branch_is_kept(repository: Path) -> None:
    sha = commit(repository, "main", {"notes/headline.py": 'HEADLINE = "mine"\n'}, "Mine")
    assert make_repository(repository)["main"] == sha


def test_a_changed_project_goes_on_top(repository: Path) -> None:
    git = Git(repository)
    before = {branch: git.tip(branch) for branch in ("main", "staging")}
    after = make_repository(repository, files={"Dockerfile": "FROM scratch\n", "manage.py": None})
    for branch, tip in after.items():
        assert git("rev-parse", f"{tip}^") == before[branch]
        assert git("show", f"{branch}:Dockerfile") == "FROM scratch"
        assert "manage.py" not in git("ls-tree", "-r", "--name-only", branch).splitlines()


def test_a_failure_of_git_is_told(repository: Path) -> None:
    with pytest.raises(RuntimeError, match=r"git show in .*app\.git: "):
        Git(repository)("show", "none")
