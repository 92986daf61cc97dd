# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a verification asks the nodes of a stack, from what the inventory and the nodes know of others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.proof import Surroundings
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.questions import questions
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.stack_verification import StackVerification, counts
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.live.probes import Probes
from unit.plugin_utils.gate.test_questions import REPORTS, rendered
from unit.plugin_utils.isolation.live.observations import deployed, entry
from unit.plugin_utils.isolation.live.test_stack import MACHINES, seen, stack
from unit.stacks import seen_service, seen_task

TASKS: dict[str, Any] = {"services": [seen_service("web")], "tasks": [seen_task("web", "web")]}


def verification(first: dict[str, Any]) -> StackVerification:
    before = seen(first=first, **TASKS)
    around = Surroundings(stack(), (), ("app_prod",), 1)
    return StackVerification(stack(), around, None, before, before["stack"], MACHINES)


def test_what_a_node_has_registered_is_asked_for() -> None:
    """An environment of another inventory, which Compose runs there."""
    there = {"containers": [deployed("aiia_prod")], "registry": {"aiia_prod": entry("aiia_prod")}}
    probes = verification(there).probes(None)
    assert set(probes) == {"h1"} and probes["h1"].owners["aiia_prod_web"] == "aiia_prod"
    assert verification({}).probes(None)["h1"].resolve == []


def test_servers_are_asked_by_the_names_of_their_services(tmp_path: Path) -> None:
    """Those that the release in force has: a task's container has no name of its own."""
    release, _entry = rendered(tmp_path, reports=REPORTS)
    key = next(f"app_prod_{service.key}" for service in release.stack.services if service.name == "postgresql")
    in_force = {"claims": [{"namespace": "swarm-service", "key": key}]}
    asked = questions(release, in_force, "swarm-service", lambda service: f"app_prod_{service.key}")
    assert [one["container"] for one in asked] == [key]


def test_what_was_asked_is_counted_once() -> None:
    """Nodes are asked for the same names."""
    asked = Probes(resolve=["db"], connect=[{"address": "10.0.2.2", "port": 5432}], requests=[{}, {}])
    made = {"h1": asked, "h2": Probes(resolve=["db", "web"], cut=True)}
    assert counts(made, {"h1": {"inside": [1, 2]}, "h2": {"inside": [3]}}) == {
        "names": 2, "addresses": 1, "requests": 2, "containers": 3, "cut": True,
    }  # fmt: skip
