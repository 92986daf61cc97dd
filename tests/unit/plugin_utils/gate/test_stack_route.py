# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The route by which front doors lead to a stack."""

from __future__ import annotations

from ansible_collections.aiia.bulkhead.plugins.module_utils.edge.routes import checked
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.stack_route import in_place, stack_route
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Environment
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.assemble import assemble


def stack(*domains: str, behind: bool = True) -> Environment:
    return assemble(
        prefix="app_prod",
        swarm="main",
        nodes=["m1", "m2"],
        domains=domains,
        http_port=80,
        https_port=443,
        variables={"bulkhead_edge": behind, "bulkhead_edge_connections": 100, "bulkhead_edge_rate": 10},
    )


def test_to_the_relay_of_each_node() -> None:
    """The order of its domains makes no difference, and every door takes it."""
    found = stack_route(stack("a.example.com", "b.example.com"))
    assert found is not None and checked(found) is found
    assert (found.http, found.https) == ("relay/http.sock", "relay/https.sock")
    assert (found.connections, found.rate) == (100, 10)
    assert in_place(found) == in_place(stack_route(stack("b.example.com", "a.example.com"))) != ""


def test_behind_no_door() -> None:
    assert stack_route(stack("a.example.com", behind=False)) is None
    assert in_place(None) == ""
