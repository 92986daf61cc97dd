# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/security.md names tests that exist, and every test of an attack stands in it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "security.md"
_NAMED = re.compile(r"`((?:tests/[\w/]+\.py)?)(?:::(\w+))?`")


def named() -> Iterator[tuple[str, str]]:
    """Yield each (file, test) of the page's tables; a test without a file is of the file before it."""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        file = ""
        for match in _NAMED.finditer(line) if line.startswith("|") else ():
            file = match[1] or file
            if file:
                yield file, match[2] or ""


def defined_in(file: str) -> set[str]:
    """The test functions of a file."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_every_promise_names_a_test_that_exists() -> None:
    found = list(named())
    assert len(found) > 50
    assert [file for file, _test in found if not (ROOT / file).is_file()] == []
    assert [(file, test) for file, test in found if test and test not in defined_in(file)] == []


def test_every_attack_is_on_the_page() -> None:
    files = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests" / "security").glob("test_*.py")}
    assert files - {file for file, _test in named()} == set()
