# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Everything a deployment waits for has a limit, Compose's own waiting included, except pulling images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.boot import Serving
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.run import Run
from unit.module_utils.deployments import WEB, Machine, files
from unit.module_utils.docker.test_readiness import Clock, clock
from unit.module_utils.fake_engine import COMPOSE_FILE, service, snapshot

__all__ = ["clock"]  # the fixture

ONCE = [service("web", **WEB), service("db", one_shot=True)]
NEW = [service("web", **WEB, image="web:2"), service("db", image="db:1")]


def starting(machine: Machine, then: Callable[[int], int]) -> None:
    """Let something happen while Compose starts the second version; ``then`` gets the limit and says the exit code."""
    compose = machine.engine.compose

    def call(*args: str, limit: int = 0, **options: Any) -> tuple[int, str, str]:
        done = compose(*args, limit=limit, **options)
        if args[0] == "up" and "web:2" in Path(machine.directory, COMPOSE_FILE).read_text():
            done = then(limit), "", " Container aiia_prod_db  Waiting"
        return done

    machine.engine.compose = call  # type: ignore[method-assign]


def test_a_service_that_others_wait_for_and_that_never_ends(deployed: Machine, clock: Clock) -> None:
    """Compose would wait for ever, and the run's lease would be renewed all that time."""
    deployed.engine.sick["db:2"] = "none"

    def hang(limit: int) -> int:
        assert limit == 20
        clock.now += limit
        deployed.engine.container("web")["State"] = {"Running": False, "Status": "created", "ExitCode": 0}
        return 124

    starting(deployed, hang)
    error = deployed.fails(**files(web="web:2", db="db:2"), services=ONCE, wait_timeout=20)
    assert "did not get healthy within 20 s (bulkhead_wait_timeout): " in error.message
    assert (
        "aiia_prod_web is created (0)" in error.message and "aiia_prod_db is running and did not end" in error.message
    )
    assert "log of aiia_prod_db" in error.detail and "Waiting" not in error.detail
    assert "serves again" in error.message
    assert deployed.engine.images() == {"web": "web:1", "db": "db:1"}


def test_compose_that_is_killed_by_somebody_else_is_no_limit(deployed: Machine, clock: Clock) -> None:
    starting(deployed, lambda _limit: 137)
    error = deployed.fails(**files(web="web:2"), wait_timeout=20)
    assert "bulkhead_wait_timeout" not in error.message and "Waiting" in error.detail


def test_compose_and_the_health_checks_have_the_limit_together(deployed: Machine, clock: Clock) -> None:
    deployed.engine.sick["web:2"] = "starting"

    def take_long(limit: int) -> int:
        clock.now += limit - 5
        return 0

    starting(deployed, take_long)
    error = deployed.fails(**files(web="web:2"), wait_timeout=20)
    assert "within 20 s (bulkhead_wait_timeout): aiia_prod_web is starting" in error.message
    assert clock.now < 125


def test_the_limit_leaves_room_for_the_readiness_delay(deployed: Machine, clock: Clock) -> None:
    seen: list[int] = []
    starting(deployed, lambda limit: seen.append(limit) or 0)  # type: ignore[func-returns-value]
    deployed.deploy(**files(web="web:2"), wait_timeout=1, readiness_delay=5)
    assert set(seen) == {6}


# ---- images ------------------------------------------------------------------------------------------------------


def test_an_image_that_is_not_here_is_fetched_before_anything_changes(deployed: Machine) -> None:
    deployed.engine.objects["image"] = [{"Name": "db:1"}]
    before = snapshot(deployed.directory)
    seen: list[dict[str, bytes]] = []
    fetch = "compose pull --quiet web"
    deployed.engine.on_call = lambda call: seen.append(snapshot(deployed.directory)) if call == fetch else None
    deployed.deploy(**files(web="web:2"), services=NEW)
    assert seen == [before]
    assert deployed.engine.images()["web"] == "web:2"


@pytest.mark.parametrize("kind", ["first", "next"])
def test_an_image_that_cannot_be_fetched_changes_nothing(request: pytest.FixtureRequest, kind: str) -> None:
    machine: Machine = request.getfixturevalue("machine" if kind == "first" else "deployed")
    before = snapshot(machine.directory), machine.engine.ids(), machine.releases()
    machine.engine.refuses = lambda call: call.startswith("pull")
    error = machine.fails(**files(web="web:2"), services=NEW)
    assert "cannot fetch what this machine lacks: db:1, web:2" in error.message
    assert "refused by the test" in error.detail
    assert (snapshot(machine.directory), machine.engine.ids(), machine.releases()) == before


def test_images_that_are_here_are_not_fetched(deployed: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine is not asked again whether they exist."""
    monkeypatch.setattr(deployed.engine, "image_ids", lambda names: dict.fromkeys(names, "sha256:1"))
    deployed.deploy(**files(web="web:2"), services=NEW)
    assert not [call for call in deployed.engine.calls if call.startswith(("compose pull", "image inspect"))]


def test_asking_compose_what_it_would_do_starts_nothing(deployed: Machine) -> None:
    """A dry run of starting containers really waits for one that has to end first."""
    deployed.deploy(**files(web="web:2"))
    (asked,) = (call for call in deployed.engine.calls if "--dry-run" in call)
    assert "--no-start" in asked and "--detach" not in asked


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ({"Status": "exited", "ExitCode": 0}, True),
        ({"Status": "exited", "ExitCode": 1}, False),
        ({"Status": "restarting", "Running": True, "Restarting": True, "ExitCode": 0}, True),
        ({"Status": "restarting", "Running": True, "Restarting": True, "ExitCode": 2}, False),
    ],
)
def test_a_service_that_ends_well_and_should_not_is_told_how_it_may(
    deployed: Machine, state: dict[str, Any], told: bool
) -> None:
    container = {**deployed.engine.container("web"), "State": {"Running": False, **state}}
    assert ('restart: "no"' in Serving(Run(deployed.look())).how(container)) is told
