# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Under which project, and in which directory, an environment's own commands run its Compose files."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ..model import Document
from ..naming import normalise_project
from .beside import DEFAULT_FILES
from .documents import machine_commands
from .shell.docker_call import DockerCall, docker_call
from .shell.scripts import Command

#: Verbs that make containers; others only name a project.
_MAKES = frozenset(("up", "run", "create", "start", "scale"))
_ACTS = _MAKES | {"down", "stop", "restart", "exec", "pull", "build", "rm", "kill", "ps", "logs", "config"}


@dataclass(frozen=True, slots=True)
class Location:
    """``project`` is the name that every command gives, ``directory`` where the first Compose file lies; empty if the
    commands do not tell."""

    project: str = ""
    directory: str = ""


def location(documents: Iterable[Document], files: Sequence[str], directory: str, prefix: str) -> Location:
    """What the documents tell about a project of these files, whose environment lives in ``directory``."""
    own = {posixpath.basename(path) for path in files}
    calls = [item for document in documents for item in _calls(document, own, directory)]
    stacks = {stack for document in documents for stack in _stacks(document, own)}
    names = {_project(call, command) for call, command in calls} | stacks
    makes = bool(stacks) or any(call.verb[0] in _MAKES for call, _command in calls)
    project = ""
    if makes and names and "" not in names:
        known = next(iter(names)) if len(names) == 1 else ""
        # A name with a variable, such as app-$TARGET, is meant to tell the environments apart.
        project = normalise_project(prefix if "$" in known or "{{" in known else known)
    return Location(project, _directory(calls, directory))


def _calls(document: Document, own: set[str], directory: str) -> Iterator[tuple[DockerCall, Command]]:
    """The calls of Compose with the environment's own files, or in its directory without any."""
    for command in machine_commands(document):
        call = docker_call(command.argv)
        if call is None or not call.compose or not call.verb or call.verb[0] not in _ACTS:
            continue
        names = {posixpath.basename(path) for path in call.files}
        if names and all("$" in name for name in names) and any("$" in path for path in call.env_files):
            names = own  # both depend on which environment is being deployed
        here = command.directory or directory
        if not names and own and own.isdisjoint(DEFAULT_FILES):
            continue  # Compose finds another file there
        if names <= own if names else (here + "/").startswith(directory.rstrip("/") + "/"):
            yield call, command


def _stacks(document: Document, own: set[str]) -> Iterator[str]:
    """The names of the stacks that ``docker stack deploy`` makes of the environment's files."""
    for command in machine_commands(document):
        call = docker_call(command.argv)
        if call is not None and call.verb == ("stack", "deploy") and call.arguments:
            files = (*call.values.get("-c", ()), *call.values.get("--compose-file", ()))
            if {posixpath.basename(path) for path in files} <= own:
                yield call.arguments[-1]


def _project(call: DockerCall, command: Command) -> str:
    # A file that a variable names may set COMPOSE_PROJECT_NAME.
    chosen = next((path for path in call.env_files if "$" in path), "")
    return call.project or command.assignments.get("COMPOSE_PROJECT_NAME", "") or chosen


def _directory(calls: Sequence[tuple[DockerCall, Command]], directory: str) -> str:
    """The directory of the first file, if all calls agree and it is below the environment's own."""
    found = set()
    for call, command in calls:
        if call.files and "$" not in call.files[0]:
            here = command.directory or directory
            base = here if here.startswith("/") else posixpath.join(directory, here)
            first = posixpath.normpath(posixpath.join(base, call.files[0]))
            given = call.project_directory
            found.add(posixpath.normpath(posixpath.join(base, given)) if given else posixpath.dirname(first))
    place = next(iter(found)) if len(found) == 1 else ""
    return place if directory and place.startswith(directory.rstrip("/") + "/") and "$" not in place else ""
