# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the files of a release may lie, below the environment's directory. Used on both sides."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator

#: The settings of an environment, beside its Compose file.
SETTINGS = ".env"
#: Where files that only Bulkhead and containers read lie; everything else below .bulkhead is Bulkhead's own record.
PRIVATE = ".bulkhead/private/"

#: Names that Compose looks for by itself.
_COMPOSE = re.compile(r"(?:docker-)?compose(?:\..+)?\.ya?ml\Z")


def path_problem(path: str, compose_file: str) -> str:
    """Why a service may not bring a file of this path along; empty if it may."""
    if path in ("", ".") or path.startswith("/") or "\\" in path or not path.isprintable():
        return "it must be a path relative to the environment's directory"
    if ".." in path.split("/"):
        return "'..' would lead out of the environment's directory"
    if posixpath.normpath(path) != path:
        return "write it as %s" % posixpath.normpath(path)
    top = path.split("/")[0]
    if path in (compose_file, SETTINGS) or _COMPOSE.match(path):
        return "it would replace what Bulkhead renders and proves there"
    if top == "code":
        return "code is the checkout of the repository"
    if top == ".bulkhead" and not path.startswith(PRIVATE):
        return "only %s may hold files of services; the rest of .bulkhead is Bulkhead's own" % PRIVATE
    return ""


def clashing(paths: Iterable[str]) -> Iterator[str]:
    """The paths that occur more than once, or that a file would need as a directory."""
    found = list(paths)
    above = {parent for path in found for parent in _parents(path)}
    seen: set[str] = set()
    for path in found:
        if path in seen or path in above:
            yield path
        seen.add(path)


def _parents(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def paths_problem(paths: Iterable[str], compose_file: str) -> str:
    """Why the files of a whole release cannot be written, the Compose file and the settings included; else empty."""
    listed = list(paths)
    for path in listed:
        own = path == SETTINGS or path == compose_file and "/" not in path and path not in ("", ".", "..")
        problem = "" if own else path_problem(path, compose_file)
        if problem:
            return "the file %r cannot be written: %s" % (path, problem)
    twice = next(clashing(listed), "")
    return "two files of the release would be %r" % twice if twice else ""
