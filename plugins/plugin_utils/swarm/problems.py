# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why the declared swarm cannot be made of these machines: everything at once, before anything is changed. Pure.

Each sentence names the machine, what was seen, and what mends it. An empty list lets :mod:`plan` decide.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ...module_utils.docker.engine import MINIMUM_ENGINE, parse_version
from ...module_utils.swarm.ports import PURPOSE
from .model import MachineLook, Node, SwarmSettings, Wanted
from .plan import address_of

#: Seconds by which the clocks of two machines may differ: certificates, sessions and logs go by them.
CLOCKS_WITHIN = 60.0

_NOTHING = "Nothing was changed"


@dataclass(frozen=True)
class Unreached:
    """A port of one machine that gave another one no answer; ``how`` says what was seen."""

    source: str
    target: str
    address: str
    protocol: str
    port: int
    how: str


def problems(
    wanted: Mapping[str, Wanted],
    looks: Mapping[str, MachineLook],
    settings: SwarmSettings,
    unreached: Sequence[Unreached] = (),
) -> list[str]:
    """Every reason against going on, each a whole sentence without its full stop."""
    found = [reason for host in wanted for reason in _of_one(wanted[host], looks[host], settings)]
    found += _same_machine(looks)
    found += [reason for hosts, reason in _between(looks, unreached) if any(looks[host].is_out for host in hosts)]
    if not any(each.role == "manager" for each in wanted.values()):
        found.append("no machine is declared as a manager: set bulkhead_swarm_role: manager for one, or for three")
    if settings.key_problem and (settings.autolock or any(look.locked for look in looks.values())):
        found.append(settings.key_problem)
    managing = [look for look in looks.values() if look.manages]
    if managing:
        found += _of_the_swarm(wanted, looks, settings, managing)
    else:
        found += _without_manager(looks, settings)
    return found


def warnings(looks: Mapping[str, MachineLook], unreached: Sequence[Unreached] = ()) -> list[str]:
    """What is wrong between nodes that are in the swarm already: who mends that may have to drain one of them."""
    return [reason for hosts, reason in _between(looks, unreached) if not any(looks[host].is_out for host in hosts)]


def _between(looks: Mapping[str, MachineLook], unreached: Sequence[Unreached]) -> Iterator[tuple[set[str], str]]:
    """What is wrong with one machine's engine or between machines, each with those whom it is about."""
    for look in looks.values():
        if look.answers:
            for reason in _engine(look):
                yield {look.host}, reason
    yield from _clocks(looks)
    yield from _blocked(unreached)


def _of_one(wanted: Wanted, look: MachineLook, settings: SwarmSettings) -> Iterator[str]:
    """What is wrong with one machine, whatever the others say."""
    host = look.host
    if look.problem:
        yield f"{host}: {look.problem}"
    if not look.answers:
        return
    if look.is_out:
        yield from _of_a_newcomer(wanted, look)
    elif look.state == "locked":
        if not settings.has_key:
            yield (
                f"{host} was restarted and waits for the key of its swarm: set bulkhead_swarm_unlock_key_file to the "
                "vault file that has it, or unlock it by hand (docker swarm unlock)"
            )
    elif look.state != "active":
        why = f": {look.error}" if look.error else ""
        yield (
            f"{host} is in a swarm, but its state there is {look.state}{why}. Mend that, or take it out (docker swarm "
            "leave on it), and run this again"
        )
    elif wanted.address and look.node_address and wanted.address != look.node_address:
        yield (
            f"{host} is in the swarm at {look.node_address}, and bulkhead_swarm_advertise says {wanted.address}: a "
            "node keeps its address. Correct the variable, or take the node out (docker swarm leave on it) and let it "
            "join again"
        )


def _engine(look: MachineLook) -> Iterator[str]:
    """What of an engine does not go with a swarm."""
    host = look.host
    if parse_version(look.engine) < MINIMUM_ENGINE:
        yield (
            f"{host} runs Docker Engine {look.engine or 'of an unknown version'}, and {_words(MINIMUM_ENGINE)} or "
            "later is needed: upgrade it (ansible-playbook aiia.bulkhead.provision)"
        )
    if look.firewall.startswith("nftables"):
        yield (
            f"{host}: its engine uses the firewall backend nftables, with which Docker supports no swarm: set "
            '"firewall-backend": "iptables" in /etc/docker/daemon.json (engine_daemon_options) and restart it'
        )
    if look.live_restore:
        yield (
            f"{host}: its engine has live-restore, with which no engine is in a swarm: set engine_live_restore: false "
            "for it, and run ansible-playbook aiia.bulkhead.provision. Containers then stop while the engine restarts"
        )


def _of_a_newcomer(wanted: Wanted, look: MachineLook) -> Iterator[str]:
    host = look.host
    if wanted.address and not look.is_own:
        yield (
            f"{host}: bulkhead_swarm_advertise is {wanted.address}, which is no address of that machine. It has "
            f"{', '.join(look.addresses) or 'none besides its own loopback'}"
        )
    elif not address_of(wanted, look):
        yield (
            f"{host} has {', '.join(look.addresses) or 'no address that others could reach'}: set "
            "bulkhead_swarm_advertise to the one at which the other nodes reach it, best in a network of their own"
        )
    for port, holder in sorted(look.taken.items()):
        yield f"{host}: port {port} is taken by {holder}, and a node of a swarm needs it: end that"


def _same_machine(looks: Mapping[str, MachineLook]) -> Iterator[str]:
    """One machine under two names; copies of a disk have an engine's id in common, but not their addresses."""
    seen: dict[tuple[str, ...], str] = {}
    for look in looks.values():
        if look.answers:
            key = (look.engine_id, look.node, *look.addresses)
            if look.addresses and key in seen:
                yield f"{seen[key]} and {look.host} are the same machine: leave one of them out of the group"
            seen.setdefault(key, look.host)


def _clocks(looks: Mapping[str, MachineLook]) -> Iterator[tuple[set[str], str]]:
    known = sorted((look for look in looks.values() if look.answers), key=lambda look: look.clock)
    if not known:
        return
    middle = known[len(known) // 2]
    for look in known:
        apart = abs(look.clock - middle.clock)
        if apart - look.clock_within - middle.clock_within > CLOCKS_WITHIN:
            way = "ahead of" if look.clock > middle.clock else "behind"
            yield (
                {look.host, middle.host},
                f"the clock of {look.host} is {apart:.0f} s {way} that of {middle.host}, and {CLOCKS_WITHIN:.0f} s are "
                "the most: certificates of nodes would not be valid there. Have all machines keep time (chrony or "
                "systemd-timesyncd)",
            )


def _blocked(unreached: Sequence[Unreached]) -> Iterator[tuple[set[str], str]]:
    """One sentence for each port, with everybody who had no answer there."""
    groups: dict[tuple[str, str, str, int], list[Unreached]] = {}
    for each in unreached:
        groups.setdefault((each.target, each.address, each.protocol, each.port), []).append(each)
    for (target, address, protocol, port), members in groups.items():
        sources = {each.source for each in members}
        yield (
            {target, *sources},
            f"port {port}/{protocol} of {target} ({address}) cannot be reached from {', '.join(sorted(sources))} "
            f"({members[0].how}): {PURPOSE[protocol, port]}. Open it between these machines, in their own firewalls "
            "and on the way",
        )


def _without_manager(looks: Mapping[str, MachineLook], settings: SwarmSettings) -> Iterator[str]:
    """No machine can speak for a swarm: there is none yet, or its managers cannot decide."""
    stuck = [look for look in looks.values() if look.answers and look.control and look.refused]
    members = [look for look in looks.values() if look.answers and not look.is_out and look.state != "locked"]
    locked = sorted(look.host for look in looks.values() if look.state == "locked")
    away = sorted(look.host for look in looks.values() if look.away)
    silent = f" (no answer from {', '.join(away)})" if away else ""
    if stuck:
        yield (
            f"the swarm has no quorum: {', '.join(sorted(look.host for look in stuck))} would decide, but too few of "
            f"its managers answer each other{silent}. What runs goes on, and nothing can be changed until more than "
            "half of the managers are back: start them again. Only if they are lost for good, begin anew from one that "
            "is left: docker swarm init --force-new-cluster --advertise-addr <its address>"
        )
    elif locked:
        if settings.has_key:  # without, each of them has its own sentence
            yield (
                f"{', '.join(locked)} is locked, and without it nothing is known of its swarm: run this without "
                "--check, which unlocks it first"
            )
    elif members:
        managers = sorted({address for look in members for address in look.managers})
        yield (
            f"{', '.join(sorted(look.host for look in members))} is in a swarm, and no machine that answers manages "
            f"it{silent}. Its managers are at {', '.join(managers) or 'addresses that it does not know'}: start them, "
            "or declare them in this group"
        )
    elif away:
        yield (
            f"no machine that answers is in a swarm, and {', '.join(away)} cannot be asked: it may be the manager of "
            "the one that there is. A second swarm is not begun: bring it back, or take it out of the group"
        )


def _of_the_swarm(
    wanted: Mapping[str, Wanted],
    looks: Mapping[str, MachineLook],
    settings: SwarmSettings,
    managing: Sequence[MachineLook],
) -> Iterator[str]:
    """What is wrong between the machines and the swarm that there is."""
    first = managing[0]
    for look in managing[1:]:
        if look.cluster != first.cluster:
            yield (
                f"{look.host} is in another swarm than {first.host} ({look.cluster} and {first.cluster}), and nothing "
                "joins two. Take one of them out of its own (docker swarm leave on each node), or out of this group"
            )
    nodes = {node.id: node for node in first.nodes}
    for look in looks.values():
        if look.answers and look.state == "active" and look.cluster in ("", first.cluster) and look.node not in nodes:
            at = f", whose managers are at {', '.join(look.managers)}" if look.managers else ""
            yield (
                f"{look.host} is in a swarm{at}, but not in that of {first.host}. If it was removed there, or is to "
                "move, take it out of its own first: docker swarm leave on it. What runs on it then stops"
            )
    here = {look.node: look.host for look in looks.values() if look.answers and look.node}
    for identity in settings.lost:
        node = nodes.get(identity)
        if node and (node.state != "down" or identity in here):
            yield (
                f"bulkhead_swarm_lost has {identity}, which is {here.get(identity, node.hostname)} and is "
                f"{'up' if node.state != 'down' else 'in this group'}: only a node that is down is removed. Drain it "
                "and stop its engine first, or take the id out of the list"
            )
    yield from _quorum_after(wanted, looks, settings, nodes)


def _quorum_after(
    wanted: Mapping[str, Wanted], looks: Mapping[str, MachineLook], settings: SwarmSettings, nodes: Mapping[str, Node]
) -> Iterator[str]:
    """Whether the managers would still decide once every node has its role."""
    role = {look.node: wanted[host].role for host, look in looks.items() if look.answers and look.node in nodes}
    managers = [
        node for node in nodes.values() if role.get(node.id, node.role) == "manager" and node.id not in settings.lost
    ]
    coming = sum(wanted[host].role == "manager" for host, look in looks.items() if look.is_out)
    up = coming + sum(node.reachable or (node.role != "manager" and node.state == "ready") for node in managers)
    total = coming + len(managers)
    before = [node for node in nodes.values() if node.role == "manager"]
    if 2 * up <= total and (up, total) != (sum(node.reachable for node in before), len(before)):
        yield (
            f"with the roles of the inventory the swarm would have {total} managers, of which {up} can be reached: too "
            "few to decide anything. Bring the others back first, or remove those that are lost (bulkhead_swarm_lost)"
        )


def refusal(found: Sequence[str]) -> str:
    """The one error with all of it."""
    if len(found) == 1:
        return f"{found[0]}. {_NOTHING}"
    return f"the swarm cannot be made as declared, for {len(found)} reasons. {_NOTHING}:\n" + "\n".join(
        f"  - {each}" for each in found
    )


def _words(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))
