# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fakes take what the real thing takes: one that does not fails only where the code under test comes to that call."""

from __future__ import annotations

import ast
from pathlib import Path

TESTS = Path(__file__).parents[1]


def test_a_fake_engine_takes_the_options_of_the_real_one() -> None:
    """:meth:`Engine.docker` takes options by keyword."""
    fakes = {
        f"{path.relative_to(TESTS)}: {node.name}": method.args.kwarg is not None
        for path in sorted((TESTS / "unit").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
        for method in node.body
        if isinstance(method, ast.FunctionDef) and method.name == "docker"
    }
    assert len(fakes) > 5
    assert [name for name, takes in fakes.items() if not takes] == []
