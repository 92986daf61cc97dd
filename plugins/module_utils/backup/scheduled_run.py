# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The program that makes an environment's backups on schedule, without Ansible. Runs on the targets.

``schedule`` packs it into a zip file and writes the settings beside it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import traceback
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ..core.directory import DesiredFile, Tree, read
from ..core.errors import Failure
from ..core.json_with_digest import dump
from ..core.notice import deliver
from ..docker.engine import Engine
from ..state.locks import Locks
from .create import Backups

SETTINGS = "settings.json"
LAST = "last.json"

#: Seconds to wait for a deployment that holds the lock.
_LOCK_WAIT = 900


class Runner:
    """Stands in for the AnsibleModule that :class:`Engine` expects."""

    def get_bin_path(self, name: str, opt_dirs: Any = ()) -> str | None:
        """The path of a program; None if it is not installed."""
        return shutil.which(name, path=os.pathsep.join(opt_dirs))

    def run_command(
        self, command: list[str], data: Any = None, cwd: str | None = None, **_options: Any
    ) -> tuple[int, str, str]:
        """Run a program and return its exit code, output and errors."""
        if isinstance(data, str):
            data = (data + "\n").encode("utf-8", "surrogateescape")
        source = {"input": data} if data is not None else {"stdin": subprocess.DEVNULL}
        # There is no AnsibleModule here whose run_command could be called.
        # pylint: disable-next=ansible-bad-function
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=cwd, check=False, **source)
        output, errors = (text.decode("utf-8", "surrogateescape") for text in (done.stdout, done.stderr))
        return done.returncode, output, errors


class UnscheduledError(Failure):
    """The schedule was removed while this program waited."""


def read_settings(folder: str) -> dict[str, Any]:
    """Read the current settings. Raises UnscheduledError if the schedule was removed."""
    content = read(os.path.join(folder, SETTINGS))
    if content is None:
        raise UnscheduledError("the schedule was removed")
    settings: dict[str, Any] = json.loads(content.decode())
    return settings


@contextmanager
def scheduled(params: dict[str, Any], who: str) -> Iterator[None]:
    """Hold an environment's lock, once whoever has it is done. Raises Failure."""
    locks, token = Locks(params["state_directory"]), uuid.uuid4().hex
    locks.take(params["prefix"], token, who, _LOCK_WAIT)
    try:
        with locks.keep_alive(params["prefix"], token):
            yield
    finally:
        locks.release(params["prefix"], token)


def run(folder: str) -> str:
    """Make a backup while holding the environment's lock. Returns its path. Raises Failure."""
    with scheduled(read_settings(folder)["backup"], "its own backup on schedule"):
        settings = read_settings(folder)  # the deployment that held the lock may have changed them
        backups = Backups(Engine(Runner(), settings["docker_host"]), settings["backup"])
        return str(backups.make("on schedule", trigger="schedule")["path"])


def _tell(folder: str, began: str) -> str:
    """Tell the webhook of the settings that a run failed. Returns why it was not told; empty where there is none."""
    try:
        to = read_settings(folder).get("notify") or {}
    except (Failure, ValueError):
        return ""
    if not to.get("url"):
        return ""
    job = os.path.basename(os.path.dirname(folder))
    payload = {
        "event": "ended",
        "environment": os.path.basename(folder),
        "action": {"schedules": "backup", "certificates": "renewal"}.get(job, job),
        "outcome": "failed",
        "by": "schedule",
        "at": began,
    }
    return deliver({"url": to["url"], "headers": to.get("headers")}, payload)


def end(job: Callable[[str], str]) -> int:
    """Do a scheduled job in the directory of its program, print the outcome and record it in ``last.json``. Returns the
    exit code."""
    folder = os.path.dirname(os.path.abspath(sys.argv[0]))
    began = time.time()
    try:
        message, code = job(folder), 0
    except UnscheduledError as error:
        sys.stdout.write("%s\n" % error.message)
        return 0
    except Failure as error:
        message, code = "\n".join(filter(None, [error.message, error.detail])), 1
    except Exception as error:  # whatever it is: one that fails without a word is the worst that a schedule can do
        message, code = "it ended unexpectedly: %s: %s" % (type(error).__name__, error), 1
        traceback.print_exc()
    last = {
        "began": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began)),
        "seconds": round(time.time() - began, 1),
        "succeeded": code == 0,
        "message": message,
    }
    try:
        Tree(folder).write(DesiredFile(LAST, dump(last), 0o600))
    except Failure as error:  # a full disk is often why the job itself failed: that is told all the same
        sys.stderr.write("%s\n" % error.message)
    if code:
        untold = _tell(folder, str(last["began"]))
        if untold:
            sys.stderr.write("bulkhead_notify was not told: %s\n" % untold)
    (sys.stderr if code else sys.stdout).write("%s: %s\n" % (os.path.basename(folder), message))
    return code


def main() -> int:
    """Make the backup. Returns the exit code."""
    return end(run)
