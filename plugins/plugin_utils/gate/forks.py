# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Call the same thing for many machines at once, and wait for none for ever.

Ansible forks a process for each task, and what it loads is not made for threads. So each call is a fork of its own. A
fork that is killed may hold no lock of the others: what it wants to show comes back with its answer.
"""

from __future__ import annotations

import os
import pickle
import selectors
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, NoReturn

from ansible.utils.display import Display


class Shown:
    """Takes what is to be shown in place of the queue to Ansible's main process."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def send_display(self, method: str, *arguments: Any, **options: Any) -> None:
        """What Ansible's display calls."""
        self.calls.append((method, arguments, options))


class _Nowhere:
    """Takes the place of the queue to Ansible's main process: a fork that is killed must hold no lock of it."""

    def send_display(self, *_arguments: Any, **_options: Any) -> None:
        """Say nothing."""


@dataclass
class _Fork:
    """A call that runs: its position, its process, where its answer comes from, and until when it may take."""

    position: int
    process: int
    pipe: int
    until: float
    read: bytearray = field(default_factory=bytearray)


def in_parallel(calls: Sequence[Callable[[], Any]], at_once: int, patience: float) -> list[Any]:
    """The calls' answers, in their order; None for one that crashed or took more than ``patience`` seconds.

    At most ``at_once`` run at the same time. Answers must be such as can be pickled.
    """
    answers: list[Any] = [None] * len(calls)
    waiting = list(enumerate(calls))[::-1]
    with selectors.DefaultSelector() as selector:
        running: dict[int, _Fork] = {}
        try:
            while waiting or running:
                while waiting and len(running) < max(at_once, 1):
                    fork = _begin(*waiting.pop(), patience)
                    running[fork.pipe] = fork
                    selector.register(fork.pipe, selectors.EVENT_READ)
                ended = [running[key.fd] for key, _events in selector.select(_left(running)) if _reads(running[key.fd])]
                late = [fork for fork in running.values() if fork not in ended and time.monotonic() >= fork.until]
                for fork in (*ended, *late):
                    selector.unregister(fork.pipe)
                    del running[fork.pipe]
                    answers[fork.position] = _end(fork, complete=fork in ended)
        finally:
            for fork in running.values():
                _end(fork, complete=False)
    return answers


def _left(running: dict[int, _Fork]) -> float:
    return max(0.0, min(fork.until for fork in running.values()) - time.monotonic())


def _begin(position: int, call: Callable[[], Any], patience: float) -> _Fork:
    ours, theirs = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(ours)
        _run(call, theirs)
    os.close(theirs)
    return _Fork(position, process, ours, time.monotonic() + patience)


def _run(call: Callable[[], Any], pipe: int) -> NoReturn:
    """What a fork does: it never returns to the code of the process that it is a copy of."""
    try:
        alone()
        shown = Shown()
        Display()._final_q = shown
        with os.fdopen(pipe, "wb") as stream:
            stream.write(pickle.dumps((call(), shown.calls)))
    finally:
        os._exit(0)


@contextmanager
def beside(work: Callable[[], Any], pause: float) -> Iterator[None]:
    """Have a fork do something every ``pause`` seconds while this process does something else.

    It shows nothing, and ends with what this process does, or with this process.
    """

    def repeat(parent: int) -> None:
        while True:
            time.sleep(pause)
            if os.getppid() != parent:
                break
            work()

    with silent_fork(repeat):
        yield


@contextmanager
def silent_fork(run: Callable[[int], None], patience: float = 0) -> Iterator[None]:
    """Have a fork run something, given the id of this process, while this process does something else.

    It shows nothing. When this process is done, it may take ``patience`` seconds more, and is killed then; it is killed
    at once where this process fails. Without room for another process nothing of it runs.
    """
    parent = os.getpid()
    try:
        process = os.fork()
    except OSError:
        yield
        return
    if process == 0:
        try:
            alone()
            Display()._final_q = _Nowhere()
            run(parent)
        finally:
            os._exit(0)
    try:
        yield
        _wait(process, patience)
    finally:
        end_group(process)


def _wait(process: int, patience: float) -> None:
    """Wait until a fork has ended, so many seconds at most. It is still to be reaped then."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline and not os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        time.sleep(0.005)


def alone() -> None:
    """Make this fork a group of processes of its own, which ends without a word: the signals of an Ansible worker would
    end the worker."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    os.setpgid(0, 0)


def _reads(fork: _Fork) -> bool:
    """Read what is there. Returns whether that was all."""
    piece = os.read(fork.pipe, 1 << 16)
    fork.read += piece
    return not piece


def _end(fork: _Fork, complete: bool) -> Any:
    """End a fork with everything that it started. Returns its answer, after what it wanted to show."""
    os.close(fork.pipe)
    end_group(fork.process)
    if not complete or not fork.read:
        return None
    answer, shown = pickle.loads(bytes(fork.read))
    for method, arguments, options in shown:
        getattr(Display(), method)(*arguments, **options)
    return answer


def end_group(process: int) -> None:
    """Kill a fork with everything that it started, and wait for it."""
    for kill in (os.killpg, os.kill):  # in its first moment it is in no group of its own
        with suppress(ProcessLookupError, PermissionError):
            kill(process, signal.SIGKILL)
    with suppress(ChildProcessError):
        os.waitpid(process, 0)
