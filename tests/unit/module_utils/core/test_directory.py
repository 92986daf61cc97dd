# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writing an environment's files: all or none, with undo, and never outside its directory."""

from __future__ import annotations

import errno
import os
import pwd
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.core import directory as module
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.directory import DesiredFile, Tree, TreeError, read

as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(str(tmp_path / "env"))


def contents(directory: Path) -> dict[str, bytes]:
    """Every file below a directory, hidden leftovers included."""
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def fail_at(monkeypatch: pytest.MonkeyPatch, number: int, code: int) -> None:
    """Make the disk fail at the nth file that is synced."""
    calls = []
    real: Callable[[int], None] = os.fsync

    def fsync(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) >= number:
            raise OSError(code, os.strerror(code))
        real(descriptor)

    monkeypatch.setattr(module.os, "fsync", fsync)


def test_writes_with_mode_and_closes_what_is_private(tree: Tree) -> None:
    tree.write(DesiredFile(".env", b"A=1\n", 0o600))
    tree.write(DesiredFile(".bulkhead/private/nginx/key.pem", b"key", 0o644))
    base = Path(tree.directory)
    assert contents(base) == {".env": b"A=1\n", ".bulkhead/private/nginx/key.pem": b"key"}
    assert mode(base / ".env") == 0o600
    assert mode(base / ".bulkhead") == 0o700
    assert mode(base / ".bulkhead/private/nginx") == 0o755


def test_mode_does_not_depend_on_the_umask(tree: Tree) -> None:
    before = os.umask(0o077)
    try:
        tree.write(DesiredFile("docker/nginx/prod.conf", b"", 0o644))
    finally:
        os.umask(before)
    assert mode(Path(tree.directory, "docker/nginx/prod.conf")) == 0o644
    assert mode(Path(tree.directory, "docker")) == 0o755


@pytest.mark.parametrize(
    ("content", "file_mode", "expected"),
    [(b"same", 0o640, False), (b"other", 0o640, True), (b"same", 0o600, True), (b"", 0o640, True)],
)
def test_differs_by_content_and_mode(tree: Tree, content: bytes, file_mode: int, expected: bool) -> None:
    tree.write(DesiredFile("file", b"same", 0o640))
    assert tree.differs(DesiredFile("file", content, file_mode)) is expected


def test_what_is_not_there_differs_even_when_it_shall_be_empty(tree: Tree) -> None:
    assert tree.differs(DesiredFile("file", b""))


def test_a_replaced_file_is_a_new_one(tree: Tree) -> None:
    """Renamed into place: a reader of the old file can read it to its end."""
    tree.write(DesiredFile("file", b"old"))
    with Path(tree.directory, "file").open("rb") as reader:
        tree.install([DesiredFile("file", b"new")])
        assert reader.read() == b"old"
    assert contents(Path(tree.directory)) == {"file": b"new"}


def test_restore_puts_back_what_was_there_and_nothing_else(tree: Tree) -> None:
    base = Path(tree.directory)
    tree.write(DesiredFile("kept", b"kept"))
    tree.write(DesiredFile("changed", b"before", 0o640))
    tree.write(DesiredFile("gone", b"gone", 0o600))
    before = contents(base)
    files = [DesiredFile("changed", b"after", 0o644), DesiredFile("deep/new", b"new")]
    tree.install(files, removed=["gone", "never-there"])
    assert contents(base) == {"kept": b"kept", "changed": b"after", "deep/new": b"new"}
    tree.restore()
    assert contents(base) == before
    assert mode(base / "changed") == 0o640
    assert mode(base / "gone") == 0o600


def test_restore_goes_back_once(tree: Tree) -> None:
    tree.install([DesiredFile("file", b"new")])
    tree.restore()
    tree.write(DesiredFile("file", b"later"))
    tree.restore()
    assert contents(Path(tree.directory)) == {"file": b"later"}


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_full_disk_leaves_all_as_it_was(tree: Tree, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    base = Path(tree.directory)
    for name in ("a", "b", "c"):
        tree.write(DesiredFile(name, b"before"))
    fail_at(monkeypatch, number, errno.ENOSPC)
    with pytest.raises(TreeError, match=r"the disk is full\. Free some space and deploy again; .* not changed"):
        tree.install([DesiredFile(name, b"after") for name in ("a", "b", "c")])
    assert contents(base) == dict.fromkeys(("a", "b", "c"), b"before")


def test_another_error_of_the_disk_is_named(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_at(monkeypatch, 1, errno.EIO)
    with pytest.raises(TreeError, match=f"cannot write .*file: {os.strerror(errno.EIO)}"):
        tree.write(DesiredFile("file", b""))
    assert contents(Path(tree.directory)) == {}


def test_a_directory_in_the_place_of_a_file_is_an_error_and_nothing_is_changed(tree: Tree) -> None:
    tree.write(DesiredFile("a", b"before"))
    Path(tree.directory, "b").mkdir()
    with pytest.raises(TreeError, match="b: Is a directory"):
        tree.install([DesiredFile("a", b"after"), DesiredFile("b", b"after")])
    assert contents(Path(tree.directory)) == {"a": b"before"}
    with pytest.raises(TreeError, match="b: Is a directory"):
        tree.write(DesiredFile("b", b"after"))
    assert contents(Path(tree.directory)) == {"a": b"before"}
    assert Path(tree.directory, "b").is_dir()


def test_a_link_to_a_directory_outside_is_refused_and_nothing_is_written_there(tree: Tree, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    tree.make_directory()
    Path(tree.directory, "docker").symlink_to(other)
    with pytest.raises(TreeError, match=r"leads to .*/other.*outside the environment's own directory.*Remove the link"):
        tree.install([DesiredFile("docker/nginx/prod.conf", b"")])
    assert list(other.iterdir()) == []


def test_a_link_in_the_place_of_a_file_is_replaced_not_followed(tree: Tree, tmp_path: Path) -> None:
    other = tmp_path / "other.env"
    other.write_bytes(b"production's")
    tree.make_directory()
    Path(tree.directory, ".env").symlink_to(other)
    wanted = DesiredFile(".env", b"production's", 0o600)
    assert tree.differs(wanted)
    tree.install([wanted])
    assert not Path(tree.directory, ".env").is_symlink()
    assert other.read_bytes() == b"production's"
    assert mode(other) != 0o600
    tree.restore()
    assert Path(tree.directory, ".env").readlink() == other


def test_a_link_inside_the_directory_may_be_followed(tree: Tree) -> None:
    tree.make_directory("real")
    Path(tree.directory, "docker").symlink_to("real")
    tree.write(DesiredFile("docker/file", b"1"))
    assert Path(tree.directory, "real/file").read_bytes() == b"1"


def test_the_directory_itself_may_be_reached_by_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "home").symlink_to("disk")
    tree = Tree(str(tmp_path / "home/env"))
    tree.write(DesiredFile("file", b"1"))
    assert (tmp_path / "disk/env/file").read_bytes() == b"1"


def test_an_unknown_owner_says_how_to_mend_it(tmp_path: Path) -> None:
    with pytest.raises(TreeError, match="bulkhead_owner is no-such-user, but this machine has no such user"):
        Tree(str(tmp_path), "no-such-user")


def test_another_user_cannot_give_files_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.os, "getuid", lambda: pwd.getpwnam("nobody").pw_uid)
    with pytest.raises(TreeError, match="Connect as root, or set ansible_become: true"):
        Tree(str(tmp_path), "root")


@as_root
def test_everything_belongs_to_the_owner(tmp_path: Path) -> None:
    owner = pwd.getpwnam("nobody").pw_uid
    tree = Tree(str(tmp_path / "home/env"), "nobody")
    tree.write(DesiredFile("docker/file", b""))
    assert {path.stat().st_uid for path in (tmp_path / "home").rglob("*")} == {owner}
    assert not tree.differs(DesiredFile("docker/file", b""))
    os.chown(tmp_path / "home/env/docker/file", 0, 0)
    assert tree.differs(DesiredFile("docker/file", b""))


def test_read_tells_nothing_from_empty(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert read(str(tmp_path / "empty")) == b""
    assert read(str(tmp_path / "none")) is None
    assert read(str(tmp_path / "empty/below")) is None
    assert read(str(tmp_path)) is None


@as_root
def test_a_directory_that_is_closed_to_this_user_is_named(tmp_path: Path) -> None:
    """Bulkhead without root, and a directory in somebody else's home."""
    (tmp_path / "home").mkdir(0o700)
    for above in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        above.chmod(0o755)
    tree = Tree(str(tmp_path / "home/ubuntu/app"))
    os.seteuid(pwd.getpwnam("nobody").pw_uid)
    try:
        with pytest.raises(TreeError, match=r"cannot look at .*/home/ubuntu/app.*: Permission denied"):
            tree.make_directory()
    finally:
        os.seteuid(0)


def test_a_lock_that_cannot_be_made_is_named(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_place: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(module.handles, "locked_at", refuse)
    with (
        pytest.raises(TreeError, match=r"cannot lock .*/env/locks/machine: Read-only file system"),
        tree.locked("locks/machine"),
    ):
        pass
