# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The file that says which environment has which subnet, and what a new one gets."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.scaffold.files import Unusable
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.scaffold.subnets import (
    Allocations,
    allocated,
    declared,
    parsed,
    words,
)

STAGING, PRODUCTION = ip_network("10.20.1.0/24"), ip_network("10.20.0.0/24")
FLEET = {"production": [PRODUCTION], "staging": [STAGING]}


def compose(*subnets: Any) -> dict[str, Any]:
    """Variables that give a network these subnets."""
    return {"bulkhead_compose": {"networks": {"default": {"ipam": {"config": [{"subnet": one} for one in subnets]}}}}}


def test_what_variables_declare() -> None:
    """What is no subnet is the gate's to refuse."""
    assert declared(compose("10.20.1.0/24", "nonsense", None, "fd00::/64")) == [STAGING, ip_network("fd00::/64")]
    for nothing in ({}, {"bulkhead_compose": None}, {"bulkhead_compose": {"networks": {"default": None}}}):
        assert declared(nothing) == []


def test_the_first_file_has_the_pool_and_everybody() -> None:
    """The pool is around the model's subnet; the next free one of its size is the new environment's."""
    file, replaced = allocated(Allocations(), "qa", [STAGING], FLEET)
    assert replaced == {STAGING: ip_network("10.20.2.0/24")}
    lines = [line for line in file.text.splitlines() if not line.startswith("#")]
    assert lines == ["pool 10.20.0.0/16", "10.20.0.0/24 production", "10.20.1.0/24 staging", "10.20.2.0/24 qa"]
    again, replaced = allocated(parsed(file.text), "preprod", [STAGING], FLEET)
    assert replaced == {STAGING: ip_network("10.20.3.0/24")}
    assert again.text == f"{file.text}10.20.3.0/24 preprod\n"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["10.20.0.0/24", "10.20.2.0/23"], "10.20.4.0/24"),
        (["10.20.0.0/24", "10.20.2.0/28"], "10.20.3.0/24"),
        (["10.20.0.0/22", "10.20.8.0/24"], "10.20.4.0/24"),
    ],
)
def test_what_overlaps_is_not_free(given: list[str], expected: str) -> None:
    """Subnets of other sizes, and of what is no environment."""
    text = "pool 10.20.0.0/16\n" + "".join(f"{one} vpn  # the office\n" for one in given)
    _file, replaced = allocated(parsed(text), "qa", [STAGING], {"staging": [STAGING]})
    assert replaced == {STAGING: ip_network(expected)}


def test_both_families() -> None:
    six = ip_network("fd00:20:0:1::/64")
    file, replaced = allocated(Allocations(), "qa", [STAGING, six], {"staging": [STAGING, six]})
    assert replaced == {STAGING: ip_network("10.20.0.0/24"), six: ip_network("fd00:20::/64")}
    assert "pool fd00:20::/48" in file.text.splitlines()


def test_a_pool_that_is_used_up() -> None:
    text = "pool 10.20.0.0/23\n10.20.0.0/24 production\n"
    with pytest.raises(Unusable, match=r"10\.20\.0\.0/23 has no free subnet of the size /24 left for qa"):
        allocated(parsed(text), "qa", [STAGING], FLEET)


@pytest.mark.parametrize("line", ["10.20.0.5/24 qa", "qa 10.20.0.0/24", "10.20.0.0/24", "pool", "10.20.0.0/24 qa more"])
def test_a_line_that_means_nothing_is_named(line: str) -> None:
    with pytest.raises(Unusable, match=r"subnets\.txt:2 is "):
        parsed(f"# whose\n{line}\n")


def test_addresses_move_with_their_subnet() -> None:
    """A gateway, a balancer's address; nobody else's."""
    text = "subnet: 10.20.1.0/24, gateway: 10.20.1.1, trusted: [10.20.1.7, 10.20.10.7, 110.20.1.7, 999.20.1.7]"
    assert words([text], {STAGING: ip_network("10.20.2.0/24")}) == {
        "10.20.1.0/24": "10.20.2.0/24",
        "10.20.1.0": "10.20.2.0",
        "10.20.1.1": "10.20.2.1",
        "10.20.1.7": "10.20.2.7",
    }
    assert words([text], {}) == {}
