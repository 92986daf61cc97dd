# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a container wrote into itself, from the engine's own files. Runs on the targets.

``docker diff`` compares every file of the image with itself to say so: half a second for a small image, many for a
large one. What was written is in one directory, which root may read.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

from ..core.handles import directly

#: How the engine keeps containers whose directories are known here.
_OVERLAY = "overlay2"


class Layer:
    """The files that a container wrote: in ``upper``, over those of its image in ``lower``, the uppermost first."""

    def __init__(self, upper: str, lower: Sequence[str]) -> None:
        self.upper = upper
        self.lower = lower

    @classmethod
    def of(cls, container: Mapping[str, Any]) -> Layer | None:
        """The files of a container that was inspected; None where this process cannot read them."""
        driver = container.get("GraphDriver") or {}
        known = driver.get("Data") or {}
        upper = str(known.get("UpperDir") or "")
        if driver.get("Name") != _OVERLAY or os.geteuid() != 0 or not os.path.isdir(upper):
            return None
        return cls(upper, str(known.get("LowerDir") or "").split(":"))

    def written(self, limit: float) -> list[str]:
        """The paths of all files, as the container has them. Raises OSError, also after so many seconds."""
        return sorted(self._written(time.monotonic() + limit))

    def _written(self, deadline: float) -> Iterator[str]:
        try:
            # By handles: the container can exchange a directory for a link at any moment.
            for folder, _folders, files, handle in os.fwalk(self.upper, onerror=_fail):
                for name in files:
                    if not _is_removal(os.lstat(name, dir_fd=handle)):
                        path = os.path.join(folder[len(self.upper) :] or "/", name)
                        yield path.encode("utf-8", "replace").decode()
                if time.monotonic() > deadline:
                    raise TimeoutError("the container has written too many files to list them")
        except RecursionError as error:
            raise OSError("the container has directories that are too deep to list them") from error

    def is_of_image(self, path: str) -> bool:
        """Whether the image has a file in this place, so that the container's own is a changed one."""
        found = (_status(lower, path) for lower in self.lower)
        uppermost = next((status for status in found if status is not None), None)
        return uppermost is not None and not _is_removal(uppermost)


def _fail(error: OSError) -> NoReturn:
    raise error


def _is_removal(status: os.stat_result) -> bool:
    """Whether a file only says that one below it is gone."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def _status(folder: str, path: str) -> os.stat_result | None:
    """What is in a place below a directory, no link followed; None if nothing is."""
    try:
        with directly(folder, path) as (handle, name):
            return os.lstat(name, dir_fd=handle)
    except OSError:
        return None
