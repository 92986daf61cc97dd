# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an environment published, and the rules that lead it to the front door."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge.redirects import (
    Move,
    Redirect,
    nat_rules,
    parse,
    redirects_of,
    render,
    uncovered,
)
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge.routes import DoorError

LISTENS = {"http": 18080, "https": 18081}


def container(**ports: Any) -> dict[str, Any]:
    """An inspected container; ``tcp_443=["0.0.0.0:8443"]``."""
    named = {
        f"{name.partition('_')[2]}/{name.partition('_')[0]}": [
            dict(zip(("HostIp", "HostPort"), binding.rsplit(":", 1), strict=True)) for binding in bindings
        ]
        for name, bindings in ports.items()
    }
    return {"NetworkSettings": {"Ports": named}}


def test_what_is_published_for_http_and_tls() -> None:
    found = redirects_of(
        container(tcp_443=["0.0.0.0:8443", ":::8443"], tcp_80=["192.0.2.1:8080"], tcp_9000=[":9000"], udp_443=[":443"]),
        "aiia_prod",
    )
    assert found == [
        Redirect("aiia_prod", "0.0.0.0", 8443, "https"),
        Redirect("aiia_prod", "192.0.2.1", 8080, "http"),
        Redirect("aiia_prod", "::", 8443, "https"),
    ]
    assert redirects_of({"NetworkSettings": {"Ports": {"443/tcp": None}}}, "aiia_prod") == []
    assert redirects_of({}, "aiia_prod") == []


def test_each_address_has_its_own_rule_in_its_own_family() -> None:
    redirects = [
        Redirect("a", "", 443, "https"),
        Redirect("a", "192.0.2.1", 80, "http"),
        Redirect("b", "::1", 8443, "https"),
        Redirect("b", "::", 8080, "http"),
    ]
    four, six = (nat_rules("CHAIN", family, redirects, LISTENS) for family in (4, 6))
    local = "-p tcp -m addrtype --dst-type LOCAL -m tcp"
    assert [rule.partition('" ')[2] for rule in four] == [
        f"{local} --dport 443 -j DNAT --to-destination :18081",
        f"-d 192.0.2.1 {local} --dport 80 -j DNAT --to-destination :18080",
    ]
    assert [rule.partition('" ')[2] for rule in six] == [
        f"{local} --dport 443 -j DNAT --to-destination :18081",
        f"{local} --dport 8080 -j DNAT --to-destination :18080",
        f"-d ::1 {local} --dport 8443 -j DNAT --to-destination :18081",
    ]
    assert all(rule.startswith('-A CHAIN -m comment --comment "bulkhead front door ') for rule in four + six)


def test_a_port_on_which_the_door_listens_itself_needs_no_rule() -> None:
    redirects = [Redirect("a", "", 443, "https"), Redirect("a", "", 8443, "https")]
    (rule,) = nat_rules("CHAIN", 4, redirects, {"http": 80, "https": 443})
    assert "--dport 8443 -j DNAT --to-destination :443" in rule


@pytest.mark.parametrize(
    ("address", "listened", "heard"),
    [
        ("", ("0.0.0.0", "::"), True),
        ("", ("0.0.0.0",), True),  # a machine without IPv6
        ("", ("127.0.0.1", "::1"), False),
        ("192.0.2.1", ("0.0.0.0",), True),
        ("192.0.2.1", ("192.0.2.1",), True),
        ("192.0.2.1", ("192.0.2.2", "::"), False),
        ("::", ("0.0.0.0",), False),
        ("2001:db8::1", ("2001:db8:0::1",), True),
    ],
)
def test_where_the_door_does_not_listen(address: str, listened: tuple[str, ...], heard: bool) -> None:
    assert bool(uncovered([Redirect("a", address, 443, "https")], listened)) is not heard


def test_kept_and_read_again() -> None:
    move = Move(True, (Redirect("a", "", 443, "https"), Redirect("b", "::1", 8443, "https")))
    assert parse(render(move)) == move
    assert move.without("a") == Move(True, (Redirect("b", "::1", 8443, "https"),))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"open": true}',
        b'{"open": true, "redirects": [{"prefix": "a"}]}',
        b'{"open": true, "redirects": [{"prefix": "a", "address": "", "port": 443, "backend": "ssh"}]}',
        b'{"open": true, "redirects": [{"prefix": "a", "address": "", "port": "443", "backend": "https"}]}',
        b'{"open": true, "redirects": [{"prefix": "a", "address": "", "port": 70000, "backend": "https"}]}',
        b'{"open": true, "redirects": [{"prefix": "a", "address": "-j", "port": 443, "backend": "https"}]}',
    ],
)
def test_a_damaged_file_is_said(content: bytes) -> None:
    with pytest.raises(DoorError, match=r"edge/move\.json of the state directory, is damaged"):
        parse(content)
