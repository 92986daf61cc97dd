# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of a directory goes with its environment, and what is somebody's own."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.directory import Tree
from ansible_collections.aiia.bulkhead.plugins.module_utils.operations.owned_files import Belongings
from ansible_collections.aiia.bulkhead.plugins.module_utils.source.checkout import Checkout

WRITTEN = ("docker-compose.prod.yml", ".env", "docker/nginx/prod.conf", ".bulkhead/private/nginx/key.pem")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A directory as a deployment leaves it, with a mounted directory that is empty."""
    home = tmp_path / "home"
    for path in (*WRITTEN, ".bulkhead/state.json", ".bulkhead/releases/1/release.json"):
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).write_text(path)
    (home / "uploads").mkdir()
    return home


def look(home: Path, checkout: Checkout | None = None, written: tuple[str, ...] = WRITTEN) -> Belongings:
    return Belongings(
        Tree(str(home)), written, ["uploads", "docker/nginx", ".bulkhead/private/nginx", "code"], checkout
    )


def test_all_of_it_goes_the_directory_at_last(home: Path) -> None:
    found = look(home)
    assert found.left == []
    assert found.own == [
        ".env", "docker-compose.prod.yml", "docker/nginx/prod.conf", ".bulkhead/private", ".bulkhead/releases",
        ".bulkhead/state.json", "uploads", "docker/nginx", ".bulkhead", "docker", "",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "stays"),
    [
        ("notes.txt", [""]),
        ("docker/nginx/mine.conf", ["docker/nginx", "docker", ""]),
        ("docker/other/file", ["docker", ""]),
        (".bulkhead/mine", [".bulkhead", ""]),
        ("uploads/picture", ["uploads", ""]),
    ],
)
def test_what_no_deployment_wrote_is_left_with_what_holds_it(home: Path, path: str, stays: list[str]) -> None:
    (home / path).parent.mkdir(exist_ok=True)
    (home / path).write_text("mine")
    found = look(home)
    assert len(found.left) == 1 and path.startswith(found.left[0][0])
    assert not set(found.own) & {path, *stays}


def test_links_are_not_followed(home: Path, tmp_path: Path) -> None:
    """Neither a file nor a directory that leads elsewhere; what is there is nobody's to remove."""
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "nginx").mkdir(parents=True)
    (elsewhere / "nginx" / "prod.conf").write_text("another's")
    (home / "docker/nginx/prod.conf").unlink()
    (home / "docker/nginx").rmdir()
    (home / "docker").rmdir()
    (home / "docker").symlink_to(elsewhere)
    (home / ".env").unlink()
    (home / ".env").symlink_to(elsewhere / "nginx" / "prod.conf")
    found = look(home)
    assert not {"docker/nginx/prod.conf", "docker", "docker/nginx", ".env", ""} & set(found.own)
    assert {path for path, _reason in found.left} >= {".env", "docker/nginx/prod.conf"}


def test_a_state_that_names_files_elsewhere_removes_nothing_there(home: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("another's")
    found = look(home, written=("../outside",))
    assert "../outside" not in found.own


def test_without_a_state_only_what_is_known_goes(home: Path) -> None:
    found = look(home, written=())
    assert {path for path, _reason in found.left} >= {".env", "docker-compose.prod.yml"}
    assert ".bulkhead/private" in found.own and "" not in found.own


# ---- the checkout ----------------------------------------------------------------------------------------------------


def git(directory: Path, *arguments: str) -> None:
    who = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.com"]
    subprocess.run(["git", *who, *arguments], cwd=directory, check=True, capture_output=True)


@pytest.fixture
def checkout(home: Path, tmp_path: Path, module: AnsibleModule) -> Checkout:
    """A checkout of a repository of one commit."""
    origin, seed = tmp_path / "origin.git", tmp_path / "seed"
    git(tmp_path, "init", "--quiet", "--bare", "-b", "main", str(origin))
    git(tmp_path, "init", "--quiet", "-b", "main", str(seed))
    (seed / "file").write_text("text")
    (seed / ".gitignore").write_text("local\n")
    git(seed, "add", ".")
    git(seed, "commit", "--quiet", "-m", "First")
    git(seed, "push", "--quiet", str(origin), "main")
    made = Checkout(module, str(home), str(origin), "main")
    made.move_to(made.fetch())
    return made


def test_a_checkout_without_anything_of_its_own_goes(home: Path, checkout: Checkout) -> None:
    found = look(home, checkout)
    assert found.left == [] and {"code", ""} <= set(found.own)


def stash(code: Path) -> None:
    (code / "file").write_text("by hand")
    git(code, "stash")


def commit(code: Path, branch: str) -> None:
    git(code, "checkout", "--quiet", "-B", branch)
    git(code, "commit", "--quiet", "--allow-empty", "-m", "Mine")
    git(code, "checkout", "--quiet", "main")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda code: (code / "file").write_text("by hand"), "files that are not in the repository: file"),
        (lambda code: (code / "new").write_text("mine"), "files that are not in the repository: new"),
        (lambda code: (code / "local").write_text("mine"), "files that are not in the repository: local"),
        (lambda code: commit(code, "main"), "commits that are not in the repository"),
        (lambda code: commit(code, "mine"), "commits that are not in the repository"),
        (stash, "it has a stash"),
        (lambda code: git(code, "worktree", "add", "--quiet", str(code.parent.parent / "tree")), "other work trees"),
        (lambda code: git(code, "remote", "set-url", "origin", "/elsewhere"), "it is a checkout of /elsewhere"),
        (lambda code: (code / ".git").rename(code / ".gone"), "it is not a git checkout"),
    ],
)
def test_a_checkout_with_work_in_it_is_left(home: Path, checkout: Checkout, spoil: object, reason: str) -> None:
    assert callable(spoil)
    spoil(home / "code")
    found = look(home, checkout)
    assert [path for path, _reason in found.left] == ["code"] and reason in found.left[0][1]
    assert not {"code", ""} & set(found.own)


def test_a_directory_code_that_no_deployment_made(home: Path) -> None:
    (home / "code").mkdir()
    assert look(home).left == [("code", "bulkhead_source_repository is not set, so no deployment made it")]


def test_a_directory_goes_once_after_a_first_deployment_that_failed(home: Path) -> None:
    """Its files are gone, and what services mount is empty: nothing but directories."""
    (home / "docker/nginx/prod.conf").unlink()
    own = look(home).own
    assert own.count("docker/nginx") == 1 and own[-1] == ""


def test_a_checkout_with_nothing_checked_out_goes(home: Path, module: AnsibleModule) -> None:
    """A first deployment fetched it and then failed."""
    git = ("git", "-C", str(home / "code"))
    (home / "code").mkdir()
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "remote", "add", "origin", "/srv/origin.git"], check=True)
    found = look(home, Checkout(module, str(home), "/srv/origin.git", "main"))
    assert "code" in found.own and found.left == []
