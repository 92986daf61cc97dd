# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a deployment ships to its machine, and what the machine reads of it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.arguments import converge_arguments
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.environments import build_environment
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.jobs.converge import (
    guard_wanted,
    release_arguments,
    run_arguments,
    ship,
)
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.release.render import Renderer
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.release.services import services
from unit.fleets import PRODUCTION, declarations, read, write


class Module:
    """The part of Ansible's module that reading its options needs."""

    def __init__(self, params: dict[str, Any]) -> None:
        self.params, self.no_log_values = params, cast("set[str]", set())


def test_what_is_shipped_arrives(tmp_path: Path) -> None:
    """Services and files as they were rendered, what is secret last and known as such, and words as words."""
    front = {"image": "front:1", "x-bulkhead": {"on_change": ["reload", 5], "validate": ["check", 0]}}
    wanted = {**PRODUCTION, "bulkhead_services": {"front": front}, "bulkhead_wait_timeout": "7"}
    inventory = read(write(tmp_path, {"production": wanted}))
    (declaration,) = declarations(inventory).values()
    release = Renderer(inventory.loader).render(declaration)
    assert release is not None
    called: list[tuple[str, dict[str, Any]]] = []

    def answer(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        called.append((name, arguments))
        return {"unguarded": "there is no iptables"}

    step: Any = SimpleNamespace(
        declaration=declaration,
        live=SimpleNamespace(environment=build_environment(declaration, release)),
        session=SimpleNamespace(observation={"registry": {}, "containers": []}, notes=[]),
        module=answer,
    )
    ship(step, "c1", run_arguments(step, release), release_arguments(step, release))
    assert [str(note) for note in step.session.notes] == ["no guard in the firewall: there is no iptables"]
    ((name, arguments),) = called
    module = Module(arguments)
    params = converge_arguments(module)
    assert name == "converge" and params["commit"] == "c1" and params["wait_timeout"] == 7
    assert params["firewall"] == "auto"
    assert params["services"] == services(release)
    (shipped,) = (service for service in params["services"] if service.name == "front")
    assert (shipped.on_change, shipped.validate) == (("reload", "5"), ("check", "0"))
    assert {file["path"]: file["content"] for file in params["files"]} == {
        file.path: file.content for file in release.files
    }
    secret = [file["secret"] for file in params["files"]]
    assert secret == sorted(secret) and any(secret) and not all(secret)
    assert module.no_log_values == {file.content for file in release.files if file.secret and file.content}


@pytest.mark.parametrize(
    ("value", "wanted"), [("auto", "auto"), (True, True), ("true", True), (False, False), ("false", False)]
)
def test_when_there_is_a_guard(value: bool | str, wanted: bool | str) -> None:
    assert guard_wanted(value) == wanted
