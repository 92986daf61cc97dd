# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Turns Ansible tasks into the commands that they run or amount to."""

from __future__ import annotations

from collections.abc import Iterator

from ..shell.scripts import Command, read_commands
from .tasks import COMMAND_MODULES, Task, is_true

#: Modules that act on a service of the machine, and the states that interrupt it, with the verb of systemctl.
SERVICE_MODULES = frozenset({"service", "systemd", "systemd_service"})
INTERRUPTIONS = {"restarted": "restart", "stopped": "stop", "reloaded": "reload"}
_CRON_FIELDS = ("minute", "hour", "day", "month", "weekday")
_PRUNED = ("containers", "images", "networks", "volumes", "builder_cache")


def task_commands(task: Task) -> Iterator[Command]:
    """The commands that a task runs."""
    if task.module in COMMAND_MODULES:
        yield from read_commands(
            task.raw, task.where.file, line=task.line, directory=task.text("chdir"), errexit=True, unit=task.name
        )
        return
    if task.module == "cron" and task.text("state") != "absent":
        fields = (task.text(name) or "*" for name in _CRON_FIELDS)
        schedule = f"@{task.text('special_time')}" if task.text("special_time") else " ".join(fields)
        place = task.place("job")
        yield from read_commands(task.text("job"), place.file, line=place.line, schedule=schedule, unit=task.name)
        return
    words = _as_command(task)
    if words:
        yield Command(words, task.where, words, unit=task.name)


def _as_command(task: Task) -> tuple[str, ...]:
    """The command line equivalent to a module that acts on the whole machine; empty for any other module."""
    if task.module in SERVICE_MODULES and task.text("state") in INTERRUPTIONS:
        return ("systemctl", INTERRUPTIONS[task.text("state")], task.text("name"))
    if task.module == "reboot":
        return ("reboot",)
    if task.module == "docker_prune":
        kinds = [kind for kind in _PRUNED if is_true(task.arguments.get(kind))]
        filters = [f"--filter={key}" for key in task.arguments if key.endswith("_filters")]
        return ("docker", "system", "prune", *(f"--{kind}" for kind in kinds), *filters) if kinds else ()
    return ()
