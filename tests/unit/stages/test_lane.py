# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs beside the tests: in order, with its failure told by the test that waits for it."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable

import pytest
from stages.lane import Ended, Lane

Say = Callable[[str], object]


def test_one_after_the_other_in_order() -> None:
    """The second starts when the first is done, whoever is waited for first."""
    began: list[str] = []
    first_may_end = threading.Event()

    def first(say: Say) -> str:
        began.append("first")
        first_may_end.wait(30)
        return "one"

    def second(say: Say) -> str:
        began.append("second")
        return "two"

    lane = Lane({"a::first": first, "a::second": second})
    said: list[str] = []

    def hear(line: str) -> None:
        said.append(line)
        assert began == ["first"]
        first_may_end.set()

    assert lane.wait("a::second", hear, pulse=0.05) == "two"
    assert lane.wait("a::first", hear) == "one"
    assert said
    assert [each.split(" in ")[0] for each in lane.news()] == [
        "beside the tests: first passed",
        "beside the tests: second passed",
    ]
    assert lane.news() == []


@pytest.mark.parametrize("how", [pytest.fail, pytest.skip])
def test_a_failure_is_the_waiting_tests(how: Callable[[str], object]) -> None:
    """Also one that pytest has words of its own for, and what comes after it runs."""

    def fails(say: Say) -> str:
        how("the end of its output")
        return ""

    lane = Lane({"fails": fails, "after": lambda say: "ran"})
    with pytest.raises((pytest.fail.Exception, pytest.skip.Exception), match="the end of its output"):
        lane.wait("fails", print)
    assert lane.wait("after", print) == "ran"


def test_what_it_starts_lets_the_tests_go_first() -> None:
    """The tests themselves stay as they are."""

    def niceness(say: Say) -> str:
        return subprocess.run(["nice"], capture_output=True, text=True, check=True).stdout

    before = os.nice(0)
    assert int(Lane({"nice": niceness}).wait("nice", print)) > before
    assert os.nice(0) == before


def test_the_end_of_the_session() -> None:
    """What runs is broken off, and what did not start never does."""
    over, ran = threading.Event(), threading.Event()

    def endless(say: Say) -> str:
        over.wait(30)
        say("still at it")
        return "to its end"

    def never(say: Say) -> str:
        ran.set()
        return ""

    lane = Lane({"endless": endless, "never": never})
    lane.end()
    over.set()
    with pytest.raises(Ended):
        lane.wait("endless", print)
    assert not ran.is_set()
