# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Calls of Compose in scripts, workflows and playbooks, and the variables that these set for it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import ReaderError
from ..model import Document, Environment, Reference, Where
from ..readers.ansible.plays import Playbook
from ..readers.ansible.tasks import Task, is_true
from ..readers.compose.yaml_text import Map, Seq, read_yaml
from ..readers.shell.docker_call import DOCKER, DockerCall, docker_call
from ..readers.workflow import Workflow
from .code_lines import code_lines

#: Verbs that change or query a project, so that it matters which one.
PROJECT_VERBS = frozenset(
    {"up", "down", "stop", "start", "restart", "rm", "kill", "create", "run", "exec", "pull", "build", "ps", "logs",
     "pause", "unpause", "scale", "push", "cp", "port", "top", "watch", "attach"}
)  # fmt: skip

_CONTROL = re.compile(
    r"""(?:\A|[\s{,'"-])(?:export\s+|Environment=["']?)?((?:COMPOSE|DOCKER)_[A-Z_]+)["']?\s*(?:=|:\s)\s*["']?([^\s"',}]*)"""
)


@dataclass(frozen=True, slots=True)
class ComposeCall:
    """A call of Compose. Paths are as written; ``directory`` is where it runs, if known."""

    text: str
    where: Where
    verb: str
    project: str = ""
    files: tuple[str, ...] = ()
    env_files: tuple[str, ...] = ()
    project_directory: str = ""
    directory: str = ""
    removes_volumes: bool = False
    removes_orphans: bool = False
    #: Some of its options are in a variable whose value is unknown.
    opaque: bool = False
    assignments: Mapping[str, str] = field(default_factory=dict, hash=False, compare=False)

    def paths(self, *written: str) -> Iterator[str]:
        """Yield the absolute forms of the call's paths, without those that contain variables."""
        for path in written:
            if "$" not in path and "{{" not in path:
                base = self.project_directory if self.project_directory.startswith("/") else self.directory
                yield posixpath.normpath(posixpath.join(base, path))


def commands(environment: Environment, *, everywhere: bool = False) -> Sequence[Reference]:
    """The commands that an environment's documents run on servers; with ``everywhere``, also on hosted runners."""
    return environment.derived(_commands if everywhere else _on_servers)


def _commands(environment: Environment) -> Iterator[Reference]:
    return (reference for reference in environment.references if reference.kind == "command")


def _on_servers(environment: Environment) -> Iterator[Reference]:
    return (item for item in environment.derived(_commands) if not getattr(_command(item), "hosted", False))


def _command(reference: Reference) -> Any:
    return reference.attributes.get("command")


def docker_calls(environment: Environment, *, everywhere: bool = False) -> Sequence[tuple[DockerCall, Reference]]:
    """Every call of Docker or Compose on servers; with ``everywhere``, also on hosted runners."""
    return environment.derived(_docker_calls if everywhere else _docker_calls_on_servers)


def _docker_calls(environment: Environment) -> Iterator[tuple[DockerCall, Reference]]:
    for reference in environment.derived(_commands):
        call = docker_call(tuple(map(str, reference.attributes.get("argv") or ())))
        if call is not None:
            yield call, reference


def _docker_calls_on_servers(environment: Environment) -> Iterator[tuple[DockerCall, Reference]]:
    found = environment.derived(_docker_calls)
    return (pair for pair in found if not getattr(_command(pair[1]), "hosted", False))


def filters(call: DockerCall) -> tuple[str, ...]:
    """The filters of a call, also after combined flags (``-aqf name=web``)."""
    together = "-f" in call.flags and not call.compose
    return (*call.filters, *(word for word in call.arguments if together and re.match(r"[a-z]+=", word)))


def compose_calls(environment: Environment) -> Sequence[ComposeCall]:
    """Every call of Compose in an environment's documents."""
    return environment.derived(_compose_calls)


def _compose_calls(environment: Environment) -> Iterator[ComposeCall]:
    for call, reference in docker_calls(environment):
        if call.compose and call.verb:
            yield ComposeCall(
                " ".join(map(str, reference.attributes.get("argv") or ())),
                reference.where,
                call.verb[0],
                call.project,
                call.files,
                call.env_files,
                call.project_directory,
                str(reference.attributes.get("directory") or environment.directory),
                # The -v of "rm" removes anonymous volumes only.
                removes_volumes=call.verb[0] == "down" and call.has("-v", "--volumes"),
                removes_orphans=call.has("--remove-orphans"),
                assignments=dict(getattr(_command(reference), "assignments", None) or {}),
                opaque=call.opaque,
            )
    for task in tasks(environment):
        if task.module in ("docker_compose_v2", "docker_compose", "docker_compose_v2_pull", "docker_compose_v2_run"):
            yield _module_call(task)


def tasks(environment: Environment) -> Sequence[Task]:
    """Every task of an environment's playbooks."""
    return environment.derived(_tasks)


def _tasks(environment: Environment) -> Iterator[Task]:
    for document in environment.documents:
        if isinstance(document.data, Playbook):
            yield from document.data.tasks


def _module_call(task: Task) -> ComposeCall:
    """The call of Compose that a task of community.docker makes."""
    given = task.arguments
    state = str(given.get("state") or "present")
    shown = ("state", "project_name", "remove_volumes", "remove_orphans")
    words = [f"{key}={given[key]}" for key in shown if key in given]
    return ComposeCall(
        " ".join([f"{task.module}:", *words]),
        task.where,
        {"absent": "down", "stopped": "stop", "restarted": "restart"}.get(state, "up"),
        str(given.get("project_name") or ""),
        _strings(given.get("files")),
        _strings(given.get("env_files")),
        str(given.get("project_src") or ""),
        removes_volumes=is_true(given.get("remove_volumes")),
        removes_orphans=is_true(given.get("remove_orphans")),
    )


def _strings(value: Any) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, (list, tuple)) else (str(value),) if value else ()


def exported(environment: Environment) -> Sequence[tuple[str, str, Where]]:
    """The variables that scripts, workflows and playbooks pass to their commands on servers: (name, value, where)."""
    return environment.derived(_exported)


def _exported(environment: Environment) -> Iterator[tuple[str, str, Where]]:
    for reference in commands(environment):
        argv = reference.attributes.get("argv") or ()
        program = str(argv[0]) if argv else ""
        if program == "export":
            for word in map(str, argv[1:]):
                name, equals, value = word.partition("=")
                if equals:
                    yield name, value, reference.where
        elif program.rpartition("/")[2] in DOCKER:
            assigned = getattr(_command(reference), "assignments", None) or {}
            yield from ((name, value, reference.where) for name, value in assigned.items())
    for document in environment.documents:
        if isinstance(document.data, Workflow):
            yield from _of_workflow(document.data, document)
        elif document.kind == "ansible":
            yield from _environment_blocks(document.text, document.path, ("environment",))


def _of_workflow(workflow: Workflow, document: Document) -> Iterator[tuple[str, str, Where]]:
    """The variables of a workflow that reach a server: those of its own runners, and those that an action passes on."""
    reaching: set[str] = set()
    for job in workflow.jobs:
        if not job.hosted:
            reaching.update(job.variables, *(step.variables for step in job.steps))
        for step in job.steps:
            reaching.update(re.findall(r"\w+", step.inputs.get("envs", "")))
    for name, value, where in _environment_blocks(document.text, document.path, ("env",)):
        if name in reaching:
            yield name, value, where


def _environment_blocks(text: str, path: str, keys: tuple[str, ...]) -> Iterator[tuple[str, str, Where]]:
    try:
        pending: list[Any] = [document.value for document in read_yaml(text, path)]
    except ReaderError:
        return
    while pending:
        value = pending.pop()
        if isinstance(value, Map):
            for key, item in value.items():
                if key in keys and isinstance(item, Map):
                    for name, setting in item.items():
                        if not isinstance(setting, (Map, Seq)):
                            line = item.at.get(name, ("", 0))[1]
                            yield name, "" if setting is None else str(setting), Where(path, line)
                pending.append(item)
        elif isinstance(value, Seq):
            pending.extend(value)


def control_variables(environment: Environment) -> Sequence[tuple[str, str, Where]]:
    """Every setting of a ``COMPOSE_`` or ``DOCKER_`` variable, in environment files and documents: (name, value,
    where)."""
    return environment.derived(_control_variables)


def _control_variables(environment: Environment) -> Iterator[tuple[str, str, Where]]:
    for setting in environment.settings:
        if setting.key.startswith(("COMPOSE_", "DOCKER_")) and not setting.service:
            yield setting.key, setting.text, setting.where
    for document in environment.documents:
        for where, line in code_lines(document, "COMPOSE_", "DOCKER_"):
            for name, value in _CONTROL.findall(line):
                yield name, value, where
