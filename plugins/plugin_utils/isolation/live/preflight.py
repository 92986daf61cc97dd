# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The live gate before anything is changed: all that an observation says against deploying one environment."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ..model import Environment, Finding, Fleet
from ..rules import judge
from .drift import drift
from .machine import machine
from .ownership import ownership
from .registered import registered, strangers


def preflight(environment: Environment, fleet: Collection[str], observation: Mapping[str, Any]) -> list[Finding]:
    """Judge one environment against the machine as it is, environments of other inventories included.

    ``fleet`` are the prefixes that were judged on paper already. Findings among others are theirs: only those in which
    this environment has a part are given.
    """
    others = list(registered(observation, fleet, environment.machine))
    known = {*fleet, *(each.prefix for each in others), *(project.name for project in environment.compose)}
    others += strangers(observation, known, environment.machine)
    shared = [
        finding
        for finding in judge(Fleet((environment, *others)))
        if environment.prefix in finding.environments and len(finding.environments) > 1
    ]
    return [
        *ownership(environment, observation),
        *shared,
        *machine(environment, observation),
        *drift(environment, observation),
    ]
