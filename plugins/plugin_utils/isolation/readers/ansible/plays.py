# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads Ansible playbooks and task files, and flattens plays and blocks into tasks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ...model import Where
from ..compose.yaml_text import Map, Seq, read_yaml
from ..shell.scripts import Command
from .commands import task_commands
from .inventory import leaves, without_tags
from .tasks import Play, Task, keywords_of, read_task

_SECTIONS = ("pre_tasks", "tasks", "post_tasks", "handlers")
_BLOCKS = ("block", "rescue", "always")
_OF_PLAYS = frozenset({"hosts", "roles", *_SECTIONS})
ROLE_MODULES = ("include_role", "import_role")


@dataclass(frozen=True, slots=True)
class Playbook:
    """A playbook or task file. ``tasks`` are all its tasks, in plays or not, and ``commands`` what those run."""

    path: str
    plays: tuple[Play, ...]
    tasks: tuple[Task, ...]
    commands: tuple[Command, ...]


def read_playbook(text: str, path: str = "") -> Playbook | None:
    """The plays and tasks of a file, or ``None`` if it is not a list. Raises ``ReaderError``."""
    lists = [document.value for document in read_yaml(without_tags(text), path) if isinstance(document.value, Seq)]
    if not lists:
        return None
    plays: list[Play] = []
    tasks: list[Task] = []
    role = _role_of(path)
    for item in (item for items in lists for item in items if isinstance(item, Map)):
        if not _OF_PLAYS.isdisjoint(item):
            plays.append(_play(item, path))
            tasks += plays[-1].tasks
        elif not any(key.rpartition(".")[2] == "import_playbook" for key in item):
            tasks += _tasks([item], path, {}, None, role)
    return Playbook(
        path, tuple(plays), tuple(tasks), tuple(command for task in tasks for command in task_commands(task))
    )


def _role_of(path: str) -> str:
    """The role that a task file belongs to, or the empty string."""
    parts = path.split("/")
    return parts[parts.index("roles") + 1] if "roles" in parts[:-3] else ""


def _play(item: Map, path: str) -> Play:
    hosts = item.get("hosts")
    play = Play(
        ":".join(map(str, hosts)) if isinstance(hosts, (list, tuple)) else str(hosts or ""),
        Where(path, item.at.get("hosts", next(iter(item.at.values())))[1], "hosts"),
        {key: value for key, value in item.items() if key not in _SECTIONS},
        text="\n".join(leaves(item)),
    )
    play.tasks = tuple(task for section in _SECTIONS for task in _tasks(item.get(section), path, {}, play, ""))
    included = (task.text("name") for task in play.tasks if task.module in ROLE_MODULES)
    play.roles = (*_roles(item.get("roles")), *filter(None, included))
    return play


def _roles(value: Any) -> Iterator[str]:
    for item in value if isinstance(value, (list, tuple)) else ():
        name = item.get("role") or item.get("name") if isinstance(item, Mapping) else item
        if isinstance(name, str) and name:
            yield name


def _tasks(value: Any, path: str, outer: Mapping[str, Any], play: Play | None, role: str) -> Iterator[Task]:
    """The tasks of a list. Those in a block inherit its keywords."""
    for item in value if isinstance(value, (list, tuple)) else ():
        if not isinstance(item, Map):
            continue
        if any(key in item for key in _BLOCKS):
            inner = {**outer, **keywords_of(item)}
            for key in _BLOCKS:
                yield from _tasks(item.get(key), path, inner, play, role)
        else:
            yield from read_task(item, path, outer, play, role)
