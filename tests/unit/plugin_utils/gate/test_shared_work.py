# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Work that several processes share gives what one process would give, whatever happens to the others."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
from ansible.utils.display import Display
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate import shared_work
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.shared_work import in_parts, processes_for, share

#: Too long for one process to take all items before another has begun.
WHILE = 0.05


def who(number: int) -> tuple[int, int]:
    time.sleep(WHILE)
    return number, os.getpid()


def test_answers_keep_their_order_whoever_gave_them() -> None:
    answers = share(who, range(12), 3)
    assert [number for number, _process in answers] == [*range(12)]
    assert os.getpid() in {process for _number, process in answers}
    assert 2 <= len({process for _number, process in answers}) <= 3


@pytest.mark.parametrize("items", [[], ["one"], ["a", "b", "c"]])
@pytest.mark.parametrize("processes", [1, 2, 5])
def test_it_is_map(items: list[str], processes: int) -> None:
    assert share(str.upper, items, processes) == [*map(str.upper, items)]


def test_an_error_is_raised_here() -> None:
    """Whichever process meets it first."""

    def fails(number: int) -> int:
        time.sleep(WHILE)
        return 1 // (number - 5)

    with pytest.raises(ZeroDivisionError):
        share(fails, range(8), 2)


def test_what_a_killed_fork_leaves_is_done_here() -> None:
    here = os.getpid()

    def dies_elsewhere(number: int) -> int:
        time.sleep(WHILE)
        if os.getpid() != here and number > 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    assert share(dies_elsewhere, range(10), 3) == [*range(10)]


def test_an_answer_that_cannot_be_passed_on_is_made_here() -> None:
    def give_a_function(number: int) -> Callable[[], int]:
        time.sleep(WHILE)
        return lambda: number

    assert [answer() for answer in share(give_a_function, range(6), 2)] == [*range(6)]


def test_no_fork_is_left() -> None:
    share(who, range(4), 3)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_without_room_for_a_process_all_is_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise BlockingIOError

    monkeypatch.setattr(os, "fork", refuse)
    assert {process for _number, process in share(who, range(3), 2)} == {os.getpid()}


def test_what_a_fork_says_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[Any] = []
    monkeypatch.setattr(Display, "warning", lambda _self, text, *_more, **_options: heard.append(text))

    class Queue:
        """Takes what a worker of Ansible shows."""

        def send_display(self, method: str, *arguments: Any, **options: Any) -> None:
            raise AssertionError((method, arguments, options))

    def speaks(number: int) -> int:
        time.sleep(WHILE)
        final = Display()._final_q
        if final is None or isinstance(final, Queue):
            Display().warning(f"{number}")
        else:  # as Display itself does in a fork
            final.send_display("warning", f"{number}")
        return number

    share(speaks, range(6), 2)
    assert sorted(heard) == [str(number) for number in range(6)]


@pytest.mark.parametrize(("count", "processes"), [(0, 2), (1, 2), (33, 2), (1000, 2), (100_000, 4)])
def test_parts_are_small_and_not_too_many(count: int, processes: int) -> None:
    parts = in_parts(range(count), processes)
    assert [item for part in parts for item in part] == [*range(count)]
    assert len(parts) <= 16 * processes
    assert max(map(len, parts), default=0) <= max(1, -(-count // (16 * processes)))


def test_more_items_than_a_pipe_holds_are_refused() -> None:
    with pytest.raises(ValueError, match="in_parts"):
        share(str, range(5000), 2)


def test_how_many_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """One for each processor that this process may use, and none for a small fleet."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: {0, 1})
    assert [processes_for(count, 16) for count in (0, 15, 16, 31, 32, 1000)] == [1, 1, 1, 1, 2, 2]
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: set(range(64)))
    assert processes_for(1000, 16) == shared_work._MOST_PROCESSES


@pytest.mark.parametrize("processes", [1, 3])
def test_what_comes_first_is_done_once_and_by_this_process(processes: int) -> None:
    done: list[int] = []
    answers = share(lambda item: (item, list(done)), [1, 2, 3], processes, first=lambda: done.append(os.getpid()))
    assert done == [os.getpid()]
    assert [item for item, _done in answers] == [1, 2, 3]
    assert all(seen in ([], done) for _item, seen in answers)
