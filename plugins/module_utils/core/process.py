# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run programs, for their output or as a stream between files, this process and containers.

Runs on the targets: Python 3.8, standard library only.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from typing import IO, TYPE_CHECKING, Any, BinaryIO

from .errors import Failure, last_lines

if TYPE_CHECKING:  # a scheduled backup runs this without Ansible
    from ansible.module_utils.basic import AnsibleModule

#: Bytes to read at once.
CHUNK = 1 << 20

#: Bytes to keep of a program's standard error.
_STDERR_LIMIT = 1 << 16


class StreamError(Failure):
    """A program failed, or exceeded its time limit."""


def stream(
    command: list[str],
    what: str,
    source: BinaryIO | None = None,
    target: BinaryIO | None = None,
    write: Callable[[IO[bytes]], None] | None = None,
    read: Callable[[IO[bytes]], Any] | None = None,
    limit: float = 0,
    directory: str | None = None,
) -> Any:
    """Run a program and return the result of ``read``, if given.

    Its input is ``source`` or what ``write`` writes, its output goes to ``target`` or ``read``. ``what`` names the
    program in errors, ``directory`` is where it runs. Neither it nor what it started outlives this call where that is
    stopped. Raises StreamError if it fails or exceeds ``limit`` seconds.
    """
    streams = {"stdin": subprocess.PIPE if write else source or subprocess.DEVNULL}
    streams["stdout"] = subprocess.PIPE if read else target or subprocess.DEVNULL
    result = None
    with _running(command, what, limit, (0,), cwd=directory, **streams) as process:
        if write and process.stdin:
            with contextlib.suppress(BrokenPipeError), process.stdin:
                write(process.stdin)
        if read and process.stdout:
            with process.stdout:
                result = read(process.stdout)
    return result


@contextlib.contextmanager
def output_of(command: list[str], what: str, given: bytes, limit: float = 0) -> Iterator[tuple[IO[bytes], int]]:
    """Run a program and yield its output and its process id. ``given`` is its whole input, which reaches no disk and no
    argument.

    The block may leave the rest of the output unread. Raises StreamError if the program fails or exceeds ``limit``
    seconds; that goes before an error of the block, which only saw where the output ended.
    """
    error: Exception | None = None
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with _running(command, what, limit, (0, -signal.SIGPIPE), **streams) as process:
        if process.stdin and process.stdout:
            with contextlib.suppress(BrokenPipeError), process.stdin:
                process.stdin.write(given)
            try:
                with process.stdout:
                    yield process.stdout, process.pid
            except Exception as raised:
                error = raised
    if error:
        raise error


@contextlib.contextmanager
def _running(
    command: list[str], what: str, limit: float, good: tuple[int, ...], **options: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program while the block does, and until it ends. Raises StreamError unless its exit code is a good one."""
    late = threading.Event()
    with tempfile.TemporaryFile() as errors:
        try:
            # AnsibleModule.run_command would hold all output in memory.
            process = subprocess.Popen(  # pylint: disable=ansible-bad-function
                command, stderr=errors, start_new_session=True, **options
            )
        except OSError as error:
            raise StreamError("%s: %s cannot be run: %s" % (what, command[0], error.strerror)) from error

        def stop() -> None:
            late.set()
            _kill(process)

        timer = threading.Timer(limit or threading.TIMEOUT_MAX, stop)
        timer.daemon = True
        timer.start()
        try:
            yield process
            code = process.wait()
        finally:
            timer.cancel()
            if process.poll() is None:
                _kill(process)
                process.wait()
        if late.is_set():
            raise StreamError("%s was stopped after %d s (bulkhead_backup_timeout)" % (what, limit))
        if code not in good:
            size = errors.seek(0, 2)
            errors.seek(max(0, size - _STDERR_LIMIT))
            raise StreamError(
                "%s failed (exit code %d)" % (what, code), last_lines(errors.read().decode("utf-8", "replace"))
            )


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a program and everything in its session's first group: a shell's own children."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def position(process: int, path: str) -> int:
    """How far a process of this user has read a file that it has open; 0 if it has not."""
    for descriptor in os.listdir("/proc/%d/fd" % process):
        with contextlib.suppress(OSError):  # it was closed meanwhile
            if os.path.samefile("/proc/%d/fd/%s" % (process, descriptor), path):
                with open("/proc/%d/fdinfo/%s" % (process, descriptor), encoding="ascii") as stream:
                    return int(stream.readline().split()[1])
    return 0


def run_command(
    module: AnsibleModule, what: str, command: list[str], kind: type[Failure], **options: Any
) -> tuple[int, str, str]:
    """Run a program by the module's run_command. Returns (exit code, output, errors).

    Raises ``kind`` if the machine cannot start another process (memory, processes, open files): run_command itself
    would end the module, without a chance to undo anything.
    """
    try:
        done: tuple[int, str, str] = module.run_command(
            command, handle_exceptions=False, expand_user_and_vars=False, **options
        )
    except OSError as error:
        raise kind("%s cannot be run on this machine: %s" % (what, error.strerror or error)) from error
    return done


def home_directory() -> str:
    """The home directory of the current user, regardless of ``HOME``."""

    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return "/"
