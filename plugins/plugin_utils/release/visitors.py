# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How visitors reach an environment: its route through the machine's front door, and its certificate."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..declaration.model import Declaration
from ..isolation.declared import sockets_directory
from .stack import Stack


def route_of(declaration: Declaration, stack: Stack) -> dict[str, Any]:
    """What the front door has to know of an environment behind it. One container has its sockets; of a stack, the relay
    of each node has, which leads to the tasks."""
    values = declaration.values
    if values["bulkhead_edge"] is not True:
        return {}
    for message, fix in _door_faults(stack):
        declaration.problem("invalid-variable", "bulkhead_edge", message, fix)
    return {
        "domains": tuple(values["bulkhead_domains"]),
        "connections": values["bulkhead_edge_connections"],
        "rate": values["bulkhead_edge_rate"],
        "sockets": sockets_directory(declaration.prefix, values["bulkhead_state_directory"]),
    }


def _door_faults(stack: Stack) -> Iterator[tuple[str, str]]:
    """(message, fix) of what keeps the front door from finding the one service behind it."""
    behind = [service for service in stack.services if service.edge]
    if len(behind) != 1:
        names = " and ".join(service.name for service in behind) or "no service"
        yield (
            f"bulkhead_edge is set, and {names} has the sockets for the front door (x-bulkhead: {{edge: true}})",
            "let exactly one service have them: nginx of the default stack, or one of your own",
        )
        return
    (service,) = behind
    if stack.swarm:
        if not stack.relays:
            yield (
                f"bulkhead_edge is set, and no service leads from the nodes' front doors to {service.name}",
                "keep the service relay of the default stack",
            )
    elif service.replicas != 1:
        yield (
            f"{service.name} has {service.replicas} containers, and the front door sends requests to one",
            f"leave replicas of {service.name} out",
        )
    elif stack.compose["services"][service.key].get("hostname"):
        yield (
            f"{service.name} has a hostname, by which its next container would take over the sockets of this one",
            f"leave hostname of {service.name} out",
        )


def check_tls(declaration: Declaration, stack: Stack) -> None:
    """nginx needs a certificate and its key, as text or as files on the machine."""
    if not any(file.path.endswith("nginx/key.pem") for service in stack.services for file in service.brings):
        return
    for what in ("certificate", "key"):
        if not declaration.values[f"bulkhead_tls_{what}"] and not declaration.values[f"bulkhead_tls_{what}_path"]:
            declaration.lacks(
                "missing-variable",
                f"bulkhead_tls_{what}",
                f"there is no TLS {what} for {declaration.prefix}",
                f"set bulkhead_tls_{what} (PEM text) or bulkhead_tls_{what}_path (a file on the machine)",
            )
