# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The git checkout of one environment, on its own branch at an exact commit. Runs on the targets."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from ansible.module_utils.basic import AnsibleModule

from ..core.directory import Tree
from ..core.errors import last_lines
from ..core.words import printable
from .access import DeployKey
from .context import PrivateCopy, object_id
from .git import Git, GitError
from .values import (
    branch_problem,
    commit_problem,
    is_in_the_way,
    looks_like_commit,
    repository_problem,
    split_credentials,
    without_credentials,
)

#: How much of a commit's subject and of its author is kept.
_SHOWN = 100
_REF = re.compile(r"refs/(tags|heads)/")
_COMMIT = re.compile(r"[0-9a-f]{40,64}\Z")
#: For commits without their files.
_WITHOUT_FILES = ("--filter=tree:0",)


class Checkout(Git):
    """The checkout in ``<directory>/code``."""

    def __init__(
        self,
        module: AnsibleModule,
        directory: str,
        repository: str,
        branch: str,
        owner: str = "",
        credentials: str | DeployKey = "",
    ) -> None:
        super().__init__(module, repository, owner, credentials)
        self.place = Tree(directory, owner)
        self.path = os.path.join(directory, "code")
        self.branch = branch
        problem = repository_problem(self.repository) or branch_problem(branch)
        if problem:
            raise GitError(problem)

    @property
    def remote_branch(self) -> str:
        """The ref of the environment's branch as last fetched."""
        return "refs/remotes/origin/%s" % self.branch

    def git(self, *args: str) -> str:
        """Run git in the checkout and return its output. Raises GitError if it fails."""
        code, output, errors = self.run(*args, cwd=self.path)
        if code != 0:
            raise GitError("git %s failed in %s: %s" % (args[0], self.path, self._reason(errors or output, 4)))
        return output.rstrip()  # not strip(): leading spaces matter in the output of status

    def exists(self) -> bool:
        """Whether there is a checkout."""
        return self.place.is_folder(os.path.join("code", ".git"))

    def origin(self) -> str:
        """The repository of the checkout, as :func:`split_credentials` leaves it: what may be compared."""
        return split_credentials(self.git("config", "--get", "remote.origin.url"))[0]

    def head(self) -> str:
        """The commit that is checked out; empty if there is none."""
        if not self.exists():
            return ""
        code, output, _errors = self.run("rev-parse", "--verify", "--quiet", "HEAD", cwd=self.path)
        return output.strip() if code == 0 else ""

    def refuse_local_changes(self, deployed: Iterable[str] = ()) -> None:
        """Raise GitError if a deployment would lose local work or use another repository.

        ``deployed`` are commits that were deployed here. They came from the repository, even if its branch no longer
        has them.
        """
        if not self.module.get_bin_path("git"):
            raise GitError("git is not installed on this machine; install the package git")
        if not self.exists():
            if self.place.names("code"):
                raise GitError("%s exists and is not a git checkout. It was left untouched; move it away" % self.path)
            return
        if self.origin() != self.repository:
            stored, wanted = without_credentials(self.origin()), without_credentials(self.repository)
            raise GitError(
                "%s is a checkout of %s, but bulkhead_source_repository is %s. Correct the variable; or if the "
                "repository has moved: git -C %s remote set-url origin %s"
                % (self.path, stored, wanted, self.path, wanted)
            )
        if not self.head():
            return
        changed = self.git("status", "--porcelain", "--untracked-files=normal").splitlines()
        if changed:
            shown = ", ".join(line[3:] for line in changed[:5])
            shown += " and %d more" % (len(changed) - 5) if len(changed) > 5 else ""
            raise GitError(
                "%s has local changes (%s). A deployment would lose them or leave them out of the image: commit and "
                "push them to %s, or remove them" % (self.path, shown, self.branch)
            )
        unpushed = self._not_in("--remotes=origin")
        if unpushed:  # or the branch was rewritten since
            unpushed = self._not_in("--remotes=origin", *filter(_COMMIT.match, deployed), *self._fetched())
        if unpushed:
            raise GitError(
                "%s has commits that are not in the repository (%s). Push them to %s, or move them away"
                % (self.path, ", ".join(commit[:12] for commit in unpushed), self.branch)
            )

    def _not_in(self, *known: str) -> list[str]:
        """Up to five commits that are reachable from HEAD but not from ``known``."""
        return self.git("rev-list", "--ignore-missing", "--max-count=5", "HEAD", "--not", *known).splitlines()

    def _fetched(self) -> list[str]:
        """The commits at which the repository's branch was fetched, as far as the reflog goes back."""
        log = ("log", "--walk-reflogs", "--format=%H", self.remote_branch, "--")
        code, output, _errors = self.run(*log, cwd=self.path)
        return output.split() if code == 0 else []

    def remote_commit(self, commit: str = "") -> str:
        """The commit to deploy: ``commit`` in full, or the head of the remote branch. Changes nothing here, and raises
        GitError where :meth:`fetch` would."""
        if commit:
            return self._elsewhere(commit)[1]
        ref = "refs/heads/%s" % self.branch
        code, output, errors = self.run_remote("ls-remote", "--exit-code", "--", self.repository, ref)
        self._check_remote(code, errors)
        return _exact(output.split()[0])

    def tree(self, commit: str) -> str:
        """The git tree of a commit: a digest of its files alone."""
        tree = self._tree_of(self.path, commit)
        if not tree:
            raise GitError("git in %s does not show commit %s as it was made (git replace?)" % (self.path, commit[:12]))
        return tree

    def remote_tree(self, commit: str) -> str:
        """The git tree of a commit of the environment's branch, fetched into a temporary directory."""
        return self._elsewhere(commit)[0]

    def _elsewhere(self, commit: str) -> tuple[str, str]:
        """The git tree of a commit of the environment's branch and its full id, from a temporary directory."""
        with self._temporary() as temporary:
            full = temporary.fetch(commit, *_WITHOUT_FILES)
            return temporary.tree(full), full

    @contextmanager
    def _temporary(self) -> Iterator[Checkout]:
        """A place for another checkout of the same, which ends with the block."""
        folder = tempfile.mkdtemp(prefix="bulkhead-")
        try:
            if self.owner:
                os.chown(folder, pwd.getpwnam(self.owner).pw_uid, -1)
            yield Checkout(self.module, folder, self.repository, self.branch, self.owner, self._credentials)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def fetch(self, commit: str = "", *options: str) -> str:
        """Fetch the environment's branch alone. Returns the commit to deploy: ``commit`` in full, or the newest."""
        if not self.exists():
            code, output, errors = self.run("init", "--quiet", "--initial-branch=%s" % self.branch, "--", self.path)
            if code != 0:
                raise GitError("cannot make a checkout in %s: %s" % (self.path, last_lines(errors or output, 3)))
            self.git("remote", "add", "-t", self.branch, "--", "origin", self.repository)
        self._make_way()
        refspec = "+refs/heads/%s:%s" % (self.branch, self.remote_branch)
        fetching = ("fetch", "--quiet", "--no-tags", *options, "origin", refspec)
        code, output, errors = self.run_remote(*fetching, cwd=self.path)
        self._check_remote(code, errors, missing="couldn't find remote ref")
        newest = self.git("rev-parse", "--verify", self.remote_branch)
        if not commit:
            return _exact(newest)
        if commit_problem(commit):
            raise GitError(commit_problem(commit))
        full, named = self._named(commit), "commit %s" % commit
        if not full:
            full, named = self._tagged(commit), "tag %s" % commit
        ancestry = ("merge-base", "--is-ancestor", full, self.remote_branch)
        if self.run(*ancestry, cwd=self.path)[0] != 0:
            raise self._on_another_branch(named, self._branch_with(full))
        return _exact(full)

    def _on_another_branch(self, named: str, branch: str) -> GitError:
        elsewhere = ", but on %s" % branch if branch else ""
        return GitError(
            "%s is not on branch %s, this environment's branch%s. Merge it there first, or correct "
            "bulkhead_source_commit" % (named, self.branch, elsewhere)
        )

    def _named(self, commit: str) -> str:
        """The full id of a commit that was fetched; empty where it has none of that name."""
        if not looks_like_commit(commit):
            return ""
        code, output, errors = self.run("rev-parse", "--verify", "%s^{commit}" % commit, cwd=self.path)
        if "is ambiguous" in errors:
            raise GitError("several commits begin with %s (bulkhead_source_commit). Write more of its digits" % commit)
        return output.strip() if code == 0 else ""

    def _tagged(self, name: str) -> str:
        """The commit that a tag of the repository names now, written as pipelines have it, too (refs/tags/v1). Raises
        GitError where it has no such tag."""
        spelt = _REF.match(name)
        kind, short = (spelt[1], name[spelt.end() :]) if spelt else ("", name)
        refs = ["refs/tags/%s" % short, "refs/tags/%s^{}" % short, "refs/heads/%s" % short]
        code, output, errors = self.run_remote("ls-remote", "--", self.repository, *refs)
        self._check_remote(code, errors)
        lines = [line.partition("\t") for line in output.splitlines()]
        found = {ref: commit for commit, _tab, ref in lines}
        # An annotated tag is an object of its own; git lists what it leads to under the second name.
        tagged = found.get(refs[1]) or found.get(refs[0])
        if tagged and kind != "heads":
            return _exact(tagged)
        if refs[2] in found and kind != "tags":
            raise GitError(
                "bulkhead_source_commit is %s, which is a branch: what it means changes with every push. Name a commit "
                "or a tag of branch %s" % (name, self.branch)
            )
        what = "tag %s" % name
        if looks_like_commit(name):  # another branch may have it: only this one was fetched
            branch = self._branch_with(name)
            if branch:
                raise self._on_another_branch("commit %s" % name, branch)
            what = "commit %s on any branch, and no tag of that name" % name
        raise GitError(
            "%s has no %s. Push it, or correct bulkhead_source_commit" % (without_credentials(self.repository), what)
        )

    def _branch_with(self, commit: str) -> str:
        """A branch of the repository that has a commit; empty where none has. All are fetched, to say what is wrong
        with a name: nothing of them is kept."""
        with self._temporary() as temporary:
            where, every = temporary.place.directory, "+refs/heads/*:refs/heads/*"
            temporary.run("init", "--quiet", "--bare", "--", where)
            temporary.run("remote", "add", "--", "origin", self.repository, cwd=where)
            fetching = ("fetch", "--quiet", "--no-tags", *_WITHOUT_FILES, "origin", every)
            code, _output, errors = temporary.run_remote(*fetching, cwd=where)
            self._check_remote(code, errors)
            asking = ("for-each-ref", "--count=1", "--format=%(refname:short)", "--contains", commit, "refs/heads")
            code, output, _errors = temporary.run(*asking, cwd=where)
            return output.strip() if code == 0 else ""

    def _make_way(self) -> None:
        """Forget where the branch of before was, where git cannot know both: release and release/1."""
        begin = "refs/remotes/origin/"
        for ref in self.git("for-each-ref", "--format=%(refname)", begin).splitlines():
            if is_in_the_way(ref[len(begin) :], self.branch):
                self.git("update-ref", "-d", ref)

    def _check_remote(self, code: int, errors: str, missing: str = "") -> None:
        repository = without_credentials(self.repository)
        if code == 0:
            return
        if code == 2 and not missing or missing and missing in errors:
            raise GitError("%s has no branch %s (bulkhead_source_branch)" % (repository, self.branch))
        raise GitError("%s cannot be read (bulkhead_source_repository): %s" % (repository, self._reason(errors)))

    def move_to(self, commit: str) -> None:
        """Check out the commit on the environment's branch."""
        if self.head() == commit and self.current_branch() == self.branch:
            return
        before = self.current_branch()
        if is_in_the_way(before, self.branch):
            self.git("branch", "--quiet", "--move", before, self.branch)
        code, output, errors = self.run_remote("checkout", "--quiet", "-B", self.branch, commit, cwd=self.path)
        if code != 0:
            raise GitError("git checkout failed in %s: %s" % (self.path, self._reason(errors or output, 4)))
        self.git("remote", "set-branches", "origin", self.branch)
        # Not by --set-upstream-to: that fails for a branch that was not fetched, as before a rollback.
        self.git("config", "branch.%s.remote" % self.branch, "origin")
        self.git("config", "branch.%s.merge" % self.branch, "refs/heads/%s" % self.branch)

    def about(self, commit: str) -> dict[str, str]:
        """The subject and the author of a commit, for people: both were written by whoever may push."""
        code, output, _errors = self.run(
            "log", "-1", "--no-show-signature", "--format=%s%x00%an", commit, cwd=self.path
        )
        subject, _zero, author = output.strip().partition("\0") if code == 0 else ("", "", "")
        return {"subject": printable(subject)[:_SHOWN], "author": printable(author)[:_SHOWN]}

    def current_branch(self) -> str:
        """The branch that is checked out; empty if none is."""
        code, output, _errors = self.run("symbolic-ref", "--short", "--quiet", "HEAD", cwd=self.path)
        return output.strip() if code == 0 else ""

    def export(self, commit: str, target: str) -> str:
        """Copy the files of a commit, submodules included, to the empty directory ``target``. No link is followed.

        Returns the git tree of what was copied; empty if that is not the commit's, because git changes files at
        checkout. Raises GitError, and ContextError for what must not be copied.
        """
        build = os.path.join(".bulkhead", "build", commit)
        folder = self.place.path(build)
        self.place.remove(build)
        self.git("worktree", "prune")
        self.place.make_directory(os.path.dirname(build))
        try:
            add = ("worktree", "add", "--quiet", "--detach", folder, commit)
            code, output, errors = self.run_remote(*add, cwd=self.path)
            if code != 0:
                reason = self._reason(errors or output, 4)
                raise GitError("the files of %s cannot be checked out: %s" % (commit[:12], reason))
            if self.place.status(os.path.join(build, ".gitmodules")):
                update = ("submodule", "update", "--quiet", "--init", "--recursive")
                code, output, errors = self.run_remote(*update, cwd=folder)
                if code != 0:
                    reason = self._reason(errors or output, 4)
                    raise GitError("the submodules of %s cannot be fetched: %s" % (commit[:12], reason))
            submodules = self._submodules(folder)
            uid = pwd.getpwnam(self.owner).pw_uid if self.owner else os.getuid()
            copy = PrivateCopy(folder, target, uid, _algorithm(commit), submodules)
            self._refuse_pointers(folder, copy.pointers, submodules)
            trees = {path: self._tree_of(os.path.join(folder, path), pinned) for path, pinned in submodules.items()}
            own = self._tree_of(folder, commit)
            return own if (own, trees) == (copy.tree, copy.trees) else ""
        finally:
            self.place.remove(build)
            self.run("worktree", "prune", cwd=self.path)

    def _refuse_pointers(self, folder: str, pointers: Iterable[str], submodules: Iterable[str]) -> None:
        """Raise GitError where Git LFS should have brought files and left what stands for them."""
        left = []
        for path in sorted(pointers):
            module = max((known for known in submodules if path.startswith(known + "/")), key=len, default="")
            asked = ("check-attr", "-z", "filter", "--", os.path.relpath(path, module or "."))
            _code, output, _errors = self.run(*asked, cwd=os.path.join(folder, module))
            if output.split("\0")[2:3] == ["lfs"]:
                left.append(path)
        if left:
            advice = "Install it: apt-get install git-lfs, then git lfs install --system"
            if self.run("lfs", "version", cwd=folder)[0] == 0:
                advice = (
                    "It is installed and leaves them out: look at lfs.fetchexclude in .lfsconfig and %s/.gitconfig, "
                    "and run git lfs install --system without --skip-smudge" % self._home()
                )
            raise GitError(
                "this machine would build what stands for files of Git LFS into the image (%s). %s"
                % (", ".join(left[:5]), advice)
            )

    def _submodules(self, folder: str, above: str = "") -> dict[str, str]:
        """The commits of the submodules of a work tree by path, those of submodules included."""
        if not os.path.isfile(os.path.join(folder, ".gitmodules")):
            return {}
        found = {}
        _code, output, _errors = self.run("ls-tree", "-r", "-z", "HEAD", cwd=folder)
        for line in filter(None, output.split("\0")):
            facts, _tab, path = line.partition("\t")
            kind = facts.split()
            if kind[0] == "160000" and _COMMIT.match(kind[2]):
                found[above + path] = kind[2]
                found.update(self._submodules(os.path.join(folder, path), "%s%s/" % (above, path)))
        return found

    def _tree_of(self, folder: str, commit: str) -> str:
        """The git tree that a commit names. Its id proves its text: git runs as the owner, who may have changed it."""
        _code, output, _errors = self.run("cat-file", "commit", commit, cwd=folder)
        text = output.encode("utf-8", "surrogateescape")
        proved = object_id(_algorithm(commit), "commit", text) == commit
        return output.split("\n", 1)[0].partition(" ")[2] if proved else ""


def _algorithm(identity: str) -> str:
    """The algorithm by which a repository names its objects."""
    return "sha256" if len(identity) == 64 else "sha1"


def _exact(commit: str) -> str:
    """A commit as git printed it. Raises GitError if it is anything else: git ran as the owner."""
    if not _COMMIT.match(commit):
        raise GitError("git names no commit, but %s" % commit[:80])
    return commit
