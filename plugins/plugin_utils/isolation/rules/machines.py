# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Environments that leave the comparison: one machine under two names, and two registries on one machine."""

from __future__ import annotations

import posixpath

from ..model import Environment, Fleet, Severity
from ..wording import listing
from . import Hit, Judgement, owners, places, rule


@rule("one-machine-two-names", severity=Severity.HIGH)
def one_machine_two_names(fleet: Fleet) -> Judgement:
    """Two environments are deployed to one address under two names, so that they are compared with other machines."""
    for (_world, address), claims in fleet.claims("address").items():
        names = dict.fromkeys(
            (claim.owner, str(claim.attributes.get("machine") or fleet.by_prefix[claim.owner].machine))
            for claim in claims
        )
        if len({machine for _owner, machine in names}) > 1:
            said = ", ".join(f"{machine} for {owner}" for owner, machine in names)
            yield Hit(
                owners(claims),
                address,
                f"Machines of {listing(owners(claims))} have the same address ({address}) but different values of "
                f"bulkhead_machine ({said}): what they share there is not compared.",
                "Remove bulkhead_machine, or set it to the same value. If the address leads to different machines in "
                "different networks, waive this finding in each environment.",
                places(claims),
            )


@rule("two-state-directories", severity=Severity.HIGH)
def two_state_directories(fleet: Fleet) -> Judgement:
    """Two environments of one machine keep separate registries and locks."""
    for machine, environments in fleet.machines.items():
        directories: dict[str, Environment] = {}
        for environment in environments:
            directory = environment.variables.get("bulkhead_state_directory")
            if isinstance(directory, str):
                directories.setdefault(posixpath.normpath(directory) if directory else "", environment)
        if len(directories) > 1:
            said = ", ".join(f"{path or 'the default'} for {found.prefix}" for path, found in directories.items())
            names = tuple(environment.prefix for environment in directories.values())
            yield Hit(
                names,
                "bulkhead_state_directory",
                f"{listing(names)} are on {machine} but differ in bulkhead_state_directory ({said}): each would have "
                "its own registry and locks, and neither would see the other's domains and databases there.",
                "Remove bulkhead_state_directory, or set it in group_vars/all for every environment of the machine.",
                tuple(found.origin("bulkhead_state_directory") for found in directories.values()),
                machine,
            )
