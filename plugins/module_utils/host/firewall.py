# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guard: firewall rules that keep an environment's containers from ports that others publish on the machine.

Engines keep bridges apart, but not a container from the machine's own addresses: there the userland proxy answers for
every port that is published on all of them. So what comes from an environment's bridges and is meant for the machine
itself (INPUT), or was led on to somebody's container (DOCKER-USER), is refused unless it is a reply or an own port.

All rules stand in one chain of the environment's own. Nothing else in the firewall is changed, moved or emptied: this
adds and removes that chain and the jumps to it. Runs on the targets.
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
from ..docker.engine import Engine, described

#: What the chain of every environment begins with.
CHAINS = "BULKHEAD-"
#: Where a chain is jumped to from. Without DOCKER-USER (an engine that uses nftables itself), from FORWARD.
INPUT, DOCKER_USER, FORWARD = "INPUT", "DOCKER-USER", "FORWARD"

_COMMANDS = {4: ("iptables", "iptables-nft", "iptables-legacy"), 6: ("ip6tables", "ip6tables-nft", "ip6tables-legacy")}
_PORTS = re.compile(r"[0-9]{1,5}(:[0-9]{1,5})?\Z")
_PROTOCOLS = ("tcp", "udp", "sctp")
_ROOT = "bulkhead_firewall needs root on the machine: set ansible_become, or set bulkhead_firewall to false"


class FirewallError(Failure):
    """The guard cannot be put up or taken away."""


# ---- planning: pure ------------------------------------------------------------------------------------------------


def parse_save(text: str) -> dict[str, list[str]]:
    """The filter table as iptables-save prints it: {chain: its rules as printed}."""
    chains: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith(":"):
            chains.setdefault(line[1:].split()[0], [])
        elif line.startswith("-A "):
            chains.setdefault(line.split()[1], []).append(line)
    return chains


def option(rule: str, *names: str) -> str:
    """The value of an option of a printed rule, ``-j`` or ``--comment``; empty where it has none."""
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

    ``ports`` are the ports of the machine that stay open to the environment's containers: {protocol, address, ports}.
    """
    to_machine = "-m addrtype --dst-type LOCAL"
    refuse = "-j REJECT --reject-with icmp%s-port-unreachable" % ("6" if family == 6 else "")
    # By direction, not by state alone: a connection that was open before the guard came is no reply.
    rules = ["-m conntrack --ctstate RELATED,ESTABLISHED --ctdir REPLY -j RETURN"]
    # Neighbour discovery and path MTU; no port is reached by it.
    rules += ["-p %s -j RETURN" % ("ipv6-icmp" if family == 6 else "icmp")]
    rules += ["-o %s -j RETURN" % bridge for bridge in bridges]
    for protocol in ("udp", "tcp"):
        rules += [
            "-d %s -p %s %s -m %s --dport 53 -j RETURN" % (address, protocol, to_machine, protocol)
            for address in nameservers
            if _is_of(family, address)
        ]
    for each in ports:
        address = _address(each.get("address", ""))
        if address and not _is_of(family, address):
            continue
        target = "-d %s " % address if address and not ipaddress.ip_address(address).is_unspecified else ""
        protocol, port = _protocol(each.get("protocol", "")), _port(each.get("ports", ""))
        rules.append("%s-p %s %s -m %s --dport %s -j RETURN" % (target, protocol, to_machine, protocol, port))
    rules.append("%s %s" % (to_machine, refuse))
    if family == 4:
        rules.append("-m addrtype --dst-type BROADCAST -j DROP")
    rules.append("-m conntrack --ctstate DNAT %s" % refuse)
    # iptables prints rules in its own way, which differs by version. What the rules were made from is in their comment,
    # so that a second look knows them again.
    digest = hashlib.sha256("\n".join([prefix, *rules]).encode()).hexdigest()[:8]
    return [
        '-A %s -m comment --comment "%s: bulkhead %d %s" %s' % (chain, prefix, number, digest, rule)
        for number, rule in enumerate(rules, 1)
    ]


def jumps(chain: str, prefix: str, bridges: Iterable[str], parents: Iterable[str]) -> dict[str, list[str]]:
    """The rules that lead to an environment's chain: {chain: [rules without their ``-A chain``]}."""
    return {
        parent: ['-i %s -m comment --comment "%s: bulkhead" -j %s' % (bridge, prefix, chain) for bridge in bridges]
        for parent in parents
    }


def changes(
    existing: Mapping[str, list[str]], chain: str, rules: list[str], wanted_jumps: Mapping[str, list[str]]
) -> str:
    """What iptables-restore must be told to get from the table as it is to these rules; empty when all is in place.

    Without rules and jumps the chain is removed.
    """
    own = {
        parent: [each for each in printed if option(each, "-j", "-g") == chain] for parent, printed in existing.items()
    }
    present = chain in existing
    if not rules:
        if not present and not any(own.values()):
            return ""
    elif present and essence(existing[chain]) == essence(rules) and _same_jumps(existing, own, wanted_jumps, chain):
        return ""
    lines = ["*filter", ":%s - [0:0]" % chain]
    lines += rules
    for printed in own.values():
        lines += ["-D" + each[len("-A") :] for each in printed]
    for parent, item in sorted(wanted_jumps.items()):
        lines += ["-I %s 1 %s" % (parent, rule) for rule in item]
    if not rules:
        lines.append("-X %s" % chain)
    return "\n".join(lines + ["COMMIT", ""])


def essence(rules: Iterable[str]) -> list[tuple[str, str]]:
    """What of rules is compared."""
    return [(option(rule, "--comment"), option(rule, "-j")) for rule in rules]


def is_ahead(printed: list[str], chain: str) -> bool:
    """Whether the jumps to a chain stand above every rule of somebody else that could accept before them."""
    last = max(at for at, each in enumerate(printed) if option(each, "-j", "-g") == chain)
    return all(option(each, "-j").startswith(CHAINS) for each in printed[:last])


def _same_jumps(
    existing: Mapping[str, list[str]], own: Mapping[str, list[str]], wanted: Mapping[str, list[str]], chain: str
) -> bool:
    """Whether the jumps are there, once each, and ahead."""
    for parent in set(own) | set(wanted):
        found = own.get(parent, [])
        if sorted(option(each, "-i") for each in found) != sorted(
            option(each, "-i") for each in wanted.get(parent, ())
        ):
            return False
        if found and not is_ahead(existing[parent], chain):
            return False
    return True


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text)) if text else ""
    except ValueError as error:
        raise FirewallError("%r is no address" % text) from error


def _is_of(family: int, address: str) -> bool:
    return ipaddress.ip_address(address).version == family


def _protocol(text: str) -> str:
    if text not in _PROTOCOLS:
        raise FirewallError("%r is no protocol with ports" % text)
    return text


def _port(text: str) -> str:
    if not _PORTS.match(str(text)):
        raise FirewallError("%r is no port" % text)
    return str(text)


def nameservers_of(text: str) -> list[str]:
    """The name servers of a resolv.conf. One on the machine's own address is asked from inside the containers."""
    found: list[str] = []
    for line in text.splitlines():
        words = line.split()
        if words[:1] != ["nameserver"] or len(words) < 2:
            continue
        try:
            address = ipaddress.ip_address(words[1].split("%")[0])
        except ValueError:
            continue
        if not address.is_loopback:
            found.append(str(address))
    return sorted(set(found))


# ---- on the machine ------------------------------------------------------------------------------------------------


class Table:
    """The filter table of one family, by the command that the engine uses too."""

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
        """Look again."""
        self.chains = self._load(self.command)

    @property
    def parents(self) -> tuple[str, str]:
        """Where jumps to an environment's chain belong."""
        return (INPUT, DOCKER_USER if DOCKER_USER in self.chains else FORWARD)

    def restore(self, text: str) -> None:
        """Change the table, all at once or not at all."""
        code, output, errors = self.engine.tool(self.command + "-restore", "-w", "10", "--noflush", data=text)
        if code != 0:
            raise FirewallError("%s-restore failed" % self.command, last_lines(errors or output))
        self.refresh()


class Firewall:
    """The guard of one environment. ``ports`` is None where none is wanted."""

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
        """The environment's bridges for each family, and whether a network is still to be made."""
        found: dict[int, list[str]] = {4: [], 6: []}
        if ports is None or not self.networks:
            return found, False
        inspected = described(self.engine, "network", self.networks)
        for each in inspected:
            if each.get("Driver") != "bridge":
                continue
            name = (each.get("Options") or {}).get("com.docker.network.bridge.name") or "br-%s" % each["Id"][:12]
            if not os.path.isdir("/sys/class/net/%s" % name):
                raise FirewallError(
                    "the bridge %s of network %s is not among this machine's interfaces: the engine is rootless or "
                    "elsewhere, and bulkhead_firewall cannot guard it. Set bulkhead_firewall to false"
                    % (name, each["Name"])
                )
            found[4].append(name)
            if each.get("EnableIPv6"):
                found[6].append(name)
        return found, len(inspected) < len(self.networks)

    def _table(self, family: int, needed: bool) -> Table | None:
        """The table of a family; None where it is not needed and not to be had."""
        if family not in self._tables:
            try:
                self._tables[family] = Table(self.engine, family)
            except FirewallError:
                if needed:
                    raise
                return None
        return self._tables[family]

    def _wanted(self, ports: list[dict[str, str]] | None) -> list[tuple[Table, list[str], str]]:
        """For each family: its table, the rules of the chain, and what iptables-restore must be told."""
        bridges, _incomplete = self._bridges(ports)
        nameservers = nameservers_of(_text("/etc/resolv.conf"))
        found: list[tuple[Table, list[str], str]] = []
        for family, names in sorted(bridges.items()):
            table = self._table(family, needed=bool(names) or family == 4)
            if table is None:
                continue
            rules = chain_rules(family, self.chain, self.prefix, names, ports or [], nameservers) if names else []
            wanted_jumps = jumps(self.chain, self.prefix, names, table.parents) if names else {}
            found.append((table, rules, changes(table.chains, self.chain, rules, wanted_jumps)))
        return found

    def incomplete(self) -> bool:
        """Whether a network that shall be guarded does not exist yet."""
        return self._bridges(self.ports)[1]

    def plan(self) -> list[Step]:
        """What would be done, in one step; empty when everything is in place."""
        if not (any(text for _table, _rules, text in self._wanted(self.ports)) or self.incomplete()):
            return []
        if self.ports is None:
            return [Step("remove", self.chain, "firewall chain")]
        return [Step("guard", self.chain, "firewall chain", detail=self.prefix)]

    def difference(self) -> tuple[str, str]:
        """The environment's chain as it is and as it shall be, for a diff."""
        before: list[str] = []
        after: list[str] = []
        for table, rules, text in self._wanted(self.ports):
            before += table.chains.get(self.chain, [])
            after += rules if text else table.chains.get(self.chain, [])
        return "".join("%s\n" % each for each in before), "".join("%s\n" % each for each in after)

    def apply(self, ports: list[dict[str, str]] | None) -> None:
        """Put the guard up for the networks that exist, or take it away where ``ports`` is None."""
        for table, _rules, text in self._wanted(ports):
            if text:
                table.restore(text)


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""
