# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Packs the modules that a run calls next while this process waits for something else.

Ansible packs a module with all that it imports before it calls it for the first time, and keeps the package for the
rest of the run. That takes a quarter of a second of processor time for each of a deployment's modules, in which the
machine has nothing to do; and while the machine works, the controller has nothing to do. Packages that an earlier run
made and that still hold are used again.

Where nothing crosses a network, a package carries bytecode too: it is three times as large, and the module begins in
half the time.

It is about the time of a run, and not the run: whatever goes wrong, Ansible packs as ever.
"""

from __future__ import annotations

import gc
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible import constants as C

from .forks import silent_fork
from .kept_package import KeptPackage
from .package import Package

#: Seconds that packing may take longer than what this process waits for: the next step would only wait for it.
_PATIENCE = 5.0

#: How files end that lie beside packages while they are made.
_UNFINISHED = (".lock", "-part")

#: Any interpreter: it is no part of a package, and Ansible would ask the machine for the right one.
_INTERPRETER = "/usr/bin/python3"


def following(step: str, called: str = "", values: Mapping[str, Any] | None = None) -> tuple[str, ...]:
    """The modules that a deployment or a rollback calls after a step has ``called`` one, the next one first.

    ``values`` are the environment's variables; without them, the guess is that it builds its image from a commit. After
    a wrong guess, a package is not used.
    """
    given = {"bulkhead_source_repository": True} if values is None else values
    building = ("source",) if given.get("bulkhead_source_repository") else ()
    fetching = ("image",) if given.get("bulkhead_image") else building
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
    """Have this collection's modules packed while this process does something else: those that an earlier run has
    packed, and the first ``at_most`` others."""
    missing = [name for name in names if not _is_packed(name)]
    if not missing:
        yield
        return
    with silent_fork(lambda _parent: _pack(action, task_vars, missing, at_most), _PATIENCE):
        yield


def _pack(action: Any, task_vars: Mapping[str, Any], names: Sequence[str], at_most: int) -> None:
    """What the fork does: put packages where Ansible keeps them for this run, or have it make and keep them."""
    gc.disable()  # it would scan all that Ansible has in memory, again and again: half of the packing's time
    # Compiling everything takes as long as the machine saves: it is worth it where the package is kept.
    Package.with_bytecode = action._connection.transport == "local" and not sys.dont_write_bytecode
    zipfile.ZipFile = Package  # type: ignore[misc]  # Ansible's packing takes it from there
    kept = {name: KeptPackage(name, "bytecode" if Package.with_bytecode else "sources") for name in names}
    given = {**task_vars, "ansible_python_interpreter": _INTERPRETER}
    for name in [name for name in names if not kept[name].restore(_packages())][:at_most]:
        Package.sources.clear()
        action._configure_module(module_name=f"aiia.bulkhead.{name}", module_args={}, task_vars=given)
        for package in _files_of(name):
            if not package.name.endswith(_UNFINISHED):
                kept[name].keep(package, Package.sources)


def _packages() -> Path:
    """Where Ansible keeps the packages of this run. Where it keeps them elsewhere, they are made once more, and that
    changes nothing."""
    return Path(C.DEFAULT_LOCAL_TMP, "ansiballz_cache")


def _files_of(name: str) -> Iterator[Path]:
    """The package of a module in this run, and what lies beside it while it is made."""
    return _packages().glob(f"*.bulkhead.plugins.modules.{name}-*")


def _is_packed(name: str) -> bool:
    """Whether the package is there, or another process makes it."""
    return any(_files_of(name))
