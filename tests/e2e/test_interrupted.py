# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""kill -9 in the midst of each step of a release that is replaced without a gap: somebody serves throughout, and the
next run finishes. The unit tests do the same at every single call; here it is real processes and real containers."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from interruption import STEPS, Visitor, assert_whole, interrupted, rolling_place
from observe import eventually
from sabotage import descendants, is_held, let_time_pass, notes
from support import Place, Site, remove_project

#: The step in which `make test` kills the module alone: requests go to the stand-in, and it has to come back.
QUICK = "replaced"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, projects: Callable[[], str]) -> Iterator[Place]:
    """An environment that serves."""
    made = rolling_place(Site(tmp_path_factory.mktemp("interrupted"), projects()))
    made.deploy().succeeded()
    yield made
    remove_project(made.site.project)


def test_kill_9_in_each_step(place: Place) -> None:
    """One run after the other is killed, each a step further; each has to cope with what the one before left."""
    with Visitor(place) as visitor:
        for number, step in enumerate(STEPS, 1):
            with interrupted(place, str(number), step):
                pass
            assert is_held(place), step
            let_time_pass(place)
        place.variables["bulkhead_env"] = {"SAY": "last"}
        run = place.deploy().succeeded()
    assert any("had expired" in note for note in notes(run)), notes(run)
    visitor.was_served([*range(len(STEPS) + 1), "last"])
    assert len(visitor.answers) > 50
    assert_whole(place, "last")
    assert place.deploy().succeeded().changed == 0


@pytest.mark.parametrize(
    "step", [step if step == QUICK else pytest.param(step, marks=pytest.mark.full) for step in STEPS]
)
def test_kill_9_of_the_module_alone(place: Place, step: str) -> None:
    """The run itself lives on: it fails, gives the lock back, and says so."""
    serving, new = place.variables["bulkhead_env"]["SAY"], f"7{STEPS.index(step)}"
    with Visitor(place) as visitor:
        with interrupted(place, new, step) as process:
            # The first: what a module starts has its command line until it is the other program.
            modules = [descendant for descendant in descendants(process.pid) if is_module(descendant)]
            os.kill(modules[0], signal.SIGKILL)
            eventually(lambda: not is_held(place), 120)
        run = place.deploy().succeeded()
    visitor.was_served([serving, new])
    assert_whole(place, new)
    assert run.changed


def is_module(pid: int) -> bool:
    """Whether a process is the module on the host: Python, reading its program from the runner."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"python" in command[0] and b"ansible-playbook" not in b"".join(command)
