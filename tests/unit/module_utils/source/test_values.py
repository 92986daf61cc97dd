# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is given to git, and what git would take for an option, a command or another protocol."""

from __future__ import annotations

import subprocess

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.source.values import (
    branch_problem,
    commit_problem,
    repository_problem,
)


@pytest.mark.parametrize(
    "repository",
    [
        "https://git.example/app.git",
        "https://somebody:t0k%40n@git.example:8443/a/b.git",
        "https://[2001:db8::1]/app.git",
        "http://127.0.0.1:3000/app.git",
        "http://robot:token@localhost/app.git",
        "ssh://git@git.example:2222/app.git",
        "ssh://git.example/~somebody/app.git",
        "git@github.com:eduaiia/ai-ia-backend.git",
        "deploy@git.internal:/srv/git/app.git",
        "/srv/git/app with spaces.git",
        "file:///srv/git/app.git",
    ],
)
def test_repositories(repository: str) -> None:
    assert repository_problem(repository) == ""


@pytest.mark.parametrize(
    "repository",
    [
        "",
        "--upload-pack=touch /tmp/x",
        "-oProxyCommand=x",
        "ext::sh -c 'touch /tmp/x'",
        "ext::sh@host:x",
        "fd::17/app",
        "http://git.example/app.git",
        "http://localhost.example.com/app.git",
        "git://git.example/app.git",
        "ftp://git.example/app.git",
        "ssh://-oProxyCommand=x/app",
        "ssh://git@-oProxyCommand=x/app",
        "git@-oProxyCommand=x:app",
        "-git@host:app",
        "git@host:-app",
        "git@host::app",
        "../prod/code",
        "app.git",
        "https://git.example/a\nb",
        "https://git.example/app.git --upload-pack=x",
        "/srv/a\nb",
        "https://a@-b/app",
    ],
)
def test_what_is_no_repository(repository: str) -> None:
    assert "bulkhead_source_repository is" in repository_problem(repository)


def test_credentials_are_not_shown() -> None:
    assert "hunter2" not in repository_problem("http://somebody:hunter2@git.example/app.git")


@pytest.mark.parametrize(
    "branch",
    [
        "main",
        "release/1.2",
        "feature/x-y_z",
        "v1@2",
        "ümlaut",
        "-x",
        "--upload-pack=x",
        "a..b",
        "a b",
        ".a",
        "a/.b",
        "a.lock",
        "a.lock/b",
        "a/",
        "/a",
        "a//b",
        "a.",
        "a@{1}",
        "a~1",
        "a^",
        "a:b",
        "a?",
        "a*",
        "a[",
        "a\\b",
        "",
        "a\x7f",
        "a\nb",
    ],
)
def test_branches_are_those_that_git_accepts(branch: str) -> None:
    """Git itself is the control."""
    known = subprocess.run(["git", "check-ref-format", "--branch", branch], capture_output=True, check=False)
    assert (branch_problem(branch) == "") == (known.returncode == 0)


@pytest.mark.parametrize(("commit", "fine"), [("c0ffee", True), ("0" * 64, True), ("v1.2", True), ("-n", False)])
def test_commits(commit: str, fine: bool) -> None:
    assert (commit_problem(commit) == "") == fine
