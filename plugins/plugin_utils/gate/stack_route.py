# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The route of a stack at the front doors of its nodes, and how an observed door shows that it has it."""

from __future__ import annotations

from ...module_utils.edge.routes import Route, digest, relay_route
from ..isolation.declared import is_routed
from ..isolation.model import Environment


def stack_route(environment: Environment) -> Route | None:
    """The route of a stack at each front door that leads to it; None if none does. After a rollback the domains are
    those of the release in force; the limits are the inventory's."""
    if not is_routed(environment):
        return None
    domains = [claim.key for claim in environment.claims if claim.namespace == "route"]
    limits = (int(environment.variables[f"bulkhead_edge_{name}"]) for name in ("connections", "rate"))
    return relay_route(environment.prefix, domains, *limits)


def in_place(route: Route | None) -> str:
    """What a door says of a route that it has, on disk and running; empty for none."""
    return f"{digest(route)} {digest(route)}" if route else ""
