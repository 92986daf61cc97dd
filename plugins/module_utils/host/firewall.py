# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guard: firewall rules that keep an environment's containers away from ports that others publish on the machine.

Engines separate bridges, but containers can reach the machine's own addresses, where the userland proxy answers for
every port published on all of them. So traffic from an environment's bridges to the machine itself (INPUT), or
forwarded to any container (DOCKER-USER), is rejected unless it is a reply or goes to a port of the environment's own.

All rules are in one chain of the environment's own. Only that chain and the jumps to it are added and removed; the rest
of the firewall is left alone. Runs on the targets.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import re
import shlex
from collections.abc import Iterable, Mapping

from ..core.errors import Failure, last_lines
from ..core.steps import Step
from ..docker.engine import Engine, inspect_objects

#: The prefix of every environment's chain.
CHAINS = "BULKHEAD-"
#: The chains that jump to it. FORWARD only without DOCKER-USER (with an engine that uses nftables itself).
INPUT, DOCKER_USER, FORWARD = "INPUT", "DOCKER-USER", "FORWARD"

_COMMANDS = {4: ("iptables", "iptables-nft", "iptables-legacy"), 6: ("ip6tables", "ip6tables-nft", "ip6tables-legacy")}
_PORTS = re.compile(r"[0-9]{1,5}(:[0-9]{1,5})?\Z")
_PROTOCOLS = ("tcp", "udp", "sctp")
_ROOT = "bulkhead_firewall needs root on the machine: set ansible_become, or set bulkhead_firewall to false"


class FirewallError(Failure):
    """The guard cannot be set up or removed."""


# ---- planning: pure --------------------------------------------------------------------------------------------------


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
    words = shlex.split(rule)
    return next((words[at + 1] for at, word in enumerate(words[:-1]) if word in names), "")


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
            "-d %s -p %s %s -m %s --dport 53 -j RETURN" % (address, protocol, to_machine, protocol)
            for address in nameservers
            if _has_family(family, address)
        ]
    for entry in ports:
        address = _address(entry.get("address", ""))
        if address and not _has_family(family, address):
            continue
        target = "-d %s " % address if address and not ipaddress.ip_address(address).is_unspecified else ""
        protocol, port = _protocol(entry.get("protocol", "")), _port(entry.get("ports", ""))
        rules.append("%s-p %s %s -m %s --dport %s -j RETURN" % (target, protocol, to_machine, protocol, port))
    rules.append("%s %s" % (to_machine, refuse))
    if family == 4:
        rules.append("-m addrtype --dst-type BROADCAST -j DROP")
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
    existing: Mapping[str, list[str]], chain: str, rules: list[str], wanted_jumps: Mapping[str, list[str]]
) -> str:
    """The input for iptables-restore that puts these rules and jumps into the table; empty if they are in place.

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
    lines = ["*filter", ":%s - [0:0]" % chain]
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
    """Whether only jumps to guards precede the last jump to a chain: any other rule could accept traffic first."""
    last = max(at for at, rule in enumerate(printed) if option(rule, "-j", "-g") == chain)
    return all(option(rule, "-j").startswith(CHAINS) for rule in printed[:last])


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


def nameservers_of(text: str) -> list[str]:
    """The name servers of a resolv.conf, without loopback addresses, which need no rule."""
    addresses: set[str] = set()
    for line in text.splitlines():
        words = line.split()
        if words[:1] != ["nameserver"] or len(words) < 2:
            continue
        try:
            address = ipaddress.ip_address(words[1].split("%")[0])
        except ValueError:
            continue
        if not address.is_loopback:
            addresses.add(str(address))
    return sorted(addresses)


# ---- on the machine --------------------------------------------------------------------------------------------------


class Table:
    """The filter table of one address family, accessed by the same command that the engine uses."""

    def __init__(self, engine: Engine, family: int) -> None:
        self.engine = engine
        self.family = family
        self.command = ""
        self.chains: dict[str, list[str]] = {}
        for name in _COMMANDS[family]:
            path = engine.find(name + "-save") and engine.find(name + "-restore")
            if not path:
                continue
            chains = self._load(name)
            if not self.command or DOCKER_USER in chains:
                self.command, self.chains = name, chains
            if DOCKER_USER in chains:
                break
        if not self.command:
            raise FirewallError(
                "bulkhead_firewall needs %s on the machine: install iptables, or set bulkhead_firewall to false"
                % _COMMANDS[family][0]
            )

    def _load(self, name: str) -> dict[str, list[str]]:
        code, output, errors = self.engine.tool(name + "-save", "-t", "filter")
        if code != 0:
            raise FirewallError("%s-save failed" % name, last_lines(errors))
        return parse_save(output)

    def refresh(self) -> None:
        """Read the table again."""
        self.chains = self._load(self.command)

    @property
    def parents(self) -> tuple[str, str]:
        """The chains that jump to an environment's chain."""
        return (INPUT, DOCKER_USER if DOCKER_USER in self.chains else FORWARD)

    def restore(self, text: str) -> None:
        """Feed iptables-restore, which changes the table completely or not at all."""
        code, output, errors = self.engine.tool(self.command + "-restore", "-w", "10", "--noflush", data=text)
        if code != 0:
            raise FirewallError("%s-restore failed" % self.command, last_lines(errors or output))
        self.refresh()


class Firewall:
    """The guard of one environment. ``ports`` is None to remove it."""

    def __init__(
        self, engine: Engine, prefix: str, chain: str, networks: list[str], ports: list[dict[str, str]] | None
    ) -> None:
        self.engine = engine
        self.prefix = prefix
        self.chain = chain
        self.networks = networks
        self.ports = ports
        if os.geteuid() != 0:
            raise FirewallError(_ROOT)
        self._tables: dict[int, Table] = {}

    def _bridges(self, ports: list[dict[str, str]] | None) -> tuple[dict[int, list[str]], bool]:
        """The environment's bridges for each family, and whether a network does not exist yet."""
        bridges: dict[int, list[str]] = {4: [], 6: []}
        if ports is None or not self.networks:
            return bridges, False
        inspected = inspect_objects(self.engine, "network", self.networks)
        for network in inspected:
            if network.get("Driver") != "bridge":
                continue
            options = network.get("Options") or {}
            name = options.get("com.docker.network.bridge.name") or "br-%s" % network["Id"][:12]
            if not os.path.isdir("/sys/class/net/%s" % name):
                raise FirewallError(
                    "this machine has no interface %s, the bridge of network %s: the engine is rootless or runs "
                    "elsewhere, so bulkhead_firewall cannot guard it. Set bulkhead_firewall to false"
                    % (name, network["Name"])
                )
            bridges[4].append(name)
            if network.get("EnableIPv6"):
                bridges[6].append(name)
        return bridges, len(inspected) < len(self.networks)

    def _table(self, family: int, needed: bool) -> Table | None:
        """The table of a family; None if it is neither needed nor available."""
        if family not in self._tables:
            try:
                self._tables[family] = Table(self.engine, family)
            except FirewallError:
                if needed:
                    raise
                return None
        return self._tables[family]

    def _wanted(self, ports: list[dict[str, str]] | None) -> list[tuple[Table, list[str], str]]:
        """For each family: its table, the rules of the chain, and the input for iptables-restore."""
        bridges, _incomplete = self._bridges(ports)
        nameservers = nameservers_of(_text("/etc/resolv.conf"))
        wanted: list[tuple[Table, list[str], str]] = []
        for family, names in sorted(bridges.items()):
            table = self._table(family, needed=bool(names) or family == 4)
            if table is None:
                continue
            rules = chain_rules(family, self.chain, self.prefix, names, ports or [], nameservers) if names else []
            wanted_jumps = jumps(self.chain, self.prefix, names, table.parents) if names else {}
            wanted.append((table, rules, restore_input(table.chains, self.chain, rules, wanted_jumps)))
        return wanted

    def incomplete(self) -> bool:
        """Whether a network to guard does not exist yet."""
        return self._bridges(self.ports)[1]

    def plan(self) -> list[Step]:
        """What would be done, in one step; empty when everything is in place."""
        if not (any(text for _table, _rules, text in self._wanted(self.ports)) or self.incomplete()):
            return []
        if self.ports is None:
            return [Step("remove", self.chain, "firewall chain")]
        return [Step("guard", self.chain, "firewall chain", detail=self.prefix)]

    def difference(self) -> tuple[str, str]:
        """The environment's chain before and after, for a diff."""
        before: list[str] = []
        after: list[str] = []
        for table, rules, text in self._wanted(self.ports):
            before += table.chains.get(self.chain, [])
            after += rules if text else table.chains.get(self.chain, [])
        return "".join("%s\n" % rule for rule in before), "".join("%s\n" % rule for rule in after)

    def apply(self, ports: list[dict[str, str]] | None) -> None:
        """Set up the guard for the networks that exist, or remove it if ``ports`` is None."""
        for table, _rules, text in self._wanted(ports):
            if text:
                table.restore(text)


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""
