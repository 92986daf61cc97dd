# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The front doors of a swarm's nodes, and a stack behind them: which lead to it, and which of them cannot.

Whether a door leads to a stack is decided from what was observed alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ....module_utils.docker.labels import DOOR
from ..declared import is_routed
from ..model import Environment, Finding, Severity, Where
from ..wording import listing
from .receipt import Observation
from .stack import node_id, nodes_of

_LIVE = (Where(item="seen on the nodes"),)
_PLAYBOOK = "ansible-playbook aiia.bulkhead.edge -l"


@dataclass(frozen=True, slots=True)
class DoorChanges:
    """What has to change so that the right doors lead to a stack: hosts whose door has to take the route, hosts whose
    door has to lose it, and by their ids the nodes that have to get (true) or lose (false) the label."""

    lead: tuple[str, ...] = ()
    leave: tuple[str, ...] = ()
    labels: Mapping[str, bool] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether everything is as it is to be."""
        return not (self.lead or self.leave or self.labels)


def door_label(prefix: str) -> str:
    """The label of the nodes whose front doors lead to a stack."""
    return f"{DOOR}{prefix}"


def leads(prefix: str, node: Mapping[str, Any]) -> bool:
    """Whether the front door of a node, as the manager has it, is to lead to a stack now."""
    return bool(node["availability"] == "active" and node["labels"].get(door_label(prefix)) == "true")


def doors_wanted(prefix: str, observation: Observation, named: Sequence[str]) -> list[str]:
    """The hosts whose front doors are to lead to a stack: those that are ``named``, or else all that have a door; one
    that is down and led there is still one.

    A node that takes no tasks is left as it is: when it takes some again, its relay is one of them.
    """
    active = {str(node["id"]) for node in observation["stack"]["nodes"] if node["availability"] == "active"}
    return [
        host
        for host, seen in nodes_of(observation).items()
        if node_id(seen) in active
        and (host in named if named else _door(seen)["present"] or prefix in (_door(seen)["routes"] or ()))
    ]


def door_changes(prefix: str, route: str, observation: Observation, named: Sequence[str] = ()) -> DoorChanges:
    """What has to change. ``route`` is what a door says of the stack's route where it has it; empty for a stack that is
    behind no door. A node that gave no answer stays as it is, with its label. The door of a host that has left the
    swarm leads to no stack any more."""
    nodes, label = nodes_of(observation), door_label(prefix)
    states = {str(node["id"]): node for node in observation["stack"]["nodes"]}
    wanted = doors_wanted(prefix, observation, named) if route else []
    there = {host: str((_door(seen)["routes"] or {}).get(prefix, "")) for host, seen in nodes.items()}
    leave, labels = [], {}
    for host, seen in nodes.items():
        state = states.get(node_id(seen))
        if route and (state is None or state["availability"] != "active"):
            continue
        has = state is not None and state["labels"].get(label) == "true"
        if state is not None and has != (host in wanted):
            labels[node_id(seen)] = host in wanted
        if host not in wanted and (has or there[host]):
            leave.append(host)
    return DoorChanges(tuple(host for host in wanted if there[host] != route), tuple(leave), labels)


def door_findings(environment: Environment, observation: Observation, named: Sequence[str] = ()) -> Iterator[Finding]:
    """What keeps visitors from a stack that is behind the front doors of its nodes."""
    nodes = nodes_of(observation)
    for host, seen in nodes.items():
        for prefix, problem in sorted((_door(seen).get("damaged") or {}).items()):
            yield _finding(
                environment, "damaged-route", Severity.LOW, f"route {prefix} on {host}",
                f"The route of {prefix} at the front door of {host} is damaged: {problem}. A front door that starts "
                "again takes the route from its own configuration, and other environments' routes are not affected.",
                f"Deploy {prefix}: that writes the file anew.",
            )  # fmt: skip
    if not is_routed(environment):
        return
    wanted = doors_wanted(environment.prefix, observation, named)
    without = [host for host in wanted if not _door(nodes[host])["present"]]
    if without:
        yield _finding(
            environment, "absent-front-door", Severity.HIGH, f"front door of {listing(without)}",
            f"No front door runs on {listing(without)}, where one is to lead to {environment.prefix}: who comes there "
            "would not reach it.",
            f"Run {_PLAYBOOK} {','.join(without)} first, or name other nodes in bulkhead_edge_nodes.",
        )  # fmt: skip
    if not wanted:
        yield _finding(
            environment, "absent-front-door", Severity.HIGH, "front doors",
            f"{environment.prefix} has bulkhead_edge: true, but no node of its swarm that takes tasks has a front "
            "door, so it would not be reachable.",
            f"Run {_PLAYBOOK} {','.join(nodes)} first, or let the stack publish its ports (bulkhead_edge: false).",
        )  # fmt: skip
    for host in wanted:
        door = _door(nodes[host])
        if door["present"] and door["routes"] is None:
            yield _finding(
                environment, "absent-front-door", Severity.HIGH, f"front door of {host}",
                f"The routes of the front door of {host} cannot be read: {door['problem']}.",
                f"Run {_PLAYBOOK} {host}.",
            )  # fmt: skip


def lost_routes(
    environment: Environment, route: str, observation: Observation, named: Sequence[str] = ()
) -> Iterator[Finding]:
    """Front doors that do not lead to a stack as its last deployment had them do."""
    nodes = nodes_of(observation)
    for host in door_changes(environment.prefix, route, observation, named).lead:
        said = (_door(nodes[host])["routes"] or {}).get(environment.prefix)
        how = "was changed" if said else "is gone"
        yield _finding(
            environment, "lost-route", Severity.HIGH, f"route {environment.prefix} on {host}",
            f"The route of {environment.prefix} at the front door of {host} {how}: who comes there does not reach it.",
            f"Deploy {environment.prefix}: that puts the route back.",
        )  # fmt: skip


def _door(seen: Observation) -> Mapping[str, Any]:
    return seen.get("door") or {"present": False, "routes": None, "damaged": {}, "problem": "it was not looked at"}


def _finding(environment: Environment, rule: str, severity: Severity, resource: str, message: str, fix: str) -> Finding:
    return Finding(
        rule, severity, (environment.prefix,), resource, message, fix, _LIVE, environment.machine, ("PT-01",)
    )
