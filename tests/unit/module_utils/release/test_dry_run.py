# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A dry run that replaces containers ends the deployment, and the release that was in force serves again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.dry_run import _foreseen
from unit.module_utils.deployments import Machine, files
from unit.module_utils.fake_engine import FakeEngine

STAGING = "aiia_staging"


LEFT = " DRY-RUN MODE -  Container aiia_prod_web  Running\n"


@pytest.mark.parametrize(
    ("said", "recreated", "left", "idle"),
    [
        (LEFT, "", "aiia_prod_web", True),
        (LEFT + LEFT.replace("web", "db"), "", "aiia_prod_web aiia_prod_db", True),
        (LEFT + LEFT.replace("web  Running", "db  Created"), "", "aiia_prod_web", False),
        (LEFT + LEFT.replace("web  Running", "db  Recreate"), "aiia_prod_db", "aiia_prod_web", False),
        (LEFT + ' DRY-RUN MODE -  Volume "aiia_prod_data"  Creating\n', "", "aiia_prod_web", False),
        (LEFT + " DRY-RUN MODE -  Network aiia_prod_network  Created\n", "", "aiia_prod_web", False),
        (LEFT + 'time="2026-01-01T00:00:00Z" level=warning msg="something"\n', "", "aiia_prod_web", False),
        (LEFT.replace("DRY-RUN MODE -  ", ""), "", "", False),
        ("", "", "", True),
    ],
)
def test_what_compose_would_do(said: str, recreated: str, left: str, idle: bool) -> None:
    """What is not known to be nothing is something."""
    assert _foreseen(said) == (set(recreated.split()), set(left.split()), idle)


def replace(engine: FakeEngine, key: str) -> None:
    """Replace a container by one of the same name."""
    container = engine.running[key]
    engine.running[key] = {**container, "Id": f"{container['Id']}-of-a-dry-run"}


def stranger(engine: FakeEngine, name: str, identifier: str, prefix: str = "") -> dict[str, Any]:
    """A container of somebody else, with its id."""
    labels = {"com.docker.compose.project": prefix, "io.bulkhead.prefix": prefix}
    made = {"Id": identifier, "Name": f"/{name}", "Config": {"Labels": labels}, "State": {"Running": True}}
    engine.strangers.append(made)
    return made


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "machine-state"


@pytest.fixture
def changed(deployed: Machine, state: Path) -> dict[str, Any]:
    """A next version, on a machine that other environments share."""
    stranger(deployed.engine, "aiia_staging_web", "s1", STAGING)
    return {**files(web="web:2"), "state_directory": str(state)}


def test_own_containers_were_replaced(deployed: Machine, changed: dict[str, Any]) -> None:
    """The release in force serves again, and Compose is not asked a second time."""
    deployed.engine.on_dry_run = lambda: replace(deployed.engine, "web")
    error = deployed.fails(**changed)
    assert "has replaced containers for real: aiia_prod_web. Install another version of Docker Compose" in error.message
    assert error.message.endswith("The previous release serves again")
    assert deployed.engine.images() == {"web": "web:1", "db": "db:1"}
    assert len([call for call in deployed.engine.calls if "--dry-run" in call]) == 1


@pytest.mark.parametrize("vanish", [True, False])
def test_an_own_container_that_came_or_went(deployed: Machine, changed: dict[str, Any], vanish: bool) -> None:
    """Of the environment's own containers every difference counts."""

    def act() -> None:
        if vanish:
            del deployed.engine.running["db"]
        else:
            deployed.engine.running["new"] = deployed.engine._made("new-1", "aiia_prod_new", "new", "new:1")

    deployed.engine.on_dry_run = act
    name = "aiia_prod_db" if vanish else "aiia_prod_new"
    assert f"for real: {name}" in deployed.fails(**changed).message
    assert deployed.engine.images() == {"web": "web:1", "db": "db:1"}


def test_others_who_come_and_go(deployed: Machine, changed: dict[str, Any]) -> None:
    """Near misses: a job of somebody else's that starts, one that ends, and a bystander that is replaced meanwhile, by
    whoever looks after it."""
    stranger(deployed.engine, "job", "j1")

    def act() -> None:
        deployed.engine.strangers = [item for item in deployed.engine.strangers if item["Id"] != "j1"]
        stranger(deployed.engine, "backup", "b1")
        deployed.engine.strangers[0]["Id"] = "s2"

    deployed.engine.on_dry_run = act
    deployed.deploy(**changed)
    assert deployed.engine.images()["web"] == "web:2"
