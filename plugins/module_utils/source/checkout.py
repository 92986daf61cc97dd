# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The checkout of one environment: its own branch, an exact commit, nothing else. Runs on the targets."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..core.errors import Failure, last_lines
from ..core.process import home_directory, run_command

_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
_COMMIT = re.compile(r"[0-9a-f]{40,64}\Z")


class GitError(Failure):
    """Something about the repository or the checkout that the user has to mend."""


def without_credentials(text: str) -> str:
    """A URL, or a text with URLs, without user names and passwords in them."""
    return _CREDENTIALS.sub("", text)


def split_credentials(repository: str) -> tuple[str, str]:
    """A repository's URL without user and password, and the line of git's credential store that has them.

    git hands the URL to its helpers as an argument, which everybody on the machine can read.
    """
    clean = without_credentials(repository)
    if clean == repository or not repository.startswith(("http://", "https://")):
        return repository, ""
    scheme, _colon, rest = repository.partition("://")
    return clean, "%s://%s\n" % (scheme, rest.partition("/")[0])


class Checkout:
    """``<directory>/code``. git runs as the owner, with an environment of its own, and asks nobody anything."""

    def __init__(
        self,
        module: AnsibleModule,
        directory: str,
        repository: str,
        branch: str,
        owner: str = "",
        credentials: str = "",
    ) -> None:
        self.module = module
        self.path = os.path.join(directory, "code")
        self.build_root = os.path.join(directory, ".bulkhead", "build")
        self.repository, found = split_credentials(repository)
        self._credentials = credentials or found
        self.branch = branch
        self.owner = owner if owner and os.getuid() == 0 and pwd.getpwnam(owner).pw_uid != 0 else ""

    @property
    def remote_branch(self) -> str:
        """The environment's branch as it was last fetched."""
        return "refs/remotes/origin/%s" % self.branch

    def run(self, *args: str, **options: Any) -> tuple[int, str, str]:
        """Run git; returns (exit code, output, errors)."""
        home = pwd.getpwnam(self.owner).pw_dir if self.owner else home_directory()
        variables = {
            "HOME": home,
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_SSH_COMMAND": "ssh -o BatchMode=yes",
            "GIT_ADVICE": "0",
        }
        command = ["/usr/bin/env", "-i"] + ["%s=%s" % item for item in sorted(variables.items())]
        if self.owner:
            command = ["runuser", "-u", self.owner, "--"] + command
        where = ["-C", options["cwd"]] if options.get("cwd") else []
        command += ["git"] + where + list(args)
        return run_command(self.module, "git", command, GitError)

    def run_remote(self, *args: str, **options: Any) -> tuple[int, str, str]:
        """Run git with the repository's credentials in a file that only the owner can read and that goes away."""
        if not self._credentials:
            return self.run(*args, **options)
        descriptor, path = tempfile.mkstemp(prefix="bulkhead-")
        try:
            with os.fdopen(descriptor, "w") as stream:
                stream.write(self._credentials)
            if self.owner:
                os.chown(path, pwd.getpwnam(self.owner).pw_uid, -1)
            helper = ["-c", "credential.helper=", "-c", "credential.helper=store --file=%s" % path]
            return self.run(*helper, *args, **options)
        finally:
            os.unlink(path)

    def git(self, *args: str) -> str:
        """Run git in the checkout and return its output. Raises GitError when it fails."""
        code, output, errors = self.run(*args, cwd=self.path)
        if code != 0:
            raise GitError(
                "git %s failed in %s: %s" % (args[0], self.path, without_credentials(last_lines(errors or output, 4)))
            )
        return output.rstrip()  # what stands before a name in a status is a part of it

    def exists(self) -> bool:
        """Whether there is a checkout."""
        return os.path.isdir(os.path.join(self.path, ".git"))

    def head(self) -> str:
        """The commit that is checked out; empty where there is none."""
        if not self.exists():
            return ""
        code, output, _errors = self.run("rev-parse", "--verify", "--quiet", "HEAD", cwd=self.path)
        return output.strip() if code == 0 else ""

    def refuse_local_changes(self, deployed: Iterable[str] = ()) -> None:
        """Raise GitError where a deployment would lose work or would use another repository.

        ``deployed`` are commits that were deployed here: they came from the repository, whatever its branch says now.
        """
        if not self.module.get_bin_path("git"):
            raise GitError("there is no git on this machine; install the package git")
        if not self.exists():
            if os.path.isdir(self.path) and os.listdir(self.path):
                raise GitError(
                    "%s exists and is not a git checkout. Move it away; nothing there is touched" % self.path
                )
            return
        origin = self.git("config", "--get", "remote.origin.url")
        if without_credentials(origin) != self.repository:
            raise GitError(
                "%s is a checkout of %s, and bulkhead_source_repository is %s. Move it away, or correct the variable"
                % (self.path, without_credentials(origin), without_credentials(self.repository))
            )
        if not self.head():
            return
        changed = self.git("status", "--porcelain", "--untracked-files=normal").splitlines()
        if changed:
            shown = ", ".join(line[3:] for line in changed[:5]) + (
                " and %d more" % (len(changed) - 5) if len(changed) > 5 else ""
            )
            raise GitError(
                "%s has local changes (%s). They would be lost or left out of the image: commit and push them to "
                "%s, or remove them" % (self.path, shown, self.branch)
            )
        own = self._not_in("--remotes=origin")
        if own:  # somebody may have rewritten the branch since
            own = self._not_in("--remotes=origin", *filter(_COMMIT.match, deployed), *self._fetched())
        if own:
            raise GitError(
                "%s has commits that are not in the repository (%s). Push them to %s, or move them away"
                % (self.path, ", ".join(commit[:12] for commit in own), self.branch)
            )

    def _not_in(self, *known: str) -> list[str]:
        """Some of the commits that are checked out and that cannot be reached from known ones."""
        return self.git("rev-list", "--ignore-missing", "--max-count=5", "HEAD", "--not", *known).splitlines()

    def _fetched(self) -> list[str]:
        """What the repository's branch was at each time that it was fetched, as long as git remembers it."""
        code, output, _errors = self.run(
            "log", "--walk-reflogs", "--format=%H", self.remote_branch, "--", cwd=self.path
        )
        return output.split() if code == 0 else []

    def remote_commit(self, commit: str = "") -> str:
        """The commit to deploy, asked without changing anything here."""
        wanted = "refs/heads/%s" % self.branch
        code, output, errors = self.run_remote("ls-remote", "--exit-code", self.repository, wanted)
        self._check_remote(code, errors)
        return commit or output.split()[0]

    def tree(self, commit: str) -> str:
        """The git tree of a commit: the digest of its files and nothing else."""
        return self.git("rev-list", "--max-count=1", "--format=%T", commit).splitlines()[-1]

    def remote_tree(self, commit: str) -> str:
        """The git tree of a commit of the environment's branch, fetched to a place of its own: here nothing changes."""
        folder = tempfile.mkdtemp(prefix="bulkhead-")
        try:
            if self.owner:
                os.chown(folder, pwd.getpwnam(self.owner).pw_uid, -1)
            aside = Checkout(self.module, folder, self.repository, self.branch, self.owner, self._credentials)
            return aside.tree(aside.fetch(commit, "--filter=tree:0"))  # commits without their files
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def fetch(self, commit: str = "", *options: str) -> str:
        """Fetch the environment's branch and nothing else; returns the commit to deploy."""
        if not self.exists():
            code, output, errors = self.run("init", "--quiet", "--initial-branch", self.branch, self.path)
            if code != 0:
                raise GitError("cannot make a checkout in %s: %s" % (self.path, last_lines(errors or output, 3)))
            self.git("remote", "add", "-t", self.branch, "origin", self.repository)
        code, output, errors = self.run_remote(
            "fetch",
            "--quiet",
            "--no-tags",
            *options,
            "origin",
            "+refs/heads/%s:%s" % (self.branch, self.remote_branch),
            cwd=self.path,
        )
        self._check_remote(code, errors, missing="couldn't find remote ref")
        newest = self.git("rev-parse", "--verify", self.remote_branch)
        if not commit:
            return newest
        code, output, _errors = self.run("rev-parse", "--verify", "--quiet", "%s^{commit}" % commit, cwd=self.path)
        full = output.strip()
        on_branch = (
            code == 0 and self.run("merge-base", "--is-ancestor", full, self.remote_branch, cwd=self.path)[0] == 0
        )
        if not on_branch:
            raise GitError(
                "commit %s is not on branch %s, which is this environment's. Merge it there first, or correct "
                "bulkhead_source_commit" % (commit, self.branch)
            )
        return full

    def _check_remote(self, code: int, errors: str, missing: str = "") -> None:
        repository = without_credentials(self.repository)
        if code == 0:
            return
        if code == 2 and not missing or missing and missing in errors:
            raise GitError("%s has no branch %s (bulkhead_source_branch)" % (repository, self.branch))
        raise GitError(
            "%s cannot be read (bulkhead_source_repository): %s"
            % (repository, without_credentials(last_lines(errors, 3)))
        )

    def move_to(self, commit: str) -> None:
        """Check the commit out on the environment's branch."""
        if self.head() == commit and self.current_branch() == self.branch:
            return
        self.git("checkout", "--quiet", "-B", self.branch, commit)
        self.git("branch", "--quiet", "--set-upstream-to", "origin/%s" % self.branch, self.branch)

    def current_branch(self) -> str:
        """The branch that is checked out; empty when none is."""
        code, output, _errors = self.run("symbolic-ref", "--short", "--quiet", "HEAD", cwd=self.path)
        return output.strip() if code == 0 else ""

    @contextlib.contextmanager
    def exported(self, commit: str) -> Iterator[str]:
        """A folder with the files of the commit, as git checks them out; gone afterwards."""
        folder = os.path.join(self.build_root, commit)
        shutil.rmtree(folder, ignore_errors=True)
        self.git("worktree", "prune")
        os.makedirs(self.build_root, exist_ok=True)
        os.chmod(os.path.dirname(self.build_root), 0o700)
        if self.owner:
            entry = pwd.getpwnam(self.owner)
            for each in (os.path.dirname(self.build_root), self.build_root):
                os.lchown(each, entry.pw_uid, entry.pw_gid)
        try:
            self.git("worktree", "add", "--quiet", "--detach", folder, commit)
            if os.path.isfile(os.path.join(folder, ".gitmodules")):
                update = ("submodule", "update", "--quiet", "--init", "--recursive")
                code, output, errors = self.run_remote(*update, cwd=folder)
                if code != 0:
                    raise GitError(
                        "the submodules of %s cannot be fetched: %s" % (commit[:12], last_lines(errors or output, 4))
                    )
            os.unlink(os.path.join(folder, ".git"))
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            self.run("worktree", "prune", cwd=self.path)
