# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Attackers without root: functions that run in a process of another user, once or until they are stopped."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

NOBODY = pwd.getpwnam("nobody")


def as_user(*work: Callable[[], object], user: pwd.struct_passwd = NOBODY) -> bool:
    """Run functions as another user. Returns whether all ended without an error."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgroups([])
            os.setgid(user.pw_gid)
            os.setuid(user.pw_uid)
            for step in work:
                step()
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1] == 0


@contextlib.contextmanager
def meanwhile(work: Callable[[], object], user: pwd.struct_passwd = NOBODY) -> Iterator[None]:
    """Run a function again and again as another user, whatever errors it meets."""
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(user.pw_gid)
            os.setuid(user.pw_uid)
            while True:
                with contextlib.suppress(OSError):
                    work()
        finally:
            os._exit(1)
    try:
        yield
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def within(seconds: float, work: Callable[[], object], done: Callable[[], bool]) -> bool:
    """Repeat a function, whatever errors it meets, until something is done. Returns whether it was in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(Exception):
            work()
        if done():
            return True
    return False


@contextlib.contextmanager
def public_directory() -> Iterator[Path]:
    """A directory that every user can enter, and only root can write."""
    folder = Path(tempfile.mkdtemp(prefix="bulkhead-test-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
