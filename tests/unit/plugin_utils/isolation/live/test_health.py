# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which containers are not as they should be."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.live.health import unwell
from unit.plugin_utils.isolation.live.observations import container, deployed, environment, labels, observation

OURS, THEIRS = "aiia_staging", "aiia_prod"
ONE_OFF = {"com.docker.compose.oneoff": "True"}


def service(replicas: int = 1, once: bool = False) -> dict[str, Any]:
    return {"replicas": replicas, "once": once}


def seen(condition: str, name: str = "it", prefix: str = OURS, policy: str = "unless-stopped", **more: str) -> Any:
    running = not condition.startswith(("exited", "created"))
    marks = {**labels(prefix), **more}
    return container(name, marks, condition=condition, running=running, policy=policy)


def wrong(*containers: Any, web: dict[str, Any] | None = None) -> list[str]:
    """What is said of containers, of an environment with one service."""
    services = {"web": web or service()}
    return [what for _resource, what in unwell(environment(), observation(containers=list(containers)), services)]


@pytest.mark.parametrize("condition", ["unhealthy", "paused", "restarting", "created (0)", "exited (1)", "exited (0)"])
def test_what_does_not_serve(condition: str) -> None:
    """A server that was told to stop exits with 0: it is away all the same."""
    assert wrong(seen(condition)) == [f"Container it is {condition}."]


@pytest.mark.parametrize(
    ("definition", "condition", "said"),
    [
        ({}, "unhealthy", "by the HEALTHCHECK of its image: give the service a healthcheck"),
        ({"healthcheck": {"test": ["CMD", "true"]}}, "unhealthy", ""),
        ({}, "exited (1)", ""),
    ],
)
def test_a_health_check_that_nobody_declared(definition: dict[str, Any], condition: str, said: str) -> None:
    """A worker that runs the application's image is asked for pages."""
    looked_at = environment(web={"image": "web", **definition})
    ((_resource, problem),) = unwell(looked_at, observation(containers=[seen(condition)]), {"web": service()})
    assert problem.startswith(f"Container it is {condition}") and said in problem
    assert ("HEALTHCHECK" in problem) is bool(said)


@pytest.mark.parametrize("condition", ["healthy", "running", "starting"])
def test_what_serves(condition: str) -> None:
    assert wrong(seen(condition)) == []


@pytest.mark.parametrize(
    ("condition", "expected"), [("exited (0)", []), ("exited (1)", ["Container it is exited (1)."])]
)
def test_a_service_that_runs_once(condition: str, expected: list[str]) -> None:
    assert wrong(seen(condition), web=service(once=True)) == expected


def test_one_that_did_its_work_may_be_gone() -> None:
    """`docker container prune` takes it along."""
    assert wrong(web=service(once=True)) == []


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("no", []), ("", []), ("on-failure", []), ("unless-stopped", ["Container it is exited (0)."])],
)
def test_one_of_a_service_that_nobody_knows(policy: str, expected: list[str]) -> None:
    """The engine's own policy says whether it was to end."""
    former = {"com.docker.compose.service": "former"}
    assert wrong(seen("healthy", "web"), seen("exited (0)", policy=policy, **former)) == expected


def test_a_container_that_was_removed() -> None:
    assert wrong() == ["Service web has no container."]
    assert wrong(seen("healthy", **ONE_OFF)) == ["Service web has no container."]


def test_one_of_several_that_was_removed() -> None:
    there = [seen("healthy", "web-1"), seen("healthy", "web-2")]
    assert wrong(*there, web=service(3)) == ["Service web has 2 of 3 containers."]
    assert wrong(*there, web=service(2)) == []


@pytest.mark.parametrize("condition", ["exited (1)", "unhealthy"])
def test_what_somebody_runs_by_the_way(condition: str) -> None:
    """A shell in a container of the application's image has its health check, and nothing to answer it with."""
    assert wrong(seen("healthy", "web"), seen(condition, **ONE_OFF)) == []


def test_other_environments_are_not_asked_about() -> None:
    assert wrong(deployed(OURS), seen("unhealthy", prefix=THEIRS)) == []
