# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How visitors reach an environment: its route through the machine's front door, and its certificate."""

from __future__ import annotations

from typing import Any

from ..declaration.model import Declaration
from ..isolation.declared import sockets_directory
from .stack import Stack


def route_of(declaration: Declaration, stack: Stack) -> dict[str, Any]:
    """What the front door has to know of an environment behind it; one container has its sockets."""
    values = declaration.values
    if values["bulkhead_edge"] is not True:
        return {}
    behind = [service for service in stack.services if service.edge]
    message = ""
    if len(behind) != 1:
        names = " and ".join(service.name for service in behind) or "no service"
        message = f"bulkhead_edge is set, and {names} has the sockets for the front door (x-bulkhead: {{edge: true}})"
        fix = "let exactly one service have them: nginx of the default stack, or one of your own"
    elif behind[0].replicas != 1:
        message = f"{behind[0].name} has {behind[0].replicas} containers, and the front door sends requests to one"
        fix = f"leave replicas of {behind[0].name} out"
    elif stack.compose["services"][behind[0].key].get("hostname"):
        message = (
            f"{behind[0].name} has a hostname, by which its next container would take over the sockets of this one"
        )
        fix = f"leave hostname of {behind[0].name} out"
    if message:
        declaration.problem("invalid-variable", "bulkhead_edge", message, fix)
    return {
        "domains": tuple(values["bulkhead_domains"]),
        "connections": values["bulkhead_edge_connections"],
        "rate": values["bulkhead_edge_rate"],
        "sockets": sockets_directory(declaration.prefix, values["bulkhead_state_directory"]),
    }


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
