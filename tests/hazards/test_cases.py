# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every bad input is found, by the rule that is said to find it; no near miss is."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Finding, Fleet, Severity
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.rules import judge
from hazards.cases import JUDGED, Case, Entry, entries, fleet_of

CASES = [
    pytest.param(entry, case, id=f"{entry.group}-{entry.hazard}-{case.kind}-{case.title.replace(' ', '_')}")
    for entry in entries()
    for case in entry.cases
]


@pytest.mark.parametrize(("entry", "case"), CASES)
def test_case(entry: Entry, case: Case) -> None:
    """A bad input yields a finding of the entry's rule; a near miss yields none that would stop a run."""
    fleet = fleet_of(case)
    findings = judge(fleet)
    wrong = unreadable(fleet, entry) or (bad if case.kind == "bad" else near)(entry, case, findings)
    if wrong:
        pytest.fail(f"{entry.hazard}, {case.kind} case '{case.title}': {wrong}\n\n{listing(findings)}", pytrace=False)


def unreadable(fleet: Fleet, entry: Entry) -> str:
    """A case whose own files cannot be read proves nothing, unless that is what it is about."""
    problems = [
        problem
        for environment in fleet.environments
        for problem in environment.problems
        if problem.rule not in entry.rules and problem.severity >= Severity.MEDIUM
    ]
    return f"its own files are refused by the readers ({problems[0].rule}: {problems[0].message})" if problems else ""


def bad(entry: Entry, case: Case, findings: Sequence[Finding]) -> str:
    """What is wrong with the findings of a bad input."""
    expected = (case.finds["rule"],) if "rule" in case.finds else entry.rules
    found = [finding for finding in findings if finding.rule in expected and entry.hazard in finding.hazards]
    if not found:
        return f"no finding of {' or '.join(expected)} that names the hazard"
    # A case may say that it is advice, beside others of its hazard that are refused.
    advice = "low" in (case.finds.get("severity"), {"advice": "low"}.get(entry.outcome))
    least = Severity.LOW if advice else Severity.MEDIUM
    if max(finding.severity for finding in found) < least:
        return f"found, but only at {found[0].severity.label}, so it would stop nothing"
    if "severity" in case.finds and not any(finding.severity.label == case.finds["severity"] for finding in found):
        return f"found at {found[0].severity.label} instead of {case.finds['severity']}"
    wanted = set(case.finds.get("environments", ()))
    if wanted and not any(set(finding.environments) == wanted for finding in found):
        return f"found for {', '.join(found[0].environments)} instead of {', '.join(sorted(wanted))}"
    return next((f"the finding {fault}" for finding in found if (fault := unhelpful(finding, case))), "")


def unhelpful(finding: Finding, case: Case) -> str:
    """What a person who has to act on the finding would miss."""
    for name in ("environments", "resource", "message", "fix"):
        if not getattr(finding, name):
            return f"has no {name}"
    names = {str(item["prefix"]): str(item.get("name") or item["prefix"]) for item in case.environments}
    strangers = [prefix for prefix in finding.environments if prefix not in names]
    if strangers:
        return f"names environments that do not exist: {', '.join(strangers)}"
    named = [prefix for prefix in finding.environments if prefix in finding.message or names[prefix] in finding.message]
    if len(finding.environments) > 1 and len(named) < 2:
        return f"does not name both environments in its message: {finding.message!r}"
    return ""


def near(entry: Entry, case: Case, findings: Sequence[Finding]) -> str:
    """What is wrong with the findings of a near miss."""
    found = [finding for finding in findings if finding.rule in entry.rules and finding.severity >= Severity.MEDIUM]
    return f"{found[0].rule} found something at {found[0].severity.label}" if found else ""


def listing(findings: Sequence[Finding]) -> str:
    """All findings, for the person who reads a failed test."""
    lines = [
        f"  {finding.severity.label:<8} {finding.rule} {','.join(finding.hazards)} {', '.join(finding.environments)}: "
        f"{finding.resource}\n           {finding.message}\n           fix: {finding.fix}\n"
        f"           at: {'; '.join(map(str, finding.where))}"
        for finding in sorted(findings, key=lambda finding: -finding.severity)
    ]
    return "All findings:\n" + ("\n".join(lines) or "  none")


def test_judged_entries_have_both_kinds() -> None:
    """A rule that was never seen to find anything, or never seen to keep still, is not tested."""
    missing = [
        f"{entry.hazard} ({entry.group}.yml) has no {kind} case"
        for entry in entries()
        if entry.outcome in JUDGED
        for kind, cases in (("bad", entry.bad), ("near", entry.near))
        if not cases
    ]
    if missing:
        pytest.fail("\n".join(missing), pytrace=False)


def test_every_rule_of_an_entry_finds_something() -> None:
    """An entry that names several rules has a bad case for each of them."""
    silent = []
    for entry in entries():
        if entry.outcome in JUDGED and len(entry.rules) > 1:
            found = {
                finding.rule
                for case in entry.bad
                for finding in judge(fleet_of(case))
                if entry.hazard in finding.hazards
            }
            silent += [
                f"{entry.hazard} ({entry.group}.yml): {name} finds nothing" for name in entry.rules if name not in found
            ]
    if silent:
        pytest.fail("\n".join(silent), pytrace=False)
