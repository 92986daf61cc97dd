# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the git repository that the demo and the tests deploy: the project beside this file on `main` and `staging`.

Author, dates and messages are fixed, so the same files give the same commits on every machine. The repository is bare
and commits are made without a work tree, so nobody's checkout is in the way.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parent / "project"
SKIPPED = {"__pycache__", ".ruff_cache", ".mypy_cache"}
FIRST_DAY = 1_767_225_600  # 2026-01-01; each commit of a branch is one hour after the one before it
STAGING_HEADLINE = "Notes, the next version"

Changes = Mapping[str, "str | None"]


@dataclass(frozen=True)
class Git:
    """Git on one bare repository, out of reach of the user's and the machine's configuration."""

    repository: Path

    def __call__(self, *arguments: str, text: str | None = None, **variables: str) -> str:
        # Only PATH and HOME are kept: a GIT_DIR of a hook that runs the tests would lead elsewhere.
        environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C.UTF-8", **variables}
        command = ["git", f"--git-dir={self.repository}", *arguments]
        done = subprocess.run(
            command, input=None if text is None else text.encode(), capture_output=True, env=environment, check=False
        )
        if done.returncode != 0:
            raise RuntimeError(f"git {arguments[0]} in {self.repository}: {done.stderr.decode().strip()}")
        return done.stdout.decode().strip()

    def tip(self, branch: str) -> str | None:
        return self("for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}") or None


@contextmanager
def index(git: Git, start: str | None) -> Iterator[str]:
    """The path of an index of its own, filled with the tree of a commit."""
    with tempfile.TemporaryDirectory(prefix="bulkhead-index-") as scratch:
        path = str(Path(scratch, "index"))
        git("read-tree", start or "--empty", GIT_INDEX_FILE=path)
        yield path


def index_line(git: Git, index_path: str, path: str, content: str | None) -> str:
    """A line for `git update-index --index-info`: a script is executable, other files stay as they were."""
    if content is None:
        return f"0 {'0' * 40}\t{path}"
    listed = git("ls-files", "--stage", "--", path, GIT_INDEX_FILE=index_path)
    mode = "100755" if content.startswith("#!") or listed.startswith("100755") else "100644"
    blob = git("hash-object", "-w", "--stdin", text=content)
    return f"{mode} {blob}\t{path}"


def write_tree(git: Git, start: str | None, changes: Changes) -> str:
    with index(git, start) as path:
        lines = "".join(f"{index_line(git, path, name, content)}\n" for name, content in changes.items())
        git("update-index", "--index-info", text=lines, GIT_INDEX_FILE=path)
        return git("write-tree", GIT_INDEX_FILE=path)


def write_commit(git: Git, tree: str, parent: str | None, message: str) -> str:
    number = int(git("rev-list", "--count", parent)) if parent else 0
    who = {"NAME": "Demo Developer", "EMAIL": "developer@example.com", "DATE": f"{FIRST_DAY + 3600 * number} +0000"}
    variables = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()}
    parents = ["-p", parent] if parent else []
    return git("commit-tree", *parents, "-m", message, tree, **variables)


def commit(repository: Path, branch: str, changes: Changes, message: str) -> str:
    """Put one commit on a branch and return its id; a path whose content is None is removed.

    Where the changes change nothing, no commit is made and the branch's tip is returned.
    """
    git = Git(repository)
    tip = git.tip(branch)
    tree = write_tree(git, tip, changes)
    if tip and git("rev-parse", f"{tip}^{{tree}}") == tree:
        return tip
    new = write_commit(git, tree, tip, message)
    git("update-ref", f"refs/heads/{branch}", new, tip or "0" * 40)
    return new


def project_files() -> dict[str, str]:
    """The project's files, text all of them, by their path."""
    paths = (path for path in sorted(PROJECT.rglob("*")) if path.is_file() and not SKIPPED & set(path.parts))
    return {path.relative_to(PROJECT).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def advance(git: Git, branch: str, start: str | None, files: Changes, message: str) -> str:
    """Have a commit with exactly these files on the branch, on top of what is there; a branch that had it stays."""
    tree = write_tree(git, None, {path: content for path, content in files.items() if content is not None})
    tip = git.tip(branch)
    if tip and tree in git("log", "--format=%T", tip).splitlines():
        return tip
    new = write_commit(git, tree, tip or start, message)
    git("update-ref", f"refs/heads/{branch}", new, tip or "0" * 40)
    return new


def make_repository(destination: Path, *, files: Changes | None = None) -> dict[str, str]:
    """Make the repository, or bring it up to date; returns the commit at the tip of each branch.

    `files` replaces or adds files of the project on both branches, or with None leaves them out: a Dockerfile that
    does not build, an application that never gets healthy.
    """
    git = Git(destination)
    if not (destination / "HEAD").exists():
        destination.mkdir(parents=True, exist_ok=True)
        git("init", "--quiet", "--bare", "--initial-branch=main")
    main_files: dict[str, str | None] = {**project_files(), **(files or {})}
    main = advance(git, "main", None, main_files, "Notes")

    headline = main_files.get("notes/headline.py") or ""
    changed = headline.replace('HEADLINE = "Notes"', f'HEADLINE = "{STAGING_HEADLINE}"')
    staging_files = {**main_files, "notes/headline.py": changed} if headline else {**main_files, "NEXT": "staging\n"}
    return {"main": main, "staging": advance(git, "staging", main, staging_files, "A new headline")}


def main() -> int:
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print("usage: make_repository.py DESTINATION", file=sys.stderr)
        return 2
    try:
        tips = make_repository(Path(sys.argv[1]).resolve())
    except (OSError, RuntimeError) as exc:
        print(f"ERROR: {exc}", file=sys.stderr)
        return 1
    for branch, sha in tips.items():
        print(f"{branch} {sha}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
