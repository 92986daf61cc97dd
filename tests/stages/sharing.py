# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the workers of pytest-xdist share the tests: a file at a time, except where several belong to one worker."""

from __future__ import annotations

import functools
from typing import Any

import pytest


def _files(*names: str) -> frozenset[str]:
    return frozenset(f"tests/e2e/test_{name}.py" for name in names)


TOGETHER = {
    # They share the guide's two environments, which take a minute to deploy. The longest group: it comes first.
    "guide": _files(
        "changes",
        "doctor",
        "every_day",
        "guide",
        "limits",
        "releases",
        "repeat",
        "report",
        "rotation",
        "secrets",
        "traffic",
    ),
    # They change the machine's filter table, and look at what others have in it.
    "filtering": _files("destroy", "firewall"),
    # They look at the whole engine for what probes leave behind, and probe with containers of their own.
    "probing": _files("probes", "systemd", "unprivileged"),
}

#: What takes a minute at the most comes last, so that all workers come to their end together.
SMALL = TOGETHER["probing"] | _files("guards", "jobs", "load", "maintenance", "settings", "surroundings")


def unit(nodeid: str) -> str:
    """What one worker runs from its beginning to its end: a group, or a file."""
    path = nodeid.partition("::")[0]
    return next((name for name, files in TOGETHER.items() if path in files), path)


def turn(nodeid: str) -> int:
    """When a test's unit comes."""
    path = nodeid.partition("::")[0]
    if not path.startswith(("tests/e2e/", "tests/security/")):
        return 0
    return 1 if path in TOGETHER["guide"] else 3 if path in SMALL else 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """End-to-end tests come after all others, in the order of their units."""
    for item in items:
        if turn(item.nodeid) > 1 and "guide" in getattr(item, "fixturenames", ()):
            # An error here would end the workers of pytest-xdist without a word, so the test fails instead.
            why = f"{item.nodeid} uses the guide's environments: name its file in stages/sharing.py"
            item.setup = functools.partial(pytest.fail, why, pytrace=False)  # type: ignore[method-assign]
    items.sort(key=lambda item: turn(item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hand out units in the order in which they were collected."""
    from xdist.scheduler import LoadScopeScheduling

    class Sharing(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return unit(nodeid)

    return Sharing(config, log)
