# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What surrounds an environment on its machine."""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.proof import around
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.live.preflight import standing
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Fleet
from unit.plugin_utils.isolation.live.observations import deployed, environment, observation


def test_an_environment_that_names_another_machine_is_compared_with_what_runs_there() -> None:
    """It was not compared on paper: whoever writes its variables chooses what its machine is called."""
    production = environment("aiia_prod", directory="/srv/aiia_prod")
    staging = environment("aiia_staging", directory="/srv/aiia_prod/inside")
    here = around(staging, Fleet((production, staging)))
    assert here.read == ("aiia_staging", "aiia_prod")
    moved = around(replace(staging, machine="elsewhere"), Fleet((production, replace(staging, machine="elsewhere"))))
    assert moved.read == ("aiia_staging",)

    seen = observation(containers=[deployed("aiia_prod")])
    found = {finding.rule for finding in standing(moved.environment, moved.read, seen)}
    assert "nested-directories" in found
    assert "nested-directories" not in {finding.rule for finding in standing(moved.environment, here.read, seen)}


def test_what_was_not_read_is_no_neighbour() -> None:
    production, staging = environment("aiia_prod"), environment()
    assert around(staging, Fleet((production, staging)), ["aiia_prod"]).read == ("aiia_staging",)
