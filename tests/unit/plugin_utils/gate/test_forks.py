# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Many machines at once: in order, at the same time, and none is waited for without end."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from ansible.utils.display import Display
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.forks import in_parallel


def slow(answer: Any, seconds: float) -> Any:
    time.sleep(seconds)
    return answer


def test_answers_keep_their_order() -> None:
    """At the same time: three that take a third of a second do not take a second."""
    began = time.monotonic()
    calls = [partial(slow, number, 0.3 - number / 10) for number in range(3)]
    assert in_parallel(calls, 3, 10) == [0, 1, 2]
    assert time.monotonic() - began < 0.9
    assert in_parallel([], 3, 10) == []


def test_no_more_than_allowed_at_once(tmp_path: Path) -> None:
    def count(number: int) -> int:
        (tmp_path / str(number)).touch()
        most = 0
        for _look in range(10):
            most = max(most, len(list(tmp_path.iterdir())))
            time.sleep(0.01)
        (tmp_path / str(number)).unlink()
        return most

    assert max(in_parallel([partial(count, number) for number in range(6)], 2, 10)) == 2


def test_one_that_hangs_ends_with_all_that_it_started(tmp_path: Path) -> None:
    """Control: the others' answers are there."""

    def hang() -> None:
        process = subprocess.Popen(["sleep", "300"])
        (tmp_path / "started").write_text(str(process.pid))
        process.wait()

    began = time.monotonic()
    assert in_parallel([hang, partial(slow, "there", 0)], 2, 1.5) == [None, "there"]
    assert time.monotonic() - began < 10
    left = Path(f"/proc/{(tmp_path / 'started').read_text()}/stat")
    for _look in range(50):  # the kernel ends it, and init waits for it
        if not left.exists() or left.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.1)
    pytest.fail("what it started is still running")


def test_one_that_crashes_is_none() -> None:
    def crash() -> None:
        raise ZeroDivisionError

    def killed() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    assert in_parallel([crash, killed, partial(slow, 1, 0)], 1, 10) == [None, None, 1]


def test_what_a_call_shows_comes_with_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fork that is killed while it writes would else hold the lock of Ansible's queue."""
    shown: list[str] = []
    monkeypatch.setattr(Display, "display", lambda _self, text, **_options: shown.append(text))

    def show() -> int:
        Display()._final_q.send_display("display", "told")  # as its proxies do
        return 7

    assert in_parallel([show], 1, 10) == [7]
    assert shown == ["told"]
