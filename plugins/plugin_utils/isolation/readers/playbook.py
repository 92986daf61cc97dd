# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads playbooks and task files of Ansible, as far as they run commands or write files on a machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..model import Where
from .compose.yaml_text import Map, read_yaml
from .shell.scripts import Command, read_commands

_SHELLS = frozenset(("shell", "command", "raw", "script"))
_KEYWORDS = frozenset(
    (
        *("name", "when", "become", "become_user", "register", "vars", "tags", "notify", "loop", "with_items", "args"),
        *("changed_when", "failed_when", "environment", "delegate_to", "run_once", "no_log", "check_mode", "retries"),
        *("delay", "until", "ignore_errors", "loop_control", "listen", "hosts", "gather_facts", "roles"),
    )
)
_LISTS = ("tasks", "pre_tasks", "post_tasks", "handlers", "block", "rescue", "always")


@dataclass(frozen=True, slots=True)
class Task:
    """One task: the module's short name and its arguments."""

    name: str
    module: str
    arguments: Mapping[str, Any]
    where: Where


@dataclass(frozen=True, slots=True)
class Playbook:
    """A playbook or a file of tasks. Modules that stand for a command have it among ``commands``."""

    tasks: tuple[Task, ...]
    commands: tuple[Command, ...]


def read_playbook(text: str, path: str = "") -> Playbook:
    """The tasks of a file, plays and blocks unfolded."""
    documents = read_yaml(text.replace("!vault", "").replace("!unsafe", ""), path)
    tasks = tuple(task for document in documents for task in _tasks(document.value, path))
    return Playbook(tasks, tuple(command for task in tasks for command in _commands(task, path)))


def _tasks(value: Any, path: str) -> Iterator[Task]:
    if not isinstance(value, (list, tuple)):
        return
    for item in value:
        if not isinstance(item, Map):
            continue
        for key in _LISTS:
            yield from _tasks(item.get(key), path)
        for key, arguments in item.items():
            if key in _KEYWORDS or key in _LISTS:
                continue
            if isinstance(arguments, (str, Mapping)) or arguments is None:
                given = {"_raw": arguments} if isinstance(arguments, str) else dict(arguments or {})
                extra = item.get("args")
                given.update(extra if isinstance(extra, Mapping) else {})
                line = item.at.get(key, ("", 0))[1]
                yield Task(str(item.get("name") or ""), key.rpartition(".")[2], given, Where(path, line, key))
                break


def _commands(task: Task, path: str) -> Iterator[Command]:
    arguments = task.arguments
    if task.module in _SHELLS:
        argv = arguments.get("argv")
        text = (
            " ".join(map(str, argv)) if isinstance(argv, (list, tuple)) else arguments.get("cmd", arguments.get("_raw"))
        )
        if isinstance(text, str):
            line = task.where.line + ("\n" in text)
            yield from read_commands(
                text, path, line=line, directory=str(arguments.get("chdir") or ""), errexit=True, unit=task.name
            )
        return
    words = _as_command(task.module, {key: str(value) for key, value in _pairs(arguments)})
    if words:
        yield Command(words, task.where, words, unit=task.name)


def _pairs(arguments: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Arguments, with the old ``name=docker state=restarted`` taken apart."""
    for key, value in arguments.items():
        if key == "_raw" and isinstance(value, str):
            yield from (
                (name, text) for name, equals, text in (part.partition("=") for part in value.split()) if equals
            )
        else:
            yield key, value


def _as_command(module: str, given: Mapping[str, str]) -> tuple[str, ...]:
    """The command line that a module stands for, where it acts on the whole machine."""

    def is_true(key: str) -> bool:
        return given.get(key, "").lower() in ("true", "yes", "1")

    if module in ("service", "systemd", "systemd_service") and given.get("state") in (
        "restarted",
        "stopped",
        "reloaded",
    ):
        verb = {"restarted": "restart", "stopped": "stop", "reloaded": "reload"}[given["state"]]
        return ("systemctl", verb, given.get("name", ""))
    if module == "reboot":
        return ("reboot",)
    if module == "docker_prune":
        kinds = [kind for kind in ("containers", "images", "networks", "volumes", "builder_cache") if is_true(kind)]
        filters = [f"--filter={key}" for key in given if key.endswith("_filters")]
        return ("docker", "system", "prune", *(f"--{kind}" for kind in kinds), *filters) if kinds else ()
    return ()
