# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finds the task files that a play runs through its roles, imports and includes."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Sequence

from ..readers.ansible.plays import ROLE_MODULES, Playbook
from ..readers.ansible.tasks import Play, Task

_TASK_MODULES = ("import_tasks", "include_tasks", "include")


class TaskFiles:
    """The task files among some Ansible files."""

    def __init__(self, playbooks: Iterable[Playbook]) -> None:
        self._tasks: dict[str, list[Task]] = {}
        self._roles: dict[str, list[str]] = {}
        for playbook in playbooks:
            tasks = [task for task in playbook.tasks if task.play is None]
            if tasks:
                self._tasks[playbook.path] = tasks
                self._roles.setdefault(tasks[0].role, []).append(playbook.path)

    def of_play(self, play: Play) -> tuple[str, ...]:
        """The paths of the known task files that a play runs."""
        found = [path for role in play.roles for path in self._of_role(role)]
        found += [path for task in play.tasks for path in self.of_task(task, play)]
        for path in found:
            found += [more for task in self._tasks[path] for more in self.of_task(task, play) if more not in found]
        return tuple(dict.fromkeys(found))

    def of_task(self, task: Task, play: Play | None) -> Sequence[str]:
        """The paths of the task files that a task imports or includes. Paths are relative to its file or its play."""
        if task.module in ROLE_MODULES:
            return self._of_role(task.text("name"))
        if task.module not in _TASK_MODULES:
            return ()
        name = task.text("file") or task.raw
        places = (task.where.file, play.where.file) if play else (task.where.file,)
        paths = (posixpath.normpath(posixpath.join(posixpath.dirname(place), name)) for place in places)
        return [path for path in paths if path in self._tasks][:1]

    def _of_role(self, name: str) -> Sequence[str]:
        name = name.rpartition(".")[2]
        return self._roles.get(name, ()) if name else ()

    def tasks(self, path: str) -> Sequence[Task]:
        """The tasks of a file."""
        return self._tasks[path]
