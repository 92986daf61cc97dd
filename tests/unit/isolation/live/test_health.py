# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which containers are not as they should be."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.live.health import unwell
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import ComposeProject
from unit.isolation.live.observations import container, deployed, environment, labels, observation

OURS, THEIRS = "aiia_staging", "aiia_prod"


def found(condition: str, label: str = "", value: str = "", once: bool = False, prefix: str = OURS) -> list[str]:
    """The names of the containers that are not well, of one that is in a condition."""
    service = {"image": "web", "restart": "no" if once else "unless-stopped"}
    ours = replace(environment(), compose=(ComposeProject(OURS, OURS, {"web": service}),))
    running = not condition.startswith(("exited", "created"))
    seen = container("it", {**labels(prefix), label: value}, condition=condition, running=running)
    return [each["name"] for each in unwell(ours, observation(containers=[seen]))]


@pytest.mark.parametrize("condition", ["unhealthy", "paused", "restarting", "created (0)", "exited (1)", "exited (0)"])
def test_what_does_not_serve(condition: str) -> None:
    """A server that was told to stop exits with 0: it is away all the same."""
    assert found(condition) == ["it"]


@pytest.mark.parametrize("condition", ["healthy", "running", "starting"])
def test_what_serves(condition: str) -> None:
    assert found(condition) == []


@pytest.mark.parametrize(("condition", "expected"), [("exited (0)", []), ("exited (1)", ["it"])])
def test_a_service_that_runs_once(condition: str, expected: list[str]) -> None:
    assert found(condition, once=True) == expected


def test_one_of_a_service_that_nobody_declares_is_judged_as_a_server() -> None:
    assert found("exited (0)", "com.docker.compose.service", "former", once=True) == ["it"]


@pytest.mark.parametrize(("condition", "expected"), [("exited (1)", []), ("unhealthy", ["it"])])
def test_what_somebody_ran_by_the_way(condition: str, expected: list[str]) -> None:
    """It may end as it likes; what goes on may be a stand-in, which serves."""
    assert found(condition, "com.docker.compose.oneoff", "True") == expected


def test_other_environments_are_not_asked_about() -> None:
    assert found("unhealthy", prefix=THEIRS) == []


def test_as_deployed() -> None:
    assert list(unwell(environment(), observation(containers=[deployed(OURS)]))) == []
