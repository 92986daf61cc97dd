# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What we ship ourselves, read three ways: from memory as the plan gate does, from the files, and by Compose."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.inventory import Inventory
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.environments import build_environment
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.compose.project import ComposeReading
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.release.render import Release, Renderer
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.release.writers import dump_compose
from differential.test_compose import ask_compose, comparable, compose_command, read_ourselves, without_extensions
from unit.fleets import PRODUCTION, declared

WORKER = {"worker": {"command": ["celery", "worker"], "depends_on": ["redis"]}}
SETTINGS = {"QUOTES": "\"'", "DOLLAR": "a$b${C}", "LINES": "one\ntwo", "HASH": "a # b", "BACKSLASH": "\\n"}


@pytest.mark.parametrize(
    "variables",
    [
        pytest.param({}, id="the default stack"),
        pytest.param({"bulkhead_services": WORKER, "bulkhead_env": SETTINGS}, id="a worker and nasty settings"),
        pytest.param({"bulkhead_bind_address": "::1", "bulkhead_services": {"redis": None}}, id="IPv6, without redis"),
        pytest.param({"bulkhead_internal_network": True}, id="a network without a way out"),
    ],
)
def test_our_own_files(tmp_path: Path, variables: dict[str, Any]) -> None:
    """The model that the rules judge is what Compose makes of the files that are shipped."""
    if not compose_command():
        pytest.skip("no Docker Compose v2 on this machine: `docker compose version` does not answer")
    directory = tmp_path / "home/ai-ia-backend"
    directory.mkdir(parents=True)
    declaration = declared(tmp_path, **{**PRODUCTION, "bulkhead_directory": str(directory), **variables})
    release = Renderer(Inventory([], [], str(tmp_path)).loader).render(declaration)
    assert release is not None, declaration.problems
    _write(release, directory)
    file = directory / release.compose_file
    asked = ask_compose([file], directory, tmp_path / "home")
    assert asked.returncode == 0, asked.stderr
    theirs = without_extensions(json.loads(asked.stdout))

    from_files = comparable(read_ourselves([file], directory, tmp_path / "home"), "")
    assert from_files == theirs

    (project,) = build_environment(declaration, release).compose
    from_memory = comparable(replace(ComposeReading(), project=project), "")
    assert _without_environment(from_memory) == _without_environment(theirs)


def test_no_text_of_ours_becomes_a_number(tmp_path: Path) -> None:
    """Compose reads by a newer YAML than the one that wrote the file. Digests, versions and settings stay the same."""
    if not compose_command():
        pytest.skip("no Docker Compose v2 on this machine: `docker compose version` does not answer")
    texts = [
        "1e3",
        "4938830541426e16",
        "+1.5e3",
        ".5e3",
        "5.",
        "1_0e3",
        "0o17",
        "0b11",
        "0x1f",
        "1_000",
        "12:30",
        ".inf",
        "1e",
    ]
    labels = {f"label{number}": text for number, text in enumerate(texts)}
    file = tmp_path / "docker-compose.yml"
    service = {"image": "alpine", "labels": labels, "environment": labels}
    file.write_text(dump_compose({"name": "texts", "services": {"one": service}}), encoding="utf-8")
    asked = ask_compose([file], tmp_path, tmp_path)
    assert asked.returncode == 0, asked.stderr
    found = json.loads(asked.stdout)["services"]["one"]
    assert found["labels"] == found["environment"] == labels


def _write(release: Release, directory: Path) -> None:
    for file in release.files:
        path = directory / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.content, encoding="utf-8")


def _without_environment(model: dict[str, Any]) -> dict[str, Any]:
    """Secrets are sealed in memory, and settings of ``.env`` stand beside the services there."""
    services = {
        name: {key: value for key, value in service.items() if key != "environment"}
        for name, service in model["services"].items()
    }
    return {**model, "services": services}
