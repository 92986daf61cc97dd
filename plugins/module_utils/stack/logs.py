# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tasks of a service wrote, wherever they run: a manager asks their nodes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ..core.errors import last_lines
from ..docker.engine import Engine, EngineError

#: Of a line: when it was written, by which task on which node, and what it says.
_LINE = re.compile(r"(?s)(\S+) (\S+) *\| (.*)")

#: In the name of a task where a service has one on each node: the node's id, or 0. Its name says the same.
_NODE = re.compile(r"\.(?:0|[0-9a-z]{25})(?=@)")

#: Seconds for the nodes to answer.
_LIMIT = 60


def service_logs(engine: Engine, name: str, lines: int, since: str = "") -> list[dict[str, Any]]:
    """The last lines of each task of a service, in the order of time, each with its time.

    Tasks are kept apart, as are the containers of one machine: their nodes' clocks differ. ``missing`` says why some
    lines may not be there, such as those of a node that is down. Raises EngineError where there is no log at all.
    """
    bounds = ["--since", since] if since else []
    code, output, errors = engine.docker(
        "service", "logs", "--timestamps", "--no-task-ids", "--tail", str(lines), *bounds, name, limit=_LIMIT
    )
    tasks, unread = _by_task((output + "\n" + errors).split("\n"))
    if code != 0 and not tasks:
        engine.check_reachable(errors)
        raise EngineError("the log of service %s cannot be read" % name, last_lines(errors))
    missing = last_lines("\n".join(unread), 1) if code != 0 else ""
    found = {task: sorted(said, key=lambda line: line.split(" ")[0])[-lines:] for task, said in tasks.items()}
    return [
        {"container": task, "lines": said, "missing": missing} for task, said in sorted((found or {name: []}).items())
    ]


def _by_task(said: Iterable[str]) -> tuple[dict[str, list[str]], list[str]]:
    """The lines of each task, and those that the client wrote itself."""
    tasks: dict[str, list[str]] = {}
    unread = []
    for line in said:
        found = _LINE.fullmatch(line.rstrip("\r"))
        if found:
            time, task, text = found.groups()
            tasks.setdefault(_NODE.sub("", task), []).append("%s %s" % (time, text))
        elif line.strip():
            unread.append(line)
    return tasks, unread
