# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an inventory may say of a machine of a swarm."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.swarm.model import declared, lost_problems


def said(**values: Any) -> tuple[Any, list[str]]:
    return declared("one", {"bulkhead_swarm_role": "worker", **{f"bulkhead_swarm_{k}": v for k, v in values.items()}})


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("role", "", "bulkhead_swarm_role is ''"),
        ("role", "Manager", "bulkhead_swarm_role is 'Manager'"),
        ("availability", "drained", "use active, pause, drain"),
        ("advertise", "eth0", "give an address"),
        ("advertise", "0.0.0.0", "give an address"),
        ("advertise", "127.0.0.1", "give an address"),
        ("labels", ["disk"], "is a list: use name: value"),
        ("labels", {"a b": "c"}, "the label 'a b'"),
        ("labels", {3: "c"}, "the label 3"),
        ("labels", {"io.bulkhead.x": "c"}, "belongs to the engine or to Bulkhead"),
        ("labels", {"com.docker.x": "c"}, "belongs to the engine or to Bulkhead"),
        ("labels", {"disk": ""}, "the value of label disk"),
        ("labels", {"disk": None}, "the value of label disk"),
        ("labels", {"disk": "a,b"}, "the value of label disk"),
    ],
)
def test_refused(name: str, value: Any, words: str) -> None:
    _wanted, (problem,) = said(**{name: value})
    assert words in problem


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("role", "manager", "manager"),
        ("availability", "drain", "drain"),
        ("availability", "", "active"),
        ("labels", {"disk.kind": "nvme-1", "n": 3, "b": True}, {"disk.kind": "nvme-1", "n": "3", "b": "true"}),
    ],
)
def test_accepted(name: str, value: Any, wanted: Any) -> None:
    found, wrong = said(**{name: value})
    assert (getattr(found, name), wrong) == (wanted, [])


def test_addresses() -> None:
    for address in ("10.0.0.5", "fd00::5", ""):
        found, wrong = said(advertise=address)
        assert (found.address, wrong) == (address, [])


def test_a_lost_node_is_named_by_its_whole_id() -> None:
    assert list(lost_problems(["a" * 25])) == []
    for wrong in ("node3", "a" * 12, "A" * 25, 3):
        (problem,) = lost_problems([wrong])
        assert "whole id of 25 characters" in problem
