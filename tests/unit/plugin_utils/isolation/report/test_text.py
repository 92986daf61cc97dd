# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report: order, folding, what stops a run, and a screen that stays bounded."""

from __future__ import annotations

import time

from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Finding, Severity, Where
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.report.text import (
    arrange,
    as_json,
    fold,
    refusal,
    stops,
    summary,
    text,
)
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.wording import number


def finding(rule: str = "shared-port", severity: Severity = Severity.HIGH, **given: object) -> Finding:
    """A finding about two environments, unless told otherwise."""
    values: dict[str, object] = {
        "environments": ("aiia_prod", "aiia_staging"),
        "resource": "8080/tcp",
        "message": "aiia_prod and aiia_staging both publish port 8080.",
        "fix": "Give aiia_staging another port.",
        "hazards": ("PT-01",),
    }
    return Finding(rule=rule, severity=severity, **{**values, **given})


def test_worst_first_and_waived_last() -> None:
    """Severity decides, and what was accepted on purpose does not hide what was not."""
    low = finding("noise", Severity.LOW)
    critical = finding("project", Severity.CRITICAL, hazards=("CP-01",))
    waived = finding("accepted", Severity.CRITICAL, waived="on purpose")
    assert arrange([low, waived, critical]) == [critical, low, waived]


def test_the_root_comes_before_its_consequences() -> None:
    """Of equal severity the shared project comes before what follows from it."""
    names = finding("a-name", Severity.CRITICAL, hazards=("NM-03",))
    project = finding("z-project", Severity.CRITICAL, hazards=("VP-08", "CP-01"))
    assert arrange([names, project])[0] is project


def test_what_is_said_twice_is_said_once() -> None:
    """Two rules or two files may yield the same finding."""
    assert len(arrange([finding(), finding()])) == 1


def test_only_what_is_bad_enough_stops() -> None:
    """The gate's own severity and all above it."""
    findings = [finding(severity=severity) for severity in Severity]
    assert stops(findings, Severity.MEDIUM) == findings[1:]
    assert stops(findings, Severity.CRITICAL) == findings[3:]
    assert stops(findings, None) == []


def test_waived_does_not_stop() -> None:
    """It is shown, and that is all."""
    assert stops([finding(waived="on purpose")], Severity.LOW) == []


def test_others_do_not_stop_a_deployment() -> None:
    """What two others do to each other is shown to a third, and does not hold it up."""
    others = finding()
    everybody = finding(environments=())
    assert stops([others, everybody], Severity.MEDIUM, deploying="aiia_dev") == [everybody]
    assert stops([others], Severity.MEDIUM, deploying="aiia_staging") == [others]


def test_no_environment_accepts_for_another_what_both_are_named_in() -> None:
    """A threshold that one environment lowered counts for the findings on itself alone."""
    alone = finding(severity=Severity.HIGH, environments=("aiia_staging",))
    both = finding(severity=Severity.HIGH, environments=("aiia_prod", "aiia_staging"))
    critical = Severity.CRITICAL
    assert stops([alone, both], critical, deploying="aiia_staging") == [both]
    assert stops([alone, both], critical, "aiia_staging", {"aiia_prod": Severity.MEDIUM}) == [both]
    assert stops([alone, both], critical, "aiia_staging", {"aiia_prod": critical}) == []
    assert stops([alone, both], Severity.LOW, "aiia_staging", {"aiia_prod": critical}) == [alone, both]


def test_equal_causes_are_folded() -> None:
    """The same words about a thousand environments and services are one cause."""
    findings = [
        finding(
            environments=(f"aiia_pr{number}",),
            resource=f"aiia_pr{number}_{service}",
            message=f"The container aiia_pr{number}_{service} of aiia_pr{number} mounts the engine's socket.",
        )
        for number in range(500)
        for service in ("django", "nginx")
    ]
    (group,) = fold(findings)
    assert (len(group.findings), len(group.environments), len(group.resources)) == (1000, 500, 1000)


def test_names_of_others_and_of_services_do_not_part_a_cause() -> None:
    """What prod may do to staging and staging to prod is one cause, and so are django_prod and django_staging."""
    findings = [
        finding(
            environments=(f"aiia_{one}",),
            resource=f"port 8000 of django_{one}",
            message=f"aiia_{one} publishes django_{one}: the containers of aiia_{other} reach aiia_{one}_django.",
        )
        for one, other in (("prod", "staging"), ("staging", "prod"))
    ]
    assert len(fold(findings)) == 1


def test_advice_about_ports_of_each_environment_is_one_cause() -> None:
    """What stops a run keeps its numbers apart."""
    for severity, causes in ((Severity.LOW, 1), (Severity.HIGH, 20)):
        findings = [
            finding(environments=(f"aiia_{name}",), severity=severity, message=f"aiia_{name} publishes port {number}.")
            for number, name in enumerate("abcdefghijklmnopqrst", start=20000)
        ]
        assert len(fold(findings)) == causes


def test_different_causes_are_not_folded() -> None:
    """Other words, another rule or another severity are another cause."""
    other = finding(message="aiia_prod and aiia_staging both listen on port 8080 of ::1.")
    assert len(fold([finding(), other, finding("other"), finding(severity=Severity.LOW)])) == 4


def test_each_mend_is_shown() -> None:
    """Three names that nobody knows have one cause, and two of them a hint of their own."""
    findings = [
        finding("unknown-variable", resource=name, message=f"Bulkhead has no variable {name}", fix=fix)
        for name, fix in (
            ("bulkhead_domain", "did you mean bulkhead_domains?"),
            ("bulkhead_keep_relases", "did you mean bulkhead_keep_releases?"),
            ("bulkhead_bogus", "remove it"),
            ("bulkhead_bogus_too", "remove it"),
        )
    ]
    assert [len(group.findings) for group in fold(findings)] == [1, 1, 2]
    assert "Did you mean bulkhead_keep_releases?" in text(findings)


def test_a_mend_that_names_its_environment_does_not_part_a_cause() -> None:
    """The same advice to each environment is one piece of advice."""
    findings = [
        finding(environments=(name,), resource=f"{name}_web", message=f"{name} is open.", fix=f"Close {name}_web.")
        for name in ("aiia_prod", "aiia_staging")
    ]
    assert len(fold(findings)) == 1


def test_one_is_no_plural() -> None:
    """A number in front of its word."""
    assert [number(count, "finding") for count in (0, 1, 2)] == ["0 findings", "1 finding", "2 findings"]
    assert number(2, "address") == "2 addresses"


def test_a_refusal_does_not_deny_itself() -> None:
    """What is refused says that it stops the run."""
    assert refusal([finding()]).endswith("1 finding (1 high). 1 stops the run.")


def test_text_tells_everything_within_the_width() -> None:
    """Severity, rule, hazard, environments, resource, place and mend, in a hundred columns."""
    shown = text(
        [finding(machine="app1", message="aiia_prod and aiia_staging " + "both publish it " * 20,
                 where=(Where("docker-compose.prod.yml", 7, "services.nginx.ports.0"),))],
    )  # fmt: skip
    for part in ("high", "shared-port", "PT-01", "aiia_prod, aiia_staging: 8080/tcp on app1",
                 "docker-compose.prod.yml:7 (services.nginx.ports.0)", "Give aiia_staging another port."):  # fmt: skip
        assert part in shown
    assert max(map(len, shown.splitlines())) <= 100
    assert "\x1b" not in shown


def test_text_cannot_steer_the_terminal() -> None:
    """A file's name or value is somebody else's text."""
    shown = text([finding(resource="\x1b]0;owned\x07\u202egnp", message="clear\x1b[2Jed\nline")])
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "clear\ufffd[2Jed line" in shown


def test_colour_only_when_asked() -> None:
    """For a terminal that was asked about, and nobody else."""
    assert "\x1b[31mhigh\x1b[0m" in text([finding()], colour=True)


def test_the_screen_stays_bounded() -> None:
    """Ten thousand findings are counted, not printed; the file has them all."""
    findings = [finding(f"rule-{number}") for number in range(10_000)]
    start = time.process_time()
    shown = text(findings, stopping=findings)
    assert len(shown.splitlines()) < 400
    assert "Not shown: 9960 findings" in shown
    assert "10000 findings (10000 high). 10000 stop the run." in shown
    assert len(as_json(["aiia_prod", "aiia_staging"], findings)["findings"]) == 10_000
    assert time.process_time() - start < 10


def test_summary_counts() -> None:
    """The last line says what follows."""
    assert summary([]) == "No findings."
    assert summary([finding(severity=Severity.LOW)]) == "1 finding (1 low). Nothing stops the run."
    accepted = finding("b", waived="on purpose")
    assert summary([finding(), accepted], [finding()]) == "1 finding (1 high), 1 waived. 1 stops the run."


def test_json_is_the_contract() -> None:
    """The names that users read."""
    report = as_json(["aiia_prod", "aiia_staging"], [finding(where=(Where("a.yml", 3),))])
    assert report == {
        "environments": ["aiia_prod", "aiia_staging"],
        "findings": [
            {
                "rule": "shared-port",
                "hazards": ["PT-01"],
                "severity": "high",
                "environments": ["aiia_prod", "aiia_staging"],
                "machine": "",
                "resource": "8080/tcp",
                "where": ["a.yml:3"],
                "message": "aiia_prod and aiia_staging both publish port 8080.",
                "fix": "Give aiia_staging another port.",
                "waived": "",
            }
        ],
    }
