# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a route may say, what is taken, and what HAProxy starts with."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge import places
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge.routes import (
    DoorError,
    DoorSettings,
    Route,
    checked,
    configuration,
    digest,
    domain_map,
    parse,
    render,
    settings_problems,
    taken,
)


def a_route(prefix: str = "shop_staging", *domains: str, **other: Any) -> Route:
    container = other.pop("container", "0123456789ab")
    sockets = {"http": f"{container}/http.sock", "https": f"{container}/https.sock"}
    names = domains or ("staging.example.org",)
    return Route(**{"prefix": prefix, "domains": names, **sockets, "connections": 100, "rate": 50, **other})


def test_a_route_is_read_as_it_was_written() -> None:
    route = a_route("shop", "example.org", "*.example.org")
    assert parse(render(route), "shop") == route


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"prefix": "shop staging"}, "prefix"),
        ({"domains": ("example.org other_1.0123456789ab|other|9|9",)}, "domain"),
        ({"domains": ("*.*.example.org",)}, "domain"),
        ({"domains": ("Example.org",)}, "domain"),
        ({"domains": ()}, "at least one"),
        ({"domains": ("a.org", "a.org")}, "none twice"),
        ({"http": "../shop_prod/0123456789ab/http.sock"}, "http socket"),
        ({"https": "0123456789ab/http.sock"}, "https socket"),
        ({"https": "ba9876543210/https.sock"}, "two containers"),
        ({"connections": 0}, "connections"),
        ({"connections": True}, "connections"),
        ({"rate": "50"}, "rate"),
    ],
    ids=str,
)
def test_a_route_that_could_mean_anything_else_is_refused(changed: dict[str, Any], named: str) -> None:
    with pytest.raises(DoorError, match=named):
        checked(dataclasses.replace(a_route(), **changed))


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'"text"', b"\xff", b"[" * 100000, b'{"domains": 3}'])
def test_a_file_that_is_no_route_is_refused(content: bytes) -> None:
    with pytest.raises(DoorError, match=r"no route\. Deploy shop again"):
        parse(content, "shop")


def test_a_file_under_another_prefix_is_refused() -> None:
    with pytest.raises(DoorError, match="another prefix"):
        parse(render(a_route("shop_staging")), "shop_production")
    more = {**json.loads(render(a_route())), "extra": 1}
    with pytest.raises(DoorError, match="no route"):
        parse(json.dumps(more).encode(), "shop_staging")


def test_a_digest_knows_every_field_and_no_order() -> None:
    route = a_route("shop", "a.org", "b.org")
    assert digest(route) == digest(dataclasses.replace(route, domains=("b.org", "a.org")))
    other: dict[str, Any] = {"domains": ("a.org",), "connections": 7, "rate": 7, "http": "ba9876543210/http.sock"}
    changed = {digest(dataclasses.replace(route, **{name: value})) for name, value in other.items()}
    assert len(changed | {digest(route)}) == 5


def test_a_domain_is_one_environments() -> None:
    other = a_route("production", "example.org", "*.example.org")
    assert taken(a_route("staging", "example.org"), [other]) == ["example.org is example.org of production"]
    assert taken(a_route("staging", "a.example.org"), [other]) == ["a.example.org is *.example.org of production"]
    assert taken(a_route("staging", "*.a.example.org", "b.a.example.org"), [other]) == []
    assert taken(a_route("staging", "*.org"), [other]) == ["*.org is example.org of production"]
    assert taken(a_route("production", "example.org"), [other]) == []


def test_nobody_is_balanced_to() -> None:
    """With any weight, a domain whose server is missing would be answered by another environment."""
    routes = {name: a_route(name, f"{name}.org") for name in ("production", "staging")}
    text = configuration(routes, DoorSettings(), "/run/bulkhead_edge/admin.sock")
    servers = [line.split() for line in text.splitlines() if line.startswith("    server ")]
    assert len(servers) == 4
    assert all(words[-2:] == ["weight", "0"] and "send-proxy-v2" in words for words in servers)
    assert text.count("no option redispatch") == 2
    assert domain_map(routes).splitlines() == [
        "production.org production.0123456789ab|production|100|50",
        "staging.org staging.0123456789ab|staging|100|50",
    ]


def test_settings_reach_the_configuration() -> None:
    settings = DoorSettings(8080, 8443, ("127.0.0.1", "::1"), ("10.0.0.0/8",), 40, 5, 2, 60)
    text = configuration({}, settings, "/run/x/admin.sock", user=7)
    for line in (
        "bind ipv4@127.0.0.1:8443",
        "bind ipv6@::1:8080 v6only proto h1",
        "expect-proxy layer4 if { src 10.0.0.0/8 }",
        "maxconn 40",
        "sc_conn_cur(0) gt 5 }",
        "inspect-delay 2s",
        "timeout tunnel 60s",
        "uid 7",
        "stats socket /run/x/admin.sock mode 600 level admin",
    ):
        assert line in text
    assert "expect-proxy" not in configuration({}, DoorSettings(), "/run/x/admin.sock")


def test_each_state_directory_has_a_door_of_its_own() -> None:
    assert places.sockets("/var/lib/bulkhead") == "/run/bulkhead/edge"
    assert places.project("/var/lib/bulkhead/") == "bulkhead_edge"
    assert places.sockets("/srv/state") == "/srv/state/edge/sockets"
    assert places.project("/srv/state") != places.project("/srv/other")


def test_all_that_is_wrong_with_settings_is_said_at_once() -> None:
    assert settings_problems(DoorSettings()) == []
    wrong = settings_problems(DoorSettings(0, 0, ("localhost",), ("10.0.0.1/8",), 0, -1, 0, 0))
    for words in (
        "http_port: 0 is not a port",
        "https_port: 0 is not a port",
        "are both 0",
        "bulkhead_edge_addresses: 'localhost'",
        "bulkhead_edge_proxy_protocol_from: 10.0.0.1/8",
        "bulkhead_edge_total_connections is not a number",
        "bulkhead_edge_source_connections is not a number",
        "bulkhead_edge_hello_timeout is not a number",
        "bulkhead_edge_idle_timeout is not a number",
    ):
        assert len([text for text in wrong if words in text]) == 1, words
    assert "at least one address" in settings_problems(DoorSettings(addresses=()))[0]


@pytest.mark.parametrize(
    ("network", "wrong"),
    [("0.0.0.0/0", 1), ("::/0", 1), ("128.0.0.0/1", 1), ("10.0.0.0/8", 0), ("192.0.2.10", 0), ("2001:db8::/32", 0)],
)
def test_everybody_is_no_balancer(network: str, wrong: int) -> None:
    """Who may send the PROXY protocol says who every visitor is."""
    assert len(settings_problems(DoorSettings(trusted=(network,)))) == wrong
