# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""On which nodes tasks may run, by the constraints of their service."""

from __future__ import annotations

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.live.placement import may_run
from unit.stacks import seen_node

NODE = seen_node("n1", hostname="app1", role="worker", labels={"disk": "ssd"})


@pytest.mark.parametrize(
    ("constraint", "may"),
    [
        ("node.labels.disk == ssd", True),
        ("node.labels.disk==ssd", True),
        ("node.labels.disk == SSD", True),
        ("node.labels.disk == hdd", False),
        ("node.labels.disk != ssd", False),
        ("node.labels.zone == a", False),
        ("node.labels.zone != a", True),
        ("node.hostname == app1", True),
        ("node.hostname != app1", False),
        ("node.id == n2", False),
        ("node.id == the-node-with-the-data", True),
        ("node.role == manager", False),
        ("node.role != manager", True),
        # A manager was not asked for these.
        ("node.platform.arch == arm64", True),
        ("engine.labels.os == debian", True),
        ("without sense", True),
    ],
)
def test_one_constraint(constraint: str, may: bool) -> None:
    assert may_run({"deploy": {"placement": {"constraints": [constraint]}}}, NODE) is may


def test_all_constraints_count() -> None:
    both = ["node.labels.disk == ssd", "node.role == manager"]
    assert not may_run({"deploy": {"placement": {"constraints": both}}}, NODE)
    assert may_run({}, NODE)
