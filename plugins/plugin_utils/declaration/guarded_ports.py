# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ports that ``bulkhead_firewall_allow`` leaves open to an environment's containers."""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network

from ...module_utils.host.guarded import DNS, is_guarded
from ..isolation.hosts import canonical_host

#: The names at which clouds give them away.
_METADATA = frozenset({"metadata.google.internal", "metadata.goog", "metadata", "instance-data.ec2.internal"})
#: The engine's own ports: whoever reaches it through them is root of the machine.
_ENGINE = frozenset({2375, 2376})
_BRIDGES = ip_network("172.16.0.0/12")
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
    if port in _ENGINE and (not address or _is_machine(address)):
        raise ValueError(
            f"bulkhead_firewall_allow: {entry!r} is a port of the machine's engine: a container that reaches it is "
            "root of the machine, and of every environment there"
        )
    if address and is_guarded(address) and port != DNS:
        raise ValueError(
            f"bulkhead_firewall_allow: {entry!r} leads to where clouds give away the machine's credentials; only "
            f"port {DNS} may be allowed there, for a name server"
        )
    return {"protocol": protocol, "address": address, "ports": str(port)}


def egress(entry: str) -> str:
    """Why a build may not reach a host and port; empty if it may."""
    host = canonical_host(entry.rpartition(":")[0])
    if int(entry.rpartition(":")[2]) in _ENGINE and _is_machine(host):
        return (
            f"bulkhead_build_egress: {entry!r} is the machine's engine: a step that reaches it is root of the machine"
        )
    guarded = host in _METADATA or (_is_address(host) and is_guarded(host))
    if guarded and entry.rpartition(":")[2] != str(DNS):
        return f"bulkhead_build_egress: {entry!r} leads to where clouds give away the machine's credentials"
    return ""


def _is_machine(host: str) -> bool:
    """Whether a host is the machine itself, as a container or a build reaches it."""
    if host in ("localhost", "host.docker.internal"):
        return True
    return _is_address(host) and (ip_address(host).is_loopback or ip_address(host) in _BRIDGES)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
