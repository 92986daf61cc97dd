# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Swarms: what all of their nodes share, and what a node shares with the Compose projects beside it."""

from __future__ import annotations

from ..model import SWARM_FILES, Environment, Fleet, Severity
from ..wording import listing
from . import Hit, Judgement, owners, places, rule


@rule("shared-stack", "SW-01", severity=Severity.CRITICAL)
def shared_stack(fleet: Fleet) -> Judgement:
    """Two environments of one swarm have one stack, or one service of the swarm."""
    for scope, name, claims in fleet.collisions("stack"):
        yield Hit(
            owners(claims),
            f"stack {name}",
            f"{listing(owners(claims))} deploy the stack {name} of {scope}: the services of the second take the place "
            "of the first's, and with --prune every service that only the first has is removed.",
            f"Deploy each under a name of its own, such as {owners(claims)[-1]}.",
            places(claims),
            scope,
        )
    stacks = {(scope, name): set(owners(claims)) for (scope, name), claims in fleet.claims("stack").items()}
    for scope, name, claims in fleet.collisions("swarm-service"):
        if any(set(owners(claims)) <= here for (where, _name), here in stacks.items() if where == scope):
            continue  # the stack itself was found
        yield Hit(
            owners(claims),
            f"service {name}",
            f"{listing(owners(claims))} both make {name} on {scope}, out of the stack's name and the service's: the "
            "second deployment updates the service of the first.",
            "Choose stack names of which none begins another.",
            places(claims),
            scope,
        )


@rule("joinable-overlay", "SW-02", severity=Severity.HIGH)
def joinable_overlay(fleet: Fleet) -> Judgement:
    """An overlay network is attachable: any container of any node can join it."""
    for (scope, name), claims in fleet.claims("network").items():
        for claim in claims:
            if claim.attributes.get("attachable") and claim.scope == scope:
                yield Hit(
                    (claim.owner,),
                    f"network {name}",
                    f"The network {name} of {claim.owner} is attachable: every container that is started on any node "
                    f"of {scope} can join it by its name, and reach each service of {claim.owner} at any port.",
                    "Remove 'attachable: true'. What has to reach a service joins as a service of the same stack.",
                    (claim.where,),
                    scope,
                )


@rule("stack-beside-project", "SW-03", severity=Severity.CRITICAL)
def stack_beside_project(fleet: Fleet) -> Judgement:
    """A stack and a Compose project of another environment have one name, and run on one machine."""
    projects = fleet.claims("project")
    for (machine, name), stacks in fleet.claims("stack").items():
        claims = [*stacks, *projects.get((machine, name), ())]
        if len(owners(claims)) > len(owners(stacks)):
            yield Hit(
                owners(claims),
                f"stack {name}",
                f"{listing(owners(stacks))} deploys the stack {name}, and {listing(owners(claims[len(stacks) :]))} the "
                f"Compose project {name} on {machine}, a node of the swarm: a volume without a name of its own is "
                f"{name}_<key> for both, so both mount the same data there.",
                "Give the stack or the project another name.",
                places(claims),
                machine,
            )


@rule("shared-swarm-file", "SW-04", severity=Severity.HIGH)
def shared_swarm_file(fleet: Fleet) -> Judgement:
    """Two environments of one swarm have one config or secret."""
    for section, namespace in SWARM_FILES.items():
        for scope, name, claims in fleet.collisions(namespace):
            what = section.removesuffix("s")
            yield Hit(
                owners(claims),
                f"{what} {name}",
                f"{listing(owners(claims))} have the same {what} on {scope}, {name}: the services of both get what the "
                "first deployment put there, and the second fails when its content differs.",
                f"Begin its name with that of the environment: 'name: {owners(claims)[-1]}_{name}'.",
                places(claims),
                scope,
            )


@rule("node-of-two-swarms", "SW-05", severity=Severity.HIGH)
def node_of_two_swarms(fleet: Fleet) -> Judgement:
    """One machine is a node of two swarms, so that stacks which share it are not compared."""
    swarms: dict[str, dict[str, Environment]] = {}
    for environment in fleet.environments:
        for node in environment.nodes if environment.swarm else ():
            swarms.setdefault(node, {}).setdefault(environment.swarm, environment)
    for node, found in swarms.items():
        if len(found) > 1:
            prefixes = tuple(environment.prefix for environment in found.values())
            yield Hit(
                prefixes,
                f"node {node}",
                f"{node} is a node of the swarms {listing(found)} ({listing(prefixes)}), and no machine is in two: "
                "either it is one swarm with two names, whose stacks are not compared, or one is never deployed.",
                "Give one swarm one name (bulkhead_swarm), or each environment the nodes of its own swarm.",
                tuple(environment.origin("bulkhead_swarm") for environment in found.values()),
                node,
            )
