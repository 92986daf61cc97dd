# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is done to make the declared swarm of the machines that answered. Pure; judged by :mod:`problems` first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...module_utils.core.steps import Step
from ...module_utils.swarm.amend import amendment
from ...module_utils.swarm.ports import CONTROL
from .model import MachineLook, Node, SwarmSettings, Wanted


@dataclass
class Plan:
    """Who does what, by names of the inventory. ``asked`` is the manager that answers for the swarm.

    ``managers`` are the addresses to join. ``settled`` are the wanted settings by host; a host that only joins has no
    node yet. ``notes`` are whole sentences about what was left as it is.
    """

    asked: str
    form: str = ""
    address: dict[str, str] = field(default_factory=dict)
    unlocked: list[str] = field(default_factory=list)
    joining: list[str] = field(default_factory=list)
    managers: list[str] = field(default_factory=list)
    nodes: dict[str, str] = field(default_factory=dict)
    settled: list[str] = field(default_factory=list)
    removed: list[dict[str, str]] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def plan(wanted: Mapping[str, Wanted], looks: Mapping[str, MachineLook], settings: SwarmSettings) -> Plan:
    """The steps to the declared swarm. What :mod:`problems` refuses must not come here."""
    present = {host: looks[host] for host in wanted if looks[host].answers}
    managing = [host for host, look in present.items() if look.manages]
    managing.sort(key=lambda host: (wanted[host].role != "manager", host))
    first = min(host for host in wanted if wanted[host].role == "manager" and (managing or host in present))
    found = Plan(asked=managing[0] if managing else first)
    found.form = "" if managing else first
    nodes = {node.id: node for node in looks[found.asked].nodes}
    found.address = {host: address_of(wanted[host], look) for host, look in present.items()}
    found.unlocked = [host for host, look in present.items() if look.state == "locked"]
    out = [host for host, look in present.items() if look.is_out and host != found.form]
    found.joining = sorted(out, key=lambda host: (wanted[host].role != "manager", host))
    found.managers = [node.manager_address for node in nodes.values() if node.reachable and node.manager_address]
    if found.form:
        found.managers = [f"{found.address[found.form]}:{CONTROL}"]
    found.nodes = {host: look.node for host, look in present.items() if look.node in nodes}
    found.removed = [
        {"id": identity, "host": nodes[identity].hostname} for identity in settings.lost if identity in nodes
    ]
    found.steps = list(_steps(found, wanted, nodes, looks[found.asked], settings))
    found.settled = [host for host in wanted if host in present]
    found.notes = list(_notes(found, wanted, looks, nodes, settings))
    return found


def address_of(wanted: Wanted, look: MachineLook) -> str:
    """At which address a machine is, or will be, a node; empty where that is not clear."""
    if look.node_address and not look.is_out:
        return look.node_address
    return wanted.address or (look.addresses[0] if len(look.addresses) == 1 else "")


def settings_of(wanted: Wanted, identity: str, new: bool) -> dict[str, Any]:
    """What a manager is told of one node."""
    return {
        "id": identity,
        "host": wanted.host,
        "role": wanted.role,
        "availability": wanted.availability,
        "labels": dict(wanted.labels),
        "new": new,
    }


def _steps(
    found: Plan, wanted: Mapping[str, Wanted], nodes: Mapping[str, Node], asked: MachineLook, settings: SwarmSettings
) -> Iterator[Step]:
    for host in found.unlocked:
        yield Step("unlock", host, "node")
    if found.form:
        yield Step("begin the swarm on", found.form, "swarm", detail=f"at {found.address[found.form]}")
    if settings.autolock is not None and settings.autolock != asked.locked and not (found.form and settings.autolock):
        yield Step("lock the managers of" if settings.autolock else "unlock the managers of", "the swarm", "swarm")
    for host in found.joining:
        yield Step("join", host, "node", detail=f"at {found.address[host]}")
    for each in found.removed:
        yield Step("remove", each["host"], "node", reason="lost", detail=each["id"])
    for host in sorted(wanted, key=lambda each: (wanted[each].role != "manager", each)):
        if host not in found.nodes and host not in (found.form, *found.joining):
            continue
        node = nodes.get(found.nodes.get(host, ""))
        role = node.role if node else "manager" if host == found.form else wanted[host].role
        spec = {
            "Role": role,
            "Availability": node.availability if node else "active",
            "Labels": dict(node.labels) if node else {},
        }
        _following, words = amendment(spec, settings_of(wanted[host], "", False))
        if words:
            yield Step("set up", host, "node", detail=", ".join(words))


def _notes(
    found: Plan,
    wanted: Mapping[str, Wanted],
    looks: Mapping[str, MachineLook],
    nodes: Mapping[str, Node],
    settings: SwarmSettings,
) -> Iterator[str]:
    """What was seen and is not changed."""
    ours = {look.node for look in looks.values()}
    for node in nodes.values():
        if node.id in settings.lost or node.id in ours:
            continue
        if node.state == "down":
            yield (
                f"the node {node.id} ({node.hostname}, {node.address or 'no address'}) is down, and was left in the "
                "swarm. Start it again; if it is lost for good, remove it: add its id to bulkhead_swarm_lost"
            )
        elif not any(look.away for look in looks.values()):
            yield (
                f"the node {node.id} ({node.hostname}, {node.address}) is in the swarm and not in the inventory. It "
                "was left as it is: declare it, or take it out by hand (docker swarm leave on it)"
            )
    managers = sum(each.role == "manager" for each in wanted.values())
    if managers == 2:
        yield "two managers survive no loss of either: without both, nothing can be changed. Declare one, or three"
