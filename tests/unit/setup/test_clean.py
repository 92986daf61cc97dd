# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `make clean` takes out of the machine's firewall."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "setup"))

import clean


class Guard:
    """Stands in for the guard of one environment."""

    def __init__(self, there: bool, failing: str) -> None:
        self.there = there
        self.failing = failing
        self.missing = ""
        self.given: tuple[Any, ...] = ()

    def __call__(self, _engine: Any, *given: Any, optional: bool) -> Guard:
        assert optional, "a machine without iptables has no guard to remove"
        self.given = given
        return self

    def plan(self) -> list[str]:
        return ["remove"] * self.there

    def apply(self, ports: None) -> None:
        self.missing = self.failing
        self.there = bool(self.failing)


@pytest.mark.parametrize(
    ("there", "failing", "complaints"),
    [
        (True, "", []),
        (False, "", []),
        (
            True,
            "iptables-restore failed",
            ["kept firewall chain BULKHEAD-aiia_stagi-c055d61e: iptables-restore failed"],
        ),
    ],
)
def test_the_guard_goes_by_its_exact_name(
    monkeypatch: pytest.MonkeyPatch, there: bool, failing: str, complaints: list[str]
) -> None:
    guard = Guard(there, failing)
    monkeypatch.setattr(clean, "Firewall", guard)
    assert clean.remove_guard("aiia_staging") == complaints
    assert guard.there is bool(failing)
    assert guard.given[:4] == ("aiia_staging", "BULKHEAD-aiia_stagi-c055d61e", [], None)
