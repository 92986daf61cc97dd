# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which engine an environment has, and which module says its releases."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.jobs.compose_engine import ComposeEngine
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.jobs.engines import engine_of, kept_releases
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.jobs.services import terminal_command
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.jobs.swarm_engine import SwarmEngine

VALUES = {"bulkhead_directory": "/srv/app", "bulkhead_state_directory": "", "bulkhead_docker_host": "unix:///d.sock"}


@pytest.mark.parametrize(
    ("nodes", "engine", "module"), [(None, ComposeEngine, "releases"), (object(), SwarmEngine, "stack_info")]
)
def test_the_engine_of_an_environment(nodes: object, engine: type, module: str) -> None:
    asked: list[tuple[str, str]] = []

    def call(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        asked.append((name, arguments["wanted"]))
        return {"releases": [], "current": "", **({"look": {}} if nodes else {})}

    declaration = SimpleNamespace(prefix="app_prod", values=VALUES)
    step = cast(Any, SimpleNamespace(nodes=nodes, declaration=declaration, call=call))
    assert isinstance(engine_of(step), engine)
    assert kept_releases(step, "previous") == {"releases": [], "current": ""}
    assert asked == [(module, "previous")]


def test_how_a_host_is_reached_is_evaluated() -> None:
    """A port or a host may be an expression; the line that a person types has what it stands for."""
    written = {
        "inventory_hostname": "h1",
        "ansible_host": trust_as_template("{{ prefix }}.example.com"),
        "ansible_port": trust_as_template("{{ 2000 + 22 }}"),
        "ansible_password": trust_as_template("{{ undefined }}"),
        "prefix": "app",
    }
    templar = Templar(DataLoader(), variables=written)
    step = cast(Any, SimpleNamespace(task_vars=written, _templar=templar))
    place = ComposeEngine(step).command_place(cast(Any, SimpleNamespace(container="app_web", replicas=2)))
    assert (place.host, place.container) == ("h1", "app_web-1")
    line = terminal_command(place.container, "unix:///d.sock", "unix:///d.sock", place.variables)
    assert line.startswith("ssh -t -p 2022 app.example.com ")
