# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Let a machine do an environment's jobs by itself: a timer of systemd, else a file for cron. Runs on the targets.

What runs is the very code that runs now, in a zip file that needs Python and nothing else. Everything is known by the
environment's exact prefix.
"""

from __future__ import annotations

import ast
import importlib.util
import io
import json
import os
import shlex
import sys
import zipfile
from typing import Any

from ..core.directory import DesiredFile, Tree
from ..core.errors import last_lines
from ..core.json_with_digest import dump
from ..core.steps import Step
from ..docker.engine import Engine, EngineError
from ..state.registry import state_directory
from .copy_off import CopyOff
from .job import BACKUP, ScheduledJob, unit_name
from .scheduled_run import LAST, SETTINGS

#: Where systemd says that it runs, where its units are, and where cron's files are.
SYSTEMD = "/run/systemd/system"
UNITS = "/etc/systemd/system"
CRON = "/etc/cron.d"
#: Where systemd keeps when a timer last ran, by which it makes up for what was missed.
STAMPS = "/var/lib/systemd/timers"

_PACKAGE = "ansible_collections.aiia.bulkhead.plugins.module_utils"
_MAIN = "import sys\nfrom %s.%s import main\nsys.exit(main())\n"
_TYPE_CHECKING = ast.dump(ast.parse("TYPE_CHECKING", mode="eval").body)

_SERVICE = """# %(prefix)s: written by Bulkhead; changes made here are lost with the next deployment.
[Unit]
Description=%(title)s of %(prefix)s
After=docker.service

[Service]
Type=oneshot
ExecStart=%(command)s
Nice=10
IOSchedulingClass=idle
"""

_TIMER = """# %(prefix)s: written by Bulkhead; changes made here are lost with the next deployment.
[Unit]
Description=%(title)s of %(prefix)s

[Timer]
OnCalendar=%(calendar)s
Persistent=true

[Install]
WantedBy=timers.target
"""

_CRON = """# %(prefix)s: written by Bulkhead; changes made here are lost with the next deployment.
SHELL=/bin/sh
%(cron)s root %(command)s
"""


def program(job: ScheduledJob = BACKUP) -> bytes:
    """A job as a program of one file, made of the modules that are loaded here."""
    sources: dict[str, str] = {}
    wanted = ["%s.%s" % (_PACKAGE, job.module)]
    while wanted:
        name = wanted.pop()
        if name not in sources:
            sources[name] = _source(name)
            wanted += _imports(name, sources[name])
    files = {"__main__.py": _MAIN % (_PACKAGE, job.module)}
    for name, text in sources.items():
        files["%s.py" % name.replace(".", "/")] = text
        # An import from a zip file needs every package to have a file of its own.
        for package in _packages(name):
            files["%s/__init__.py" % package.replace(".", "/")] = ""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in sorted(files.items()):
            # Without a date: equal code is an equal file.
            archive.writestr(zipfile.ZipInfo(path), text, zipfile.ZIP_DEFLATED)
    return content.getvalue()


def _imports(name: str, text: str) -> list[str]:
    """The modules of ours that a module imports when it runs, by their full names.

    Inside a function counts, and what only a type checker reads does not.
    """
    found: list[str] = []
    nodes: list[ast.AST] = [ast.parse(text)]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.If) and ast.dump(node.test) == _TYPE_CHECKING:
            nodes += node.orelse
        elif isinstance(node, ast.ImportFrom):
            base = name.split(".")[: -node.level] if node.level else []
            module = ".".join(base + (node.module.split(".") if node.module else []))
            for alias in node.names:
                full = "%s.%s" % (module, alias.name)
                found.append(full if _is_module(full) else module)
        else:
            nodes += ast.iter_child_nodes(node)
    return [name for name in found if name.startswith("%s." % _PACKAGE)]


def _is_module(name: str) -> bool:
    try:
        spec = importlib.util.find_spec(name) if name.startswith("%s." % _PACKAGE) else None
    except ModuleNotFoundError:  # its parent is a module, and it a name in there
        return False
    return spec is not None


def _packages(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts))]


def _source(name: str) -> str:
    spec = importlib.util.find_spec(name)
    text = spec.loader.get_source(name) if spec and spec.loader else None  # type: ignore[attr-defined]
    if not text:
        raise EngineError("the program of the schedule cannot be made: module %s has no source here" % name)
    # Python's loaders give text; Ansible's gives bytes once a module was loaded.
    return text.decode() if isinstance(text, bytes) else str(text)


class Schedule:
    """The schedule of one job of an environment on its machine."""

    def __init__(self, engine: Engine, prefix: str, state: str = "", job: ScheduledJob = BACKUP) -> None:
        self.engine = engine
        self.prefix = prefix
        self.job = job
        self.state = state_directory(state)
        self.folder = os.path.join(self.state, job.folder, prefix)
        self._kept = Tree(self.folder, private=True, inner=0o700)
        self.name = unit_name(prefix, job)
        self._stamp = os.path.join(STAMPS, "stamp-%s.timer" % self.name)

    def last(self) -> dict[str, Any]:
        """The outcome of the last scheduled run; empty if there was none."""
        try:
            found = json.loads((self._kept.read(LAST) or b"{}").decode())
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def bring(self, wanted: dict[str, Any], change: bool = True) -> list[Step]:
        """Write the files of a schedule, or remove them where ``wanted`` is empty. Returns the steps.

        ``wanted`` has the times for ``cron`` and ``calendar``, the engine's address and the settings of the job, by its
        name. Raises EngineError where the machine cannot have a schedule, or root would run its copy command.
        """
        if wanted and self.job is BACKUP:
            CopyOff(self.engine, wanted["backup"]).check()
        files = self._files(wanted) if wanted else {}
        own = self._own_paths() + ([] if wanted else [self._stamp])
        stale = [path for path in own if path not in files and os.path.lexists(path)]
        different = {path: file for path, file in files.items() if self._tree(path).differs(file)}
        steps = [Step("write", path, "file") for path in sorted(different)]
        steps += [Step("remove", path, "file") for path in stale]
        if change and steps:
            self._check_writable([*different, *stale])
            self._stop(stale)
            for path in stale:
                os.unlink(path)
            for path, file in different.items():
                self._tree(path).write(file)
            self._start(wanted)
        return steps

    def remove(self) -> list[Step]:
        """Remove the schedule. Returns the steps."""
        return self.bring({})

    def _tree(self, path: str) -> Tree:
        folder = os.path.dirname(path)
        return self._kept if folder == self.folder else Tree(folder)

    def _own_paths(self) -> list[str]:
        return [
            os.path.join(UNITS, "%s.timer" % self.name),
            os.path.join(UNITS, "%s.service" % self.name),
            os.path.join(CRON, self.name),
            os.path.join(self.folder, self.job.program),
            os.path.join(self.folder, SETTINGS),
        ]

    def _files(self, wanted: dict[str, Any]) -> dict[str, DesiredFile]:
        python = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
        command = [python, "-I", os.path.join(self.folder, self.job.program)]
        settings = {
            "docker_host": wanted["docker_host"],
            self.job.name: dict(wanted[self.job.name], state_directory=self.state),
        }
        if wanted.get("notify"):
            settings["notify"] = wanted["notify"]
        texts = {"prefix": self.prefix, "title": self.job.title, "cron": wanted["cron"], "calendar": wanted["calendar"]}
        found = {
            os.path.join(self.folder, self.job.program): DesiredFile(self.job.program, program(self.job), 0o700),
            os.path.join(self.folder, SETTINGS): DesiredFile(SETTINGS, dump(settings), 0o600, sensitive=True),
        }
        if os.path.isdir(SYSTEMD):
            texts["command"] = " ".join(_unit_word(word) for word in command)
            for ending, template in (("service", _SERVICE), ("timer", _TIMER)):
                name = "%s.%s" % (self.name, ending)
                found[os.path.join(UNITS, name)] = DesiredFile(name, (template % texts).encode(), 0o644)
        elif os.path.isdir(CRON):
            texts["command"] = " ".join(shlex.quote(word) for word in command).replace("%", "\\%")
            found[os.path.join(CRON, self.name)] = DesiredFile(self.name, (_CRON % texts).encode(), 0o644)
        else:
            raise EngineError(
                "%s needs systemd or cron on the machine, and there is neither %s nor %s. Install cron, or %s"
                % (self.job.variable, SYSTEMD, CRON, self.job.instead)
            )
        return found

    def _check_writable(self, paths: list[str]) -> None:
        for folder in sorted({os.path.dirname(path) for path in paths}):
            if os.path.isdir(folder) and not os.access(folder, os.W_OK):
                raise EngineError(
                    "%s needs root, to write to %s: set ansible_become: true, or %s"
                    % (self.job.variable, folder, self.job.instead)
                )

    def _start(self, wanted: dict[str, Any]) -> None:
        if os.path.isdir(SYSTEMD):
            self._systemctl("daemon-reload")
            if wanted:
                self._systemctl("enable", "%s.timer" % self.name)
                self._systemctl("restart", "%s.timer" % self.name)

    def _stop(self, stale: list[str]) -> None:
        if not os.path.isdir(SYSTEMD):
            return
        timer, service = ("%s.%s" % (self.name, ending) for ending in ("timer", "service"))
        if os.path.join(UNITS, timer) in stale:
            self._systemctl("disable", "--now", timer)
        if os.path.join(UNITS, service) in stale:
            self._systemctl("stop", service)  # it may be waiting for whoever runs this
            # A unit that failed is remembered when its file is gone. This says no where there is nothing to forget.
            self.engine.tool("systemctl", "reset-failed", service)

    def _systemctl(self, *args: str) -> None:
        code, output, errors = self.engine.tool("systemctl", *args)
        if code != 0:
            raise EngineError("systemctl %s failed" % " ".join(args), last_lines(errors or output))


def _unit_word(word: str) -> str:
    """A word of a command as systemd reads it."""
    return '"%s"' % word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
