# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What lies in an environment's directory: what a deployment wrote there, and what is the user's own.

Looks only; runs on the targets.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from ..core.directory import Tree
from ..core.errors import Failure
from ..source.checkout import Checkout
from ..source.values import without_credentials

#: What deployments keep below ``.bulkhead``. Anything else there is the user's own.
KEPT = ("acme", "build", "environment.json", "private", "releases", "state.json", "traffic")


class Belongings:
    """``own`` are the paths that may go, relative to the directory: files, ``.bulkhead``'s parts, the checkout, and
    directories that would be empty then. ``left`` are the others with the reason."""

    def __init__(self, tree: Tree, written: Iterable[str], mounts: Iterable[str], checkout: Checkout | None) -> None:
        self.tree = tree
        self.own: list[str] = []
        self.left: list[tuple[str, str]] = []
        written = [path for path in written if not path.startswith(".bulkhead/")]
        for path in sorted(written):
            if not tree.holds(path) or tree.is_link(path):
                self.left.append((path, "it is a link, or lies behind one"))
            elif tree.status(path):
                self.own.append(path)
        self._add_private()
        self._add_checkout(checkout)
        self._add_mounts({os.path.normpath(path) for path in mounts})
        self._add_empty({os.path.dirname(path) for path in written} | {".bulkhead", "docker/nginx"})

    def _add_private(self) -> None:
        for name in self.tree.names(".bulkhead") if self.tree.is_folder(".bulkhead") else ():
            path = os.path.join(".bulkhead", name)
            if name in KEPT and not self.tree.is_link(path):
                self.own.append(path)
            # What was written aside by a run that was killed.
            elif name.startswith(".") and ".bulkhead-" in name:
                self.own.append(path)

    def _add_checkout(self, checkout: Checkout | None) -> None:
        if not self.tree.status("code"):
            return
        reason = only_here(checkout, self.tree)
        if reason:
            self.left.append(("code", reason))
        else:
            self.own.append("code")

    def _add_mounts(self, mounts: Iterable[str]) -> None:
        """Directories that were made for services to mount. What containers or people put there is theirs."""
        for path in sorted(mounts):
            known = path.split(os.sep)[0] in ("code", ".bulkhead", ".", "..") or path in self.own
            if known or not self.tree.holds(path) or not self.tree.is_folder(path):
                continue
            if any(own.startswith(path + os.sep) for own in self.own):
                continue  # directories with files of ours are judged file by file
            if self.tree.names(path):
                self.left.append((path, "it holds files that no deployment wrote"))
            else:
                self.own.append(path)

    def _add_empty(self, folders: Iterable[str]) -> None:
        """Directories that would be empty then, the deepest first and the environment's own last."""
        above = {part for folder in folders for part in _with_parents(folder)} | {""}
        for folder in sorted(above, key=lambda folder: (-folder.count("/") - bool(folder), folder)):
            if not self.tree.holds(folder) or not self.tree.is_folder(folder):
                continue
            names = {os.path.join(folder, name) for name in self.tree.names(folder)}
            strange = sorted(names - set(self.own) - above - {left for left, _reason in self.left})
            self.left += [(name, "no deployment wrote it") for name in strange]
            if names <= set(self.own) and folder not in self.own:  # it may be a mount's
                self.own.append(folder)


def _with_parents(path: str) -> Iterator[str]:
    while path:
        yield path
        path = os.path.dirname(path)


def only_here(checkout: Checkout | None, tree: Tree) -> str:
    """Why a checkout may not be removed: what would be lost with it. Empty where it holds nothing of its own."""
    if tree.is_link("code"):
        return "it is a link"
    if checkout is None:
        return "bulkhead_source_repository is not set, so no deployment made it"
    if not checkout.exists():
        return "it is not a git checkout"
    try:
        return _work(checkout)
    except Failure as error:
        return "what it holds cannot be told (%s)" % error.message


def _work(checkout: Checkout) -> str:
    origin = checkout.origin()
    if origin != checkout.repository:
        return "it is a checkout of %s" % without_credentials(origin)
    # Ignored files are the user's too: local settings, uploads.
    changed = checkout.git("status", "--porcelain", "--ignored", "--untracked-files=normal").splitlines()
    if changed:
        return "it has files that are not in the repository: %s" % _few([line[3:] for line in changed])
    head = ["HEAD"] if checkout.head() else []  # a first deployment that failed has fetched, and checked out nothing
    commits = checkout.git("rev-list", "--max-count=5", "--branches", *head, "--not", "--remotes=origin").split()
    if commits:
        return "it has commits that are not in the repository: %s" % _few([commit[:12] for commit in commits])
    if checkout.git("stash", "list"):
        return "it has a stash"
    if len(checkout.git("worktree", "list", "--porcelain").split("\n\n")) > 1:
        return "it has other work trees"
    return ""


def _few(items: list[str]) -> str:
    return ", ".join(items[:5]) + (" and %d more" % (len(items) - 5) if len(items) > 5 else "")
