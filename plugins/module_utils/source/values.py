# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which repositories, branches and commits are given to git. Used on both sides, before git is called."""

from __future__ import annotations

import re

_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])"
_USER = r"[A-Za-z0-9_](?:[A-Za-z0-9._~+%!*-]*)"
_REPOSITORY = re.compile(
    r"""(?:
        https://(?:[^/@\s]+@)?{host}(?::[0-9]+)?/\S+          # https://host/path
      | http://(?:[^/@\s]+@)?(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]+)?/\S+   # on the machine itself
      | ssh://(?:{user}@)?{host}(?::[0-9]+)?/[^-\s]\S*        # ssh://git@host/path
      | {user}@{host}:(?![-:])\S+                             # git@host:path
      | (?:file://)?/[^\x00-\x1f\x7f]+                        # a path on the machine
    )\Z""".format(host=_HOST, user=_USER),
    re.VERBOSE,
)
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
#: What of them is secret: of ssh a password only, as everybody's user there is git.
_SECRET = re.compile(r"(?<=://)(?<!ssh://)[^/@\s]+@|(?<=ssh://)([^/@:\s]*):[^/@\s]*@")
_NOT_IN_A_BRANCH = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|\A[-/]|[/.]\Z|\A@\Z|(?:\A|/)\.|\.lock(?:/|\Z)")
_COMMIT = re.compile(r"[0-9A-Fa-f]{1,64}\Z")


def without_credentials(text: str) -> str:
    """Text to show: the URLs in it without user names and passwords; a user of ssh stays. Never compare it."""
    return _SECRET.sub(lambda found: "%s@" % found.group(1) if found.group(1) else "", text)


def split_credentials(repository: str) -> tuple[str, str]:
    """Split a repository's URL into the URL without credentials, and a line for git's credential store.

    git passes the URL to its helpers as an argument, which all users of the machine can read.
    """
    if not repository.startswith(("http://", "https://")):
        return repository, ""
    clean = _CREDENTIALS.sub("", repository, count=1)
    if clean == repository:
        return repository, ""
    scheme, _colon, rest = repository.partition("://")
    return clean, "%s://%s\n" % (scheme, rest.partition("/")[0])


def repository_problem(repository: str) -> str:
    """Why git is not given a repository; empty if it is. The text has no credentials."""
    if _REPOSITORY.match(repository):
        return ""
    return (
        "bulkhead_source_repository is %s; write https://host/path, ssh://git@host/path, git@host:path, or an absolute "
        "path on the machine. Git takes other forms for options, for commands to run, or without encryption"
        % without_credentials(repository)
    )


def branch_problem(branch: str) -> str:
    """Why git is not given a branch, by the rules of ``git check-ref-format``; empty if it is."""
    if branch and not _NOT_IN_A_BRANCH.search(branch):
        return ""
    return "bulkhead_source_branch is %s, and git has no such branch names; write it as main or release/1.2" % (
        branch or "empty"
    )


def commit_problem(commit: str) -> str:
    """Why git is not given a commit or a tag; empty if it is."""
    if looks_like_commit(commit) or not _NOT_IN_A_BRANCH.search(commit):
        return ""
    return (
        "bulkhead_source_commit is %s; write a commit's id in hexadecimal, in full or abbreviated, or the name of a tag"
        % commit
    )


def looks_like_commit(text: str) -> bool:
    """Whether a text can be a commit's id, in full or abbreviated."""
    return bool(_COMMIT.match(text))


def is_in_the_way(before: str, branch: str) -> bool:
    """Whether git cannot have both branches, because one is a directory of the other's."""
    return before.startswith(branch + "/") or branch.startswith(before + "/")
