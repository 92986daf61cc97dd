# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page with what the machines say: everything is told, and nothing that they say writes into the page."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.live.status import (
    ABSENT,
    DEPLOYED,
    Status,
    unreachable,
)
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Environment, Fleet
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.report.page import JudgedFleet, page
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.report.present import Seen, seen
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.report.timeline import timeline
from unit.plugin_utils.isolation.report.test_page import HOSTILE, Read, environment

PROD, STAGING = environment("app_prod"), environment("app_staging")
RELEASE = "20260102T000000Z-aaaaaaaa"
PAST: dict[str, Any] = {
    "releases": [
        {"release": RELEASE, "commit": "c" * 40, "subject": "Add a page", "author": "Ann", "by": "ann@laptop"}
    ],
    "receipts": [
        {"finished": "2026-01-01T00:00:00Z", "outcome": "failed", "step": "converge", "by": "ann@laptop"},
        {
            "finished": "2026-01-02T00:00:00Z",
            "outcome": "done",
            "release": RELEASE,
            "changed": 2,
            "bystanders": 1,
            "gaps": [{"target": "app_prod_postgresql", "seconds": 4.5}],
        },
    ],
    "backups": [{"name": "b1", "created": "2026-01-03T00:00:00Z", "trigger": "schedule", "bytes": 5 * 1024**2}],
    "unread": {},
}


def read(found: dict[str, Seen], *environments: Environment) -> Read:
    return Read(page(JudgedFleet(Fleet(environments or (PROD, STAGING)), [], [], seen=found)))


def test_nothing_of_it_from_the_plan_alone() -> None:
    """Control: with one answer there is a section."""
    assert "The machines now" not in read({}).text
    assert "The machines now" in read({"app_prod": Seen(Status("app_prod", ABSENT))}).text


def test_what_is_told_of_an_environment() -> None:
    status = Status("app_prod", DEPLOYED, (), RELEASE, healthy=True, drift=0, certificate_days=61.6)
    containers = [{"name": "app_prod_web", "condition": "healthy", "running": True, "started": "2026-01-02T00:00:00Z"}]
    told = read({"app_prod": Seen(status, containers, PAST, ("else_prod",), "2026-01-04T00:00:00Z")})
    assert told.open == []
    for said in (
        "1 environment: 1 well.",
        "app_prod well",
        "Last backup none",
        "Certificate valid for 62 days",
        "app_prod_web healthy, since 2026-01-02 00:00",
        f"Release {RELEASE}, in force Add a page (Ann), commit cccccccccccc, deployed by ann@laptop",
        "2026-01-01 00:00 Deployment failed in converge by ann@laptop, 0 changes",
        f"Deployment release {RELEASE}, 2 changes, 1 change of OTHER environments meanwhile",
        "App_prod_postgresql was down for 4.5 s",
        "Backup b1 5.0 MiB, made by schedule",
        "not in this inventory: else_prod",
    ):
        assert said in told.text, (said, told.text)


@pytest.mark.parametrize(
    ("status", "word", "opened"),
    [
        (Status("app_prod", DEPLOYED, healthy=True, drift=0), "well", False),
        (Status("app_prod", ABSENT), "not deployed", False),
        (unreachable("app_prod", "no route to host"), "unreachable", True),
        (Status("app_prod", DEPLOYED, healthy=False, drift=2, maintenance=True), "unwell, 2 things changed", True),
        (Status("app_prod", DEPLOYED, ("A timer failed.",), healthy=True, drift=0), "1 problem", True),
    ],
)
def test_what_is_wrong_is_open(status: Status, word: str, opened: bool) -> None:
    text = page(JudgedFleet(Fleet((PROD,)), [], [], seen={"app_prod": Seen(status)}))
    assert word in Read(text).text
    assert ('<details class="seen" open>' in text) is opened


def test_a_machine_that_is_away_hides_no_other() -> None:
    told = read(
        {"app_prod": Seen(unreachable("app_prod", "no route")), "app_staging": Seen(Status("app_staging", ABSENT))}
    )
    assert "app_prod unreachable no route" in told.text and "app_staging not deployed" in told.text


def test_each_mark_is_a_row() -> None:
    """Who does not see the drawing misses nothing: releases, runs, backups and downtime."""
    text = timeline(PAST, RELEASE, "2026-01-04T00:00:00Z")
    assert len(re.findall(r'<path class="', text)) == text.count("<tr>") - 1 == 5
    assert text.count('class="failed"') == text.count('class="bad"') == 1
    places = [float(found) for found in re.findall(r'x="([\d.]+)%"', text)]
    assert min(places) == 2 and max(places) < 98  # now is later than the last event
    assert 'aria-hidden="true"' in text


def test_a_long_past_is_listed_in_part_and_drawn_whole() -> None:
    many = [{"name": f"b{day}", "created": f"2026-01-{day:02}T00:00:00Z"} for day in range(1, 31)] * 2
    text = timeline({"backups": many}, "", "")
    assert text.count("<path") == 60 and text.count("<tr>") == 51 and "10 older events not listed" in text


def test_what_could_not_be_read_is_said() -> None:
    assert "Backups could not be read: no right" in timeline({"unread": {"backups": "no right"}}, "", "")
    assert timeline({}, "", "") == "<p>Nothing is known of its past.</p>"


def test_times_that_are_none_are_left_out() -> None:
    odd = {"receipts": [{"finished": "yesterday"}, {}], "backups": [{"created": None}], "releases": [{"release": "x"}]}
    assert timeline(odd, "", "") == "<p>Nothing is known of its past.</p>"


def test_no_machine_writes_into_the_page() -> None:
    """Commit subjects, container names, reasons and labels are others' texts."""
    past = {
        "releases": [{"release": RELEASE, **dict.fromkeys(("commit", "subject", "author", "by"), HOSTILE)}],
        "receipts": [
            {
                "finished": "2026-01-02T00:00:00Z",
                **dict.fromkeys(("by", "what", "outcome", "step", "release"), HOSTILE),
                "gaps": [{"target": HOSTILE, "seconds": 1.0}],
            },
            {"finished": "2026-01-02T00:00:00Z", "outcome": "failed", "step": HOSTILE, "what": HOSTILE},
        ],
        "backups": [{"created": "2026-01-02T00:00:00Z", **dict.fromkeys(("name", "trigger", "release"), HOSTILE)}],
        "unread": {HOSTILE: HOSTILE},
    }
    status = Status(HOSTILE, DEPLOYED, (HOSTILE,), *[HOSTILE] * 4, healthy=False, drift=1, changed=(HOSTILE,))
    containers = [dict.fromkeys(("name", "condition", "started", "image"), HOSTILE) | {"running": True}]
    text = page(
        JudgedFleet(
            Fleet((environment(HOSTILE, machine=HOSTILE),)),
            [],
            [],
            seen={HOSTILE: Seen(status, containers, past, (HOSTILE,), HOSTILE)},
        )
    )
    told = Read(text)
    assert told.open == [] and "script" not in told.tags
    assert "\x1b" not in text and "\u202e" not in text
    assert told.text.count("<script>") > 15


def test_what_is_taken_of_an_observation() -> None:
    """Own containers only; who else is registered, but not the inventory's own."""
    own = Environment("app_prod", machine="one")
    observation = {
        "containers": [{"name": "other", "labels": {"com.docker.compose.project": "other"}}],
        "registry": {"app_prod": {}, "app_staging": {}, "else_prod": {}},
        "engine": {"time": "2026-01-04T00:00:00Z"},
    }
    found = seen(own, Status("app_prod", ABSENT), observation, {}, ["app_prod", "app_staging"])
    assert (found.containers, found.others, found.now) == ([], ["else_prod"], "2026-01-04T00:00:00Z")
