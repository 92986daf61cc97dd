# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""SARIF, JUnit and Markdown: what code scanning, test reports and the page of a pipeline read."""

from __future__ import annotations

import json
from xml.etree import ElementTree

from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Finding, Severity, Where
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.report.formats import junit, markdown, sarif

FOUND = Finding(
    rule="shared-port",
    severity=Severity.HIGH,
    environments=("aiia_prod", "aiia_staging"),
    resource="8080/tcp",
    message="aiia_prod and aiia_staging both publish port 8080.",
    fix="Give aiia_staging another port.",
    where=(Where("main/my compose.yml", 7, "services.nginx"), Where(item="bulkhead_http_port")),
    hazards=("PT-01",),
)
WAIVED = Finding(
    rule="accepted", severity=Severity.LOW, environments=("aiia_prod",), resource="x", message="m", fix="f",
    waived="on purpose",
)  # fmt: skip
SUMMARIES = {"shared-port": "Two environments publish one port.", "quiet": "Never found."}


def test_sarif() -> None:
    """Rule, level, place and what it concerns."""
    log = sarif([WAIVED, FOUND], SUMMARIES, "1.2.3")
    json.dumps(log)
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == ["accepted", "quiet", "shared-port"]
    first, second = run["results"]
    assert rules[first["ruleIndex"]]["id"] == first["ruleId"] == "shared-port"
    assert first["level"] == "error"
    assert first["locations"] == [
        {
            "physicalLocation": {
                "artifactLocation": {"uri": "main/my%20compose.yml"},
                "region": {"startLine": 7},
            },
            "logicalLocations": [{"fullyQualifiedName": "services.nginx"}],
        }
    ]
    assert first["relatedLocations"] == [{"id": 1, "logicalLocations": [{"fullyQualifiedName": "bulkhead_http_port"}]}]
    assert second["suppressions"][0]["justification"] == "on purpose"
    assert second["level"] == "note"


def test_junit() -> None:
    """A rule that stops the run fails, one that found nothing passes, one that does not stop tells what it found."""
    tree = ElementTree.fromstring(junit([FOUND, WAIVED], SUMMARIES, [FOUND]))
    assert (tree.get("tests"), tree.get("failures")) == ("3", "1")
    cases = {case.get("name"): case for case in tree.iter("testcase")}
    failure = cases["shared-port"].find("failure")
    assert failure is not None
    assert "main/my compose.yml:7 (services.nginx)" in str(failure.text)
    assert list(cases["quiet"]) == []
    assert "waived: on purpose" in str(cases["accepted"].findtext("system-out"))


def test_junit_carries_any_text() -> None:
    """What XML cannot carry does not break the report."""
    odd = Finding("r", Severity.HIGH, ("a",), "\x00\x1b<&]]>", "\ud800 \ufffe \U0001f600", "f")
    tree = ElementTree.fromstring(junit([odd], {}, [odd]))
    assert "<&]]>" in str(next(tree.iter("failure")).text)


def test_markdown() -> None:
    """Verdict, environments, and a row for each finding; the ones that stop the run stand out."""
    text = markdown(["aiia_prod", "aiia_staging"], [WAIVED, FOUND], [FOUND])
    assert text.startswith("### Isolation: refused\n\nEnvironments: `aiia_prod`, `aiia_staging`\n")
    rows = [line for line in text.splitlines() if line.startswith("| ")][1:]
    assert rows[0].startswith("| **high** | `aiia_prod`, `aiia_staging` |") and "`main/my compose.yml:7" in rows[0]
    assert rows[1].startswith("| low, waived |")
    assert markdown([], [], []) == "### Isolation: proved on paper\n\nEnvironments: none\n"


def test_markdown_shows_any_text_as_it_is() -> None:
    """Whoever writes a value in a pull request writes no link, image, mention or table into the summary."""
    odd = Finding(
        "r", Severity.HIGH, ("a`|b",), "x", "![x](http://e)\n| @all <img> `c`", "[f](u)", where=(Where("a`|"),)
    )
    (row,) = [line for line in markdown(["a"], [odd], [odd]).splitlines() if line.startswith("| **")]
    assert r"\!\[x\]\(http://e\) \| \@all \<img\> \`c\`" in row and r"\[f\]\(u\)" in row
    assert "`a'¦b`" in row and "`a'¦`" in row
