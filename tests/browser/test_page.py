# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report's page in a real browser: readable for everybody, on any screen, for a few environments and for many."""

from __future__ import annotations

import re
from pathlib import Path

import browser
import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.live.status import Status, unreachable
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import (
    Claim,
    Environment,
    Finding,
    Fleet,
    Severity,
    Where,
)
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.report.page import JudgedFleet, page
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.report.present import Seen

LONG = "a" * 90
RELEASE = "20260128T100000Z-aaaaaaaa"


def fleet(count: int) -> Fleet:
    """Environments with names as long as they may be."""
    return Fleet(tuple(environment(f"app{number}_environment", "server.example.com") for number in range(count)))


def environment(prefix: str, machine: str) -> Environment:
    keys = {
        "domain": [f"{prefix.replace('_', '-')}.example.com", f"{LONG}.example.com"],
        "container": [f"{prefix}_{name}" for name in ("nginx", "django", "postgresql", "redis")],
        "volume": [f"{prefix}_{LONG}"],
        "host-port": ["8080/tcp"],
        "path": [f"/srv/{prefix}/{LONG}/{LONG}"],
    }
    claims = tuple(
        Claim(namespace, machine, key, prefix, Where(item=key)) for namespace, listed in keys.items() for key in listed
    )
    return Environment(
        prefix, machine=machine, directory=f"/srv/{prefix}", protected=prefix == "app0_environment", claims=claims
    )


def said(made: Environment, number: int) -> Seen:
    """What a machine says of an environment: well, unwell with drift, not deployed, and not reached."""
    if number % 4 == 3:
        return Seen(unreachable(made.prefix, f"{LONG} cannot be asked"))
    if number % 4 == 2:
        return Seen(Status(made.prefix, "not deployed"))
    bad = number % 4 == 1
    judged = Status(made.prefix, "deployed", (f"Container {LONG} is exited (1).",) if bad else (), RELEASE, "c" * 40,
                    "2026-02-01T10:00:00Z", f"ann@{LONG}", not bad, bad, int(bad), (f"file {LONG}",) if bad else (),
                    "2026-02-01T04:00:00Z", 90000.0, 61.5)  # fmt: skip
    running = [
        {"name": f"{made.prefix}_{name}", "condition": "healthy", "running": True, "started": "2026-02-01T10:00:00Z",
         "restarts": int(bad), "image": "sha256:" + "a" * 64} for name in ("django", "nginx", LONG)
    ]  # fmt: skip
    days = range(1, 29)
    runs = [
        {
            "finished": f"2026-01-{day:02}T10:00:00Z",
            "by": f"ann@{LONG}",
            "outcome": "failed" if day % 9 == 0 else "done",
            "step": "converge",
            "release": RELEASE,
            "changed": day,
            "gaps": [{"target": f"{made.prefix}_{LONG}", "seconds": 4.25}] if day % 7 == 0 else [],
        }
        for day in days
    ]
    backups = [
        {"name": f"202601{day:02}T040000Z", "created": f"2026-01-{day:02}T04:00:00Z", "trigger": "schedule",
         "release": RELEASE, "bytes": 10**day % 10**12} for day in days
    ]  # fmt: skip
    releases = [{"release": RELEASE, "commit": "c" * 40, "subject": f"<b>{LONG}</b>", "author": LONG, "by": "ann"}]
    past = {"receipts": runs, "backups": backups, "releases": releases, "unread": {}}
    return Seen(judged, running, past, ("somebody_else",), "2026-02-02T04:00:00Z")


def text(count: int, refused: bool, live: bool = False) -> str:
    """A page with findings that stop, are waived, and only advise; ``live`` also with what the machines say."""
    made = fleet(count)
    names = [item.prefix for item in made.environments]
    stops = Finding("shared-port", Severity.HIGH, tuple(names[:2]), "8080/tcp", f"Both have {LONG}.", "Choose another.",
                    (Where("group_vars/staging/main.yml", 7, "bulkhead_http_port"),), hazards=("PT-01",))  # fmt: skip
    waived = Finding(
        "agent", Severity.MEDIUM, (names[0],), "x", "It reads all logs.", "Restrict it.", waived="on purpose"
    )
    advice = Finding("ipv6-twin", Severity.LOW, (names[-1],), "x", "It publishes on IPv6.", "Restrict it.")
    findings = [waived, advice, *([stops] if refused else [])]
    return page(
        JudgedFleet(
            made,
            findings,
            [stops] if refused else [],
            ["A secret was not compared."],
            names[-1:],
            "Made today.",
            seen={own.prefix: said(own, number) for number, own in enumerate(made.environments)} if live else {},
        )
    )


@pytest.mark.parametrize(
    ("count", "refused", "width", "dark", "live"),
    [
        (2, False, 360, False, False),
        (20, True, 1280, True, False),
        (20, True, 360, True, True),
        (100, False, 360, False, False),
        (4, False, 1280, False, True),
        (100, False, 360, False, True),
    ],
)
def test_everybody_can_read_it(tmp_path: Path, count: int, refused: bool, width: int, dark: bool, live: bool) -> None:
    """axe-core finds nothing, nothing scrolls sideways, and nothing is fetched."""
    found = browser.judged(tmp_path, text(count, refused, live), width, dark)
    assert found["violations"] == [] and found["passes"] > 15
    assert found["width"] <= width and found["needed"] <= found["width"]
    assert found["dark"] is dark and found["requests"] == 0


def test_the_judge_sees_faults(tmp_path: Path) -> None:
    """The control: grey on grey, a picture without words, and a line that is too long."""
    bad = '<p style="color:#999;background:#aaa">grey</p><img src=""><p style="width:900px">wide</p></main>'
    found = browser.judged(tmp_path, text(2, False).replace("</main>", bad), 360)
    assert {"color-contrast", "image-alt"} <= {rule for _impact, rule, _nodes in found["violations"]}
    assert found["needed"] > found["width"]


def test_paper_shows_what_is_folded(tmp_path: Path) -> None:
    """Nobody can unfold it there. The control: without the style for paper there are fewer sheets."""
    folded = text(20, False, live=True)
    unfolded = re.sub(r"<details([^>]*?)(?: open)?>", r"<details\1 open>", folded)
    bare = folded.replace("@media print", "@media tty")
    assert folded.count(" open>") < unfolded.count(" open>")
    sheets = browser.printed(tmp_path, folded)
    assert sheets == browser.printed(tmp_path, unfolded) > browser.printed(tmp_path, bare)


def test_a_picture_of_it(tmp_path: Path) -> None:
    """Light and dark look different, and neither is empty."""
    page = text(2, True, live=True)
    pictures = [browser.screenshot(tmp_path, page, 800, dark).read_bytes() for dark in (False, True)]
    assert len(set(pictures)) == 2 and all(len(picture) > 10_000 for picture in pictures)
