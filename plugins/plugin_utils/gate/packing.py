# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Packs the modules that a run calls next while this process waits for something else.

Ansible packs a module with all that it imports before it calls it for the first time, and keeps the package for the
rest of the run. That takes a quarter of a second of processor time for each of a deployment's modules, in which the
machine has nothing to do; and while the machine works, the controller has nothing to do.

Where nothing crosses a network, the package carries bytecode too: it is three times as large, and the module begins in
half the time.

It is about the time of a run, and not the run: whatever goes wrong, Ansible packs as ever.
"""

from __future__ import annotations

import gc
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible import constants as C

from .bytecode import PackageWithBytecode
from .forks import silent_fork

#: Seconds that packing may take longer than what this process waits for: the next step would only wait for it.
_PATIENCE = 5.0

#: Any interpreter: it is no part of a package, and Ansible would ask the machine for the right one.
_INTERPRETER = "/usr/bin/python3"


def following(step: str, called: str = "", values: Mapping[str, Any] | None = None) -> tuple[str, ...]:
    """The modules that a deployment or a rollback calls after a step has ``called`` one, the next one first.

    ``values`` are the environment's variables; without them, it is taken to build its image from a commit. The guess
    may be wrong: then a package is of no use.
    """
    fetching: tuple[str, ...] = ("source",)
    if values is not None and not values.get("bulkhead_source_repository"):
        fetching = ()
    if values is not None and values.get("bulkhead_image"):
        fetching = ("image",)
    ending = ("verify", "record")
    releasing = ("converge", *ending)
    return {
        ("plan", ""): ("preflight", *fetching, *releasing),
        ("preflight", "preflight"): (*fetching, *releasing),
        ("source", "source"): releasing,
        ("source", "image"): releasing,
        ("converge", "converge"): ending,
        ("rollback", "rollback"): ending,
        ("verify", "machine_info"): ending,
        ("verify", "verify"): ending[1:],
    }.get((step, called), ())


@contextmanager
def packed_ahead(action: Any, task_vars: Mapping[str, Any], names: Sequence[str], at_most: int = 1) -> Iterator[None]:
    """Have the first ``at_most`` of this collection's modules that are not packed yet packed while this process does
    something else."""
    missing = [name for name in names if not _is_packed(name)][:at_most]
    if not missing:
        yield
        return
    with silent_fork(lambda _parent: _pack(action, task_vars, missing), _PATIENCE):
        yield


def _pack(action: Any, task_vars: Mapping[str, Any], names: Sequence[str]) -> None:
    """What the fork does: have Ansible keep the packages."""
    gc.disable()  # it would scan all that Ansible has in memory, again and again: half of the packing's time
    if action._connection.transport == "local":
        zipfile.ZipFile = PackageWithBytecode  # type: ignore[misc]  # Ansible's packing takes it from there
    given = {**task_vars, "ansible_python_interpreter": _INTERPRETER}
    for name in names:
        action._configure_module(module_name=f"aiia.bulkhead.{name}", module_args={}, task_vars=given)


def _is_packed(name: str) -> bool:
    """Whether the package is there, or another process makes it. Where Ansible keeps it elsewhere, it is packed once
    more, and that changes nothing."""
    return any(Path(C.DEFAULT_LOCAL_TMP, "ansiballz_cache").glob(f"*.bulkhead.plugins.modules.{name}-*"))
