# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a receipt may say of a deployment: the steps that were begun, with backup and preparation, and no others."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.steps import Step, sentence
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.comparison import Comparison
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.plan import foreseen, plan
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.progress import Progress
from unit.module_utils.deployments import WEB, Machine, compose_text, files
from unit.module_utils.fake_engine import COMPOSE_FILE, file, service
from unit.module_utils.rolled import ROLLING, Rolled

FILES = [f"write {COMPOSE_FILE}", "check out c2 in code"]
PREPARED = ["make the backup backup-1", "prepare aiia_prod_web: migrate", "prepare aiia_prod_web: collect"]
REPLACED = ["replace aiia_prod_web without a gap"]


def new_version(**more: Any) -> dict[str, Any]:
    """A release whose application has another image."""
    services = [service("web", **ROLLING, image="web:2", input="2"), service("db", awaited=True)]
    return {**files(web="web:2"), "services": services, "commit": "c2", **more}


def old_version(machine: Machine) -> Machine:
    """The application as the release before made it."""
    machine.engine.container("web")["Config"]["Labels"]["io.bulkhead.input"] = "1"
    return machine


def test_a_release_names_its_backup_and_what_prepared_it(rolled: Rolled) -> None:
    old_version(rolled).deploy(**new_version())
    assert rolled.tried == [*FILES, *PREPARED, *REPLACED]


def test_a_migration_that_fails_names_the_backup_and_nothing_that_did_not_begin(rolled: Rolled) -> None:
    rolled.engine.commands = {"migrate": (1, "", "no")}
    error = old_version(rolled).fails(**new_version())
    assert rolled.tried == [*FILES, *PREPARED[:2]]
    assert error.put_back == "The previous release serves again"


def test_a_new_version_that_does_not_get_healthy_was_tried(rolled: Rolled) -> None:
    rolled.engine.sick["web:2"] = "unhealthy"
    old_version(rolled).fails(**new_version())
    assert rolled.tried == [*FILES, *PREPARED, *REPLACED]


def test_going_back_tries_nothing_more(deployed: Machine) -> None:
    """What is put back is started again as well, and a container whose service is gone was not removed yet."""
    deployed.engine.container("db")["Config"]["Labels"]["io.bulkhead.input"] = "1"
    deployed.engine.sick["db:2"] = "unhealthy"
    changes = {"files": [file(COMPOSE_FILE, compose_text(db="db:2")), file("web.conf", "one")]}
    planned = deployed.plan(**changes, services=[service("db", input="2")], commit="c2")
    assert planned[-1] == "remove container aiia_prod_web: its service is gone"
    deployed.fails(**changes, services=[service("db", input="2")], commit="c2")
    assert deployed.tried == [*FILES, "recreate aiia_prod_db"] == planned[:-1]


@pytest.mark.parametrize("command", ["config --quiet", "run "])
def test_what_is_refused_before_anything_began(deployed: Machine, command: str) -> None:
    deployed.engine.refuses = lambda call: call.startswith(command)
    services = [service("web", **WEB, image="web:1", validate=["web", "-t"]), service("db")]
    error = deployed.fails(**files(web="web:2", conf="two"), services=services)
    assert deployed.tried == [] and error.put_back == ""
    assert error.message.endswith(". Nothing was changed")


def test_what_is_put_back_before_waits_for_the_verdict(deployed: Machine) -> None:
    """A release that is refused leaves also those limits alone that somebody changed by hand."""
    mended: list[str] = []
    deployed.mend = lambda: mended.append("limits")
    deployed.engine.refuses = lambda call: call.startswith("config --quiet")
    assert deployed.fails(**files(web="web:2")).message.endswith("Nothing was changed") and mended == []
    deployed.engine.sick["web:2"] = "unhealthy"
    deployed.engine.refuses = lambda _call: False
    assert "Nothing was changed" not in deployed.fails(**files(web="web:2")).message and mended == ["limits"]


def test_every_planned_step_is_told_once(machine: Machine) -> None:
    planned = machine.plan()
    machine.deploy()
    assert sorted(machine.tried) == sorted(planned)


def test_the_plan_foresees_backup_and_preparation(rolled: Rolled) -> None:
    looked = old_version(rolled).look(**new_version(backup={"kinds": ["postgresql"]}))
    assert said(looked) == [*FILES, "make a backup", *PREPARED[1:], *REPLACED]
    first = Rolled(rolled.directory.parent / "first").look(backup={"kinds": ["postgresql"]})
    assert "make a backup" not in said(first)
    assert PREPARED[1] in said(first)
    same = rolled.look(**files(conf="two"), backup={})
    assert foreseen(same, plan(same)) == plan(same)


def said(looked: Comparison) -> list[str]:
    """What a person reads of a plan."""
    return list(map(sentence, foreseen(looked, plan(looked))))


def test_a_name_within_another_is_not_meant() -> None:
    """Nor is a container without a service that has the name, which is removed at its own time."""
    first, other, third = Step("start", "p_web"), Step("start", "p_web2"), Step("recreate", "p_db", reason="p_web2")
    gone, fourth = Step("remove", "p_web", "container", "its service is gone"), Step("replace", "p_web")
    progress = Progress([first, other, third, gone, fourth])
    progress.begin_services([service("web", container="p_web")])
    progress.begin_services([service("web", container="p_web"), service("db", container="p_db")])
    assert progress.tried == [first, fourth, third]
    progress.stop()
    progress.begin_rest()
    assert other not in progress.tried and gone not in progress.tried
