# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a service may say under x-bulkhead: a key of another shape is refused, and so is one that nobody reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.model import Declaration
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.containment.x_bulkhead import X_BULKHEAD
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.release.extras import KEYS
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.release.render import Renderer
from unit.fleets import declarations, environment, only, read, write


def rendered(directory: Path, extra: Any) -> tuple[Declaration, Any]:
    variables = environment("prod", bulkhead_services={"web": {"image": "x:1", "x-bulkhead": extra}})
    inventory = read(write(directory, {"production": variables}))
    declaration = declarations(inventory)["production"]
    return declaration, Renderer(inventory.loader).render(declaration)


RIGHT: dict[str, Any] = {
    "backup": {"kind": "files", "path": "/srv/media"},
    "env": {"A": "x", "B": 5, "C": True, "D": None},
    "files": [
        {"path": "docker/web/a.conf", "content": "a"},
        {"path": "docker/web/b", "content": "b", "secret": True, "overlap": True},
    ],
    "manage": ["python3", "manage.py"],
    "on_change": ["kill", "-HUP", 1],
    "prepare": [["migrate", "--noinput"]],
    "prepare_status": [],
    "private": ["DB_PASSWORD"],
    "question": {"kind": "database", "command": ["psql"]},
    "edge": True,
    "retire": ["sh", "-c", "kill -HUP 1"],
    "rolling": True,
    "secrets": ["SECRET_KEY"],
    "shm_part": 8,
    "validate": ["nginx", "-t"],
    "workers": "WEB_CONCURRENCY",
}
WRONG: dict[str, list[Any]] = {
    "backup": [["files"], "files"],
    "env": [["A=x"], {"A": ["x"]}],
    "files": [
        "a.conf",
        ["a.conf"],
        [{"content": "a"}],
        [{"path": "a", "mode": "0600"}],
        [{"path": "a\n"}],
        [{"path": "a", "overlap": "yes"}],
    ],
    "manage": ["python3 manage.py", [["python3"]], {"a": 1}],
    "on_change": ["kill 1", [None]],
    "prepare": ["migrate", ["migrate --noinput"], [[]]],
    "prepare_status": ["showmigrations"],
    "private": ["DB_PASSWORD", ["DB PASSWORD"]],
    "question": [["psql"], {"kind": "database"}, {"kind": "database", "command": "psql"}],
    "edge": ["yes", 1],
    "retire": ["kill 1"],
    "rolling": ["yes", 1],
    "secrets": [{"SECRET_KEY": "x"}, [5]],
    "shm_part": [],
    "validate": ["nginx -t"],
    "workers": ["WEB CONCURRENCY", 4],
}


def test_every_key_has_cases() -> None:
    assert set(RIGHT) == set(WRONG) == set(KEYS)


def test_every_key_has_a_class() -> None:
    """The shapes and the containment table know the same keys."""
    assert set(KEYS) == set(X_BULKHEAD)


def test_all_keys_of_the_right_shape(tmp_path: Path) -> None:
    declaration, release = rendered(tmp_path, RIGHT)
    assert declaration.problems == [] and release is not None
    assert {line.key: line.value for line in release.settings}.items() >= {
        "A": "x",
        "B": "5",
        "C": "true",
        "D": "",
    }.items()


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in WRONG.items() for value in values])
def test_a_key_of_another_shape(tmp_path: Path, key: str, value: Any) -> None:
    declaration, release = rendered(tmp_path, {**RIGHT, key: value})
    found = only(declaration.problems)
    assert release is None and found.resource == f"bulkhead_services.web.x-bulkhead.{key}"
    assert found.message.startswith(f"{found.resource} is not ") and found.fix.startswith("write ")
    assert found.where[0].file.endswith("main.yml") and found.where[0].line > 0


@pytest.mark.parametrize("key", ["on_change", "retire"])
def test_lines_that_nobody_takes_out_again(tmp_path: Path, key: str) -> None:
    """Passwords of earlier releases would stay in force for ever, or never have been."""
    declaration, release = rendered(tmp_path, {**RIGHT, key: []})
    found = only(declaration.problems)
    assert release is None and "has a file with overlap: true, and no command takes" in found.message


def test_all_problems_at_once(tmp_path: Path) -> None:
    declaration, _release = rendered(tmp_path / "keys", {"on_chnage": ["x"], "zzz": 1, "rolling": "x"})
    fixes = {problem.resource.rpartition(".")[2]: problem.fix for problem in declaration.problems}
    assert fixes["on_chnage"] == "did you mean on_change?" and fixes["zzz"].startswith("remove it; possible keys are")
    assert fixes["rolling"] == "write true or false" and len(fixes) == 3
    assert "is not a mapping" in only(rendered(tmp_path / "list", [1])[0].problems).message
