# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The status of environments: what is said of each, and how it is shown."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.live.drift import deployed_containers
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.live.metrics import (
    deployment_metrics,
    status_metrics,
)
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.live.status import (
    ABSENT,
    DEPLOYED,
    UNREACHABLE,
    age,
    as_text,
    status,
    unreachable,
)
from unit.plugin_utils.isolation.live.observations import deployed, environment, observation

OURS = "aiia_staging"
NOW = "2026-01-11T00:00:00.123456789Z"


def seen(containers: list[dict[str, Any]], entry: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """The machine after a deployment of one container, with what is different now."""
    before = observation(containers=[deployed(OURS)])
    kept = {
        "prefix": OURS,
        "directory": f"/srv/{OURS}",
        "release": "20260110T000000Z-1",
        "commit": "a" * 40,
        "deployed": "2026-01-10T00:00:00Z",
        "by": "ann@ci",
        "services": {"web": {"replicas": 1, "once": False}},
        "containers": deployed_containers(OURS, before),
        **(entry or {}),
    }
    now = observation(containers=containers, registry={OURS: kept}, **more)
    now["engine"]["time"] = NOW
    return now


WATCHED = {
    "backup": {"created": "2026-01-10T21:00:00Z"},
    "certificate": {"left": 61.4 * 86400, "ends": "2026-03-13 00:00 UTC"},
    "schedule": {"backup": {"succeeded": True}, "certificates": {}},
}


def test_an_environment_that_is_well() -> None:
    found = status(environment(), seen([deployed(OURS)]), WATCHED)
    assert (found.state, found.healthy, found.drift, found.problems) == (DEPLOYED, True, 0, ())
    assert (found.release, found.commit, found.since, found.by) == (
        "20260110T000000Z-1", "a" * 40, "2026-01-10T00:00:00Z", "ann@ci",
    )  # fmt: skip
    assert found.certificate_days == 61.4
    assert found.backup_age_seconds == pytest.approx(3 * 3600, abs=1)
    head, row, last = as_text([found]).splitlines()
    assert head.split() == [
        "environment",
        "release",
        "commit",
        "since",
        "by",
        "health",
        "drift",
        "backup",
        "certificate",
    ]
    assert row.split("  ")[0] == OURS and " well " in row and row.endswith("61 days") and "3 h old" in row
    assert "a" * 12 in row and "a" * 13 not in row
    assert last == "1 environment: 1 well"


@pytest.mark.parametrize(
    ("container", "healthy", "drift", "words"),
    [
        ({"condition": "unhealthy"}, False, 0, f"Container {OURS}_web is unhealthy."),
        ({"condition": "exited (1)", "running": False}, False, 1, "is exited (1)"),
        ({"image": "sha256:2"}, True, 1, f"Changed by hand since the deployment: container {OURS}_web"),
    ],
)
def test_what_is_wrong_with_a_container(container: dict[str, Any], healthy: bool, drift: int, words: str) -> None:
    found = status(environment(), seen([deployed(OURS, **container)]), WATCHED)
    assert (found.healthy, found.drift) == (healthy, drift)
    text = as_text([found])
    assert words in text and "1 to look at" in text and ("UNWELL" in text) is not healthy


@pytest.mark.parametrize(
    ("watched", "words"),
    [
        (
            {"schedule": {"backup": {"succeeded": False, "began": "yesterday", "message": "disk full\nmore"}}},
            "disk full",
        ),
        ({"certificate": {"left": -5, "ends": "2026-01-10"}}, "Its certificate ended on 2026-01-10."),
        ({"unread": "its backups cannot be read: no"}, "its backups cannot be read: no"),
    ],
)
def test_what_is_wrong_beside_the_containers(watched: dict[str, Any], words: str) -> None:
    found = status(environment(), seen([deployed(OURS)]), {**WATCHED, **watched})
    assert found.healthy and words in as_text([found]) and "more" not in found.problems[0]
    assert "1 to look at" in as_text([found])


def test_what_is_not_there_is_a_line() -> None:
    absent = status(environment(), observation(), {})
    assert absent.state == ABSENT and absent.healthy is None
    lost = unreachable("aiia_qa", "no\n route")
    assert lost.state == UNREACHABLE
    assert as_text([absent, lost]).splitlines() == [
        "aiia_staging: not deployed",
        "aiia_qa: unreachable: no route",
        "2 environments: 0 well, 1 not deployed, 1 unreachable",
    ]


def test_entries_that_cannot_be_used() -> None:
    damaged = observation(registry={OURS: {"prefix": OURS, "damaged": "its digest differs"}})
    assert "its digest differs" in status(environment(), damaged, {}).problems[0]
    never = status(environment(), observation(containers=[deployed(OURS)]), {})
    assert "no deployment of it has succeeded" in never.problems[0]
    moved = status(environment(directory="/srv/new"), seen([deployed(OURS)]), WATCHED)
    assert moved.problems == (f"It was deployed to /srv/{OURS}, and the inventory says /srv/new.",) and not moved.drift


def test_an_older_container_that_is_gone_is_missed() -> None:
    found = status(environment(), seen([]), WATCHED)
    assert found.healthy is False and "Service web has no container." in found.problems


@pytest.mark.parametrize(("then", "now"), [("", NOW), ("yesterday", NOW), (NOW, "")])
def test_an_unknown_time_has_no_age(then: str, now: str) -> None:
    assert age(then, now) is None


def test_a_clock_that_went_back_makes_nothing_younger_than_now() -> None:
    assert age("2027-01-01T00:00:00Z", NOW) == 0


def test_what_a_deployment_and_a_look_say_to_prometheus() -> None:
    """The newest words of each: a look knows no release, and a deployment no backup."""
    own = {"kind": "own", "certificate": {"until": 1775000000}}
    answer = {"observation": observation(containers=[deployed(OURS)]), "answers": [own, {"kind": "own"}]}
    release = {"release": "20260110T000000Z-1", "commit": "a" * 40}
    known = deployment_metrics(environment(), answer, {"finished": "2026-01-10T00:00:00Z"}, release)
    assert known.items() >= {
        **release,
        "bulkhead_release_timestamp_seconds": 1768003200,
        "bulkhead_healthy": 1,
        "bulkhead_drift": 0,
        "bulkhead_certificate_expiry_timestamp_seconds": 1775000000,
    }.items()  # fmt: skip
    found = status(environment(), seen([deployed(OURS, image="sha256:2", condition="unhealthy")]), WATCHED)
    assert status_metrics(found, {"certificate": {"until": 5}}, NOW) == {
        "bulkhead_healthy": 0,
        "bulkhead_drift": 1,
        "bulkhead_observed_timestamp_seconds": 1768089600,
        "bulkhead_backup_timestamp_seconds": 1768078800,
        "bulkhead_certificate_expiry_timestamp_seconds": 5,
    }
    assert "bulkhead_healthy" not in status_metrics(status(environment(), observation(), {}), {}, "")
