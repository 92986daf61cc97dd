# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The deployment after a restore: the data may have an older schema than the image in force."""

from __future__ import annotations

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.plan import plan
from ansible_collections.aiia.bulkhead.plugins.module_utils.state.deployed import forget_prepared, load_state
from unit.module_utils.deployments import WEB, Machine, files, roll_back
from unit.module_utils.fake_engine import service

MIGRATE = "compose run --rm --no-TTY --no-deps --name aiia_prod_web_prepare web migrate"
SERVICES = [service("web", **WEB, prepare=[["migrate"]]), service("db", awaited=True)]


@pytest.fixture
def restored(machine: Machine) -> Machine:
    """An environment that was deployed and prepared, then restored."""
    machine.deploy(services=SERVICES)
    assert machine.engine.calls.count(MIGRATE) == 1 and machine.plan(services=SERVICES) == []
    machine.engine.calls.clear()
    assert forget_prepared(machine.tree) == ["web"]
    return machine


def test_the_same_image_is_prepared_again(restored: Machine) -> None:
    before = restored.engine.ids(), load_state(restored.tree)["release"]
    assert restored.plan(services=SERVICES) == ["prepare aiia_prod_web again: its data was restored"]
    restored.deploy(services=SERVICES)
    assert restored.engine.calls.count(MIGRATE) == 1 and len(restored.backups) == 1
    assert (restored.engine.ids(), load_state(restored.tree)["release"]) == before
    assert restored.plan(services=SERVICES) == []


def test_other_commands_are_run_for_the_same_image(machine: Machine) -> None:
    machine.deploy(services=SERVICES)
    other = [service("web", **WEB, prepare=[["migrate"], ["collect"]]), service("db", awaited=True)]
    before, serving = machine.engine.calls.count(MIGRATE), machine.engine.ids()
    assert machine.plan(services=other) == ["prepare aiia_prod_web again: what prepares it changed"]
    machine.deploy(services=other)
    assert machine.engine.calls.count(MIGRATE) == before + 1 and machine.engine.ids() == serving
    assert machine.plan(services=other) == []


def test_the_first_commands_of_a_service_that_runs(machine: Machine) -> None:
    machine.deploy()
    assert machine.plan(services=SERVICES) == ["prepare aiia_prod_web again: what prepares it changed"]
    machine.deploy(services=SERVICES)
    assert machine.engine.calls.count(MIGRATE) == 1 and machine.plan(services=SERVICES) == []


def test_until_that_succeeds(restored: Machine) -> None:
    restored.engine.commands["migrate"] = (1, "", "no such table")
    assert "serves again" in restored.fails(services=SERVICES).message
    assert restored.plan(services=SERVICES) == ["prepare aiia_prod_web again: its data was restored"]


def test_returning_to_a_release_prepares_nothing_and_forgets_nothing(restored: Machine) -> None:
    restored.deploy(**files(web="web:2"), services=SERVICES)
    forget_prepared(restored.tree)
    restored.engine.calls.clear()
    returned = roll_back(restored)
    assert not [step for step in plan(returned) if step.verb.startswith("prepare")]
    assert MIGRATE not in restored.engine.calls
    assert restored.plan(services=SERVICES) == ["prepare aiia_prod_web again: its data was restored"]


def test_what_prepares_nothing_has_nothing_to_do(deployed: Machine) -> None:
    before = (deployed.kept / "state.json").read_bytes()
    assert forget_prepared(deployed.tree) == []
    assert (deployed.kept / "state.json").read_bytes() == before
    assert deployed.plan() == []


def test_where_nothing_is_deployed_there_is_nothing_to_forget(machine: Machine) -> None:
    assert forget_prepared(machine.tree) == []
    assert not machine.directory.exists()
