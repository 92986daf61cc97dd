# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compute something for each of many items, on all processors of the controller.

Python computes on one processor at a time, so forks of this process help it. Each takes the next item from the same
pipe, so that none is idle while another still has much to do. Forks decide nothing: what they did not finish, because
they were killed or met an error, this process does itself. So the answers, and the errors, are those of one process.
"""

from __future__ import annotations

import os
import pickle
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any, TypeVar

from ansible.utils.display import Display

from .forks import Shown, silent_fork

_Item = TypeVar("_Item")
_Answer = TypeVar("_Answer")

#: Each process needs memory for its part of a fleet.
_MOST_PROCESSES = 4

#: A pipe holds at least 4096 bytes, and is filled before anyone reads it.
_NUMBER = struct.Struct(">H")
_MOST_PARTS = 4096 // _NUMBER.size

#: Before each answer, its length.
_LENGTH = struct.Struct(">Q")


def processes_for(count: int, each: int) -> int:
    """How many processes are worth having for so many things: one for every ``each`` of them, while processors last."""
    if not hasattr(os, "memfd_create"):  # not Linux
        return 1
    return max(1, min(len(os.sched_getaffinity(0)), _MOST_PROCESSES, count // each))


def share(
    work: Callable[[_Item], _Answer], items: Sequence[_Item], processes: int, first: Callable[[], None] = lambda: None
) -> list[_Answer]:
    """What ``work`` gives for each item, in their order: ``map``, in this process and ``processes - 1`` forks of it.
    ``first`` is what this process does before it takes part, while forks begin.

    Work has no effects, for what it changes in a fork is lost; its answers must be such as can be pickled. Raises what
    ``work`` raises.
    """
    if processes < 2 or len(items) < 2:
        first()
        return [work(item) for item in items]
    if len(items) > _MOST_PARTS:
        raise ValueError(f"{len(items)} items are more than {_MOST_PARTS}: share them in_parts")
    answers: dict[int, _Answer] = {}
    with ExitStack() as opened:
        left = _pipe_of_numbers(len(items))
        opened.callback(os.close, left)
        ended, ends = os.pipe()
        opened.callback(os.close, ended)
        written = []
        for _fork in range(processes - 1):
            file = os.memfd_create("answers")
            opened.callback(os.close, file)
            written.append(_Written(file))
            opened.enter_context(silent_fork(_Helper(work, items, left, file)))
        os.close(ends)
        first()
        for number in _numbers(left):
            answers[number] = work(items[number])
            # Read now what is there: reading everything in the end would keep this process busy and the others idle.
            for answered in written:
                answers.update(answered.read())
        os.read(ended, 1)  # nothing is ever written to it: this returns when the last fork has ended
        for answered in written:
            answers.update(answered.read())
    return [answers[number] if number in answers else work(item) for number, item in enumerate(items)]


def in_parts(items: Sequence[_Item], processes: int) -> list[Sequence[_Item]]:
    """The items in parts that several processes share: small enough that all of them end at about the same time."""
    size = max(1, -(-len(items) // min(_MOST_PARTS, 16 * processes)))
    return [items[start : start + size] for start in range(0, len(items), size)]


class _Helper:
    """What a fork does: it takes items for as long as there are any, and writes down each answer at once."""

    def __init__(self, work: Callable[[Any], Any], items: Sequence[Any], left: int, file: int) -> None:
        self._work, self._items, self._left, self._file = work, items, left, file

    def __call__(self, _parent: int) -> None:
        shown = Shown()
        Display()._final_q = shown
        for number in _numbers(self._left):
            shown.calls.clear()
            answer = self._work(self._items[number])
            record = pickle.dumps((number, answer, shown.calls), pickle.HIGHEST_PROTOCOL)
            os.write(self._file, _LENGTH.pack(len(record)) + record)


class _Written:
    """The answers that a fork writes down in a file in memory. Only those that are complete are read."""

    def __init__(self, file: int) -> None:
        self._file, self._place = file, 0

    def read(self) -> Iterator[tuple[int, Any]]:
        """The answers that came since the last time. What the fork wanted to show is shown now."""
        size = os.fstat(self._file).st_size
        while self._place + _LENGTH.size <= size:
            (length,) = _LENGTH.unpack(os.pread(self._file, _LENGTH.size, self._place))
            if self._place + _LENGTH.size + length > size:
                return
            number, answer, shown = pickle.loads(os.pread(self._file, length, self._place + _LENGTH.size))
            self._place += _LENGTH.size + length
            for method, arguments, options in shown:
                getattr(Display(), method)(*arguments, **options)
            yield number, answer


def _pipe_of_numbers(count: int) -> int:
    """The reading end of a pipe with the numbers below ``count``, and then its end."""
    ours, theirs = os.pipe()
    os.write(theirs, b"".join(map(_NUMBER.pack, range(count))))
    os.close(theirs)
    return ours


def _numbers(pipe: int) -> Iterator[int]:
    """The numbers that no other process took, until there are no more."""
    while number := os.read(pipe, _NUMBER.size):
        yield _NUMBER.unpack(number)[0]
