# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lines fit the screen, whatever its width, and lose nothing."""

from __future__ import annotations

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Finding, Severity, Where
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.report.text import text as report
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.story.lines import (
    ASCII,
    UNICODE,
    cells,
    duration,
    ending,
    folded,
    is_deliberate,
    moving_line,
    signs,
    step_line,
    usable,
    without_frame,
)
from hypothesis import given
from hypothesis import strategies as st

COUNTS = {"ok": 6, "changed": 2, "unreachable": 0, "failures": 0, "skipped": 0, "rescued": 0, "ignored": 0}


@pytest.mark.parametrize(
    ("encoding", "variables", "expected"),
    [
        ("utf-8", {"LANG": "de_DE.UTF-8"}, UNICODE),
        ("UTF8", {"LC_ALL": "C.UTF-8"}, UNICODE),
        ("utf-8", {"LANG": "C", "LC_CTYPE": "en_GB.UTF-8"}, UNICODE),
        ("utf-8", {"LANG": "C"}, ASCII),
        ("utf-8", {"LANG": "C", "LC_CTYPE": "C.UTF-8"}, ASCII),  # as Python's own coercion leaves it
        ("utf-8", {}, ASCII),
        ("utf-8", {"LC_ALL": "POSIX", "LANG": "de_DE.UTF-8"}, ASCII),
        ("iso8859-1", {"LANG": "de_DE.UTF-8"}, ASCII),
        ("", {"LANG": "de_DE.UTF-8"}, ASCII),
    ],
)
def test_signs(encoding: str, variables: dict[str, str], expected: object) -> None:
    assert signs(encoding, variables) is expected


def test_ascii_is_ascii() -> None:
    said = [moving_line(ASCII.frame(tick), "Converge", tick, 80) for tick in range(9)]
    said.append(ending({"a": {**COUNTS, "failures": 1}}, 1, 80, ASCII))
    assert all(line.isascii() for line in said)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.6, "1 min 0 s"), (125.2, "2 min 5 s"), (7261, "121 min 1 s")],
)
def test_durations(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected


@given(st.text(max_size=120), st.floats(0, 10**5), st.integers(20, 120), st.text(max_size=200))
def test_the_moving_line_fits(name: str, seconds: float, columns: int, detail: str) -> None:
    """Were it as wide as the screen, it would wrap, and could not be taken back."""
    name, detail = " ".join(name.split()), " ".join(detail.split())
    assert cells(moving_line("|", name, seconds, columns, detail)) < columns


def test_what_a_step_does_has_the_room_that_is_left() -> None:
    """The step and its time are never cut for it."""
    assert moving_line("|", "Converge", 3, 40, "waiting for web") == "| Converge  3 s  waiting for web"
    assert moving_line("|", "Converge", 3, 24, "waiting for web") == "| Converge  3 s  waitin"
    assert moving_line("|", "Converge", 3, 18, "waiting for web") == "| Converge  3 s"


def test_the_moving_line_counts_wide_signs_twice() -> None:
    assert moving_line("|", "部署部署部署", 3, 14) == "| 部署部  3 s"


@given(st.lists(st.text("abc-/.", min_size=1, max_size=12), min_size=1), st.integers(20, 100))
def test_a_step_wraps_between_words(words: list[str], width: int) -> None:
    said = step_line("+", " ".join(words), 3, width, "changed")
    assert all(len(line) <= width for line in said.splitlines())
    assert said.split() == ["+", *words, "3.0", "s,", "changed"]


def test_a_report_wraps_anew() -> None:
    finding = Finding(
        "port-shared", Severity.HIGH, ("app_prod", "app_staging"), "8080", "Both publish it, so whichever is deployed "
        "second cannot start; and the first keeps answering for both of them, with the wrong certificate.",
        "Give one of them another port: bulkhead_http_port.",
        (Where("/a/very/long/path/" + "of-a-directory/" * 7 + "main.yml", 3),),
    )  # fmt: skip
    whole = report([finding], stopping=[finding])
    assert folded(whole, 100) == whole or max(map(len, whole.splitlines())) > 100
    for width in (79, 60, 40):
        lines = folded(whole, width).splitlines()
        assert [word for line in lines for word in line.split()] == whole.split()
        long = [line for line in lines if len(line) > width]
        assert all(len(line.split()) <= 2 and "/" in line for line in long), long
        # A paragraph is filled: no line of it is a leftover of the wider one.
        [first] = [number for number, line in enumerate(lines) if "Both publish" in line]
        for line, following in zip(lines[first:], lines[first + 1 :], strict=False):
            if following.startswith("fix"):
                break
            assert len(line) + 1 + len(following.split()[0]) > width


def test_only_what_is_deliberate_is_told() -> None:
    assert is_deliberate({"msg": "aiia_prod: its lock is held"})
    assert not is_deliberate({"msg": "Task failed: list index out of range"})
    assert not is_deliberate({"msg": "MODULE FAILURE", "module_stdout": "", "module_stderr": "Traceback"})
    assert not is_deliberate({"censored": "the output has been hidden"})
    assert not is_deliberate({"msg": {"a": 1}})
    assert not is_deliberate({"msg": ""})


def test_the_frame_goes() -> None:
    assert without_frame("Task failed: Action failed: no route") == "no route"
    assert without_frame("the words Task failed: stay") == "the words Task failed: stay"


def test_the_end_counts() -> None:
    well, bad = dict(COUNTS), {**COUNTS, "failures": 1, "ok": 0, "changed": 0, "ignored": 2}
    assert ending({"a": well, "b": bad}, 3, 100, ASCII).splitlines() == [
        "+ a:  3.0 s, 6 steps, 2 changed",
        "x b:  3.0 s, 1 step, nothing changed, 2 ignored, 1 failed",
    ]
    assert ending({"a": well}, 3, 100, ASCII, check=True) == "+ a:  3.0 s, 6 steps, 2 would change something"


def test_widths() -> None:
    assert [usable(columns) for columns in (0, 40, 80, 300)] == [20, 40, 80, 100]
