# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The checkout: an exact commit of the environment's own branch, without losing local work."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.aiia.bulkhead.plugins.module_utils.operations.owned_files import only_here
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.store import Releases, deployed_commits
from ansible_collections.aiia.bulkhead.plugins.module_utils.source.checkout import Checkout, GitError
from ansible_collections.aiia.bulkhead.plugins.module_utils.source.context import object_id
from ansible_collections.aiia.bulkhead.plugins.module_utils.source.values import split_credentials, without_credentials
from app.make_repository import commit
from unit.module_utils.deployments import Machine, files


def git(directory: Path, *arguments: str) -> str:
    """Git as a person would use it in a directory."""
    who = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.com"]
    done = subprocess.run(
        ["git", "-C", str(directory), *who, *arguments], capture_output=True, text=True, check=True
    )  # fmt: skip
    return done.stdout.strip()


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    """A repository with two commits on staging, and one on main that staging does not have."""
    path = tmp_path / "origin.git"
    path.mkdir()
    git(path, "init", "--quiet", "--bare", "--initial-branch=main")
    commit(path, "staging", {"README": "1\n", "Dockerfile": "FROM scratch\n"}, "one")
    commit(path, "staging", {"README": "2\n", ".gitignore": "ignored\n"}, "two")
    commit(path, "main", {"README": "production\n"}, "main")
    return path


@pytest.fixture
def checkout(module: AnsibleModule, tmp_path: Path, origin: Path) -> Checkout:
    directory = tmp_path / "env"
    directory.mkdir()
    return Checkout(module, str(directory), str(origin), "staging")


def tip(origin: Path, branch: str) -> str:
    return git(origin, "rev-parse", branch)


def deployed(checkout: Checkout) -> Path:
    """The checkout as the last deployment left it."""
    checkout.move_to(checkout.fetch())
    return Path(checkout.path)


def test_first_deployment(checkout: Checkout, origin: Path) -> None:
    checkout.refuse_local_changes()
    assert checkout.head() == ""
    newest = checkout.fetch()
    assert newest == tip(origin, "staging")
    assert not Path(checkout.path, "README").exists()  # fetched, and not in force
    checkout.move_to(newest)
    assert (checkout.head(), checkout.current_branch()) == (newest, "staging")
    assert Path(checkout.path, "README").read_text() == "2\n"
    checkout.refuse_local_changes()


def test_only_the_own_branch_is_fetched(checkout: Checkout) -> None:
    path = deployed(checkout)
    assert git(path, "for-each-ref", "--format=%(refname)", "refs/remotes") == "refs/remotes/origin/staging"


def test_an_earlier_commit_of_the_branch_may_be_named(checkout: Checkout, origin: Path) -> None:
    earlier = tip(origin, "staging~1")
    assert checkout.fetch(earlier) == earlier
    assert checkout.fetch(earlier[:10]) == earlier
    checkout.move_to(earlier)
    assert checkout.head() == earlier
    checkout.refuse_local_changes()


ASK = pytest.mark.parametrize("ask", [Checkout.fetch, Checkout.remote_commit], ids=["deploy", "check"])


@ASK
@pytest.mark.parametrize("digits", [40, 10])
def test_a_commit_that_is_not_on_the_branch_is_refused(
    checkout: Checkout, origin: Path, digits: int, ask: Callable[[Checkout, str], str]
) -> None:
    """The message says which branch has it."""
    with pytest.raises(
        GitError, match=r"is not on branch staging, this environment's branch, but on main\..*bulkhead_source_commit"
    ):
        ask(checkout, tip(origin, "main")[:digits])


@ASK
@pytest.mark.parametrize("named", ["0" * 40, "deadbeef"])
def test_a_commit_that_nobody_has_is_refused(
    checkout: Checkout, named: str, ask: Callable[[Checkout, str], str]
) -> None:
    with pytest.raises(GitError, match=rf"has no commit {named} on any branch, and no tag of that name\. Push it"):
        ask(checkout, named)


@ASK
def test_a_tag_on_the_branch(checkout: Checkout, origin: Path, ask: Callable[[Checkout, str], str]) -> None:
    """With a message or without, and one that could be a commit's id."""
    earlier = tip(origin, "staging~1")
    git(origin, "tag", "v1.0.0", "staging~1")
    git(origin, "tag", "20260101", "staging~1")
    git(origin, "-c", "user.name=a", "-c", "user.email=a@b", "tag", "-a", "-m", "Release", "release/1", "staging~1")
    for name in ("v1.0.0", "20260101", "release/1", "refs/tags/v1.0.0"):
        assert ask(checkout, name) == earlier


@ASK
@pytest.mark.parametrize(
    ("named", "says"),
    [
        ("v9", "has no tag v9. Push it"),
        ("main", "is main, which is a branch: what it means changes with every push"),
        ("refs/heads/main", "is refs/heads/main, which is a branch"),
        ("refs/tags/main", "has no tag refs/tags/main. Push it"),
        ("--upload-pack=touch x", "write a commit's id in hexadecimal, in full or abbreviated, or the name of a tag"),
        ("elsewhere", "tag elsewhere is not on branch staging, this environment's branch, but on main. Merge it there"),
    ],
)
def test_what_is_no_tag_of_the_branch(
    checkout: Checkout, origin: Path, named: str, says: str, ask: Callable[[Checkout, str], str]
) -> None:
    """Each with its own reason."""
    git(origin, "tag", "elsewhere", "main")
    with pytest.raises(GitError, match=says):
        ask(checkout, named)


def test_a_check_names_the_commit_that_a_deployment_takes(checkout: Checkout, origin: Path) -> None:
    earlier = tip(origin, "staging~1")
    assert checkout.remote_commit(earlier[:10]) == checkout.fetch(earlier[:10]) == earlier


def test_several_commits_that_begin_alike(checkout: Checkout, origin: Path) -> None:
    def write(parent: str, message: int) -> bytes:
        who = "somebody <somebody@example.com> 0 +0000"
        text = f"tree {tree}\nparent {parent}\nauthor {who}\ncommitter {who}\n\n{message}\n"
        return text.encode()

    tree = tip(origin, "staging^{tree}")
    first = object_id("sha1", "commit", write(tip(origin, "staging"), 0))
    number = next(n for n in range(10**6) if object_id("sha1", "commit", write(first, n))[:4] == first[:4])
    for text in (write(tip(origin, "staging"), 0), write(first, number)):
        command = ["git", "-C", str(origin), "hash-object", "-t", "commit", "-w", "--stdin"]
        written = subprocess.run(command, input=text, capture_output=True, check=True).stdout.decode().strip()
        git(origin, "update-ref", "refs/heads/staging", written)
    with pytest.raises(GitError, match=f"several commits begin with {first[:4]} .*Write more of its digits"):
        checkout.fetch(first[:4])


@pytest.mark.parametrize(
    ("before", "after"),
    [("staging", "trunk"), ("staging", "staging/next"), ("release/1", "release")],
    ids=["another", "below", "above"],
)
def test_a_branch_that_was_renamed(
    module: AnsibleModule, tmp_path: Path, origin: Path, before: str, after: str
) -> None:
    """The first run works, and so do new commits, pulling by hand, and going back."""
    git(origin, "branch", "--force", before, "staging")
    checkout = Checkout(module, str(tmp_path), str(origin), before)
    first = checkout.fetch()
    checkout.move_to(first)
    git(origin, "branch", "--move", before, after)
    renamed = Checkout(module, str(tmp_path), str(origin), after)
    for text in ("three", "four"):
        commit(origin, after, {"README": text}, text)
        renamed.refuse_local_changes([first])
        newest = renamed.fetch()
        renamed.move_to(newest)
        assert (renamed.head(), renamed.current_branch()) == (newest, after)
    path = Path(renamed.path)
    assert git(path, "rev-parse", "--abbrev-ref", "@{upstream}") == f"origin/{after}"
    commit(origin, after, {"README": "five"}, "five")
    git(path, "pull", "--quiet", "--ff-only")
    assert (path / "README").read_text() == "five"
    renamed.move_to(first)  # a rollback
    assert renamed.head() == first


def test_a_checkout_that_was_left_on_another_branch_moves_on(
    module: AnsibleModule, tmp_path: Path, origin: Path
) -> None:
    """Earlier versions stopped halfway when the branch was renamed, and asked for the old one from then on."""
    path = deployed(Checkout(module, str(tmp_path), str(origin), "staging"))
    git(origin, "branch", "next", "staging")
    git(path, "fetch", "--quiet", "origin", "+refs/heads/next:refs/remotes/origin/next")
    git(path, "checkout", "--quiet", "-B", "next", "origin/next")
    commit(origin, "next", {"README": "three"}, "three")
    renamed = Checkout(module, str(tmp_path), str(origin), "next")
    renamed.refuse_local_changes()
    renamed.move_to(renamed.fetch())
    assert renamed.head() == tip(origin, "next")


def test_a_branch_that_was_rewritten_is_followed(checkout: Checkout, origin: Path) -> None:
    deployed(checkout)
    git(origin, "update-ref", "refs/heads/staging", tip(origin, "staging~1"))
    new = commit(origin, "staging", {"README": "rewritten\n"}, "another two")
    checkout.refuse_local_changes()
    assert checkout.fetch() == new
    checkout.move_to(new)
    assert Path(checkout.path, "README").read_text() == "rewritten\n"
    checkout.refuse_local_changes()


@pytest.mark.parametrize("kind", ["changed", "new", "removed", "staged"])
def test_local_changes_are_refused_and_kept(checkout: Checkout, kind: str) -> None:
    path = deployed(checkout)
    if kind == "removed":
        (path / "README").unlink()
    else:
        (path / ("NEW" if kind == "new" else "README")).write_text("work of a whole day\n")
    if kind == "staged":
        git(path, "add", "README")
    name = "NEW" if kind == "new" else "README"
    with pytest.raises(GitError, match=rf"has local changes \({name}\).*commit and push them to staging, or remove"):
        checkout.refuse_local_changes()
    if kind != "removed":
        assert (path / name).read_text() == "work of a whole day\n"


def test_many_local_changes_are_counted(checkout: Checkout) -> None:
    path = deployed(checkout)
    for number in range(8):
        (path / f"new-{number}").touch()
    with pytest.raises(GitError, match="and 3 more"):
        checkout.refuse_local_changes()


def test_ignored_files_are_nobodys_work(checkout: Checkout) -> None:
    (deployed(checkout) / "ignored").touch()
    checkout.refuse_local_changes()


def test_local_commits_are_refused(checkout: Checkout) -> None:
    path = deployed(checkout)
    (path / "README").write_text("hotfix\n")
    git(path, "commit", "--quiet", "--all", "--message", "hotfix")
    with pytest.raises(GitError, match=r"has commits that are not in the repository \([0-9a-f]{12}\)"):
        checkout.refuse_local_changes()


def rewritten(origin: Path) -> str:
    """Amend the branch's newest commit and push it with force."""
    git(origin, "update-ref", "refs/heads/staging", tip(origin, "staging~1"))
    return commit(origin, "staging", {"README": "amended\n"}, "amended")


def forgetful(path: Path) -> None:
    """A checkout whose reflogs have expired."""
    git(path, "reflog", "expire", "--expire=all", "--expire-unreachable=all", "--all")


@pytest.mark.parametrize("remembered", ["by git", "by the release"])
def test_a_rewritten_branch_whose_new_commit_failed(checkout: Checkout, origin: Path, remembered: str) -> None:
    """The checkout returned to a commit that is no longer on a branch; that is not unpushed work."""
    path = deployed(checkout)
    before = checkout.head()
    new = rewritten(origin)
    assert checkout.fetch() == new
    checkout.move_to(new)
    checkout.move_to(before)
    if remembered == "by git":
        checkout.refuse_local_changes()
    else:
        forgetful(path)
        with pytest.raises(GitError, match="has commits that are not in the repository"):
            checkout.refuse_local_changes()
        checkout.refuse_local_changes([before])
    checkout.move_to(checkout.fetch())
    assert checkout.head() == new


def test_a_local_commit_on_a_rewritten_one_is_refused(checkout: Checkout, origin: Path) -> None:
    path = deployed(checkout)
    before = checkout.head()
    rewritten(origin)
    checkout.fetch()
    (path / "README").write_text("hotfix\n")
    git(path, "commit", "--quiet", "--all", "--message", "hotfix")
    with pytest.raises(GitError, match=rf"not in the repository \({checkout.head()[:12]}\)"):
        checkout.refuse_local_changes([before])


@pytest.mark.parametrize("known", ["", "0" * 40, "--all", "HEAD", "staging"])
def test_only_commits_that_were_deployed_excuse_others(checkout: Checkout, known: str) -> None:
    """Neither a commit that the checkout no longer has, nor a word that git would misread."""
    path = deployed(checkout)
    (path / "README").write_text("hotfix\n")
    git(path, "commit", "--quiet", "--all", "--message", "hotfix")
    with pytest.raises(GitError, match="has commits that are not in the repository"):
        checkout.refuse_local_changes([known])


def test_a_directory_that_is_no_checkout_is_left_alone(checkout: Checkout) -> None:
    Path(checkout.path).mkdir()
    checkout.refuse_local_changes()  # empty: nobody's
    Path(checkout.path, "file").touch()
    with pytest.raises(GitError, match=r"exists and is not a git checkout\. It was left untouched; move it away"):
        checkout.refuse_local_changes()


def test_a_checkout_of_another_repository_is_refused(checkout: Checkout, tmp_path: Path) -> None:
    path = deployed(checkout)
    git(path, "remote", "set-url", "origin", "https://user:hunter2@git.example.com/other.git")
    with pytest.raises(GitError, match=r"is a checkout of https://git\.example\.com/other\.git, but") as caught:
        checkout.refuse_local_changes()
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize(
    ("repository", "stored"),
    [
        ("ssh://git@git.example.com/app.git", "ssh://git@git.example.com/app.git"),
        ("git@git.example.com:app.git", "git@git.example.com:app.git"),
        ("https://token:hunter2@git.example.com/app.git", "https://git.example.com/app.git"),
        ("https://git.example.com/app.git", "https://other:hunter2@git.example.com/app.git"),
    ],
)
def test_a_checkout_of_the_same_repository_is_one(
    module: AnsibleModule, tmp_path: Path, repository: str, stored: str
) -> None:
    """What is shown without users and passwords is not what is compared."""
    (tmp_path / "code").mkdir()
    git(tmp_path / "code", "init", "--quiet", "--initial-branch=staging")
    git(tmp_path / "code", "remote", "add", "origin", stored)
    checkout = Checkout(module, str(tmp_path), repository, "staging")
    checkout.refuse_local_changes()
    assert only_here(checkout, checkout.place) == ""


def test_another_user_of_ssh_is_another_repository(module: AnsibleModule, tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    git(tmp_path / "code", "init", "--quiet", "--initial-branch=staging")
    git(tmp_path / "code", "remote", "add", "origin", "ssh://ann@git.example.com/app.git")
    with pytest.raises(GitError, match=r"of ssh://ann@git.*is ssh://git@git.*remote set-url origin ssh://git@git"):
        Checkout(module, str(tmp_path), "ssh://git@git.example.com/app.git", "staging").refuse_local_changes()


def test_a_missing_branch(checkout: Checkout) -> None:
    checkout.branch = "stagging"
    for ask in (checkout.remote_commit, checkout.fetch):
        with pytest.raises(GitError, match=r"origin\.git has no branch stagging \(bulkhead_source_branch\)"):
            ask()


def test_a_missing_repository(module: AnsibleModule, tmp_path: Path) -> None:
    checkout = Checkout(module, str(tmp_path), str(tmp_path / "none.git"), "staging")
    for ask in (checkout.remote_commit, checkout.fetch):
        with pytest.raises(GitError, match=r"none\.git cannot be read \(bulkhead_source_repository\)"):
            ask()


def test_asking_changes_nothing(checkout: Checkout, origin: Path) -> None:
    assert checkout.remote_commit() == tip(origin, "staging")
    assert not Path(checkout.path).exists()


@pytest.mark.parametrize("filters", ["true", "false"])
def test_the_files_of_a_commit_that_is_not_here(
    checkout: Checkout, origin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, filters: str
) -> None:
    """Fetched without its files, if the server can do that, and without changing the checkout."""
    git(origin, "config", "uploadpack.allowFilter", filters)
    aside = tmp_path / "aside"
    aside.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(aside))
    earlier = tip(origin, "staging~1")
    assert checkout.remote_tree(tip(origin, "staging")) == tip(origin, "staging^{tree}")
    assert checkout.remote_tree(earlier[:12]) == tip(origin, "staging~1^{tree}")
    with pytest.raises(GitError, match="is not on branch staging"):
        checkout.remote_tree(tip(origin, "main"))
    assert not Path(checkout.path).exists() and not list(aside.iterdir())
    assert checkout.tree(checkout.fetch(earlier)) == tip(origin, "staging~1^{tree}")


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """An empty directory."""
    path = tmp_path / "private"
    path.mkdir()
    return path


def test_the_image_is_built_from_the_commit(checkout: Checkout, origin: Path, empty: Path) -> None:
    """Neither untracked files nor .git get into the image, and nothing is left behind."""
    path = deployed(checkout)
    (path / "ignored").write_text("secret\n")
    earlier = tip(origin, "staging~1")
    assert checkout.export(earlier, str(empty)) == tip(origin, "staging~1^{tree}")
    assert {path.name: path.read_text() for path in empty.iterdir()} == {
        "README": "1\n",
        "Dockerfile": "FROM scratch\n",
    }
    assert not (path.parent / ".bulkhead/build" / earlier).exists()
    assert git(path, "worktree", "list").count("\n") == 0
    checkout.refuse_local_changes()


def test_an_export_that_broke_off_does_not_stand_in_the_way(checkout: Checkout, origin: Path, empty: Path) -> None:
    path = deployed(checkout)
    newest = tip(origin, "staging")
    folder = path.parent / ".bulkhead/build" / newest
    folder.mkdir(parents=True)
    (folder / "left-over").touch()
    assert checkout.export(newest, str(empty)) == tip(origin, "staging^{tree}")
    assert not (empty / "left-over").exists() and not folder.exists()


def test_submodules_are_exported(checkout: Checkout, origin: Path, tmp_path: Path, empty: Path) -> None:
    """They are fetched, or the error has git's message."""
    git(origin, "config", "receive.denyCurrentBranch", "ignore")
    work = tmp_path / "work"
    git(tmp_path, "clone", "--quiet", "--branch", "staging", str(origin), str(work))
    git(work, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "-b", "main", str(origin), "sub")
    git(work, "commit", "--quiet", "--message", "submodule")
    git(work, "push", "--quiet", "origin", "staging")
    newest = checkout.fetch()
    # Git itself refuses submodules by file path, which is what the test has at hand.
    with pytest.raises(GitError, match=f"the submodules of {newest[:12]} cannot be fetched"):
        checkout.export(newest, str(empty))


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 12\n"


def test_what_stands_for_files_of_git_lfs_is_refused(
    checkout: Checkout, origin: Path, empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without git-lfs, git checks it out and says nothing."""
    files = {
        ".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n",
        "model/a.bin": POINTER,
        "doc.txt": POINTER,
    }
    commit(origin, "staging", files, "large files")
    with pytest.raises(GitError, match=r"stands for files of Git LFS into the image \(model/a\.bin\)\. Install it"):
        checkout.export(checkout.fetch(), str(empty))
    # Installed, it may leave files out.
    installed = tmp_path / "installed"
    installed.mkdir()
    (installed / ".gitconfig").write_text("[alias]\n lfs = !true\n")
    (tmp_path / "first").mkdir()
    with (
        monkeypatch.context() as patch,
        pytest.raises(GitError, match=r"It is installed and leaves .* lfs\.fetchexclude"),
    ):
        patch.setattr(Checkout, "_home", lambda _self: str(installed))
        checkout.export(checkout.fetch(), str(tmp_path / "first"))
    # With the filter, git brings the file; the tree is then no longer the commit's.
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text('[filter "lfs"]\n smudge = echo the file\n clean = cat\n required = true\n')
    monkeypatch.setattr(Checkout, "_home", lambda _self: str(home))
    (tmp_path / "second").mkdir()
    assert checkout.export(checkout.fetch(), str(tmp_path / "second")) == ""
    assert (tmp_path / "second/model/a.bin").read_text() == "the file\n"


def test_a_filter_that_is_not_installed(
    checkout: Checkout, origin: Path, empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(origin, "staging", {".gitattributes": "*.bin filter=lfs\n", "a.bin": POINTER}, "large files")
    (tmp_path / ".gitconfig").write_text('[filter "lfs"]\n smudge = git-lfs smudge\n required = true\n')
    monkeypatch.setattr(Checkout, "_home", lambda _self: str(tmp_path))
    with pytest.raises(GitError, match=r"(?s)git-lfs: (command )?not found.*apt-get install git-lfs"):
        checkout.export(checkout.fetch(), str(empty))


@pytest.mark.skipif(not shutil.which("ssh"), reason="no ssh here")
@pytest.mark.parametrize("ask", [Checkout.fetch, Checkout.remote_commit], ids=["deploy", "check"])
def test_the_line_that_says_why_is_shown(module: AnsibleModule, tmp_path: Path, ask: Callable[[Checkout], str]) -> None:
    checkout = Checkout(module, str(tmp_path), "ssh://git@127.0.0.1:1/app.git", "staging")
    with pytest.raises(
        GitError, match=r"(?s)Connection refused.*127\.0\.0\.1 is not reached from this machine"
    ) as caught:
        ask(checkout)
    assert "correct access rights" not in caught.value.message


def test_nothing_of_the_callers_environment_reaches_git(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A GIT_DIR of a hook that runs a deployment would lead to another repository."""
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "broken")
    checkout.move_to(checkout.fetch())
    assert Path(checkout.path, "README").exists()


def test_a_lock_that_a_killed_git_left(checkout: Checkout, origin: Path) -> None:
    path = deployed(checkout)
    commit(origin, "staging", {"README": "three"}, "three")
    newest = checkout.fetch()
    (path / ".git/index.lock").touch()
    with pytest.raises(
        GitError, match=r"(?s)index\.lock': File exists.*A git that was killed left a lock behind"
    ) as caught:
        checkout.move_to(newest)
    assert "remove the file that is named" in caught.value.message


def test_without_git(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkout.module, "get_bin_path", lambda *_args, **_options: None)
    with pytest.raises(GitError, match="git is not installed on this machine; install the package git"):
        checkout.refuse_local_changes()


def test_a_machine_that_runs_no_further_program(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    deployed(checkout)

    def fork(*_args: object, **_options: object) -> None:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr("subprocess.Popen", fork)
    with pytest.raises(GitError, match="git cannot be run on this machine: Resource temporarily unavailable"):
        checkout.move_to("0" * 40)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://user:token@example.com/a.git", "https://example.com/a.git"),
        (
            "fatal: https://x-token@example.com/a and https://example.com/b",
            "fatal: https://example.com/a and https://example.com/b",
        ),
        ("ssh://git@example.com/a.git", "ssh://git@example.com/a.git"),
        ("ssh://me:secret@example.com/a.git", "ssh://me@example.com/a.git"),
        ("git@example.com:a.git", "git@example.com:a.git"),
    ],
)
def test_credentials_are_never_shown(text: str, shown: str) -> None:
    assert without_credentials(text) == shown


@pytest.mark.skipif(os.getuid() != 0, reason="only root can run git as somebody else")
def test_git_runs_as_the_owner(module: AnsibleModule, tmp_path: Path) -> None:
    command = Checkout(module, str(tmp_path), "/x", "staging", "nobody")
    seen: list[list[str]] = []

    def run_command(argv: list[str], **_options: object) -> tuple[int, str, str]:
        seen.append(argv)
        return 0, "", ""

    module.run_command = run_command
    command.run("status")
    assert seen[0][:6] == ["runuser", "-u", "nobody", "--", "/usr/bin/env", "-i"]
    assert "HOME=/nonexistent" in seen[0]


@pytest.mark.parametrize(
    ("repository", "url", "line"),
    [
        ("https://bob:t0k@git.example.org/a.git", "https://git.example.org/a.git", "https://bob:t0k@git.example.org\n"),
        ("https://t0k@h.example.org:8443/a", "https://h.example.org:8443/a", "https://t0k@h.example.org:8443\n"),
        ("https://git.example.org/a.git", "https://git.example.org/a.git", ""),
        ("git@git.example.org:a.git", "git@git.example.org:a.git", ""),
        ("/srv/git/a@b.git", "/srv/git/a@b.git", ""),
    ],
)
def test_credentials_leave_the_url(repository: str, url: str, line: str) -> None:
    assert split_credentials(repository) == (url, line)


@pytest.mark.parametrize("owner", ["", "nobody"])
def test_only_git_gets_the_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: str) -> None:
    """All users of the machine can read arguments, and a killed run would leave a file: git reads an open one."""
    if owner and os.geteuid() != 0:
        pytest.skip("runs git as another user, as root")
    answers: list[str] = []

    class Module:
        def run_command(self, command: list[str], **options: Any) -> tuple[int, str, str]:
            assert not any("t0ken" in word for word in command)
            asked = [*command[: command.index("ls-remote")], "credential", "fill"]
            host = "protocol=https\nhost=git.example.org\n\n"
            done = subprocess.run(
                asked, input=host, capture_output=True, text=True, check=True, cwd="/", pass_fds=options["pass_fds"]
            )
            answers.append(done.stdout)
            return 0, "%s refs/heads/main" % ("0" * 40), ""

    temporary = tmp_path / "temporary"  # of this test alone: others make files in the machine's meanwhile
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    Checkout(Module(), str(tmp_path), "https://bob:t0ken@git.example.org/a.git", "main", owner).remote_commit()
    assert "username=bob\npassword=t0ken\n" in answers[0]
    assert list(temporary.iterdir()) == []


def test_the_commits_that_were_deployed(machine: Machine) -> None:
    """Those in the state, which may be the only ones, and those of every kept release."""
    assert deployed_commits(machine.tree) == []
    machine.deploy(commit="c1")
    machine.deploy(**files(web="web:2"), commit="c2")
    assert set(deployed_commits(machine.tree)) == {"c1", "c2"}
    for name in machine.releases():
        Releases(machine.tree).remove(name)
    assert deployed_commits(machine.tree) == ["c2"]


def test_what_a_commit_is_about_has_no_control_characters(checkout: Checkout, origin: Path) -> None:
    """Whoever may push writes it, and a terminal shows it."""
    git(origin, "config", "user.name", "x")
    tree = git(origin, "rev-parse", "staging^{tree}")
    written = git(origin, "commit-tree", "-p", tip(origin, "staging"), "-m", "a\x1b[31mb" + "c" * 200, tree)
    git(origin, "update-ref", "refs/heads/staging", written)
    checkout.move_to(checkout.fetch())
    about = checkout.about(written)
    assert about["subject"].startswith("a [31mbccc") and len(about["subject"]) == 100
    assert about["author"] == "Somebody"
