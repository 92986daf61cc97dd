# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Under which project, and in which directory, an environment's own commands run its Compose files."""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ..model import Document
from ..naming import normalise_project
from .beside import DEFAULT_FILES
from .documents import machine_commands
from .shell.docker_call import DockerCall, docker_call
from .shell.scripts import Command

#: Verbs that make containers; others only name a project.
_MAKES = frozenset(("up", "run", "create", "start", "scale"))
_ACTS = _MAKES | {"down", "stop", "restart", "exec", "pull", "build", "rm", "kill", "ps", "logs", "config"}

#: A selection by the label that Compose gives to all containers of a project.
_LABEL = re.compile(r"com\.docker\.compose\.project[\\\"'\]\s]*={1,2}[\\\"'\s]*([a-z0-9][a-z0-9_-]*)")
_VARIABLE = re.compile(r"\$\{[^{}]*\}+|\$\(\w+\)|\$\w+|\{\{.*?\}\}")


@dataclass(frozen=True, slots=True)
class Location:
    """``project`` is the name that every command gives, ``directory`` where the first Compose file lies; empty if the
    commands do not tell. ``called`` tells whether any command makes containers of the files."""

    project: str = ""
    directory: str = ""
    called: bool = False


def location(
    documents: Iterable[Document],
    files: Sequence[str],
    directory: str,
    prefix: str,
    *,
    inner: str = "",
    words: Collection[str] = (),
) -> Location:
    """What the documents tell about a project of these files, whose environment lives in ``directory``.

    ``inner`` is where in an assumed checkout the first file lies; ``words`` are those that name the environment alone.
    """
    documents = tuple(documents)
    own = {posixpath.basename(path) for path in files}
    calls = [item for document in documents for item in _calls(document, own, directory)]
    stacks = [stack for document in documents for stack in _stacks(document, own)]
    made = [_project(call, command) for call, command in calls if call.verb[0] in _MAKES]
    called = bool(stacks or made)
    project = ""
    if called and "" not in {_project(call, command) for call, command in calls}:
        project = _chosen([*stacks, *made], prefix)
    elif not called:
        project = next((name for document in documents for name in _labels(document, words)), "")
    return Location(normalise_project(project), _directory(calls, directory, inner), called)


def _chosen(names: Sequence[str], prefix: str) -> str:
    """The name that most commands give. One with a variable, such as app-$TARGET, is meant to tell environments
    apart."""
    known = Counter(name for name in names if not _VARIABLE.search(name))
    return known.most_common(1)[0][0] if known else prefix


def _labels(document: Document, words: Collection[str]) -> Iterator[str]:
    """The projects whose containers a document selects by their label, and which name the environment alone."""
    for name in _LABEL.findall(document.text):
        if not set(words).isdisjoint(re.split("[_-]", name)):
            yield name


def _calls(document: Document, own: set[str], directory: str) -> Iterator[tuple[DockerCall, Command]]:
    """The calls of Compose with the environment's own files, or in its directory without any."""
    for command in machine_commands(document):
        call = docker_call(command.argv)
        if call is None or not call.compose or not call.verb or call.verb[0] not in _ACTS:
            continue
        here = command.directory or directory
        if not call.files and own and own.isdisjoint(DEFAULT_FILES):
            continue  # Compose finds another file there
        chosen = (*call.env_files, call.project)
        inside = (here + "/").startswith(directory.rstrip("/") + "/")
        if _are_own(call.files, own, chosen) if call.files else inside:
            yield call, command


def _are_own(files: Sequence[str], own: set[str], chosen: Iterable[str] = ()) -> bool:
    """Whether a command's files are the environment's: all, or the last, which is merged over the others.

    A variable in a name stands for the environment's; one that is the whole name only if others choose it, too.
    """
    names = [posixpath.basename(path) for path in files]
    if all(name.startswith("$") and _VARIABLE.fullmatch(name) for name in names):
        return any("$" in word for word in chosen)
    return set(names) <= own or _stands_for(names[-1], own)


def _stands_for(name: str, own: set[str]) -> bool:
    parts = _VARIABLE.split(name)
    if not any(parts):
        return False
    pattern = re.compile(r"[\w-]+".join(map(re.escape, parts)))
    return any(pattern.fullmatch(known) for known in own)


def _stacks(document: Document, own: set[str]) -> Iterator[str]:
    """The names that ``docker stack deploy`` and ``ecs-cli compose``, which always have one, give to the files."""
    for command in machine_commands(document):
        call = docker_call(command.argv)
        if command.argv[:2] == ("ecs-cli", "compose"):
            files, names = _values(command.argv, "-f", "--file"), _values(command.argv, "-p", "--project-name")
        elif call is not None and call.verb == ("stack", "deploy"):
            files = (*call.values.get("-c", ()), *call.values.get("--compose-file", ()))
            names = call.arguments[-1:]
        else:
            continue
        if files and names and _are_own(files, own, names):
            yield names[-1]


def _values(argv: Sequence[str], *options: str) -> tuple[str, ...]:
    """The values of an option of a program whose other options are not known."""
    apart = [value for option, value in pairwise(argv) if option in options]
    return (*apart, *(word.partition("=")[2] for word in argv if word.partition("=")[0] in options and "=" in word))


def _project(call: DockerCall, command: Command) -> str:
    # A file that a variable names may set COMPOSE_PROJECT_NAME.
    chosen = next((path for path in call.env_files if "$" in path), "")
    return call.project or command.assignments.get("COMPOSE_PROJECT_NAME", "") or chosen


def _directory(calls: Sequence[tuple[DockerCall, Command]], directory: str, inner: str) -> str:
    """The directory of the first file, if all calls agree and it is below the environment's own; or that directory
    itself, if a later file is given by its place in it."""
    found = set()
    rooted = False
    for call, command in calls:
        if call.files and not _VARIABLE.search(call.files[0]):
            here = command.directory or directory
            base = here if here.startswith("/") else posixpath.join(directory, here)
            first = posixpath.normpath(posixpath.join(base, call.files[0]))
            given = call.project_directory
            found.add(posixpath.normpath(posixpath.join(base, given)) if given else posixpath.dirname(first))
            rooted = rooted or posixpath.dirname(posixpath.normpath(call.files[-1])) == inner != ""
    place = next(iter(found)) if len(found) == 1 else ""
    below = place.startswith(directory.rstrip("/") + "/") or (rooted and place == directory)
    return place if directory and below and "$" not in place else ""
