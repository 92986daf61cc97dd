# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The addresses beyond the machine's own that no container needs, and that give away what the whole machine may do."""

from __future__ import annotations

import ipaddress

#: Networks that the guard refuses, by family. Clouds give a machine's credentials to whoever asks at such an address.
GUARDED = {
    4: (
        "169.254.0.0/16",  # link-local: metadata of most clouds, and credentials of container services
        "100.100.100.200/32",  # Alibaba Cloud
        "168.63.129.16/32",  # Azure: WireServer
        "192.0.0.192/32",  # Oracle Cloud, earlier address
    ),
    6: (
        "fe80::/10",  # link-local
        "fd00:ec2::/32",  # AWS
        "fd20:ce::254/128",  # Google Cloud
        "fd00:c1::a9fe:a9fe/128",  # Oracle Cloud
        "fd00:42::42/128",  # Scaleway
    ),
}

#: The only port that may be allowed there: some clouds answer names at the same address.
DNS = 53


def is_guarded(address: str) -> bool:
    """Whether an IP address is in one of these networks. Raises ValueError if it is not an address."""
    parsed = ipaddress.ip_address(address)
    return any(parsed in ipaddress.ip_network(network) for network in GUARDED[parsed.version])
