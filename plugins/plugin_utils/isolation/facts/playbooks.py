# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the rules ask about Ansible code: inventories, variables, plays and tasks.

Environments that list the same files are judged together; each checkout of a repository is judged on its own.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from ..errors import ReaderError
from ..model import Document, Environment, Fleet, Where
from ..readers.ansible.inventory import (
    InventoryFile,
    InventoryGroup,
    Placed,
    Variables,
    leaves,
    read_inventory,
    read_settings,
    read_variables,
)
from ..readers.ansible.plays import Playbook, read_playbook
from ..readers.ansible.tasks import Play, Task
from .ownership import owner_of_name, owners_of_path, short_names
from .task_files import TaskFiles

_T = TypeVar("_T")

#: How the names of variables end that identify an environment.
IDENTITY = re.compile(
    r"(?:^|_)(?:environment|env|env_name|prefix|domains?|server_name|https?_port|app_port|directory|app_dir|deploy_dir"
    r"|base_dir|compose_project|compose_project_name|project_name|db_name|database|database_name|branch|network_name)\Z"
)

_EXPRESSION = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_]\w*")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_TOKEN = re.compile(r"/?[A-Za-z0-9][\w./-]*")
_PER_HOST = frozenset({"inventory_hostname", "inventory_hostname_short", "group_names"})

#: Usual names of environments, for those that are not in the fleet.
_USUAL = ("prod", "production", "live", "staging", "stage", "stg", "dev", "devel", "development", "test", "testing")

#: Files about the machine as a whole.
_HOST_LEVEL = re.compile(
    r"(?:^|[/_.-])(?:host|machine|server|common|base|bootstrap|engine|docker|provision)(?=[/_.-]|\Z)"
)

#: Signs that a play refuses to run for all environments: our own roles, or an assertion about the limit.
_GUARD = re.compile(r"\bansible_limit\b|\baiia\.bulkhead\b")


@dataclass
class Code:
    """The Ansible files of one or more environments."""

    fleet: Fleet
    owners: tuple[str, ...]
    documents: tuple[Document, ...]
    inventories: list[InventoryFile] = field(default_factory=list)
    variables: list[Variables] = field(default_factory=list)
    playbooks: list[Playbook] = field(default_factory=list)
    settings: dict[tuple[str, str], Placed] = field(default_factory=dict)
    unreadable: list[tuple[str, ReaderError]] = field(default_factory=list)

    @cached_property
    def plays(self) -> list[Play]:
        """Every play."""
        return [play for playbook in self.playbooks for play in playbook.plays]

    @cached_property
    def tasks(self) -> list[Task]:
        """Every task, in plays and in files of tasks."""
        return [task for playbook in self.playbooks for task in playbook.tasks]

    @cached_property
    def groups(self) -> Mapping[str, InventoryGroup]:
        """The groups of all inventories, merged."""
        merged: dict[str, InventoryGroup] = {}
        for inventory in self.inventories:
            for name, group in inventory.groups.items():
                whole = merged.setdefault(name, InventoryGroup())
                whole.hosts.update(group.hosts)
                whole.children.update(group.children)
                whole.variables.update(group.variables)
        return merged

    @cached_property
    def environments(self) -> Mapping[str, str]:
        """The groups that are environments, each with its prefix, or its own name where the prefix is unknown."""
        named = {file.of: file.values["bulkhead_environment"][0] for file in self.variables
                 if file.scope == "group" and "bulkhead_environment" in file.values}  # fmt: skip
        found: dict[str, str] = {}
        for name, group in self.groups.items():
            said = named.get(name) or group.variables.get("bulkhead_environment", ("", None))[0]
            word = str(said or name).lower()
            if word in self.words:
                found[name] = self.words[word] or name
        return found

    @cached_property
    def words(self) -> Mapping[str, str]:
        """Names of environments with their prefixes; for usual names outside the fleet the prefix is empty."""
        words = dict.fromkeys(_USUAL, "")
        for environment in reversed(self.fleet.environments):
            words.update(dict.fromkeys((*short_names(environment), environment.prefix.lower()), environment.prefix))
            if environment.group:
                words[environment.group.lower()] = environment.prefix
        return words

    @cached_property
    def varying(self) -> frozenset[str]:
        """The variables that differ between environments or hosts."""
        keys = set(_PER_HOST)
        for file in self.variables:
            if file.scope == "host" or (file.scope == "group" and file.of in self.environments):
                keys |= file.values.keys()
        for name in self.environments:
            keys |= self.groups[name].variables.keys()
        return frozenset(keys)

    def scoped(self, text: str) -> bool:
        """Whether a text depends on the environment: by a variable, a name or a directory."""
        for expression in _EXPRESSION.findall(text):
            if any(name in self.varying or IDENTITY.search(name) for name in _NAME.findall(expression)):
                return True
        plain = _EXPRESSION.sub(" ", text)
        return any(word.lower() in self.words for word in _WORD.findall(plain)) or bool(self.owners_in(plain))

    def owners_in(self, text: str) -> dict[str, str]:
        """The environments that a text names by prefix, domain or directory, each with that word."""
        found: dict[str, str] = {}
        domains = self.fleet.derived(_domains)
        for word in _TOKEN.findall(text):
            word = word.rstrip(".-")
            owner = owner_of_name(self.fleet, word) or domains.get(word.lower(), "")
            if not owner and word.startswith("/"):
                machines = dict.fromkeys(environment.machine for environment in self._own)
                owner = next((name for machine in machines for name in owners_of_path(self.fleet, machine, word)), "")
            if owner:
                found.setdefault(owner, word)
        return found

    @property
    def _own(self) -> Sequence[Environment]:
        return [self.fleet.by_prefix[prefix] for prefix in self.owners]

    def concerned(self, *more: str) -> tuple[str, ...]:
        """Affected environments: those that list the code, those of its inventory, else those of the machine."""
        known = [prefix for prefix in self.environments.values() if prefix in self.fleet.by_prefix]
        found = tuple(dict.fromkeys((*(name for name in more if name in self.fleet.by_prefix), *self.owners, *known)))
        if len(found) > 1:
            return found
        machine = self._own[0].machine
        return tuple(dict.fromkeys((*found, *(environment.prefix for environment in self.fleet.machines[machine]))))

    def members(self, groups: Mapping[str, InventoryGroup], name: str) -> dict[str, Where]:
        """All hosts of a group and its children, with where each was first listed."""
        found: dict[str, Where] = {}
        seen: set[str] = set()
        waiting = [name]
        while waiting:
            current = waiting.pop()
            if current in seen or current not in groups:
                continue
            seen.add(current)
            for host, where in groups[current].hosts.items():
                found.setdefault(host, where)
            waiting += groups[current].children
        return found

    def covers(self, hosts: str) -> tuple[str, ...]:
        """The environments' groups that the host pattern of a play matches."""
        if "{{" in hosts:
            return ()
        words = [word.strip() for word in re.split(r"[:,]", hosts)]
        if any(word in ("all", "*") for word in words):
            return tuple(self.environments) or ("all",)
        return tuple(dict.fromkeys(
            name for word in words for name in self.environments if name == word or name in self.below(word)
        ))  # fmt: skip

    def below(self, name: str) -> set[str]:
        """The descendants of a group."""
        found: set[str] = set()
        waiting = [name]
        while waiting:
            current = self.groups.get(waiting.pop())
            children = set(current.children) - found if current else set()
            found |= children
            waiting += children
        return found

    def unguarded(self, play: Play) -> bool:
        """Whether a play runs for several environments at once and nothing in it checks the limit."""
        groups = self.covers(play.hosts)
        return (len(groups) > 1 or groups == ("all",)) and not any(map(_GUARD.search, self._texts_of(play)))

    def _texts_of(self, play: Play) -> Iterator[str]:
        yield play.text
        for task in self.tasks_of(play):
            if task.play is None and not task.role:
                yield from _task_texts(task)

    def of_environments(self, task: Task) -> bool:
        """Whether a task runs for environments rather than the machine as a whole, by its plays or else its path."""
        plays = self.plays_of(task)
        if plays:
            return any("{{" in play.hosts or self.covers(play.hosts) for play in plays)
        return not _HOST_LEVEL.search(task.where.file)

    def plays_of(self, task: Task) -> list[Play]:
        """The known plays that run a task."""
        if task.play is not None:
            return [task.play]
        return [play for play, files in self._files_of_plays if task.where.file in files]

    def tasks_of(self, play: Play) -> list[Task]:
        """The tasks that a play runs, including those of its roles and imported files."""
        files = next((files for known, files in self._files_of_plays if known is play), ())
        return [*play.tasks, *(task for path in files for task in self.task_files.tasks(path))]

    @cached_property
    def task_files(self) -> TaskFiles:
        """The files of tasks, by path."""
        return TaskFiles(self.playbooks)

    @cached_property
    def _files_of_plays(self) -> list[tuple[Play, tuple[str, ...]]]:
        return [(play, self.task_files.of_play(play)) for play in self.plays]


def _domains(fleet: Fleet) -> dict[str, str]:
    return {domain.lower(): environment.prefix for environment in fleet.environments for domain in environment.domains}


def codes(fleet: Fleet) -> Sequence[Code]:
    """The Ansible code of a fleet."""
    return fleet.derived(_codes)


def _codes(fleet: Fleet) -> list[Code]:
    together: dict[tuple[tuple[str, str], ...], list[Environment]] = {}
    for environment in fleet.environments:
        documents = [document for document in environment.documents if _may_be_ansible(document)]
        if documents:
            together.setdefault(tuple((document.path, document.text) for document in documents), []).append(environment)
    return [_code(fleet, environments) for environments in together.values()]


def _may_be_ansible(document: Document) -> bool:
    path = document.path
    return document.kind in ("ansible", "text") and (
        path.endswith((".yml", ".yaml", ".ini", ".cfg"))
        or "_vars/" in path
        or posixpath.basename(path) in ("hosts", "inventory")
    )


def _code(fleet: Fleet, environments: Iterable[Environment]) -> Code:
    environments = list(environments)
    documents = tuple(document for document in environments[0].documents if _may_be_ansible(document))
    code = Code(fleet, tuple(dict.fromkeys(environment.prefix for environment in environments)), documents)
    for document in documents:
        try:
            _sort(code, document)
        except ReaderError as error:
            code.unreadable.append((document.path, error))
    return code


def _sort(code: Code, document: Document) -> None:
    """Read a file by its kind and add it to the code."""
    path, text = document.path, document.text
    if posixpath.basename(path) == "ansible.cfg":
        code.settings.update(read_settings(text, path))
        return
    variables = read_variables(text, path)
    if variables is not None:
        code.variables.append(variables)
        return
    playbook = document.data
    if not isinstance(playbook, Playbook):
        playbook = read_playbook(text, path) if path.endswith((".yml", ".yaml")) else None
    if playbook is not None:
        code.playbooks.append(playbook)
        return
    inventory = read_inventory(text, path)
    if inventory is not None:
        code.inventories.append(inventory)


def texts(code: Code) -> Iterator[tuple[Where, str]]:
    """Every string in variables and tasks, with the nearest place."""
    for file in code.variables:
        for value, where in file.values.values():
            yield from ((where, text) for text in leaves(value))
    for name in code.groups:
        for value, where in code.groups[name].variables.values():
            yield from ((where, text) for text in leaves(value))
    for task in code.tasks:
        yield from ((task.where, text) for text in _task_texts(task))


def _task_texts(task: Task) -> Iterator[str]:
    for value in (task.raw, task.arguments, task.keywords):
        yield from leaves(value)


def each_code(judge: Callable[[Code], Iterator[_T]]) -> Callable[[Fleet], Iterator[_T]]:
    """Turn a function that judges one body of code into a rule for a fleet."""

    def judge_fleet(fleet: Fleet) -> Iterator[_T]:
        for code in codes(fleet):
            yield from judge(code)

    judge_fleet.__doc__ = judge.__doc__
    return judge_fleet


def value_text(value: Any) -> str:
    """A value as one text to search."""
    return " ".join(leaves(value)) if isinstance(value, (Mapping, list, tuple)) else str(value)
