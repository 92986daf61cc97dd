# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Containment: whatever an environment's stack says stays inside, or is refused, known hazard or not.

Only environments that Bulkhead deploys are judged. Files of others have no such discipline: there a collision counts.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..containment.boundary import boundary_of
from ..containment.classes import Class
from ..containment.walk import Leaf, outside
from ..declared import declared_shares
from ..model import ComposeProject, Environment, Fleet, Severity
from ..wording import listing
from . import Hit, Judgement, rule


@rule("outside-name", severity=Severity.HIGH)
def outside_name(fleet: Fleet) -> Judgement:
    """A name that others could take or use does not begin with the environment's prefix."""
    for environment, project, leaf in _outside(fleet):
        if leaf.kind is Class.NAME:
            yield Hit(
                (environment.prefix,),
                f"{leaf.key}: {leaf.value}",
                f"{leaf.problem}. The name is one of {environment.machine}'s: whoever else uses it, today or "
                "tomorrow, shares it or takes it away.",
                f"Begin it with {environment.prefix}_. If it is shared on purpose, name it in bulkhead_shared of "
                "every environment that uses it.",
                (project.where(*leaf.path),),
                environment.machine,
            )


@rule("outside-reach", severity=Severity.HIGH)
def outside_reach(fleet: Fleet) -> Judgement:
    """A key reaches outside of the environment."""
    for environment, project, leaf in _outside(fleet):
        if leaf.kind is not None and leaf.kind is not Class.NAME:
            yield Hit(
                (environment.prefix,),
                f"{leaf.key}: {_shown(leaf)}",
                f"{leaf.key} in {'.'.join(leaf.path[:2])} of {environment.prefix}: {leaf.problem}.",
                "Take it away, or stay within what the table of docs/containment.md allows. If you accept it, waive "
                "it with a reason.",
                (project.where(*leaf.path),),
                environment.machine,
            )


@rule("unclassified-key", severity=Severity.HIGH)
def unclassified_key(fleet: Fleet) -> Judgement:
    """A key has no class: what it reaches is unknown."""
    for environment, project, leaf in _outside(fleet):
        if leaf.kind is None:
            yield Hit(
                (environment.prefix,),
                leaf.key,
                f"{leaf.problem}, so what {leaf.key} of {environment.prefix} reaches is unknown.",
                "Take it away. If Compose knows the key, please report it; until then a waiver accepts it.",
                (project.where(*leaf.path),),
                environment.machine,
            )


@rule("one-sided-share", severity=Severity.MEDIUM)
def one_sided_share(fleet: Fleet) -> Judgement:
    """What bulkhead_shared names is shared on purpose only if every environment that uses it says so."""
    for (machine, kind, name), owners in fleet.derived(_declared_shares).items():
        if len(owners) == 1:
            yield Hit(
                tuple(owners),
                f"{kind} {name}",
                f"Only {listing(owners)} declares the {kind} {name} as shared: on {machine} no other environment "
                "shares it, or one does without declaring it.",
                f"Name it in bulkhead_shared of every environment that uses it, with a reason, or take it out of "
                f"{listing(owners)}.",
                tuple(fleet.by_prefix[owner].origin("bulkhead_shared") for owner in owners),
                machine,
            )


def _outside(fleet: Fleet) -> list[tuple[Environment, ComposeProject, Leaf]]:
    return fleet.derived(_found)


def _found(fleet: Fleet) -> list[tuple[Environment, ComposeProject, Leaf]]:
    """Every value of the fleet's stacks that is not contained."""
    return [
        (environment, project, leaf)
        for environment in fleet.environments
        if environment.variables
        for project in environment.compose
        for leaf in outside(project, boundary_of(environment))
    ]


def _declared_shares(fleet: Fleet) -> dict[tuple[str, str, str], list[str]]:
    found: dict[tuple[str, str, str], list[str]] = {}
    for environment in fleet.environments:
        for kind, name in declared_shares(environment):
            found.setdefault((environment.machine, kind, name), []).append(environment.prefix)
    return found


def _shown(leaf: Leaf) -> str:
    return listing(map(str, leaf.value)) if isinstance(leaf.value, Mapping) else str(leaf.value)
