# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Addresses on which sockets listen, and networks that are trusted. Pure; standard library only."""

from __future__ import annotations

import ipaddress

#: The shortest prefix of a provider's network, by version.
_WIDEST = {4: 8, 6: 16}

_EVERY = frozenset(("", "0.0.0.0", "::", "*"))  # noqa: S104 - compared, not bound


def overlap(first: str, second: str) -> bool:
    """Whether two listening addresses conflict on one port; the empty one means all addresses."""
    first, second = first.strip("[]"), second.strip("[]")
    return first in _EVERY or second in _EVERY or _same(first, second)


def is_everybody(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    """Whether a network is wider than any that a provider has: half of all addresses are everybody's."""
    return network.prefixlen < _WIDEST[network.version]


def _same(first: str, second: str) -> bool:
    try:
        return ipaddress.ip_address(first) == ipaddress.ip_address(second)
    except ValueError:
        return first == second
