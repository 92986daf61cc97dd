# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A build engine's way out: a pair of interfaces, and firewall rules that let it reach the internet and nothing nearer.

Steps of a build reach what lies behind the machine's default route. They do not reach the machine's own addresses, any
published port, any container, or the addresses at which clouds give away credentials. There is no IPv6. The machine's
name servers, on port 53 alone, and what ``bulkhead_build_egress`` lists are reached as well. Runs on the targets.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import shlex
import socket
from collections.abc import Iterable

from ..core.addresses import overlap
from ..core.errors import Failure, last_lines
from ..docker.containers import labels_of, name_of, published
from ..docker.engine import Engine, EngineError, inspect_objects
from ..docker.labels import PREFIX
from ..host.firewall import RESOLVERS, Table, text_of
from ..host.guarded import DNS, GUARDED, is_guarded
from ..host.sockets import is_own_address

#: Addresses for the pairs: a range that is reserved for benchmarks, so that no network of a company has them.
_PAIRS = ipaddress.IPv4Network("198.18.0.0/16")
#: The network of the steps inside; every build engine has the same in its own namespace.
STEPS = "198.19.255.1/24"

_EGRESS = re.compile(r"(?P<host>[A-Za-z0-9.-]+):(?P<port>[0-9]{1,5})\Z")


class UplinkError(Failure):
    """A build engine cannot be connected."""


# ---- planning: pure --------------------------------------------------------------------------------------------------


def filter_rules(link: str, way_out: str, nameservers: Iterable[str], egress: Iterable[tuple[str, int]]) -> list[str]:
    """The rules for all traffic of a build engine's interface, in order.

    ``way_out`` is the interface of the default route; without one, only name servers and ``egress`` (address and TCP
    port) are reached. Addresses are compared as the steps gave them, before any published port was translated.
    """
    refuse = "-j REJECT --reject-with icmp-port-unreachable"
    rules = ["-o %s -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT" % link, "-o %s -j DROP" % link]
    accept = "-p %s -m conntrack --ctorigdst %s --ctorigdstport %d -j ACCEPT"
    rules += [accept % (protocol, address, DNS) for address in nameservers for protocol in ("udp", "tcp")]
    rules += ["-d %s %s" % (network, refuse) for network in GUARDED[4]]
    rules += [accept % ("tcp", address, port) for address, port in egress]
    rules += ["-m addrtype --dst-type LOCAL %s" % refuse]
    rules += ["-m addrtype --dst-type BROADCAST -j DROP", "-m addrtype --dst-type MULTICAST -j DROP"]
    rules += ["-m conntrack --ctstate DNAT %s" % refuse]
    rules += ["-o %s -j ACCEPT" % way_out] if way_out else []
    return [*rules, refuse]


def removal(text: str, chain: str) -> list[str]:
    """What ``iptables-restore`` takes to remove a chain and every jump to it; empty where there is none."""
    if not any(line.startswith(":%s " % chain) for line in text.splitlines()):
        return []
    jumps = []
    for line in text.splitlines():
        words = shlex.split(line) if line.startswith("-A ") else []
        if "-j" in words and words[words.index("-j") + 1] == chain:
            jumps.append("-D" + line[len("-A") :])
    return [*jumps, "-F %s" % chain, "-X %s" % chain]


def parse_egress(entries: Iterable[str]) -> list[tuple[str, int]]:
    """``host:port`` entries as host and port. Raises EngineError for any other."""
    parsed = []
    for entry in entries:
        match = _EGRESS.match(str(entry))
        if not match or not 0 < int(match.group("port")) < 65536:
            raise EngineError(
                "bulkhead_build_egress: %r is not host:port, such as proxy.example.com:3128 (IPv4, TCP)" % str(entry)
            )
        parsed.append((match.group("host"), int(match.group("port"))))
    return parsed


def parse_nameservers(text: str) -> list[str]:
    """The IPv4 name servers of a resolv.conf that are not on loopback."""
    found = []
    for words in (line.split() for line in text.splitlines()):
        if words[:1] == ["nameserver"] and len(words) > 1:
            with contextlib.suppress(ValueError):
                if not ipaddress.IPv4Address(words[1]).is_loopback:
                    found.append(words[1])
    return found


def free_pair(taken: Iterable[str], start: int) -> tuple[str, str]:
    """Two addresses of a network of four that no interface of the machine is in: the machine's, the build engine's."""
    used = {ipaddress.ip_network("%s/30" % address, strict=False) for address in taken}
    count = _PAIRS.num_addresses // 4
    for offset in range(count):
        network = ipaddress.ip_network((int(_PAIRS.network_address) + (start + offset) % count * 4, 30))
        if network not in used:
            return str(network[1]), str(network[2])
    raise UplinkError("no addresses of %s are left for a build engine" % _PAIRS)


# ---- on the machine --------------------------------------------------------------------------------------------------


class Uplink:
    """The interfaces and rules of an environment's build engine, all of them named after its ``key``."""

    def __init__(self, engine: Engine, key: str, prefix: str, egress: Iterable[str]) -> None:
        self.engine = engine
        self.prefix = prefix
        self.link, self.inside = "bhb%s" % key, "bhb%sn" % key
        # What begins like this may stand before environments' guards, and is no reason to renew them.
        self.chain = "BULKHEAD-BUILD-%s" % key
        self._key = key
        self._egress = parse_egress(egress)
        self.way_out, self.mtu = "", 1500

    def nameservers(self) -> list[str]:
        """The name servers that a build can ask. Raises UplinkError if the machine has only one that listens on
        loopback."""
        for path in RESOLVERS:
            found = parse_nameservers(text_of(path))
            if found:
                return found
        raise UplinkError(
            "this machine's name server listens on its loopback only, or has an IPv6 address only (/etc/resolv.conf)"
        )

    def resolver_file(self) -> str:
        """A resolv.conf for the build: the name servers that it can ask, and the machine's search list."""
        kept = [line for line in text_of(RESOLVERS[0]).splitlines() if line.split()[:1] in (["search"], ["options"])]
        return "".join("%s\n" % line for line in ["nameserver %s" % found for found in self.nameservers()] + kept)

    def connect(self, process: int) -> tuple[str, str]:
        """Make the interfaces, one of them in the network namespace of a process, and the rules.

        Returns the address of the end inside, and that of its gateway.
        """
        self._look()
        taken = re.findall(r"inet (198\.18\.[0-9.]+)/", self._ip("-4", "-o", "addr", "show"))
        gateway, address = free_pair(taken, int(self._key, 16))
        # Rules first: there is no moment in which the interface is open.
        self._guard("%s/30" % address)
        mtu = str(self.mtu)
        peer = ("peer", "name", self.inside, "mtu", mtu, "netns", str(process))
        self._ip("link", "add", self.link, "mtu", mtu, "type", "veth", *peer)
        without_ipv6 = "/proc/sys/net/ipv6/conf/%s/disable_ipv6" % self.link
        if os.path.exists(without_ipv6):
            with open(without_ipv6, "w") as stream:
                stream.write("1")
        self._ip("addr", "add", "%s/30" % gateway, "dev", self.link)
        self._ip("link", "set", self.link, "up")
        return "%s/30" % address, gateway

    def _look(self) -> None:
        words = self._ip("-4", "route", "show", "default").split()
        self.way_out = words[words.index("dev") + 1] if "dev" in words else ""
        if self.way_out:
            with contextlib.suppress(OSError, ValueError), open("/sys/class/net/%s/mtu" % self.way_out) as stream:
                self.mtu = int(stream.read())

    def _guard(self, network: str) -> None:
        table = Table(self.engine, 4)
        rules = filter_rules(self.link, self.way_out, self.nameservers(), self._addresses())
        lines = ["*filter", ":%s - [0:0]" % self.chain]
        lines += ["-A %s %s" % (self.chain, rule) for rule in rules]
        for parent in table.parents:
            lines.append("-I %s 1 -i %s -j %s" % (parent, self.link, self.chain))
        lines.append("-I %s 1 -o %s -j %s" % (table.parents[1], self.link, self.chain))
        lines += ["COMMIT", "*nat", ":%s - [0:0]" % self.chain]
        lines.append("-A %s ! -o %s -j MASQUERADE" % (self.chain, self.link))
        lines.append("-I POSTROUTING 1 -s %s -j %s" % (ipaddress.ip_network(network, strict=False), self.chain))
        self._restore(table.command, lines)

    def _addresses(self) -> list[tuple[str, int]]:
        """What may be reached, by address.

        Raises EngineError for a name that the machine cannot resolve, and for what belongs to another environment.
        """
        found = []
        for host, port in self._egress:
            try:
                answers = socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_STREAM)
            except OSError as error:
                raise EngineError("bulkhead_build_egress: this machine cannot resolve %s" % host) from error
            found += sorted({(str(answer[4][0]), port) for answer in answers})
        for address, port in found:
            if is_guarded(address):
                raise _refusal(address, port, "clouds give away the machine's credentials there")
        if found:
            self._refuse_others(found)
        return found

    def _refuse_others(self, egress: list[tuple[str, int]]) -> None:
        """Raise EngineError for a container's address, and for a port of the machine that another environment
        publishes: whoever declares the exception decides what a name leads to."""
        subnets = [
            (network["Name"], ipaddress.ip_network(config["Subnet"]))
            for network in inspect_objects(self.engine, "network", self._listed("network", "ls"))
            for config in (network.get("IPAM") or {}).get("Config") or ()
            if config.get("Subnet")
        ]
        running = self.engine.inspect(self._listed("ps"))
        others = [container for container in running if labels_of(container).get(PREFIX, self.prefix) != self.prefix]
        for address, port in egress:
            if is_own_address(address):
                taken = [
                    name_of(container)
                    for other, where, container in published(others)
                    if other == port and overlap(where, address)
                ]
                if taken:
                    raise _refusal(address, port, "%s of another environment publishes it" % taken[0])
                continue
            for name, subnet in subnets:
                if ipaddress.ip_address(address) in subnet:
                    raise _refusal(address, port, "it belongs to the network %s" % name)

    def _listed(self, *command: str) -> list[str]:
        return self.engine.docker_ok(*command, "--quiet", "--no-trunc").split()

    def remove(self) -> None:
        """Remove interfaces and rules, those of a killed build as well."""
        with contextlib.suppress(UplinkError):  # it is gone with the namespace that its other end was in
            self._ip("link", "delete", self.link)
        if os.path.exists("/sys/class/net/%s" % self.link):
            raise UplinkError("the interface %s cannot be removed" % self.link)
        command = Table(self.engine, 4).command
        lines: list[str] = []
        for table in ("filter", "nat"):
            code, output, errors = self.engine.tool(command + "-save", "-t", table)
            if code != 0:
                raise UplinkError("%s-save failed" % command, last_lines(errors))
            commands = removal(output, self.chain)
            lines += ["*%s" % table, *commands, "COMMIT"] if commands else []
        if lines:
            self._restore(command, lines[:-1])

    def _restore(self, command: str, lines: list[str]) -> None:
        text = "\n".join([*lines, "COMMIT", ""])
        code, output, errors = self.engine.tool(command + "-restore", "-w", "10", "--noflush", data=text)
        if code != 0:
            raise UplinkError("%s-restore failed" % command, last_lines(errors or output))

    def _ip(self, *arguments: str) -> str:
        code, output, errors = self.engine.tool("ip", *arguments)
        if code != 0:
            raise UplinkError("ip %s failed" % " ".join(arguments[:2]), last_lines(errors, 3))
        return output


def _refusal(address: str, port: int, why: str) -> EngineError:
    return EngineError("bulkhead_build_egress leads to %s:%d, and %s. Take it out" % (address, port, why))
