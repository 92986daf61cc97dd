# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Capacity on the machine: alarms before its disk is full, and memory that is reserved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ....module_utils.docker.labels import PREFIX
from ..facts.capacity import gibibytes, most_memory, reserved
from ..model import Environment, Finding, Severity, Where
from ..wording import some

#: Free bytes below which a build or a database may stop half-way.
MINIMUM_FREE = 512 * 1024 * 1024

#: The share of free inodes below which a deployment is refused.
_MINIMUM_INODES = 0.01

_ALARM = "bulkhead_disk_alarm"

#: What to type to see what takes the space.
_SHOWS = "docker system df --verbose shows what takes it"


def capacity(environment: Environment, observation: Mapping[str, Any]) -> Iterator[Finding]:
    """Findings about disk and memory that concern deploying this environment."""
    for path, disk in _disks(environment, observation):
        yield from _disk(environment, observation, path, disk)
    yield from _memory(environment, observation)
    yield from _swap(environment, observation)


def _disks(environment: Environment, observation: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, int]]]:
    """Each disk that matters, once: of the engine's data, of the environment, and of the machine's state."""
    spaces: Mapping[str, Mapping[str, int]] = observation.get("space") or {}
    seen = set()
    for path in (observation["engine"]["root"], environment.directory, observation.get("state_directory", "")):
        disk = spaces.get(path)
        if disk and disk["disk"] not in seen:
            seen.add(disk["disk"])
            yield path, disk


def _disk(
    environment: Environment, observation: Mapping[str, Any], path: str, disk: Mapping[str, int]
) -> Iterator[Finding]:
    others = _reserved(environment, observation, "disk")
    image = _largest_image(environment, observation)
    need = MINIMUM_FREE + image + sum(others.values())
    free, inodes = disk["free"], disk["free_inodes"] / disk["inodes"] if disk["inodes"] else 1.0
    if free < need or inodes < _MINIMUM_INODES:
        yield _finding(
            environment,
            "disk-full",
            Severity.HIGH,
            path,
            f"A deployment of {environment.prefix} needs {gibibytes(need)}{_parts(image, others)} at {path}, and "
            f"{gibibytes(free)} and {inodes:.0%} of the inodes are free there. A full disk stops the databases of "
            f"every environment on this machine{_users(observation)}.",
            f"Free some space ({_SHOWS}), or move the directory to a larger disk.",
        )
        return
    alarm = float(environment.variables.get(_ALARM) or 0) / 100
    if free < disk["size"] * alarm or inodes < alarm:
        yield _finding(
            environment,
            "disk-filling",
            Severity.LOW,
            path,
            f"The disk of {path} has {gibibytes(free)} of {gibibytes(disk['size'])} and {inodes:.0%} of its inodes "
            f"free, less than the alarm of {alarm:.0%} ({_ALARM}){_users(observation)}.",
            f"Free some space ({_SHOWS}) before the disk is full: a full disk stops every environment's database.",
        )


def _parts(image: int, others: Mapping[str, int]) -> str:
    parts = [f"{gibibytes(image)} for an image like the largest that it has"] if image else []
    parts += [f"{gibibytes(kept)} reserved for {prefix}" for prefix, kept in others.items()]
    return f" ({', '.join(parts)})" if parts else ""


def _users(observation: Mapping[str, Any]) -> str:
    """What takes the space, the largest first, where it was counted: whose it is, and of which kind."""
    used: Mapping[str, Mapping[str, int]] = observation.get("usage") or {}
    sums = {prefix: sum(kinds.values()) for prefix, kinds in used.items()}
    told = [
        f"{prefix or 'everything else'} {gibibytes(sums[prefix])} ({_told(_largest(used[prefix]))})"
        for prefix in _largest(sums)
    ]
    return f". It is taken by {some(told, '; ')}" if told else ""


def _largest(sizes: Mapping[str, int]) -> dict[str, int]:
    """The sizes of a mebibyte and more, the largest first."""
    return {name: sizes[name] for name in sorted(sizes, key=lambda name: -sizes[name]) if sizes[name] >> 20}


def _largest_image(environment: Environment, observation: Mapping[str, Any]) -> int:
    own = (image for image in observation["images"] if image["labels"].get(PREFIX) == environment.prefix)
    return max((image.get("size", 0) for image in own), default=0)


def _reserved(environment: Environment, observation: Mapping[str, Any], what: str) -> dict[str, int]:
    """What the protected environments that are registered here reserve, beside this one."""
    found = {}
    for prefix, entry in sorted(observation["registry"].items()):
        kept = (entry.get("reserved") or {}).get(what)
        if prefix != environment.prefix and isinstance(kept, int) and kept > 0:
            found[prefix] = kept
    return found


def _memory(environment: Environment, observation: Mapping[str, Any]) -> Iterator[Finding]:
    there = (observation.get("memory") or {}).get("total", 0)
    kept = _reserved(environment, observation, "memory")
    own = reserved(environment).get("memory", 0)
    taken = _limits_of_others(environment, observation, kept)
    if not environment.protected:
        taken[environment.prefix] = most_memory(environment)
    elif own:
        kept[environment.prefix] = own
    if there and kept and taken and sum(kept.values()) + sum(taken.values()) > there:
        yield _finding(
            environment,
            "overcommitted-machine",
            Severity.MEDIUM,
            "memory",
            f"This machine has {gibibytes(there)} of memory, of which {_told(kept)} "
            f"{'is' if len(kept) == 1 else 'are'} reserved, and the limits of the others ({_told(taken)}) add up to "
            "more than the rest: when they use it, the kernel kills the largest process, which may be a reserving "
            "environment's database.",
            "Lower deploy.resources.limits.memory in the other environments, lower bulkhead_reserved_memory, or move "
            "an environment to another machine.",
        )


def _limits_of_others(
    environment: Environment, observation: Mapping[str, Any], kept: Mapping[str, int]
) -> dict[str, int]:
    """What the limits of the containers of other environments add up to, as they run; not of those that reserve."""
    found: dict[str, int] = {}
    for container in observation["containers"]:
        prefix = container["labels"].get(PREFIX, "")
        if prefix and prefix != environment.prefix and prefix not in kept:
            found[prefix] = found.get(prefix, 0) + int(container["limits"]["memory"])
    return {prefix: limits for prefix, limits in sorted(found.items()) if limits}


def _swap(environment: Environment, observation: Mapping[str, Any]) -> Iterator[Finding]:
    swap = (observation.get("memory") or {}).get("swap", 0)
    if swap and observation["engine"].get("swap_limit") is False:
        yield _finding(
            environment,
            "unlimited-swap",
            Severity.LOW,
            "swap",
            f"This machine has {gibibytes(swap)} of swap, and its kernel cannot limit it for a container: one "
            "environment's swapping slows every other.",
            "Boot with swapaccount=1, use cgroup v2, or switch swap off.",
        )


def _told(sizes: Mapping[str, int]) -> str:
    return ", ".join(f"{prefix} {gibibytes(number)}" for prefix, number in sizes.items())


def _finding(environment: Environment, rule: str, severity: Severity, resource: str, message: str, fix: str) -> Finding:
    where = (Where(item="seen on the machine"),)
    hazards = ("VP-19",) if rule.startswith("disk") else ("HP-08",)
    return Finding(rule, severity, (environment.prefix,), resource, message, fix, where, environment.machine, hazards)
