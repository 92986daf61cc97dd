# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The user's own templates are found whichever playbook was typed, and the plan names them."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate import evaluated
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.release.render import Renderer


def directories(monkeypatch: pytest.MonkeyPatch, typed: str, inventory: Path) -> list[Path]:
    monkeypatch.setattr(evaluated.context, "CLIARGS", {"args": (typed,)})
    return evaluated.template_directories("/usr/share/collection/playbooks", [str(inventory)])


@pytest.mark.parametrize("below", ["", "hosts.yml"], ids=["directory", "file"])
@pytest.mark.parametrize("typed", ["aiia.bulkhead.deploy", "deploy.yml"])
def test_the_same_templates_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str, below: str) -> None:
    for path in ("deploy.yml", "templates/nginx.conf.j2", "inventory/hosts.yml", "inventory/templates/stack.yml.j2"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    monkeypatch.chdir(tmp_path)
    found = directories(monkeypatch, typed, tmp_path / "inventory" / below)
    assert {tmp_path / "templates", tmp_path / "inventory/templates"} <= set(found)
    assert Renderer(DataLoader(), found).replaced() == [
        f"{tmp_path}/templates/nginx.conf.j2 is used instead of the role's own template nginx.conf.j2.",
        f"{tmp_path}/inventory/templates/stack.yml.j2 is used instead of the role's own template stack.yml.j2.",
    ]


def test_without_templates_of_ones_own_nothing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Renderer(DataLoader(), directories(monkeypatch, "aiia.bulkhead.deploy", tmp_path)).replaced() == []
