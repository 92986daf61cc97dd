# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a machine has, and what is counted when it is short."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.host.capacity import memory, space, usage, was_short

LABEL = "io.bulkhead.prefix=aiia_prod,io.bulkhead.project=aiia"
COUNTED = {
    "Volumes": [{"Labels": LABEL, "Size": "1.5GB"}, {"Labels": LABEL, "Size": "20kB"}, {"Labels": "", "Size": "N/A"}],
    "Containers": [{"Labels": f"a=b,{LABEL}", "Size": "3B (virtual 1GB)"}],
    "BuildCache": [{"Size": "2MB"}],
    "Images": [
        {"ID": "0123456789ab", "Size": "1GB", "SharedSize": "900MB", "UniqueSize": "100MB", "Tag": "one"},
        {"ID": "0123456789ab", "Size": "1GB", "SharedSize": "900MB", "UniqueSize": "100MB", "Tag": "two"},
        {"ID": "sha256:fedcba9876543210", "UniqueSize": "N/A"},
    ],
}
CONTAINERS = [
    {"id": "c1", "labels": {"io.bulkhead.prefix": "aiia_prod"}},
    {"id": "c2", "labels": {}},
    {"id": "c3", "labels": {}},
]
IMAGES = [{"id": "sha256:0123456789abcdef", "labels": {"io.bulkhead.prefix": "aiia_prod"}}]


class Docker:
    """An engine that counts."""

    def __init__(self, answer: tuple[int, str] = (0, json.dumps(COUNTED))) -> None:
        self.answer = answer
        self.calls: list[dict[str, Any]] = []

    def docker(self, *_args: str, **options: Any) -> tuple[int, str, str]:
        self.calls.append(options)
        return (*self.answer, "")


def disk(free: int = 50, free_inodes: int = 50) -> dict[str, dict[str, int]]:
    """A disk of a hundred bytes and inodes."""
    return {"/": {"size": 100, "free": free, "inodes": 100, "free_inodes": free_inodes, "disk": 1}}


def test_memory_and_space(tmp_path: Path) -> None:
    """A directory that is not there yet is on the disk of its nearest parent."""
    assert memory()["total"] > 1 << 20 and memory()["swap"] >= 0
    found = space([str(tmp_path / "a/b"), "/"])
    assert found[str(tmp_path / "a/b")]["disk"] == tmp_path.stat().st_dev
    assert 0 < found["/"]["free"] < found["/"]["size"]


def test_what_each_environment_uses(tmp_path: Path) -> None:
    """By its label; what carries none is nobody's. The engine has a limit for counting."""
    engine = Docker()
    logs = {"c1/c1-json.log": 5, "c1/c1-json.log.1": 6, "c1/config.v2.json": 90, "c2/local-logs/container.log": 7}
    for name, size in logs.items():
        (tmp_path / "containers" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "containers" / name).write_bytes(bytes(size))
    assert usage(engine, disk(free=24), str(tmp_path), CONTAINERS, IMAGES) == {
        "aiia_prod": {"volumes": 1_500_020_000, "container layers": 3, "image layers": 100_000_000, "logs": 11},
        "": {"volumes": 0, "build cache": 2_000_000, "image layers": 0, "logs": 7},
    }
    assert engine.calls == [{"limit": 30}]


@pytest.mark.parametrize("answer", [(124, ""), (0, "not JSON")])
def test_an_engine_that_does_not_count(answer: tuple[int, str]) -> None:
    """It took too long, or answers something else: the alarm comes without numbers."""
    assert usage(Docker(answer), disk(free_inodes=24)) == {}


def test_with_enough_space_nothing_is_counted() -> None:
    engine = Docker()
    assert usage(engine, disk(free=25, free_inodes=25)) == {} and engine.calls == []


@pytest.mark.parametrize(
    ("entry", "file", "text", "short"),
    [
        ("0::/docker/web", "docker/web/memory.events", "low 0\noom 1\noom_kill 2\n", True),
        ("0::/docker/web", "docker/web/memory.events", "low 0\noom 1\noom_kill 0\n", False),
        ("4:memory:/docker/web", "memory/docker/web/memory.oom_control", "under_oom 0\noom_kill 1\n", True),
        ("4:memory:/docker/web", "memory/docker/web/memory.oom_control", "under_oom 0\noom_kill 0\n", False),
        ("4:cpu:/docker/web", "docker/web/memory.events", "oom_kill 2\n", False),
        ("0::/docker/web", "docker/web/memory.events", "what\n", False),
    ],
)
def test_what_the_kernel_killed(tmp_path: Path, entry: str, file: str, text: str, short: bool) -> None:
    """Both versions of control groups count it; where the kernel does not say, nothing is claimed."""
    (tmp_path / "proc/7").mkdir(parents=True)
    (tmp_path / "proc/7/cgroup").write_text(f"9:name=systemd:/docker/web\n{entry}\n")
    (tmp_path / "groups" / file).parent.mkdir(parents=True)
    (tmp_path / "groups" / file).write_text(text)
    assert was_short(7, str(tmp_path / "proc"), str(tmp_path / "groups")) is short
    assert not was_short(8, str(tmp_path / "proc"), str(tmp_path / "groups"))
    assert not was_short(0)
