# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page of hazards is what the cases say."""

from __future__ import annotations

from pathlib import Path

import pytest
from hazards import table
from hazards.cases import catalogue


def test_the_page_is_not_stale() -> None:
    """A case that changes takes the page along."""
    assert table.main(["--check"]) == 0, "run python tests/hazards/table.py --write"


def test_the_page_has_every_hazard_once() -> None:
    """And nothing that would break a table."""
    rows = [
        line for line in table.page().splitlines() if line.startswith("| ") and line[2:4].isupper() and line[4] == "-"
    ]
    assert [row.split(" | ")[0].removeprefix("| ") for row in rows] == list(catalogue())
    assert {row.replace("\\|", "").count("|") for row in rows} == {7}


def test_a_stale_page_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check can fail."""
    monkeypatch.setattr(table, "PAGE", tmp_path / "docs" / "hazards.md")
    assert table.main(["--check"]) == 1
    assert table.main(["--write"]) == 0
    assert table.main(["--check"]) == 0
    table.PAGE.write_text(table.PAGE.read_text().replace("critical", "low", 1))
    assert table.main(["--check"]) == 1
