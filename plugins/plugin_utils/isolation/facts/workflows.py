# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A fleet's workflows with the environments that list them, and the owners of branches, words and files."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from ..model import Document, Environment, Fleet
from ..readers.documents import machine_commands
from ..readers.shell.docker_call import DOCKER, docker_call
from ..readers.shell.scripts import Command, Lock, locks
from ..readers.workflow import Job, Workflow
from .ownership import ancestors, called, short_names
from .production import is_production

#: Verbs of Compose that change what runs.
CHANGING = frozenset(
    ("up", "down", "build", "restart", "run", "stop", "start", "rm", "kill", "pull", "create", "scale")
)
#: Verbs of kubectl and helm that change what runs.
_CLUSTER = frozenset(
    ("apply", "create", "replace", "patch", "set", "rollout", "delete", "scale", "install", "upgrade", "rollback")
)
_DEFAULT = re.compile(r"\$\{\w+:?-([^{}$]*)\}")
_MAIN_BRANCHES = frozenset(("main", "master", "production", "prod", "release", "live"))


@dataclass(frozen=True)
class Listed:
    """A document and the environments that list it, often all of them."""

    document: Document
    environments: tuple[Environment, ...]

    @property
    def prefixes(self) -> tuple[str, ...]:
        """The prefixes of those environments."""
        return tuple(environment.prefix for environment in self.environments)


def listed_documents(fleet: Fleet) -> tuple[Listed, ...]:
    """All documents of a fleet, each once."""
    return fleet.derived(_listed_documents)


def _listed_documents(fleet: Fleet) -> tuple[Listed, ...]:
    found: dict[tuple[str, str], tuple[Document, list[Environment]]] = {}
    for environment in fleet.environments:
        for document in environment.documents:
            key = (posixpath.basename(document.path), document.text)
            found.setdefault(key, (document, []))[1].append(environment)
    return tuple(Listed(document, tuple(members)) for document, members in found.values())


def workflows(fleet: Fleet) -> Iterator[tuple[Workflow, Listed]]:
    """Yield all workflows of a fleet."""
    for listed in listed_documents(fleet):
        if isinstance(listed.document.data, Workflow):
            yield listed.document.data, listed


def deploys(job: Job) -> bool:
    """Whether a job changes what runs on a machine."""
    return any(map(is_deployment, job.commands))


def is_deployment(command: Command) -> bool:
    """Whether a command changes what runs on a machine."""
    program = command.program
    call = docker_call(command.argv) if program in DOCKER else None
    if call is not None and command.hosted:
        return False
    if call is not None:
        return (call.compose and bool(CHANGING & set(call.verb))) or call.verb[:1] == ("stack",)
    if program in ("kubectl", "helm"):
        return bool(_CLUSTER & set(command.argv))
    if program in ("ansible-playbook", "ansible"):
        return not re.search(r"--syntax-check|--check\b|validat|\blint", command.text)
    return program.startswith("deploy") or (program == "make" and "deploy" in command.text)


def deployment_jobs(fleet: Fleet) -> Iterator[tuple[Workflow, Job, Listed]]:
    """Yield every job that deploys."""
    for workflow, listed in workflows(fleet):
        for job in workflow.jobs:
            if deploys(job):
                yield workflow, job, listed


def environment_commands(environment: Environment, *programs: str) -> Sequence[tuple[Document, Command]]:
    """The commands that an environment's documents run on servers, in their order; those of these programs, if any are
    named. Most environments have none of them."""
    everything = environment.derived(_every_command)
    if not programs:
        return everything
    by_program = environment.derived(_by_program)
    found = [by_program[program] for program in programs if program in by_program]
    return [everything[index] for index in sorted(chain.from_iterable(found))]


def _every_command(environment: Environment) -> Iterator[tuple[Document, Command]]:
    return ((document, command) for document in environment.documents for command in machine_commands(document))


def _by_program(environment: Environment) -> dict[str, list[int]]:
    """The positions of an environment's commands by their program."""
    found: dict[str, list[int]] = {}
    for index, (_document, command) in enumerate(environment.derived(_every_command)):
        found.setdefault(command.program, []).append(index)
    return found


def environment_locks(environment: Environment) -> Sequence[tuple[Command, Lock]]:
    """The lock files that an environment's commands take on servers."""
    return environment.derived(_locks)


def _locks(environment: Environment) -> Iterator[tuple[Command, Lock]]:
    return ((command, lock) for _document, command in environment_commands(environment) for lock in locks(command))


def named(fleet: Fleet, environment: Environment, word: str) -> str:
    """The environment that a word names, including this one; empty if none."""
    word = word.strip().strip("'\"")
    if word == environment.prefix or word.lower() in short_names(environment):
        return environment.prefix
    return called(fleet, environment, word) if word else ""


def owner_of_branch(fleet: Fleet, environment: Environment, branch: str, *, by_custom: bool = True) -> str:
    """The environment that a branch belongs to, as declared or else by the branch's name.

    By custom, ``main`` belongs to production; in trunk-based development, every environment is deployed from it.
    """
    declared = fleet.derived(_branches).get((repository(environment), branch))
    if declared:
        return declared
    mine = environment.variables.get("bulkhead_source_branch")
    if mine:
        return environment.prefix if mine == branch else ""
    owner = named(fleet, environment, branch)
    if owner or branch not in _MAIN_BRANCHES or not by_custom:
        return owner
    if is_production(environment):
        return environment.prefix
    return next(iter(fleet.derived(_productions)), "")


def branches_of(fleet: Fleet, environment: Environment) -> Sequence[str]:
    """The branches that an environment is deployed from: as declared, as its own workflows name them, or by custom."""
    declared = environment.variables.get("bulkhead_source_branch")
    if isinstance(declared, str):
        return (declared,)
    of_workflows = [
        branch
        for workflow, listed in workflows(fleet)
        if listed.prefixes == (environment.prefix,) and any(map(deploys, workflow.jobs))
        for branch in workflow.branches or ()
        if not re.search(r"[*?+\[!]", branch)
    ]
    return of_workflows or (("main", "master") if is_production(environment) else tuple(short_names(environment)))


def repository(environment: Environment) -> str:
    """The repository that an environment is built from, if known."""
    value = environment.variables.get("bulkhead_source_repository")
    return value if isinstance(value, str) else environment.project


def _branches(fleet: Fleet) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for environment in fleet.environments:
        branch = environment.variables.get("bulkhead_source_branch")
        if isinstance(branch, str):
            found.setdefault((repository(environment), branch), environment.prefix)
    return found


def _productions(fleet: Fleet) -> tuple[str, ...]:
    return tuple(environment.prefix for environment in fleet.environments if is_production(environment))


def owner_of_file(fleet: Fleet, environment: Environment, path: str) -> str:
    """The other environment with a Compose file of this name; empty if the environment itself has one."""
    # Without an argument, ${1:-prod.yml} is prod.yml.
    written = _DEFAULT.sub(r"\1", path)
    owners = fleet.derived(_compose_names).get(posixpath.basename(written), ())
    return "" if not owners or environment.prefix in owners else owners[0]


def _compose_names(fleet: Fleet) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for environment in fleet.environments:
        for project in environment.compose:
            files = [project.file, *(place.file for place in project.files if place.item == "file")]
            for name in filter(None, dict.fromkeys(map(posixpath.basename, files))):
                if environment.prefix not in found.setdefault(name, []):
                    found[name].append(environment.prefix)
    return found


def mentions_ref(text: str) -> bool:
    """Whether a text refers to the branch that started the run."""
    return bool(
        re.search(r"github\.(?:ref|head_ref|base_ref|ref_name)|GITHUB_(?:REF|HEAD_REF|BASE_REF)|--abbrev-ref", text)
    )


def home_of(fleet: Fleet, machine: str, path: str) -> str:
    """The environment whose directory is or contains a path, or the only one below it."""
    homes = fleet.derived(_homes)
    return next((homes[machine, step] for step in ancestors(path) if homes.get((machine, step))), "")


def _homes(fleet: Fleet) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for environment in fleet.environments:
        for step in ancestors(environment.directory) if environment.directory else ():
            key = (environment.machine, step)
            found[key] = environment.prefix if found.get(key, environment.prefix) == environment.prefix else ""
    return found
