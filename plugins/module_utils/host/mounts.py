# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What containers really mount from an environment's directory. Runs on the targets.

The engine resolves links as root when it starts a container, and the directory's owner can exchange one at any moment.
So links are refused before a start, and afterwards the kernel says what was mounted.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import NamedTuple

from ..core import handles
from ..core.errors import Failure

_ESCAPED = re.compile(r"\\([0-7]{3})")


class Mounted(NamedTuple):
    """A running container: its name, its first process, and its bind mounts as (source, destination)."""

    name: str
    pid: int
    binds: tuple[tuple[str, str], ...]


class Place(NamedTuple):
    """A directory or file as the kernel names it: the file system, and the path in there."""

    device: str
    path: str


def strays(containers: Iterable[Mounted], directory: str) -> dict[str, list[str]]:
    """The mounts whose source is below a directory by name and elsewhere in truth, as sentences by container.

    Only root can tell: for another user there is no other owner either.
    """
    found: dict[str, list[str]] = {}
    own = _place_of(directory)
    for container in containers:
        below = [(source, target) for source, target in container.binds if _is_below(source, directory)]
        actual = _mounted(container.pid) if below and own and container.pid else {}
        for source, target in below:
            place = actual.get(os.path.normpath(target))
            if not place or not own or place == _place_of(source):
                continue
            if place.device != own.device or not _is_below(place.path, own.path):
                found.setdefault(container.name, []).append("%s is not %s but %s" % (target, source, place.path))
    return found


def _is_below(path: str, directory: str) -> bool:
    return (os.path.normpath(path) + os.sep).startswith(os.path.normpath(directory) + os.sep)


def options_of(point: str) -> list[str]:
    """The options of the last mount on a directory; none where nothing is mounted."""
    found = [fields[5] for fields in _mountinfo("self") if _unescaped(fields[4]) == point]
    return found[-1].split(",") if found else []


def _place_of(path: str) -> Place | None:
    """The place of a directory or file; None where it is not there, or a link of another user's leads there."""
    parent, name = os.path.split(os.path.normpath(path))
    for folder, below in ((path, ""), (parent, name)):
        try:
            with handles.folder(folder) as handle:
                return _place_at(handle, below)
        except (Failure, OSError):
            continue
    return None


def _place_at(handle: int, name: str) -> Place | None:
    with open("/proc/self/fdinfo/%d" % handle) as stream:
        mount = next(line.split()[1] for line in stream if line.startswith("mnt_id:"))
    real = os.readlink("/proc/self/fd/%d" % handle)
    for fields in _mountinfo("self"):
        if fields[0] == mount:
            inner = os.path.relpath(real, _unescaped(fields[4]))
            return Place(fields[2], os.path.normpath(os.path.join(_unescaped(fields[3]), inner, name)))
    return None


def _mounted(pid: int) -> dict[str, Place]:
    """What a process has mounted, by mount point."""
    return {_unescaped(fields[4]): Place(fields[2], _unescaped(fields[3])) for fields in _mountinfo(str(pid))}


def _mountinfo(pid: str) -> list[list[str]]:
    try:
        with open("/proc/%s/mountinfo" % pid, encoding="utf-8", errors="surrogateescape") as stream:
            return [line.split() for line in stream]
    except OSError:  # it ended, or is another user's
        return []


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda match: chr(int(match[1], 8)), text)
