# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How much of a machine is there, and what takes it. Runs on the targets."""

from __future__ import annotations

import glob
import json
import os
import re
from collections.abc import Iterable
from typing import Any

from ..docker.engine import Engine
from ..docker.labels import PREFIX

#: Below this share of free space or inodes it is counted what each environment uses: that takes a while.
_SHORT = 0.25

#: Seconds that the engine may count.
_COUNTING = 30

#: How many digits of an image's id the engine lists.
_SHORT_ID = 12

#: Where a container's output is, by the engine's drivers json-file and local.
_LOGS = ("*-json.log*", "local-logs/container.log*")

_SIZE = re.compile(r"([0-9.]+)\s*([kMGTP]?)B")
_POWERS = {"": 0, "k": 1, "M": 2, "G": 3, "T": 4, "P": 5}


def memory() -> dict[str, int]:
    """The bytes of memory and swap that the machine has; empty if the kernel does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as stream:
            lines = dict(line.split(":", 1) for line in stream)
        return {name: int(lines[key].split()[0]) * 1024 for name, key in (("total", "MemTotal"), ("swap", "SwapTotal"))}
    except (OSError, ValueError, KeyError, IndexError):
        return {}


def was_short(pid: int, proc: str = "/proc", groups: str = "/sys/fs/cgroup") -> bool:
    """Whether the kernel killed a process of a container for its memory since the container started, given the id of a
    process in it. False where the kernel does not say."""
    try:
        with open("%s/%d/cgroup" % (proc, pid), encoding="ascii") as stream:
            entries = [line.rstrip("\n").split(":", 2) for line in stream] if pid else []
        for _number, controllers, group in entries:
            if controllers not in ("", "memory"):
                continue
            # The second version of control groups has one tree for all controllers.
            name = "%s/memory.events" % group if not controllers else "/memory%s/memory.oom_control" % group
            if os.path.isfile(groups + name):
                with open(groups + name, encoding="ascii") as stream:
                    counts = dict(line.split() for line in stream)
                return int(counts.get("oom_kill", 0)) > 0
    except (OSError, ValueError):
        pass
    return False


def space(paths: Iterable[str]) -> dict[str, dict[str, int]]:
    """For each directory that is or would be there: size, free bytes, inodes and free inodes of its disk.

    A file system without a fixed number of inodes has 0 of them.
    """
    found = {}
    for path in paths:
        there = path
        while there != "/" and not os.path.isdir(there):
            there = os.path.dirname(there) or "/"
        disk = os.statvfs(there)
        found[path] = {
            "size": disk.f_blocks * disk.f_frsize,
            "free": disk.f_bavail * disk.f_frsize,
            "inodes": disk.f_files,
            "free_inodes": disk.f_favail,
            "disk": os.stat(there).st_dev,
        }
    return found


def usage(
    engine: Engine,
    disks: dict[str, dict[str, int]],
    root: str = "",
    containers: Iterable[dict[str, Any]] = (),
    images: Iterable[dict[str, Any]] = (),
) -> dict[str, dict[str, int]]:
    """Bytes of volumes, layers, logs and build cache, by prefix; ``""`` is what carries none of ours.

    Only where a disk is short of space, and empty where the engine takes too long. Layers that images share are not
    counted. ``root`` is the engine's directory, ``containers`` and ``images`` are those of the observation.
    """
    if not any(_is_short(disk) for disk in disks.values()):
        return {}
    code, output, _errors = engine.docker("system", "df", "--verbose", "--format", "{{json .}}", limit=_COUNTING)
    try:
        counted = json.loads(output) if code == 0 else {}
    except ValueError:
        return {}
    found: dict[str, dict[str, int]] = {}

    def add(prefix: str, kind: str, size: int) -> None:
        of = found.setdefault(prefix, {})
        of[kind] = of.get(kind, 0) + size

    for kind, key in (("volumes", "Volumes"), ("container layers", "Containers"), ("build cache", "BuildCache")):
        for item in counted.get(key) or ():
            add(_prefix(item.get("Labels") or ""), kind, _bytes(item.get("Size") or ""))
    built = {_short(image["id"]): image["labels"].get(PREFIX, "") for image in images}
    # An image with several names is listed with each of them.
    own = {_short(item.get("ID")): _bytes(item.get("UniqueSize") or "") for item in counted.get("Images") or ()}
    for identity, size in own.items():
        add(built.get(identity, ""), "image layers", size)
    for container in containers:
        add(container["labels"].get(PREFIX, ""), "logs", _log(os.path.join(root, "containers", container["id"])))
    return {prefix: kinds for prefix, kinds in found.items() if any(kinds.values())}


def _short(identity: Any) -> str:
    return str(identity or "").rpartition(":")[2][:_SHORT_ID]


def _log(folder: str) -> int:
    """The bytes of what the engine keeps of a container's output; 0 where this user cannot see it."""
    size = 0
    for pattern in _LOGS:
        for path in glob.iglob(os.path.join(glob.escape(folder), pattern)):
            try:
                size += os.stat(path).st_size
            except OSError:  # it was rotated away
                continue
    return size


def _is_short(disk: dict[str, int]) -> bool:
    few = disk["inodes"] and disk["free_inodes"] < disk["inodes"] * _SHORT
    return bool(few or disk["free"] < disk["size"] * _SHORT)


def _prefix(labels: Any) -> str:
    """The environment of an object that the engine lists with its labels as ``a=b,c=d``."""
    for label in str(labels).split(","):
        name, _equals, value = label.partition("=")
        if name == PREFIX:
            return value
    return ""


def _bytes(size: str) -> int:
    """The bytes in a size as the engine writes it for people, such as ``1.5GB``; 0 where it does not know."""
    match = _SIZE.match(size)
    return int(float(match.group(1)) * 1000 ** _POWERS[match.group(2)]) if match else 0
