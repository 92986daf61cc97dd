# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A sample of the generated mutants, for the daily loop; ``tests/differential/test_mutants.py`` takes all of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.containment.compose import COMPOSE
from hazards.generated import LEFT_OUT, Generated, Harness, generated, harness_in, unexpected

ALL = list(generated())
SAMPLE = ALL[::9]


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Harness:
    """The clean fleet."""
    return harness_in(tmp_path_factory.mktemp("generated"))


@pytest.mark.parametrize("mutant", SAMPLE, ids=lambda mutant: mutant.title[:70].replace(" ", "_"))
def test_sample(harness: Harness, mutant: Generated) -> None:
    """Refused with the right environments and key, or left alone."""
    assert unexpected(harness, mutant) == ""


def test_clean(harness: Harness, tmp_path: Path) -> None:
    """The control: the stack as it is has nothing that stops, and the harness sees when a mutant is not refused."""
    assert unexpected(harness, Generated("services.*.container_name", "aiia_staging_django", frozenset())) == ""
    missed = Generated("services.*.container_name", "aiia_staging_django", frozenset({"aiia_prod"}))
    assert "nothing refuses it" in unexpected(harness, missed)


def test_every_key_is_mutated() -> None:
    """Each key of the table has a mutant, or stands among those without, with the reason."""
    mutated = {mutant.path for mutant in ALL if mutant.refused}
    assert COMPOSE.keys() - mutated == LEFT_OUT.keys()
