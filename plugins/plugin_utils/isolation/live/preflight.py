# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The live gate before a deployment: every finding on the machine against deploying one environment."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from ..model import Environment, Finding, Fleet
from ..rules import judge, rules
from ..waivers import UNUSED, apply
from .drift import drift
from .machine import machine, moved_checkout
from .ownership import ownership
from .registered import elsewhere, registered, strangers


def preflight(environment: Environment, fleet: Collection[str], observation: Mapping[str, Any]) -> list[Finding]:
    """Judge one environment against the machine as it is, including environments of other inventories.

    ``fleet`` holds the prefixes that the plan judged. Those deployed here count as they were deployed: a port that the
    inventory has since given to another environment stays taken until its holder is redeployed. Findings that do not
    involve this environment are left out.
    """
    return [
        *standing(environment, fleet, observation),
        *moved_checkout(environment, environment.prefix, observation),
        *drift(environment, observation),
    ]


def standing(environment: Environment, fleet: Collection[str], observation: Mapping[str, Any]) -> list[Finding]:
    """The findings that count before and after a deployment. Drift does not: right after a deployment, the registry
    still describes the previous one."""
    deployed = list(registered(observation, {environment.prefix}, environment.machine))
    deployed += elsewhere(observation, {environment.prefix}, environment.machine)
    projects = (project.name for project in environment.compose)
    known = {*fleet, *(neighbour.prefix for neighbour in deployed), *projects, environment.prefix}
    others = [*deployed, *strangers(observation, known, environment.machine)]
    shared = [
        finding
        for finding in judge(Fleet((environment, *others)))
        if environment.prefix in finding.environments and len(finding.environments) > 1
    ]
    return [*ownership(environment, observation), *shared, *machine(environment, observation)]


def accepted(
    environment: Environment, findings: Sequence[Finding], today: date, complete: bool = False
) -> list[Finding]:
    """The findings, those accepted by the environment's own waivers marked as waived.

    If ``complete``, every live check has run, so unused waivers of live rules are findings as well.
    """
    own = [replace(finding, environments=(environment.prefix,)) for finding in findings]
    judged = apply(Fleet((environment,)), own, today, live=True, known=rules())
    reasons = {(finding.rule, finding.resource): finding.waived for finding in judged}
    unused = [finding for finding in judged if finding.rule == UNUSED] if complete else []
    marked = (replace(finding, waived=reasons.get((finding.rule, finding.resource), "")) for finding in findings)
    return [*marked, *unused]
