# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A build cannot starve the machine, and a killed one leaves nothing that runs."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.engine import EngineError
from ansible_collections.aiia.bulkhead.plugins.module_utils.image import builder as builders
from ansible_collections.aiia.bulkhead.plugins.module_utils.image import cgroup
from ansible_collections.aiia.bulkhead.plugins.module_utils.image.builder import Builder
from build_machine import Machine, build_machine, said
from observe import eventually

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a build engine needs root")


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, projects: Callable[[], str]) -> Iterator[Machine]:
    """The machine that the tests of this file share."""
    with build_machine(tmp_path_factory.mktemp("builder"), projects()) as made:
        yield made


# ---- limits ----------------------------------------------------------------------------------------------------------


def test_a_build_is_limited(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that takes the machine's processes, disk and memory is stopped, and the machine is not."""
    monkeypatch.setattr(cgroup, "_PIDS", 200)
    processes = "for number in {1..250}; do /bin/sleep 2 & done; wait; "
    disk = "fallocate -l 3G /big || true; "
    memory = "printf -v text '%*s' 1000000000 x; echo sur''vived"
    recipe = (
        f"RUN ({processes}) 2>&1 | while read -r line; do [[ $line != *fork* ]] || echo limited; done; {disk}{memory}"
    )
    with pytest.raises(EngineError) as stopped:
        machine.build("staging", recipe)
    said_last = stopped.value.detail
    assert "limited" in said_last
    assert "No space left on device" in said_last
    assert "exit code: 137" in said_last or "Killed" in said_last
    assert " survived" not in said_last


def test_a_build_ends_in_time(machine: Machine) -> None:
    """One that hangs is stopped, and leaves nothing that runs."""
    with pytest.raises(EngineError, match=r"could not be built within 3 s \(bulkhead_build_timeout\)"):
        machine.build("staging", "RUN sleep 60", timeout=3)
    assert not traces(machine.builder("staging"))


# ---- its life --------------------------------------------------------------------------------------------------------


def traces(builder: Builder) -> list[str]:
    """What there is of a build engine on the machine, but for its cache: firewall rules, interfaces, groups, files."""
    key = Path(builder.run).name
    rules = subprocess.run(["iptables-save"], capture_output=True, text=True, check=True).stdout
    found = [line for line in rules.splitlines() if key in line]
    found += [str(path) for path in Path("/sys/class/net").glob(f"*{key}*")]
    return found + [path for path in (*builder.cgroup.members, builder.run) if Path(path).exists()]


def running(builder: Builder) -> list[int]:
    """The processes that hold the build engine's lock open: all of it."""
    lock = Path(builder.folder, "lock")
    found = []
    for path in Path("/proc").glob("[0-9]*/fd"):
        with contextlib.suppress(OSError):
            if any(descriptor.readlink() == lock for descriptor in path.iterdir()):
                found.append(int(path.parent.name))
    return found


def test_a_killed_build_is_cleared_up(machine: Machine) -> None:
    """kill -9 of the module that builds ends all processes of the build; the next build removes the names. Another
    environment's build goes on meanwhile."""
    staging = machine.builder("staging")
    child = os.fork()
    if child == 0:  # pragma: no cover - it is killed
        with contextlib.suppress(BaseException):
            machine.build("staging", "RUN echo 1 && sleep 100")
        os._exit(1)
    try:
        eventually(lambda: any("sleep" in Path(f"/proc/{pid}/comm").read_text() for pid in steps(staging)), 60)
        with machine.builder("prod").started() as other:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            eventually(lambda: not running(staging), 30)
            assert any("bulkhead-build" in trace for trace in traces(staging))
            assert other.version() == machine.engine.version()
            machine.build("staging", "RUN echo built > /said")
            assert other.version() == machine.engine.version()
    finally:
        with contextlib.suppress(OSError):
            os.kill(child, signal.SIGKILL)
    assert said(machine.image("staging")) == "built"
    assert not traces(staging)
    assert not traces(machine.builder("prod"))


def steps(builder: Builder) -> list[int]:
    """The processes of a build's steps."""
    found: list[int] = []
    for members in builder.cgroup.members:
        for path in Path(members).parents[1].joinpath("steps").rglob("cgroup.procs"):
            with contextlib.suppress(OSError):
                found += map(int, path.read_text().split())
    return [pid for pid in found if Path(f"/proc/{pid}/comm").exists()]


def test_where_no_engine_of_its_own_can_be_had(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """``auto`` says why it builds in the machine's engine, ``own`` refuses; neither leaves anything."""
    monkeypatch.setattr(builders, "_OUTSIDE", "echo no permission >&2; exit 1")
    why = machine.build("staging", "RUN echo shared > /said", engine="auto")
    assert (said(machine.image("staging")), why) == ("shared", "it does not start: it did not begin")
    with pytest.raises(EngineError, match="no build engine of its own") as refused:
        machine.build("staging", "RUN echo", engine="own")
    assert "no permission" in refused.value.detail
    # The daemon itself ends: nobody waits for it.
    monkeypatch.undo()
    monkeypatch.setattr(Builder, "_configuration", lambda _builder: {"no-such-option": True})
    began = time.monotonic()
    with pytest.raises(EngineError, match="it did not answer") as refused:
        machine.build("staging", "RUN echo", engine="own")
    assert "no-such-option" in refused.value.detail
    assert time.monotonic() - began < 20
    assert not traces(machine.builder("staging"))
