# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ports that environments published before they were behind the front door, and the rules that lead them to it. Pure.

A rule concerns new connections alone: those that are open go on where they are. It keeps the address that a client
asked for and exchanges the port, so it serves loopback as well as the network. Runs on the targets.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from .routes import DoorError

#: The table of the rules, and its chains that see what comes from outside and what begins on the machine itself.
NAT = "nat"
BEFORE, LOCAL = "PREROUTING", "OUTPUT"
#: What the ports inside of an environment's nginx are for.
_INSIDE = {"80/tcp": "http", "443/tcp": "https"}
_EVERY = {4: "0.0.0.0", 6: "::"}  # noqa: S104 - compared, not bound


class Redirect(NamedTuple):
    """A port that an environment published, and the backend of the door that answers there now. The empty address
    means all."""

    prefix: str
    address: str
    port: int
    backend: str


class Move(NamedTuple):
    """Whether environments are being moved behind the door, and what is led there of those that were."""

    open: bool = False
    redirects: tuple[Redirect, ...] = ()

    def without(self, prefix: str) -> Move:
        """The move without what is led there of an environment."""
        return self._replace(redirects=tuple(one for one in self.redirects if one.prefix != prefix))


def redirects_of(container: Mapping[str, Any], prefix: str) -> list[Redirect]:
    """What an inspected container of an environment publishes for HTTP and TLS."""
    ports = (container.get("NetworkSettings") or {}).get("Ports") or {}
    found = {
        Redirect(prefix, str(binding.get("HostIp") or ""), int(binding["HostPort"]), _INSIDE[inside])
        for inside, bindings in ports.items()
        if inside in _INSIDE
        for binding in bindings or ()
        if str(binding.get("HostPort") or "").isdigit()
    }
    return sorted(found)


def uncovered(redirects: Iterable[Redirect], addresses: Iterable[str]) -> list[Redirect]:
    """Those whose address the door does not listen on."""
    own = {ipaddress.ip_address(text) for text in addresses}
    every = {address.version for address in own if address.is_unspecified}
    return [
        one
        for one in redirects
        if one.address
        and ipaddress.ip_address(one.address) not in own
        and ipaddress.ip_address(one.address).version not in every
        or not one.address
        and 4 not in every
    ]


def nat_rules(chain: str, family: int, redirects: Iterable[Redirect], listens: Mapping[str, int]) -> list[str]:
    """The rules of one family (4 or 6) that lead to the ports on which the door listens, as iptables-restore takes
    them; none for a port on which it listens itself."""
    rules = []
    for one in sorted(redirects):
        address = ipaddress.ip_address(one.address or _EVERY[family])
        if address.version != family or one.port == listens[one.backend]:
            continue
        target = "" if address.is_unspecified else "-d %s " % address
        rules.append(
            "%s-p tcp -m addrtype --dst-type LOCAL -m tcp --dport %d -j DNAT --to-destination :%d"
            % (target, one.port, listens[one.backend])
        )
    # iptables prints rules in its own way, which differs by version. The digest in the comment identifies them.
    digest = hashlib.sha256("\n".join(rules).encode()).hexdigest()[:8]
    return [
        '-A %s -m comment --comment "bulkhead front door %d %s" %s' % (chain, number, digest, rule)
        for number, rule in enumerate(rules, 1)
    ]


def nat_jumps(chain: str) -> dict[str, list[str]]:
    """The rules that jump to the chain, by their own chain."""
    jump = '-p tcp -m addrtype --dst-type LOCAL -m comment --comment "bulkhead front door" -j %s' % chain
    return {BEFORE: [jump], LOCAL: [jump]}


def render(move: Move) -> bytes:
    """A move as it is kept on disk."""
    said = {"open": move.open, "redirects": [one._asdict() for one in move.redirects]}
    return (json.dumps(said, indent=2, sort_keys=True) + "\n").encode()


def parse(content: bytes) -> Move:
    """A move from its file. Raises DoorError where it is anything else."""
    try:
        said: Any = json.loads(content.decode())
        redirects = tuple(Redirect(**one) for one in said["redirects"])
        for one in redirects:
            if one.address:
                ipaddress.ip_address(one.address)
            if one.backend not in _INSIDE.values() or not 0 < int(one.port) < 65536 or not isinstance(one.port, int):
                raise ValueError("what is led to the door")
        return Move(said["open"] is True, redirects)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DoorError(
            "the file of what is led to the front door, edge/move.json of the state directory, is damaged. Remove it, "
            "and run the playbook aiia.bulkhead.edge with bulkhead_edge_move: true"
        ) from error
