# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A control group that limits a build engine and everything that it runs, with cgroup v1 or v2. Runs on the targets."""

from __future__ import annotations

import contextlib
import os
import time

from ..core.errors import Failure

_ROOT = "/sys/fs/cgroup"

#: Processes and threads of the steps of one build. Its engine does not count: without threads, it would crash.
_PIDS = 4096
#: A build's share of a busy processor, against 1024 (v1) or 100 (v2) of everything else together.
_SHARES, _WEIGHT = 512, 50
#: The period of the processor limit in microseconds.
_PERIOD = 100000

#: Seconds to wait until the kernel has cleared up the last process of a group.
_EMPTYING = 3


class Cgroup:
    """The group ``bulkhead-build/<key>``: its engine in ``engine``, the build's steps in ``steps``."""

    def __init__(self, key: str, root: str = _ROOT) -> None:
        self.name = "bulkhead-build/%s" % key
        self.unified = os.path.exists(os.path.join(root, "cgroup.controllers"))
        self._root = root

    @property
    def steps(self) -> str:
        """What the engine's ``--cgroup-parent`` is."""
        return "/%s/steps" % self.name

    @property
    def members(self) -> list[str]:
        """The files to write a process id to."""
        return [os.path.join(folder, "engine", "cgroup.procs") for folder in self._folders()]

    def _folders(self) -> list[str]:
        if self.unified:
            return [os.path.join(self._root, self.name)]
        return [os.path.join(self._root, controller, self.name) for controller in ("memory", "pids", "cpu")]

    def create(self, memory: int, cpus: float, together: int) -> None:
        """Make the group. Raises Failure.

        ``memory`` is in bytes, swap included, ``together`` is that of all builds of the machine at once; ``cpus`` may
        be 0 for no limit.
        """
        quota = int(cpus * _PERIOD)
        try:
            for folder in self._folders():
                if self.unified:
                    self._delegate(folder)
                elif not os.path.isdir(os.path.dirname(os.path.dirname(folder))):
                    raise Failure("this machine has no cgroup controller %s" % folder.split(os.sep)[-3])
                above = os.path.dirname(folder)
                os.makedirs(above, exist_ok=True)
                with contextlib.suppress(OSError):  # older kernels; it can be set while there is nothing below
                    _write(os.path.join(above, "memory.use_hierarchy"), "1", optional=True)
                for part in ("engine", "steps"):
                    os.makedirs(os.path.join(folder, part), exist_ok=True)
            if self.unified:
                folder = self._folders()[0]
                _write(os.path.join(folder, "cgroup.subtree_control"), "+memory +pids +cpu")
                for group, limit in ((os.path.dirname(folder), together), (folder, memory)):
                    _write(os.path.join(group, "memory.max"), str(limit))
                    _write(os.path.join(group, "memory.swap.max"), "0", optional=True)  # a kernel without swap
                _write(os.path.join(folder, "steps", "pids.max"), str(_PIDS))
                _write(os.path.join(folder, "cpu.weight"), str(_WEIGHT))
                if quota:
                    _write(os.path.join(folder, "cpu.max"), "%d %d" % (quota, _PERIOD))
                return
            by_memory, by_pids, by_cpu = self._folders()
            for group, limit in ((os.path.dirname(by_memory), together), (by_memory, memory)):
                _limit_memory(group, limit)
            _write(os.path.join(by_pids, "steps", "pids.max"), str(_PIDS))
            _write(os.path.join(by_cpu, "cpu.shares"), str(_SHARES))
            if quota:
                _write(os.path.join(by_cpu, "cpu.cfs_period_us"), str(_PERIOD))
                _write(os.path.join(by_cpu, "cpu.cfs_quota_us"), str(quota))
        except OSError as error:
            raise Failure("no control group can be made (%s: %s)" % (error.filename, error.strerror)) from error

    def _delegate(self, folder: str) -> None:
        """Let the groups above hand their controllers down."""
        above = os.path.dirname(folder)
        os.makedirs(above, exist_ok=True)
        for parent in (self._root, above):
            _write(os.path.join(parent, "cgroup.subtree_control"), "+memory +pids +cpu")

    def remove(self) -> None:
        """Remove the group and all below it, once its processes have ended."""
        roots = [self._root] if self.unified else [entry.path for entry in os.scandir(self._root) if entry.is_dir()]
        for folder in [os.path.join(root, self.name) for root in roots]:
            deadline = time.monotonic() + _EMPTYING
            while os.path.isdir(folder):
                for path, _folders, _files in os.walk(folder, topdown=False):
                    with contextlib.suppress(OSError):
                        os.rmdir(path)
                if time.monotonic() > deadline:
                    break
                if os.path.isdir(folder):
                    time.sleep(0.02)


def _limit_memory(group: str, limit: int) -> None:
    """Limit the memory of a group of cgroup v1, with swap. Memory alone may never exceed both together."""
    plain, swap = (os.path.join(group, "memory.%slimit_in_bytes" % kind) for kind in ("", "memsw."))
    _write(swap, "-1", optional=True)
    _write(plain, str(limit))
    _write(swap, str(limit), optional=True)


def _write(path: str, text: str, optional: bool = False) -> None:
    if optional and not os.path.exists(path):
        return
    with open(path, "w") as stream:
        stream.write(text)
