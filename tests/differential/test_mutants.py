# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every generated mutant of a stack, and of the inventory's variables."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.containment.compose import COMPOSE
from hazards.generated import Generated, generated, harness_in, in_variables, unexpected
from hazards.mutants import STAGING
from stages.progress import REPORT


def test_every_mutant(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """Each one that reaches outside is refused with the right environments and key; each harmless twin is accepted."""
    harness = harness_in(tmp_path)
    mutants = list(generated())
    wrong = [said for mutant in mutants if (said := unexpected(harness, mutant))]
    refused = sum(bool(mutant.refused) for mutant in mutants)
    record_property(REPORT, f"mutants of a stack: {len(mutants) - len(wrong)} of {len(mutants)} as expected, {refused} "
                            f"refused and {len(mutants) - refused} harmless twins accepted")  # fmt: skip
    assert wrong == []
    assert refused > 400


def test_a_key_of_tomorrow(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """A key that nobody has classified is refused by name, in every mapping that has keys of its own."""
    harness = harness_in(tmp_path)
    mappings = {path.rpartition(".")[0] for path in COMPOSE if not path.endswith(("*", "[]"))}
    mutants = [Generated(f"{mapping}.teleport".lstrip("."), "x", STAGING) for mapping in sorted(mappings)]
    wrong = [said for mutant in mutants if (said := unexpected(harness, mutant))]
    record_property(REPORT, f"keys of tomorrow: {len(mutants) - len(wrong)} of {len(mutants)} are refused by name")
    assert wrong == []
    assert len(mutants) > 35


def test_every_variable(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """Another environment's name, directory and domain is refused in every variable that is searched for them."""
    harness = harness_in(tmp_path)
    mutants = list(in_variables(harness))
    wrong = [f"{name} = {value}" for name, value, found in mutants if not found]
    record_property(REPORT, f"mutants of variables: {len(mutants) - len(wrong)} of {len(mutants)} as expected")
    assert wrong == []
    assert len(mutants) > 150
