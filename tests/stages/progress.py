# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pytest plugin for `make test`: says which groups of tests run, what was slow or failed, what a test has to report,
and what was left out.

It speaks where results meet: in the process that gives the workers of pytest-xdist their tests, or in the only one.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Generator, Sequence
from typing import Any

import pytest
from stages.tools import last_line

SLOW_SECONDS = 5.0
PULSE_SECONDS = 50.0

#: Markers of tests that are left out of some runs, and the command that runs them; the last one counts.
LEFT_TO = {"slow": "make test", "full": "make test-full"}
#: The most tests that are named where they were left out.
NAMED = 30

#: The property under which a test records what is worth reading although it passes.
REPORT = "report"


def left_out(items: Sequence[pytest.Item]) -> dict[str, str]:
    """The command that runs each test that was left out because of its marker."""
    return {
        item.nodeid: command for item in items for mark, command in LEFT_TO.items() if item.get_closest_marker(mark)
    }


def group_of(nodeid: str) -> str:
    """tests/unit/… → unit; tests/stages/test_lint.py → lint."""
    parts = nodeid.partition("::")[0].split("/")
    if len(parts) > 2 and parts[1] == "stages":
        return parts[2].removeprefix("test_").removesuffix(".py")
    return parts[1] if len(parts) > 1 else nodeid


def title(nodeid: str) -> str:
    """A test as a line names it: its file and itself."""
    path, _colons, name = nodeid.partition("::")
    return f"{path.rpartition('/')[2].removesuffix('.py')}::{name}"


class Progress:
    """A line where a group of tests begins and ends, one for each test that was slow or failed, and a pulse."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._began = time.monotonic()
        self._speaking = threading.Lock()
        self._spoke = self._began
        self._over = threading.Event()
        self._expected: list[str] = []
        self._groups: dict[str, float] = {}
        self._to_come: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._running: dict[str, float] = {}
        self._left_out: dict[str, str] = {}

    def _say(self, line: str, *more: str) -> None:
        reporter: Any = self._config.pluginmanager.get_plugin("terminalreporter")
        with self._speaking:
            self._spoke = time.monotonic()
            reporter.ensure_newline()
            reporter.write_line("\n".join([f"{line}  {self._spoke - self._began:.0f} s", *more]), flush=True)

    def _expect(self, nodeids: Sequence[str]) -> None:
        self._expected = list(dict.fromkeys(map(group_of, nodeids)))
        self._to_come = Counter(map(group_of, nodeids))

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._expect([item.nodeid for item in session.items])

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """A worker knows its tests. While one test runs in it, this process is free for a pulse."""
        if not self._expected:
            self._expect(ids)
            threading.Thread(target=self._beat, daemon=True).start()

    def _beat(self) -> None:
        while not self._over.wait(PULSE_SECONDS / 10):
            silent = time.monotonic() - self._spoke
            if silent >= PULSE_SECONDS:
                self._pulse(silent)

    def _pulse(self, silent: float) -> None:
        """What has been running in the silence, and the last word of a tool that said something meanwhile."""
        now = time.monotonic()
        running = [f"{title(nodeid)} for {now - began:.0f} s" for nodeid, began in list(self._running.items())]
        said = last_line(silent)
        self._say(f"    … {', '.join(running) or 'ending'}{f'; {said}' if said else ''}; since the start")

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        self._left_out |= left_out(items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Only workers choose; each has left out the same."""
        self._left_out |= getattr(node, "workeroutput", {}).get("left out", {})

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._running[nodeid] = time.monotonic()
        group = group_of(nodeid)
        if group not in self._groups:
            self._groups[group] = time.monotonic()
            self._say(f"==> {len(self._groups)}/{len(self._expected)} {group}, {self._to_come[group]} tests")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._failed[group_of(report.nodeid)] += report.failed
        slow = report.duration >= SLOW_SECONDS and report.when != "teardown"
        if slow or report.failed:
            worker = f"{report.node.gateway.id} " if hasattr(report, "node") else ""
            what = "" if report.when == "call" else f" ({report.when})"
            took = f"{report.duration:.0f} s; since the start"
            self._say(f"    {worker}{title(report.nodeid)}{what} {report.outcome} in {took}")
        if report.when == "call":
            for text in (value for name, value in report.user_properties if name == REPORT):
                lines = [f"        {line}" for line in str(text).splitlines()]
                self._say(f"    {title(report.nodeid)} reports; since the start", *lines)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self._running.pop(nodeid, None)
        group = group_of(nodeid)
        self._to_come[group] -= 1
        if not self._to_come[group]:
            how = f"{self._failed[group]} failed" if self._failed[group] else "passed"
            took = time.monotonic() - self._groups[group]
            self._say(f"<== {group} {how} in {took:.0f} s; since the start")

    @pytest.hookimpl(wrapper=True)
    def pytest_report_teststatus(self) -> Generator[None, tuple[str, str, Any], tuple[str, str, Any]]:
        """No letters: a line for each group and for each slow or failed test says more."""
        category, _letter, word = yield
        return category, "", word

    def pytest_terminal_summary(self) -> None:
        self._over.set()
        for command in LEFT_TO.values():
            names = [nodeid for nodeid, of in self._left_out.items() if of == command]
            if names:
                self._say(f"left to `{command}`: {len(names)} tests")
            for name in names if len(names) <= NAMED else sorted({nodeid.partition("::")[0] for nodeid in names}):
                self._say(f"    {name}")


class Silent:
    """What a worker tells at its end: the tests that it left out."""

    def __init__(self, config: pytest.Config) -> None:
        self._output: dict[str, Any] = config.workeroutput  # type: ignore[attr-defined]

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        self._output["left out"] = {**self._output.get("left out", {}), **left_out(items)}


def pytest_configure(config: pytest.Config) -> None:
    made = Silent(config) if hasattr(config, "workerinput") else Progress(config)
    config.pluginmanager.register(made, "bulkhead-progress")
