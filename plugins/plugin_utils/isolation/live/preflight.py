# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The live gate before anything is changed: all that an observation says against deploying one environment."""

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
from .registered import registered, strangers


def preflight(environment: Environment, fleet: Collection[str], observation: Mapping[str, Any]) -> list[Finding]:
    """Judge one environment against the machine as it is, environments of other inventories included.

    ``fleet`` are the prefixes that were judged on paper. What of them was deployed here counts as it was deployed: a
    port that the inventory has given to somebody else is taken until its holder gives it up. Findings among others are
    theirs: only those in which this environment has a part are given.
    """
    return [
        *standing(environment, fleet, observation),
        *moved_checkout(environment, environment.prefix, observation),
        *drift(environment, observation),
    ]


def standing(environment: Environment, fleet: Collection[str], observation: Mapping[str, Any]) -> list[Finding]:
    """What holds before a deployment and after it. What the last deployment left is not asked for: after this one the
    registry still knows the one before."""
    deployed = list(registered(observation, {environment.prefix}, environment.machine))
    projects = (project.name for project in environment.compose)
    known = {*fleet, *(each.prefix for each in deployed), *projects, environment.prefix}
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
    """The findings, those marked that the environment's own waivers accept.

    ``complete`` says that everything was looked at that only a machine can show: then waivers that accept nothing of
    it are told as well.
    """
    own = [replace(finding, environments=(environment.prefix,)) for finding in findings]
    judged = apply(Fleet((environment,)), own, today, live=True, known=rules())
    reasons = {(each.rule, each.resource): each.waived for each in judged}
    unused = [each for each in judged if each.rule == UNUSED] if complete else []
    marked = (replace(finding, waived=reasons.get((finding.rule, finding.resource), "")) for finding in findings)
    return [*marked, *unused]
