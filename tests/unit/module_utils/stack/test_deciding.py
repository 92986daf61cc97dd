# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether an engine can decide for its swarm."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.stack.deciding import why_undecided
from unit.stacks import seen_swarm


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({}, ""),
        ({"state": "inactive", "control": False}, "its engine is in no swarm (its state is inactive)"),
        ({"state": "", "control": False}, "its engine is in no swarm (its state is unknown)"),
        ({"control": False}, "it is a worker"),
        ({"refused": "the swarm does not have a leader"}, "it cannot decide: the swarm does not have a leader"),
    ],
)
def test_why_undecided(more: dict[str, Any], why: str) -> None:
    assert why_undecided(seen_swarm(**more)) == why
