# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tools that take minutes run beside all other tests, from the start: their own tests only wait for them."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial

import pytest
from stages.lane import LANE, Lane


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Start what the chosen tests are going to wait for."""
    marked = {item: mark for item in session.items if (mark := item.get_closest_marker("beside"))}
    if session.testsfailed or session.config.option.collectonly:
        marked = {}
    work = {item.nodeid: partial(mark.kwargs["work"], **_parameters(item)) for item, mark in marked.items()}
    lane = session.config.stash[LANE] = Lane(work)
    try:
        return (yield)
    finally:
        lane.end()


def _parameters(item: pytest.Item) -> dict[str, object]:
    callspec = getattr(item, "callspec", None)
    return dict(callspec.params) if callspec else {}


@pytest.fixture
def say(capfd: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Says how far a test is, on the screen."""

    def line(text: str) -> None:
        with capfd.disabled():
            print(f"    {text}", flush=True)

    return line


@pytest.fixture
def beside(request: pytest.FixtureRequest, say: Callable[[str], None]) -> Callable[[], str]:
    """Waits for what runs beside the tests on behalf of this one."""
    return partial(request.config.stash[LANE].wait, request.node.nodeid, say)
