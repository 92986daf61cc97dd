# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a person can say on the command line to the gate of a stack."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.stack_live import StackGate
from unit.plugin_utils.isolation.live.test_stack import seen, stack


@pytest.mark.parametrize(
    ("typed", "refused"), [({}, 1), ({"bulkhead_confirm": "app_other"}, 1), ({"bulkhead_confirm": "app_prod"}, 0)]
)
def test_the_data_is_meant_to_be_elsewhere(typed: dict[str, Any], refused: int) -> None:
    """The label is on n1, and at the last deployment another node had the data."""
    declaration: Any = SimpleNamespace(
        prefix="app_prod", values={"bulkhead_edge_nodes": []}, permissions=typed, nodes={}
    )
    gate = StackGate(None, {}, cast(Any, None), declaration, cast(Any, None))
    gate.__dict__["around"] = SimpleNamespace(environment=stack(), read=("app_prod",))
    assert [one.rule for one in gate.standing({**seen(), "data_node": "n2"})] == ["data-node"] * refused
