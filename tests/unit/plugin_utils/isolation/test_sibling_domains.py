# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Advice on a domain below another's names one beside it, made of the user's own names."""

from __future__ import annotations

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Fleet
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.assemble import assemble
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.rules import judge


@pytest.mark.parametrize(
    ("above", "below", "sibling"),
    [
        ("shop.example.com", "staging.shop.example.com", "shop-staging.example.com"),
        ("example.com", "a.staging.example.com", "example-a-staging.com"),
        ("shop", "staging.shop", "shop-staging"),
    ],
)
def test_a_name_beside_it(above: str, below: str, sibling: str) -> None:
    fleet = Fleet(tuple(assemble(prefix=f"shop_{name}", domains=[domain]) for name, domain in
                        (("prod", above), ("staging", below))))  # fmt: skip
    (found,) = (finding for finding in judge(fleet) if finding.rule == "parent-domain")
    assert f"A sibling domain ({sibling}) would rule all of this out." in found.fix
