# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Capacity: what the environments of a machine may take together, against what it has."""

from __future__ import annotations

from ..facts.capacity import gibibytes, most_memory, reserved, size
from ..model import Environment, Fleet, Severity
from ..wording import listing
from . import Hit, Judgement, rule

_MACHINE_MEMORY = "bulkhead_machine_memory"


@rule("overcommitted-memory", "HP-08", severity=Severity.MEDIUM)
def overcommitted_memory(fleet: Fleet) -> Judgement:
    """The memory that is reserved for production does not remain when the other environments use theirs."""
    for machine, environments in fleet.machines.items():
        there = max((size(environment.variables.get(_MACHINE_MEMORY)) for environment in environments), default=0)
        kept = {environment.prefix: reserved(environment).get("memory", 0) for environment in environments}
        reserving = [environment for environment in environments if kept[environment.prefix]]
        others = [environment for environment in environments if not environment.protected]
        taken = sum(map(most_memory, others))
        if there and reserving and others and taken + sum(kept.values()) > there:
            yield Hit(
                tuple(environment.prefix for environment in (*reserving, *others)),
                f"memory of {machine}",
                f"{machine} has {gibibytes(there)} of memory ({_MACHINE_MEMORY}), of which "
                f"{gibibytes(sum(kept.values()))} is reserved for {_owned(reserving)}, and the limits of "
                f"{_owned(others)} add up to {gibibytes(taken)}: when they use all of it, the kernel kills the "
                f"largest process, which may be the database of {_owned(reserving)}.",
                "Lower deploy.resources.limits.memory in the other environments, lower bulkhead_reserved_memory, or "
                "move an environment to another machine.",
                tuple(environment.origin("bulkhead_reserved_memory") for environment in reserving),
                machine,
            )


def _owned(environments: list[Environment]) -> str:
    return listing(environment.prefix for environment in environments)
