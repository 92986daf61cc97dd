# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which environment has which subnet: the inventory's own file of them, and the next free one for a new environment.

The file is committed with the inventory, so two branches that take the same subnet are a conflict. Ansible reads no
``.txt`` of an inventory directory.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .files import Unusable

#: The file, below the directory of an inventory.
FILE = "subnets.txt"

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: The length of a new pool's prefix, by version: around the subnet of the first model.
_POOL = {4: 16, 6: 48}
_HEAD = """\
# Which environment has which subnet. The playbook aiia.bulkhead.new takes the next free one of the pool; commit this
# file with the inventory. A line may name anything else that has addresses there, such as a VPN.
"""
_ADDRESS = re.compile(r"(?<![0-9A-Za-z.:])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![0-9A-Za-z.:])")


@dataclass(frozen=True)
class Allocations:
    """The text of the file, its pools, and the subnets of which it says whose they are."""

    text: str = _HEAD
    pools: tuple[Network, ...] = ()
    given: tuple[Network, ...] = ()

    def with_line(self, line: str) -> Allocations:
        """With one more line. Raises Unusable where it means nothing."""
        return parsed(f"{self.text.rstrip()}\n{line}\n")


def parsed(text: str) -> Allocations:
    """Read the file. Raises Unusable, with the line, where it is something else."""
    pools: list[Network] = []
    given: list[Network] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        is_pool = words[0] == "pool"
        try:
            if len(words) != 2:
                raise ValueError("not two words")
            (pools if is_pool else given).append(ipaddress.ip_network(words[is_pool]))
        except ValueError:
            raise Unusable(
                f"{FILE}:{number} is {line.strip()!r}. A line is a subnet and the environment that has it, such as "
                "10.20.3.0/24 staging, or the addresses to take them from: pool 10.20.0.0/16. Nothing was written."
            ) from None
    return Allocations(text, tuple(pools), tuple(given))


def declared(values: Mapping[str, Any]) -> list[Network]:
    """The subnets that an environment's variables give to its networks."""
    compose = values.get("bulkhead_compose")
    networks = compose.get("networks") if isinstance(compose, Mapping) else None
    return list(_subnets(networks.values() if isinstance(networks, Mapping) else ()))


def _subnets(networks: Iterable[Any]) -> Iterator[Network]:
    for network in networks:
        ipam = network.get("ipam") if isinstance(network, Mapping) else None
        for entry in (ipam.get("config") if isinstance(ipam, Mapping) else None) or ():
            try:
                yield ipaddress.ip_network(str(entry["subnet"]), strict=False)
            except (TypeError, KeyError, ValueError):  # the gate says what is wrong with it
                continue


def allocated(
    file: Allocations, name: str, wanted: Sequence[Network], fleet: Mapping[str, Sequence[Network]]
) -> tuple[Allocations, dict[Network, Network]]:
    """The file with a subnet of a new environment for each of its model's, and which takes the place of which.

    ``fleet`` has the subnets that environments declare, by group: the file gets those that it lacks. Raises Unusable
    where the pool has none left.
    """
    for group, subnets in sorted(fleet.items()):
        for subnet in subnets:
            if subnet not in file.given:
                file = file.with_line(f"{subnet} {group}")
    replaced: dict[Network, Network] = {}
    for subnet in wanted:
        if not any(pool.version == subnet.version for pool in file.pools):
            length = min(_POOL[subnet.version], subnet.prefixlen)
            file = parsed(_before_lines(file.text, f"pool {subnet.supernet(new_prefix=length)}"))
        free = _free(file, subnet)
        if free is None:
            pools = ", ".join(str(pool) for pool in file.pools if pool.version == subnet.version)
            raise Unusable(
                f"{FILE}: {pools} has no free subnet of the size /{subnet.prefixlen} left for {name}. Add a line "
                "such as pool 10.21.0.0/16, or remove those of environments that are gone. Nothing was written."
            )
        file, replaced[subnet] = file.with_line(f"{free} {name}"), free
    return file, replaced


def _before_lines(text: str, line: str) -> str:
    """A text with a line after its comments."""
    lines = text.splitlines()
    at = next((number for number, said in enumerate(lines) if not said.startswith("#")), len(lines))
    return "\n".join([*lines[:at], line, *lines[at:], ""])


def _free(file: Allocations, like: Network) -> Network | None:
    """The first subnet of a size that nobody has."""
    for pool in file.pools:
        if pool.version != like.version or pool.prefixlen > like.prefixlen:
            continue
        size = 1 << (like.max_prefixlen - like.prefixlen)
        taken = sorted(
            (int(one.network_address), int(one.broadcast_address)) for one in file.given if one.version == pool.version
        )
        start = int(pool.network_address)
        for first, last in taken:
            if first < start + size and last >= start:
                start = (last // size + 1) * size
        if start + size - 1 <= int(pool.broadcast_address):
            return ipaddress.ip_network((start, like.prefixlen))
    return None


def words(texts: Iterable[str], replaced: Mapping[Network, Network]) -> dict[str, str]:
    """What stands in texts of subnets and of single addresses in them, with what takes its place."""
    found = {str(old): str(new) for old, new in replaced.items()}
    for text in texts if replaced else ():
        for match in _ADDRESS.findall(text):
            try:
                address = ipaddress.ip_address(match)
            except ValueError:
                continue
            for old, new in replaced.items():
                if address in old:
                    moved = int(new.network_address) + int(address) - int(old.network_address)
                    found.setdefault(match, str(ipaddress.ip_address(moved)))
    return found
