# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Alarms before a disk is full, what a deployment needs, and memory that is reserved."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.live.capacity import MINIMUM_FREE, capacity
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.live.registered import entry_of
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import ComposeProject, Environment
from unit.plugin_utils.isolation.live.observations import PREFIX, container, entry, environment, labels, observation

OURS, THEIRS = "aiia_staging", "aiia_prod"
ROOT, HOME, STATE = "/var/lib/docker", f"/srv/{OURS}", "/var/lib/bulkhead"
GIB = 1 << 30


def disk(free: int = 50 * GIB, free_inodes: int = 50, inodes: int = 100, number: int = 1) -> dict[str, int]:
    """A disk of 100 GiB."""
    return {"size": 100 * GIB, "free": free, "inodes": inodes, "free_inodes": free_inodes, "disk": number}


def limited(memory: str = "1G", **more: Any) -> Environment:
    """An environment of one service with a memory limit."""
    service = {"image": "web", "deploy": {"resources": {"limits": {"memory": memory}}}}
    project = ComposeProject(OURS, OURS, {"web": service})
    made = environment(OURS, **more)
    return Environment(**{**made.__dict__, "compose": (project,)})


def of(prefix: str, memory: int) -> dict[str, Any]:
    """A container of an environment with a memory limit."""
    made = container(f"{prefix}_web", labels(prefix))
    return {**made, "limits": {**made["limits"], "memory": memory}}


def found(own: Environment, **seen: Any) -> list[tuple[str, int]]:
    """Rules and severities."""
    return [(finding.rule, int(finding.severity)) for finding in capacity(own, observation(**seen))]


ALARM = {"bulkhead_disk_alarm": 10}
KEPT = {THEIRS: entry(THEIRS, reserved={"memory": 6 * GIB, "disk": 20 * GIB})}
IMAGE = [{"names": [], "size": GIB, "labels": {PREFIX: OURS}}]
FULL, FILLING = [("disk-full", 3)], [("disk-filling", 1)]


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ({"space": {ROOT: disk(MINIMUM_FREE - 1)}}, FULL),
        ({"space": {HOME: disk(MINIMUM_FREE - 1)}}, FULL),
        ({"space": {STATE: disk(MINIMUM_FREE - 1)}}, FULL),
        ({"space": {ROOT: disk(free_inodes=0)}}, FULL),
        ({"space": {ROOT: disk(GIB)}, "images": IMAGE}, FULL),
        ({"space": {ROOT: disk(20 * GIB)}, "registry": KEPT}, FULL),
        ({"space": {ROOT: disk(9 * GIB)}}, FILLING),
        ({"space": {ROOT: disk(free_inodes=9)}}, FILLING),
        # Near misses: enough, a file system without inodes, another's image, one's own reservation, one disk twice.
        ({"space": {ROOT: disk(11 * GIB, free_inodes=11)}}, []),
        ({"space": {ROOT: disk(free_inodes=0, inodes=0)}}, []),
        ({"space": {ROOT: disk(9 * GIB)}, "images": [{**IMAGE[0], "size": 9 * GIB, "labels": {}}]}, FILLING),
        ({"space": {ROOT: disk()}, "registry": {OURS: entry(OURS, reserved={"disk": 99 * GIB})}}, []),
        ({"space": {ROOT: disk(9 * GIB), HOME: disk(9 * GIB)}}, FILLING),
        ({"space": {ROOT: disk(9 * GIB), HOME: disk(9 * GIB, number=2)}}, FILLING * 2),
        ({}, []),
    ],
)
def test_disks(seen: dict[str, Any], expected: list[tuple[str, int]]) -> None:
    assert found(environment(OURS, variables=ALARM), **seen) == expected


def test_the_alarm_is_switched_off() -> None:
    """What would fill the disk is refused all the same."""
    off = environment(OURS, variables={"bulkhead_disk_alarm": 0})
    assert found(off, space={ROOT: disk(GIB)}) == []
    assert found(off, space={ROOT: disk(1)}) == FULL


def test_who_takes_the_space() -> None:
    """The largest first, and what is nobody's; each with its volumes, layers, logs and caches."""
    usage = {
        OURS: {"volumes": GIB // 2, "logs": GIB // 2, "image layers": 9},
        THEIRS: {"volumes": GIB, "container layers": 2 * GIB},
        "": {"build cache": 4 * GIB},
    }
    (told,) = capacity(environment(OURS, variables=ALARM), observation(space={ROOT: disk(9 * GIB)}, usage=usage))
    assert told.message.endswith(
        "It is taken by everything else 4.0 GiB (build cache 4.0 GiB); aiia_prod 3.0 GiB (container layers 2.0 GiB, "
        "volumes 1.0 GiB); aiia_staging 1.0 GiB (volumes 512 MiB, logs 512 MiB)."
    )
    (full,) = capacity(environment(OURS), observation(space={ROOT: disk(GIB)}, registry=KEPT, images=IMAGE))
    assert "needs 21.5 GiB (1.0 GiB for an image like the largest that it has, 20.0 GiB reserved for aiia_prod)" in (
        full.message
    )


STEALS = [("overcommitted-machine", 2)]


@pytest.mark.parametrize(
    ("own", "seen", "expected"),
    [
        (limited("3G"), {"registry": KEPT}, STEALS),
        (limited("1G"), {"registry": KEPT, "containers": [of("aiia_demo", 2 * GIB)]}, STEALS),
        (limited("2G"), {"registry": KEPT, "containers": [of(THEIRS, 7 * GIB), of(OURS, 7 * GIB)]}, []),
        (limited("3G"), {"registry": {THEIRS: entry(THEIRS)}}, []),
        (limited("3G"), {"registry": KEPT, "memory": {}}, []),
        (
            limited(protected=True, variables={"bulkhead_reserved_memory": "6G"}),
            {"containers": [of("aiia_demo", 3 * GIB)]},
            STEALS,
        ),
        (limited(protected=True, variables={"bulkhead_reserved_memory": "6G"}), {}, []),
        # Only what is protected reserves.
        (limited("2G", variables={"bulkhead_reserved_memory": "9G"}), {}, []),
    ],
)
def test_reserved_memory(own: Environment, seen: dict[str, Any], expected: list[tuple[str, int]]) -> None:
    """A machine of 8 GiB."""
    assert found(own, **{"memory": {"total": 8 * GIB, "swap": 0}, **seen}) == expected


def test_the_registry_keeps_what_is_reserved() -> None:
    """Other inventories learn it there; without a reservation the entry is as it was."""
    variables = {"bulkhead_reserved_memory": "6G", "bulkhead_reserved_disk": ""}
    assert entry_of(environment(OURS, protected=True, variables=variables))["reserved"] == {"memory": 6 * GIB}
    assert "reserved" not in entry_of(environment(OURS, variables=variables))


@pytest.mark.parametrize(("swap", "can", "told"), [(GIB, False, True), (0, False, False), (GIB, True, False)])
def test_swap_that_nobody_limits(swap: int, can: bool, told: bool) -> None:
    engine = {**observation()["engine"], "swap_limit": can}
    assert bool(found(environment(OURS), engine=engine, memory={"total": GIB, "swap": swap})) is told
