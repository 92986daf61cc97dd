# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rules of the guard: what iptables-restore is given, planned from what iptables-save printed. Pure."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
import shlex
from collections.abc import Iterable, Mapping
from functools import lru_cache

from ..core.errors import Failure
from .guarded import DNS, GUARDED, is_guarded

#: The table of the guards.
FILTER = "filter"
#: The prefix of every environment's chain.
CHAINS = "BULKHEAD-"
#: The chains that jump to it. FORWARD only without DOCKER-USER (with an engine that uses nftables itself).
INPUT, DOCKER_USER, FORWARD = "INPUT", "DOCKER-USER", "FORWARD"

_PORTS = re.compile(r"[0-9]{1,5}(:[0-9]{1,5})?\Z")
_PROTOCOLS = ("tcp", "udp", "sctp")


class FirewallError(Failure):
    """The guard cannot be set up or removed."""


def parse_save(text: str) -> dict[str, list[str]]:
    """Parse the output of iptables-save into {chain: [its rules as printed]}."""
    chains: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith(":"):
            chains.setdefault(line[1:].split()[0], [])
        elif line.startswith("-A "):
            chains.setdefault(line.split()[1], []).append(line)
    return chains


def option(rule: str, *names: str) -> str:
    """The value of an option of a printed rule, such as ``-j`` or ``--comment``; empty if it has none."""
    words = _words(rule)
    return next((words[at + 1] for at, word in enumerate(words[:-1]) if word in names), "")


@lru_cache(maxsize=4096)
def _words(rule: str) -> tuple[str, ...]:
    """The words of a printed rule. Each is asked for several times in a run."""
    return tuple(shlex.split(rule))


def chain_rules(
    family: int,
    chain: str,
    prefix: str,
    bridges: list[str],
    ports: Iterable[Mapping[str, str]],
    nameservers: Iterable[str] = (),
) -> list[str]:
    """The rules of an environment's chain, as iptables-restore takes them.

    ``ports`` are the machine's ports that the environment's containers may reach: {protocol, address, ports}. Raises
    FirewallError if one is invalid.
    """
    to_machine = "-m addrtype --dst-type LOCAL"
    refuse = "-j REJECT --reject-with icmp%s-port-unreachable" % ("6" if family == 6 else "")
    # By direction, not only by state: traffic of connections opened before the guard existed is not a reply.
    rules = ["-m conntrack --ctstate RELATED,ESTABLISHED --ctdir REPLY -j RETURN"]
    # For neighbour discovery and path MTU; it reaches no port.
    rules += ["-p %s -j RETURN" % ("ipv6-icmp" if family == 6 else "icmp")]
    rules += ["-o %s -j RETURN" % bridge for bridge in bridges]
    for protocol in ("udp", "tcp"):
        rules += [
            "-d %s -p %s -m %s --dport %d -j RETURN" % (address, protocol, protocol, DNS)
            for address in nameservers
            if _has_family(family, address)
        ]
    for entry in ports:
        address = _address(entry.get("address", ""))
        if address and not _has_family(family, address):
            continue
        target = "-d %s " % address if address and not ipaddress.ip_address(address).is_unspecified else ""
        local = "" if address and is_guarded(address) else to_machine + " "
        protocol, port = _protocol(entry.get("protocol", "")), _port(entry.get("ports", ""))
        rules.append("%s-p %s %s-m %s --dport %s -j RETURN" % (target, protocol, local, protocol, port))
    rules += ["-d %s %s" % (network, refuse) for network in GUARDED[family]]
    rules.append("%s %s" % (to_machine, refuse))
    rules += ["-m addrtype --dst-type %s -j DROP" % kind for kind in ("BROADCAST", "MULTICAST")[family == 6 :]]
    rules.append("-m conntrack --ctstate DNAT %s" % refuse)
    # iptables prints rules in its own way, which differs by version. The digest in the comment identifies them.
    digest = hashlib.sha256("\n".join([prefix, *rules]).encode()).hexdigest()[:8]
    return [
        '-A %s -m comment --comment "%s: bulkhead %d %s" %s' % (chain, prefix, number, digest, rule)
        for number, rule in enumerate(rules, 1)
    ]


def jumps(chain: str, prefix: str, bridges: Iterable[str], parents: Iterable[str]) -> dict[str, list[str]]:
    """The rules that jump to an environment's chain: {parent: [rules without ``-A parent``]}."""
    return {
        parent: ['-i %s -m comment --comment "%s: bulkhead" -j %s' % (bridge, prefix, chain) for bridge in bridges]
        for parent in parents
    }


def restore_input(
    existing: Mapping[str, list[str]],
    chain: str,
    rules: list[str],
    wanted_jumps: Mapping[str, list[str]],
    table: str = FILTER,
) -> str:
    """The input for iptables-restore that puts these rules and jumps into a table; empty if they are in place.

    Without rules and jumps the chain is removed.
    """
    own = {
        parent: [rule for rule in printed if option(rule, "-j", "-g") == chain] for parent, printed in existing.items()
    }
    present = chain in existing
    if not rules:
        if not present and not any(own.values()):
            return ""
    elif (
        present and comparable(existing[chain]) == comparable(rules) and _same_jumps(existing, own, wanted_jumps, chain)
    ):
        return ""
    lines = ["*%s" % table, ":%s - [0:0]" % chain]
    lines += rules
    for printed in own.values():
        lines += ["-D" + rule[len("-A") :] for rule in printed]
    for parent, parent_jumps in sorted(wanted_jumps.items()):
        lines += ["-I %s 1 %s" % (parent, jump) for jump in parent_jumps]
    if not rules:
        lines.append("-X %s" % chain)
    return "\n".join(lines + ["COMMIT", ""])


def comparable(rules: Iterable[str]) -> list[tuple[str, str]]:
    """The parts by which rules are compared: comment and target."""
    return [(option(rule, "--comment"), option(rule, "-j")) for rule in rules]


def jumps_first(printed: list[str], chain: str) -> bool:
    """Whether nothing that sees an environment's packets precedes the last jump to its chain: it could accept them.

    Jumps to guards return, and a rule for one other interface sees none of the packets.
    """
    own = [at for at, rule in enumerate(printed) if option(rule, "-j", "-g") == chain]
    bridges = {option(printed[at], "-i") for at in own}
    return all(option(rule, "-j").startswith(CHAINS) or _is_for_another(rule, bridges) for rule in printed[: own[-1]])


def _is_for_another(rule: str, bridges: set[str]) -> bool:
    """Whether a rule is for exactly one interface, and that is none of these."""
    interface = option(rule, "-i")
    return bool(interface) and not interface.endswith("+") and "! -i" not in rule and interface not in bridges


def _same_jumps(
    existing: Mapping[str, list[str]], own: Mapping[str, list[str]], wanted: Mapping[str, list[str]], chain: str
) -> bool:
    """Whether each wanted jump exists exactly once, ahead of other rules."""
    for parent in set(own) | set(wanted):
        present = own.get(parent, [])
        bridges = sorted(option(rule, "-i") for rule in present)
        if bridges != sorted(option(rule, "-i") for rule in wanted.get(parent, ())):
            return False
        if present and not jumps_first(existing[parent], chain):
            return False
    return True


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text)) if text else ""
    except ValueError as error:
        raise FirewallError("%r is not an IP address" % text) from error


def _has_family(family: int, address: str) -> bool:
    return ipaddress.ip_address(address).version == family


def _protocol(text: str) -> str:
    if text not in _PROTOCOLS:
        raise FirewallError("%r is not one of the protocols %s" % (text, ", ".join(_PROTOCOLS)))
    return text


def _port(text: str) -> str:
    if not _PORTS.match(str(text)):
        raise FirewallError("%r is not a port or range of ports" % text)
    return str(text)


def nameservers_of(*texts: str, daemon: str = "") -> list[str]:
    """The name servers of some resolv.conf files and of the engine's own settings (``daemon``, a daemon.json), without
    loopback addresses, which need no rule."""
    lines = [line.split() for text in texts for line in text.splitlines()]
    named = [words[1] for words in lines if words[:1] == ["nameserver"] and len(words) > 1]
    try:
        named += [str(address) for address in json.loads(daemon or "{}").get("dns") or ()]
    except (ValueError, AttributeError, TypeError):
        pass  # the engine would not start with it either
    addresses: set[str] = set()
    for text in named:
        try:
            address = ipaddress.ip_address(text.split("%")[0])
        except ValueError:
            continue
        if not address.is_loopback:
            addresses.add(str(address))
    return sorted(addresses)


def bridges_of(chains: Mapping[str, list[str]], chain: str) -> list[str]:
    """The bridges from which rules jump to a chain."""
    jumping = [rule for rules in chains.values() for rule in rules if option(rule, "-j", "-g") == chain]
    return sorted({option(rule, "-i") for rule in jumping})


def owner_of(rules: Iterable[str]) -> str:
    """The prefix in the comments of a chain's rules; empty if they do not agree on one."""
    prefixes = {option(rule, "--comment").partition(": bulkhead")[0] for rule in rules}
    return prefixes.pop() if len(prefixes) == 1 else ""
