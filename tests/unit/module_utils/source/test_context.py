# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The private copy of a commit's files: nothing but them, and no path out of it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.errors import Failure
from ansible_collections.aiia.bulkhead.plugins.module_utils.source.context import (
    ContextError,
    PrivateCopy,
    object_id,
    resolve,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A work tree with files, a script, links and nested directories."""
    path = tmp_path / "work"
    (path / "a/b").mkdir(parents=True)
    (path / "a.txt").write_text("a\n")
    (path / "a-b").write_text("sorts between a and a/\n")
    (path / "a/b/run").write_text("#!/bin/sh\n")
    (path / "a/b/run").chmod(0o755)
    (path / "a/link").symlink_to("../a.txt")
    (path / "umläut").write_bytes(b"\xff\0")
    return path


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """An empty directory."""
    path = tmp_path / "private"
    path.mkdir()
    return path


def copy(folder: Path, target: Path, algorithm: str = "sha1", **submodules: str) -> PrivateCopy:
    return PrivateCopy(str(folder), str(target), os.getuid(), algorithm, submodules)


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
def test_the_tree_is_the_one_that_git_computes(folder: Path, target: Path, algorithm: str) -> None:
    git(folder, "init", "--quiet", f"--object-format={algorithm}")
    git(folder, "add", ".")
    (folder / "empty").mkdir()
    copied = copy(folder, target, algorithm)
    assert copied.tree == git(folder, "write-tree")
    assert sorted(path.name for path in target.iterdir()) == ["a", "a-b", "a.txt", "empty", "umläut"]
    assert (target / "a/link").readlink() == Path("../a.txt")
    assert (target / "a/b/run").stat().st_mode & 0o777 == 0o755


def test_a_submodule_counts_by_its_commit(folder: Path, target: Path) -> None:
    """What it holds is a tree of its own."""
    alone = copy(folder / "a", target).tree
    target = target / "again"
    target.mkdir()
    copied = copy(folder, target, a="c" * 40)
    assert copied.trees == {"a": alone}
    entries = {name: object_id("sha1", "blob", (folder / name).read_bytes()) for name in ("a-b", "a.txt", "umläut")}
    lines = [f"100644 blob {entries[name]}\t{name}" for name in entries] + [f"160000 commit {'c' * 40}\ta"]
    git(folder, "init", "--quiet")
    made = subprocess.run(
        ["git", "mktree", "--missing"], cwd=folder, input="\n".join(lines), capture_output=True, text=True, check=True
    )
    assert copied.tree == made.stdout.strip()


def test_a_file_of_another_directory_by_a_second_name(folder: Path, target: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("of the neighbour")
    os.link(tmp_path / "secret", folder / "a/secret")
    with pytest.raises(ContextError, match="a/secret is not a file of the checkout's own"):
        copy(folder, target)


def test_a_file_of_another_user(folder: Path, target: Path) -> None:
    with pytest.raises(ContextError, match="belongs to another user than the checkout"):
        PrivateCopy(str(folder), str(target), os.getuid() + 1, "sha1", {})


def test_a_pipe_is_not_waited_for(folder: Path, target: Path) -> None:
    os.mkfifo(folder / "pipe")
    with pytest.raises(ContextError, match="pipe is neither a file nor a directory nor a link"):
        copy(folder, target)


@pytest.mark.parametrize("name", ["a", "a.txt"])
def test_a_link_that_appears_while_it_is_copied(
    folder: Path, target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The owner exchanges what was looked at for a link before it is opened."""
    (tmp_path / "neighbour").mkdir()
    (tmp_path / "neighbour/.env").write_text("of the neighbour")
    real = os.stat

    def looked(path: str, **options: object) -> os.stat_result:
        found = real(path, **options)  # type: ignore[arg-type]
        if path == name:
            (folder / name).rename(folder.parent / "aside")
            (folder / name).symlink_to(tmp_path / "neighbour" / (".env" if name == "a.txt" else ""))
        return found

    monkeypatch.setattr(os, "stat", looked)
    with pytest.raises(ContextError, match=f"{name} changed while it was copied"):
        copy(folder, target)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a directory to another user")
def test_a_link_on_the_way_that_the_owner_made(folder: Path, target: Path, tmp_path: Path) -> None:
    """It leads to a directory of the same user's, which may be another environment's."""
    owned = tmp_path / "owned"
    owned.mkdir()
    (owned / "link").symlink_to(folder.parent)
    where = str(owned / "link" / folder.name)
    assert PrivateCopy(where, str(target), 0, "sha1", {}).tree  # the control: a link that root made
    os.lchown(owned / "link", 12345, 12345)
    os.chown(owned, 12345, 12345)
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(Failure, match="link"):
        PrivateCopy(where, str(other), 0, "sha1", {})
    assert not list(other.iterdir())


def test_too_deep(folder: Path, target: Path) -> None:
    (folder / Path(*["d"] * 210)).mkdir(parents=True)
    with pytest.raises(ContextError, match="more than 200 directories deep"):
        copy(folder, target)


# ---- paths -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".", "."),
        ("a/b", "a/b"),
        ("./a//b/", "a/b"),
        ("a/link", "a.txt"),
        ("a/none", "a/none"),
        ("in", "a/b"),
        ("in/run", "a/b/run"),
        ("chain/run", "a/b/run"),
        ("in/../link", "a.txt"),
    ],
)
def test_paths_inside(folder: Path, path: str, found: str) -> None:
    (folder / "in").symlink_to("a/./b")
    (folder / "chain").symlink_to("a/../in")
    assert resolve(str(folder), path) == os.path.normpath(folder / found)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/etc", "is an absolute path"),
        ("../x", "leads out of the repository"),
        ("a/../../x", "leads out of the repository"),
        ("out", "out is a link to /etc, outside the repository"),
        ("out/passwd", "out is a link to /etc"),
        ("above/x", "above is a link to .."),
        ("chain", "out is a link to /etc"),
        ("a/far", "a/far is a link to ../.."),
        ("round", "round is a link to round"),
        ("sly", "leads out of the repository|outside the repository"),
    ],
)
def test_paths_that_leave(folder: Path, path: str, words: str) -> None:
    links = {"out": "/etc", "above": "..", "chain": "a/../out", "a/far": "../../x", "round": "round", "sly": "flat/.."}
    for name, leads_to in {**links, "flat": "a/../.."}.items():
        (folder / name).symlink_to(leads_to)
    with pytest.raises(ContextError, match=words):
        resolve(str(folder), path)
