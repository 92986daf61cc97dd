# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Shows what a module does while it works.

A module speaks only at its end, and Ansible waits for that. So a fork of the step reads, now and then, the line that
the module writes on its machine (module_utils/core/meanwhile.py), over the same connection. The line reaches Ansible's
main process in memory that its forks share, and only there is it shown.

It is about the run, and not the run: nothing is read unless somebody watches, and whatever goes wrong ends the reading
without a word. The fork is killed when the module ends.
"""

from __future__ import annotations

import json
import mmap
import os
import shlex
import struct
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from ...module_utils.core.meanwhile import FOLDER, of_run
from .forks import silent_fork

#: The modules that may take long and tell what they do.
_LONG = frozenset(("backup", "certificates", "converge", "image", "restore", "rollback", "service", "source"))

#: Connections of which each command is a process of its own: a fork that uses one disturbs no other.
_KNOWN = ("local", "ssh")

#: A line that nobody wrote anew for so many seconds says nothing about now.
_STALE = 30

#: A read that takes long makes the next one rarer by so much; after so many that failed there is none.
_PATIENCE, _FAILURES = 4, 3

#: The most bytes of the file, and of a line as it is passed on.
_BYTES, _LINE = 4096, 900

#: Of a row: a checksum of the rest, when it was written, how long its text is.
_HEAD = struct.Struct("=IdH")
_SIZE = _HEAD.size + _LINE
_ROWS = 64


class Lines:
    """The last line of each host, in memory that Ansible's main process shares with its forks."""

    def __init__(self) -> None:
        self._table = mmap.mmap(-1, _ROWS * _SIZE)
        #: Seconds between two readings; 0 where nobody watches. Set before Ansible forks.
        self.pause = 0.0

    def put(self, host: str, text: str) -> None:
        """Pass on what is done on a host; an empty text takes it back."""
        said = text.encode("utf-8", "replace")[:_LINE]
        rest = struct.pack("=dH", time.monotonic(), len(said)) + said
        # A reader that comes in between finds that the checksum is wrong.
        self._table[self._row(host) : self._row(host) + 4 + len(rest)] = struct.pack("=I", zlib.crc32(rest)) + rest

    def newest(self, since: float) -> str:
        """The line that was written last, after a moment of :func:`time.monotonic`; empty if there is none."""
        after, found = max(since, time.monotonic() - _STALE), (0.0, "")
        for row in range(0, _ROWS * _SIZE, _SIZE):
            check, written, length = _HEAD.unpack_from(self._table, row)
            if written <= after or length > _LINE:
                continue
            rest = self._table[row + 4 : row + _HEAD.size + length]
            if zlib.crc32(rest) == check:
                found = max(found, (written, rest[_HEAD.size - 4 :].decode("utf-8", "replace")))
        return found[1]

    @staticmethod
    def _row(host: str) -> int:
        return zlib.crc32(host.encode()) % _ROWS * _SIZE


#: The lines of this run. Forks have what was there when they began, and the same memory.
LINES = Lines()


@contextmanager
def shown_meanwhile(
    action: Any, name: str, arguments: Mapping[str, Any], hide: Callable[[str], str] | None
) -> Iterator[None]:
    """Show what a module does while it is called in here. ``hide`` takes secrets out of a line: without it, none is
    shown."""
    if not (hide and LINES.pause and name in _LONG and arguments.get("token") and _can_be_read(action)):
        yield
        return
    try:
        with silent_fork(partial(_read, action, arguments, hide)):
            yield
    finally:
        LINES.put(_host(action), "")


def _can_be_read(action: Any) -> bool:
    """Whether one more command costs nothing but itself: a process here, or a channel of a connection that is open."""
    connection = action._connection
    if action._task.check_mode or connection.transport not in _KNOWN:
        return False
    if connection.transport == "local":
        return True
    given = (connection.get_option(name) or "" for name in ("ssh_args", "ssh_common_args", "ssh_extra_args"))
    return "controlpersist" in " ".join(given).lower() and not connection.get_option("password")


def _host(action: Any) -> str:
    return str(action._task.delegate_to or action._play_context.remote_addr or "")


def _read(action: Any, arguments: Mapping[str, Any], hide: Callable[[str], str], step: int) -> None:
    """What the fork does, until it is killed, the step is gone, or reading fails again and again."""
    command, run = reading(arguments), of_run(arguments["token"])
    failures = 0
    pause = LINES.pause
    while failures < _FAILURES:
        time.sleep(pause)
        if os.getppid() != step:
            break
        began = time.monotonic()
        answer = action._low_level_execute_command(command, executable="/bin/sh")
        pause = max(LINES.pause, _PATIENCE * (time.monotonic() - began))
        failures = failures + 1 if answer.get("rc") else 0
        text = line_of(str(answer.get("stdout") or ""), run)
        if text:
            LINES.put(_host(action), hide(text))


def reading(arguments: Mapping[str, Any]) -> str:
    """The command that shows a module's line; it succeeds where there is none."""
    name = shlex.quote(f"{FOLDER}/{arguments['prefix']}.json")
    state = str(arguments.get("state_directory") or "")
    where = shlex.quote(state)
    if not state:
        where = '"$(if [ "$(id -u)" = 0 ]; then echo /var/lib/bulkhead; else echo ~/.local/state/bulkhead; fi)"'
    return f"head -c {_BYTES} {where}/{name} 2>/dev/null || :"


def line_of(content: str, run: str) -> str:
    """The line of this run in what was read; empty if it is another run's, or none."""
    try:
        found = json.loads(content.strip().splitlines()[-1])
        return str(found["said"]) if found["run"] == run else ""
    except (ValueError, LookupError, TypeError):
        return ""
