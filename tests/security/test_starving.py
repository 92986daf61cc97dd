# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Containers that take whatever they get: each stops at its limit. Control: a container of plain Docker does not."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from observe import containers, eventually
from support import IMAGE, Site, docker, only, remove_project, web

MIB = 1 << 20
MEMORY, PROCESSES, LOG = 64 * MIB, 40, 100_000

_EAT = "held = []\nfor _unused in range(160): held.append(bytearray(1 << 20))\nprint('ate it all')"
_FORK = """
import os, signal
children = []
try:
    while len(children) < 80:
        child = os.fork()
        if not child:
            signal.pause()
        children.append(child)
except OSError:
    print("refused")
print(len(children))
for child in children:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""
_LOG = "with open('/proc/1/fd/1', 'w') as log:\n    for _unused in range(2000): log.write('x' * 999 + '\\n')"


@dataclass(frozen=True)
class Pair:
    """A container of an environment, and one of plain Docker."""

    limited: str
    control: str


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, projects: Callable[[], str]) -> Iterator[Pair]:
    """One environment with small limits, deployed, and a control beside it."""
    site = Site(tmp_path_factory.mktemp("starving"), projects())
    limits = {"memory": "64M", "pids": PROCESSES, "cpus": "1.0"}
    logging = {"driver": "json-file", "options": {"max-size": "100k", "max-file": "2"}}
    service = web(deploy={"resources": {"limits": limits}}, logging=logging)
    place = site.small("staging", "staging", services=only(web=service))
    place.deploy().succeeded()
    label = f"io.bulkhead.project={site.project}"
    control = f"{site.project}_control"
    command = [IMAGE, "sleep", "600"]
    docker("run", "--detach", "--name", control, "--label", label, "--log-driver", "json-file", "--init", *command)
    yield Pair(f"{place.prefix}_web", control)
    remove_project(site.project)


def within(container: str, program: str) -> subprocess.CompletedProcess[str]:
    """Run a Python program in a container, as its user."""
    command = ["docker", "exec", container, "python3", "-c", program]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_memory_and_swap(pair: Pair) -> None:
    """What eats memory is killed at the limit, and swap is no second memory."""
    host = json.loads(docker("inspect", pair.limited))[0]["HostConfig"]
    assert host["MemorySwap"] == host["Memory"] == MEMORY
    assert within(pair.control, _EAT).stdout == "ate it all\n"
    assert within(pair.limited, _EAT).returncode == 137


def test_swap_without_the_limit(pair: Pair) -> None:
    """Control: the engine by itself gives as much swap as memory."""
    name = f"{pair.control}_swap"
    label = docker("inspect", "--format", '{{index .Config.Labels "io.bulkhead.project"}}', pair.control).strip()
    docker("create", "--name", name, "--label", f"io.bulkhead.project={label}", "--memory", "64m", IMAGE, "true")
    assert json.loads(docker("inspect", name))[0]["HostConfig"]["MemorySwap"] == 2 * MEMORY


def test_processes(pair: Pair) -> None:
    """A container gets no more processes than its limit says."""
    assert within(pair.control, _FORK).stdout == "80\n"
    refused, count = within(pair.limited, _FORK).stdout.split()
    assert refused == "refused" and int(count) < PROCESSES


def test_logs(pair: Pair) -> None:
    """Two files of the size that is allowed, however much is written."""
    for container in (pair.limited, pair.control):
        assert within(container, _LOG).returncode == 0
    eventually(lambda: _log_size(pair.control) > 2_000_000)
    assert LOG < _log_size(pair.limited) < 3 * LOG


def _log_size(container: str) -> int:
    first = Path(docker("inspect", "--format", "{{.LogPath}}", container).strip())
    return sum(path.stat().st_size for path in first.parent.glob(f"{first.name}*"))


def test_processor_weight(pair: Pair) -> None:
    """Where processors are short, an environment that is not protected yields."""
    found = containers(pair.limited.removesuffix("_web"))[pair.limited]
    assert found["HostConfig"]["CpuShares"] == 256
