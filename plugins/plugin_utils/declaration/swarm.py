# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An environment that is a stack of a swarm: its machines, and what its variables may say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .inventory import holds_seal
from .model import Declaration
from .variables import of_machines

#: The value of ``bulkhead_engine`` for a stack.
SWARM = "swarm"

#: Variables that only a stack has.
_OF_SWARM = ("bulkhead_swarm", "bulkhead_registry", "bulkhead_swarm_ports", "bulkhead_edge_nodes")

#: Variables of which a stack has no use, each with what takes its place.
_WITHOUT = {
    "bulkhead_acme": "bring a certificate (bulkhead_tls_certificate_path and bulkhead_tls_key_path, or their texts): "
    "an authority's question may come to any node, and one machine's nginx has the answer",
    "bulkhead_bind_address": "remove it: a port of a swarm is taken on every address of its nodes",
    "bulkhead_promotion_from": "remove it: each node fetches the image from the registry",
    "bulkhead_backup_schedule": "remove it: no job of one machine can back up what may be on another",
}

#: What each host of a group may say for itself.
_OF_HOST = frozenset({"bulkhead_machine"})


def is_swarm(declaration: Declaration) -> bool:
    """Whether an environment is a stack of a swarm."""
    return bool(declaration.values["bulkhead_engine"] == SWARM)


def of_swarm(declaration: Declaration, why: str) -> str:
    """Why something is not done with an environment that is a stack, in one sentence; empty for any other."""
    if not is_swarm(declaration):
        return ""
    return f"{declaration.prefix} is a stack of a swarm (bulkhead_engine: swarm): {why}"


def check_swarm(declaration: Declaration, mine: Mapping[str, Any], others: Mapping[str, Mapping[str, Any]]) -> None:
    """Note what does not go together with the engine. ``mine`` are the variables that the inventory sets for the first
    host of the group, ``others`` those of each other host, by its name."""
    values = declaration.values
    if not declaration.can_judge("bulkhead_engine"):
        return
    if not is_swarm(declaration):
        for name in _OF_SWARM:
            if mine.get(name) and declaration.can_judge(name):
                _note(
                    declaration,
                    name,
                    f"{name} has no effect: bulkhead_engine is {values['bulkhead_engine']}",
                    "set bulkhead_engine: swarm, or remove it",
                )
        return
    if not values["bulkhead_swarm"] and declaration.can_judge("bulkhead_swarm"):
        declaration.problem(
            "missing-variable",
            "bulkhead_swarm",
            "bulkhead_swarm is not set, so nothing says which environments share one swarm",
            f"set the swarm's name, the same for all environments on it, in group_vars/{declaration.group}",
        )
    if values["bulkhead_source_repository"] and not values["bulkhead_registry"]:
        declaration.problem(
            "missing-variable",
            "bulkhead_registry",
            "bulkhead_registry is not set, and the nodes of a swarm fetch the application's image from a registry",
            "name a registry that every node reaches, such as registry.example.com/shop",
        )
    for name, instead in _WITHOUT.items():
        if values[name] and declaration.can_judge(name):
            _note(declaration, name, f"{name} does not work on a swarm", instead)
    for message, fix in [*_nodes_faults(declaration), *_differences(mine, others)]:
        _note(declaration, "bulkhead_engine", message, fix)
    for message, fix in _doors_faults(declaration) if declaration.can_judge("bulkhead_edge_nodes") else ():
        _note(declaration, "bulkhead_edge_nodes", message, fix)


def _note(declaration: Declaration, name: str, message: str, fix: str) -> None:
    declaration.problem("invalid-variable", name, message, fix)


def _nodes_faults(declaration: Declaration) -> Iterator[tuple[str, str]]:
    """Hosts of the group that are one machine, or of which that is not known."""
    unread = [host for host, node in declaration.nodes.items() if not node.machine]
    if unread:
        yield (
            f"the machine of {', '.join(unread)} cannot be read here, so nothing there is compared with the stack",
            "set bulkhead_machine or ansible_host of each node outside of vaults",
        )
    known: dict[str, str] = {}
    for host, machine in ((host, node.machine) for host, node in declaration.nodes.items()):
        if machine and machine in known:
            yield (
                f"the hosts {known[machine]} and {host} of group {declaration.group} are one machine ({machine}), and "
                "each host of a swarm's environment is a node",
                "remove one of the two, or set bulkhead_machine for each host and not for the group",
            )
        known.setdefault(machine, host)


def _doors_faults(declaration: Declaration) -> Iterator[tuple[str, str]]:
    """Named nodes that are no hosts of the group, or that are named for nothing."""
    named = declaration.values["bulkhead_edge_nodes"]
    if named and not declaration.values["bulkhead_edge"]:
        yield (
            "bulkhead_edge_nodes has no effect: bulkhead_edge is not set, so no front door leads to the stack",
            "set bulkhead_edge: true, or remove it",
        )
    unknown = [str(host) for host in named if host not in declaration.nodes]
    if unknown:
        yield (
            f"bulkhead_edge_nodes names {', '.join(unknown)}, and the group {declaration.group} has no such host",
            f"name hosts of the group: {', '.join(declaration.nodes)}",
        )


def _differences(mine: Mapping[str, Any], others: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Variables that a host sets for itself: an environment has one value of each."""
    for host, variables in others.items():
        theirs = {name: value for name, value in variables.items() if name.startswith("bulkhead_")}
        names = sorted(
            name
            for name in {*mine, *theirs} - _OF_HOST - of_machines().keys()
            if not holds_seal(mine.get(name)) and mine.get(name) != theirs.get(name)
        )
        if names:
            yield (
                f"{', '.join(names)} of host {host} differ from those of the group's first host, and an environment "
                "has one value of each variable",
                "set them for the group; only bulkhead_machine may differ from host to host",
            )
