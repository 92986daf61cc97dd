# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The linters. Each is one test."""

from __future__ import annotations

import pytest
from stages.tools import run_tool

LINTERS = {
    "ruff-check": ["ruff", "check", "."],
    "ruff-format": ["ruff", "format", "--check", "."],
    # Ansible has no types, so its base classes are Any.
    "mypy": ["mypy", "--strict", "--allow-subclassing-any", "plugins"],
    "mypy-tests": ["mypy", "tests", "--exclude", "tests/(browser|e2e|security|app/project)/"],
    "mypy-e2e": ["mypy", "tests/e2e"],
    "mypy-security": ["mypy", "tests/security"],
    "mypy-browser": ["mypy", "tests/browser"],
    "yamllint": ["yamllint", "--strict", "."],
    "ansible-lint": ["ansible-lint", "-q", "--nocolor"],
    "changelog": ["antsibull-changelog", "lint"],
}
# Runs of their own, with what the end-to-end tests import beside them: each conftest would be a second module of that
# name. (The demo's application is left out: it needs Django.)
_BESIDE = {"MYPYPATH": "tests/e2e:tests/app:tests/images"}
ENVIRONMENTS = {"mypy-e2e": _BESIDE, "mypy-security": _BESIDE, "mypy-browser": {"MYPYPATH": "tests/browser"}}


@pytest.mark.parametrize("name", LINTERS)
def test_lint(name: str) -> None:
    run_tool(name, LINTERS[name], ENVIRONMENTS.get(name))
