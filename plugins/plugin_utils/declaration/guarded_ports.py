# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ports that ``bulkhead_firewall_allow`` leaves open to an environment's containers."""

from __future__ import annotations

import re
from ipaddress import ip_address

from ...module_utils.host.guarded import DNS, is_guarded

_ENTRY = re.compile(
    r"(?:(?P<ipv4>[0-9.]+):|\[(?P<ipv6>[0-9A-Fa-f:.]+)\]:)?(?P<port>[0-9]{1,5})(?:/(?P<protocol>[a-z]+))?\Z"
)


def allowed_port(entry: str) -> dict[str, str]:
    """An entry as the guard takes it: {protocol, address, ports}. Raises ValueError with the reason."""
    found = _ENTRY.match(entry)
    port = int(found["port"]) if found else 0
    protocol = (found["protocol"] or "tcp") if found else ""
    address = (found["ipv4"] or found["ipv6"] or "") if found else ""
    if not 0 < port < 65536 or protocol not in ("tcp", "udp", "sctp") or (address and not _is_address(address)):
        raise ValueError(f"bulkhead_firewall_allow: {entry!r} is not a port: write 25, 8125/udp or 10.0.0.5:25")
    if address and is_guarded(address) and port != DNS:
        raise ValueError(
            f"bulkhead_firewall_allow: {entry!r} leads to where clouds give away the machine's credentials; only "
            f"port {DNS} may be allowed there, for a name server"
        )
    return {"protocol": protocol, "address": address, "ports": str(port)}


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
