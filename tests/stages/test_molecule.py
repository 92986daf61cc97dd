# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every scenario of molecule, on servers that are created once for all of them."""

from __future__ import annotations

from stages.tools import REPOSITORY, run_tool

SCENARIOS = sorted(path.parent.name for path in REPOSITORY.glob("molecule/*/molecule.yml"))


def test_every_role_has_a_scenario() -> None:
    roles = {path.name for path in (REPOSITORY / "roles").iterdir() if path.is_dir()}
    assert roles <= set(SCENARIOS)


def test_scenarios() -> None:
    # What a broken-off run left behind would be taken for created.
    run_tool("molecule-destroy", ["molecule", "destroy", "--scenario-name=default"])
    # Scenario `engine` needs servers that have no engine yet; the front door stays on its server, and the swarm on both
    # of its own, where the other scenarios want live-restore: they come last.
    order = sorted(SCENARIOS, key=lambda name: (name == "swarm", name == "edge"))
    named = [f"--scenario-name={name}" for name in order if name != "default"]
    run_tool("molecule", ["molecule", "test", *named])
