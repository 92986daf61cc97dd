# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read what the machine starts by itself: crontabs and systemd units."""

from __future__ import annotations

import posixpath
import re

from ...model import Where
from .scripts import Command, Script, read_commands

#: The schedules of a crontab that are one word.
CRON_WORDS = ("@reboot", "@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")


def read_crontab(text: str, path: str = "") -> Script:
    """Read a crontab. In ``cron.d`` and ``/etc/crontab``, the sixth field is the user."""
    has_user = "cron.d" in path.split("/") or path.endswith("etc/crontab")
    commands: list[Command] = []
    variables: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        assignment = re.match(r"(\w+)\s*=\s*(.*)$", stripped)
        if assignment:
            variables[assignment[1]] = assignment[2].strip("'\"")
            continue
        count = 1 if stripped.startswith("@") else 5
        fields = stripped.split(None, count + has_user)
        if len(fields) <= count + has_user:
            continue
        schedule = " ".join(fields[:count])
        # An unescaped % ends the command; what follows is its input.
        called = re.split(r"(?<!\\)%", fields[-1], maxsplit=1)[0].replace("\\%", "%")
        commands += read_commands(called, path, line=number, variables=variables, schedule=schedule)
    return Script(tuple(commands))


def read_unit(text: str, path: str = "") -> Script:
    """Read a systemd unit: its settings, and the commands of its ``Exec…`` lines."""
    entries: list[tuple[str, str, str, Where]] = []
    section, lines = "", iter(enumerate(text.splitlines(), start=1))
    for number, line in lines:
        stripped = line.strip()
        if not stripped or stripped[0] in "#;":
            continue
        if stripped.startswith("["):
            section = stripped.strip("[]")
            continue
        while stripped.endswith("\\"):
            stripped = stripped[:-1] + " " + next(lines, (0, ""))[1].strip()
        key, equals, value = stripped.partition("=")
        if equals:
            entries.append((section, key.strip(), value.strip(), Where(path, number, key.strip())))
    folders = [value.lstrip("-") for _section, key, value, _where in entries if key == "WorkingDirectory"]
    directory = posixpath.normpath(folders[-1]) if folders and folders[-1].startswith("/") else ""
    commands = [
        command
        for _section, key, value, where in entries
        if key.startswith("Exec")
        for command in read_commands(value.lstrip("-@+!:"), path, line=where.line, directory=directory, unit=key)
    ]
    return Script(tuple(commands), tuple(entries))
