# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a gate says of a fleet does not depend on how many processes evaluate and judge it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate import evaluated, plan
from hazards.mutants import NOBODY, Mutant, gate, write
from hazards.test_mutations import MUTANTS
from unit.fleets import encrypted, environment
from unit.fleets import write as write_fleet

HERE = {"bulkhead_project": "shop", "bulkhead_machine": "app1"}
FAULTY: Mapping[str, Any] = {
    "production": environment("prod", 8080, **HERE),
    # What shows only where all are looked at together.
    "promoted": environment("promoted", 8081, **HERE, bulkhead_promotion_from="nobody"),
    "reading": {
        **environment("reading", 8082, **HERE),
        "bulkhead_tls_key_path": "/srv/prod/app/key.pem",
    },
    # What an environment has alone.
    "sealed": environment("sealed", 8083, **HERE, bulkhead_owner="{{ lookup('env', 'HOME') }}"),
    "broken": environment("broken", 8084, **HERE, bulkhead_env={"A": "{{ 1 // 0 }}"}),
    "unknown": environment("unknown", 8085, **HERE, bulkhead_domain="x"),
    "colliding": environment("colliding", 8080, **HERE),
    "locked": encrypted("bulkhead_environment: locked"),
}


def said(inventory: Path, folder: Path) -> dict[str, Any]:
    """Everything that a gate says of an inventory."""
    fleet = gate(inventory, folder)
    verdict = fleet.prove(deploying=False)
    return {
        **vars(verdict),
        "values": {own.group: own.values for own in fleet.declarations},
        "problems": {own.group: own.problems for own in fleet.declarations},
        # Not among what processes pass on: it is worked out when it is asked for.
        "available": {own.group: repr(dict(own.available)) for own in fleet.declarations},
        "lacking": {own.group: own.lacking for own in fleet.declarations},
        "judged": [repr(judged) for judged in fleet.fleet.environments],
    }


def compared(inventory: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What one process says of an inventory; three say the same."""
    alone = said(inventory, folder)
    for module in (evaluated, plan):
        monkeypatch.setattr(module, "processes_for", lambda *_given: 3)
    together = said(inventory, folder)
    for part, value in alone.items():
        assert together[part] == value, part
    return alone


def test_a_fleet_with_every_kind_of_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = compared(write_fleet(tmp_path / "inventory", FAULTY), tmp_path, monkeypatch)
    rules = {finding.rule for finding in found["findings"]}
    assert {"invalid-variable", "foreign-file", "template-error", "unknown-variable", "shared-port"} <= rules


@pytest.mark.parametrize("mutant", MUTANTS[::40], ids=lambda mutant: mutant.title.replace(" ", "_"))
def test_mutants(mutant: Mutant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compared(write(mutant, tmp_path), tmp_path, monkeypatch)


def test_several_processes_take_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control: what is compared above was not done by one process."""
    began: list[int] = []
    fork = os.fork

    def noted() -> int:
        began.append(1)
        return fork()

    monkeypatch.setattr(os, "fork", noted)
    compared(write(Mutant("clean", NOBODY), tmp_path), tmp_path, monkeypatch)
    # Two helpers each time: to read files, to evaluate, and to judge.
    assert len(began) == 6
