# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report's page in a real browser: readable for everybody, on any screen, for a few environments and for many."""

from __future__ import annotations

from pathlib import Path

import browser
import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import (
    Claim,
    Environment,
    Finding,
    Fleet,
    Severity,
    Where,
)
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.report.page import JudgedFleet, page

LONG = "a" * 90


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


def text(count: int, refused: bool) -> str:
    """A page with findings that stop, are waived, and only advise."""
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
            made, findings, [stops] if refused else [], ["A secret was not compared."], names[-1:], "Made today."
        )
    )


@pytest.mark.parametrize(
    ("count", "refused", "width", "dark"),
    [(2, False, 360, False), (20, True, 1280, True), (20, True, 360, True), (100, False, 360, False)],
)
def test_everybody_can_read_it(tmp_path: Path, count: int, refused: bool, width: int, dark: bool) -> None:
    """axe-core finds nothing, nothing scrolls sideways, and nothing is fetched."""
    found = browser.judged(tmp_path, text(count, refused), width, dark)
    assert found["violations"] == [] and found["passes"] > 15
    assert found["width"] <= width and found["needed"] <= found["width"]
    assert found["dark"] is dark and found["requests"] == 0


def test_the_judge_sees_faults(tmp_path: Path) -> None:
    """The control: grey on grey, a picture without words, and a line that is too long."""
    bad = '<p style="color:#999;background:#aaa">grey</p><img src=""><p style="width:900px">wide</p></main>'
    found = browser.judged(tmp_path, text(2, False).replace("</main>", bad), 360)
    assert {"color-contrast", "image-alt"} <= {rule for _impact, rule, _nodes in found["violations"]}
    assert found["needed"] > found["width"]


def test_a_picture_of_it(tmp_path: Path) -> None:
    """Light and dark look different, and neither is empty."""
    pictures = [browser.screenshot(tmp_path, text(2, True), 800, dark).read_bytes() for dark in (False, True)]
    assert len(set(pictures)) == 2 and all(len(picture) > 10_000 for picture in pictures)
