# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pytest plugin for `make test`: says which group of tests runs, how long it took, and what was left out."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest
from stages.lane import LANE

SLOW_SECONDS = 5.0
LEFT_TO_FULL = "full"


def group_of(nodeid: str) -> str:
    """tests/unit/… → unit; tests/stages/test_lint.py → lint."""
    parts = nodeid.partition("::")[0].split("/")
    if len(parts) > 2 and parts[1] == "stages":
        return parts[2].removeprefix("test_").removesuffix(".py")
    return parts[1] if len(parts) > 1 else nodeid


class Progress:
    """One line for each group, one for each slow test."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._began = time.monotonic()
        self._groups: list[str] = []
        self._group = ""
        self._left_out: list[str] = []

    def _say(self, line: str) -> None:
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.ensure_newline()
            reporter.write_line(f"{line}  {time.monotonic() - self._began:.0f} s", flush=True)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        self._groups = list(dict.fromkeys(group_of(item.nodeid) for item in items))

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        self._left_out += [item.nodeid for item in items if item.get_closest_marker(LEFT_TO_FULL)]
        kept = dict.fromkeys(self._groups)
        self._groups = list(kept)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        if lane := self._config.stash.get(LANE, None):
            for news in lane.news():
                self._say(f"    {news}; since the start")
        group = group_of(nodeid)
        if group != self._group:
            self._group = group
            known = group in self._groups
            number = self._groups.index(group) + 1 if known else "?"
            self._say(f"==> {number}/{len(self._groups)} {group}")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.duration >= SLOW_SECONDS and report.when != "teardown":
            name = report.nodeid.rpartition("::")[2]
            what = "" if report.when == "call" else f" ({report.when})"
            self._say(f"    {name}{what} {report.outcome} in {report.duration:.0f} s; since the start")

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """No dots: a line for each group and each slow test says more."""
        if report.when == "call" and report.passed:
            return "passed", "", "PASSED"
        return None

    def pytest_terminal_summary(self) -> None:
        if self._left_out:
            self._say(f"left to `make test-full`: {len(self._left_out)} tests")
            for nodeid in self._left_out:
                self._say(f"    {nodeid}")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Progress(config), "bulkhead-progress")
