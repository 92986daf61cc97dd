# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Packs the module that a run calls next while this process waits for something else.

Ansible packs a module with all that it imports before it calls it for the first time, and keeps the package for the
rest of the run. That takes a quarter of a second of processor time for each of a deployment's modules, in which the
machine has nothing to do; and while the machine works, the controller has nothing to do.

It is about the time of a run, and not the run: whatever goes wrong, Ansible packs as ever.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible import constants as C

from .forks import silent_fork

#: In a deployment or a rollback, the module that is called after a step has called another one. The guess may be wrong:
#: then a package is of no use.
_FOLLOWING = {
    ("plan", ""): "preflight",
    ("source", "source"): "converge",
    ("source", "image"): "converge",
    ("converge", "converge"): "verify",
    ("rollback", "rollback"): "verify",
    ("verify", "machine_info"): "verify",
    ("verify", "verify"): "record",
}

#: Seconds that packing may take longer than what this process waits for: the next step would only wait for it.
_PATIENCE = 5.0

#: Any interpreter: it is no part of a package, and Ansible would ask the machine for the right one.
_INTERPRETER = "/usr/bin/python3"


def following(step: str, called: str = "", values: Mapping[str, Any] | None = None) -> str:
    """The module that follows one that a step has ``called``; empty where none is known. ``values`` are the
    environment's variables."""
    if (step, called) == ("preflight", "preflight"):
        given = values or {}
        fetched = "source" if given.get("bulkhead_source_repository") else "converge"
        return "image" if given.get("bulkhead_image") else fetched
    return _FOLLOWING.get((step, called), "")


@contextmanager
def packed_ahead(action: Any, task_vars: Mapping[str, Any], name: str) -> Iterator[None]:
    """Have a module of this collection packed while this process does something else; an empty ``name`` is none."""
    if not name or _is_packed(name):
        yield
        return
    with silent_fork(lambda _parent: _pack(action, task_vars, name), _PATIENCE):
        yield


def _pack(action: Any, task_vars: Mapping[str, Any], name: str) -> None:
    """What the fork does: have Ansible keep the package."""
    gc.disable()  # it would scan all that Ansible has in memory, again and again: half of the packing's time
    given = {**task_vars, "ansible_python_interpreter": _INTERPRETER}
    action._configure_module(module_name=f"aiia.bulkhead.{name}", module_args={}, task_vars=given)


def _is_packed(name: str) -> bool:
    """Whether the package is there, or another process makes it. Where Ansible keeps it elsewhere, it is packed once
    more, and that changes nothing."""
    return any(Path(C.DEFAULT_LOCAL_TMP, "ansiballz_cache").glob(f"*.bulkhead.plugins.modules.{name}-*"))
