# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An observation of a machine with its front door. Runs on the targets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..core.errors import Failure
from ..docker.engine import Engine
from ..host import observation
from .door import STATE_LABEL, Door


def observe(engine: Engine, state: str = "", directories: Iterable[str] = (), keep: bool = False) -> dict[str, Any]:
    """What :func:`..host.observation.observe` sees, and under ``door`` the machine's front door."""
    seen = observation.observe(engine, state, directories, keep)
    return {**seen, "door": door_facts(Door(engine, seen["state_directory"]), seen["containers"])}


def door_facts(door: Door, containers: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Whether the machine has a front door, and a digest of each environment's route by prefix: on disk (``damaged``
    where the file cannot be read; ``damaged`` has the reason by prefix), and in the running door (``none`` where it has
    none). Where a door does not answer, routes are None, with the reason in ``problem``."""
    present = any(one["running"] and one["labels"].get(STATE_LABEL) == door.state for one in containers)
    facts: dict[str, Any] = {"present": present, "routes": None, "damaged": {}, "problem": ""}
    try:
        facts["damaged"] = door.look().damaged
        if present:
            return {**facts, "routes": door.fingerprints()}
        return {**facts, "routes": {prefix: "%s none" % kept for prefix, kept in door.kept_digests().items()}}
    except (Failure, OSError) as error:
        return {**facts, "problem": str(error)}
