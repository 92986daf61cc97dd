# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reports for other programs: SARIF 2.1.0 for code scanning, JUnit XML for test reports, Markdown for a summary."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

from ..model import Finding, Severity, Where
from ..rules import address_of, page_of
from ..wording import number
from .text import arrange

_LEVELS = {
    Severity.CRITICAL: "error",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "note",
}

#: GitHub code scanning sorts by these scores; each is the middle of one of its severity bands.
_SCORES = {Severity.CRITICAL: "9.5", Severity.HIGH: "8.0", Severity.MEDIUM: "5.5", Severity.LOW: "2.0"}

#: Characters that XML 1.0 cannot contain, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def sarif(findings: Sequence[Finding], summaries: Mapping[str, str], version: str = "") -> dict[str, Any]:
    """A SARIF 2.1.0 log of one run. ``summaries`` maps each rule id to a sentence."""
    arranged = arrange(findings)
    ids = sorted({finding.rule for finding in arranged} | set(summaries))
    index = {rule_id: number for number, rule_id in enumerate(ids)}
    worst = {finding.rule: finding.severity for finding in reversed(arranged)}
    driver: dict[str, Any] = {
        "name": "bulkhead",
        "rules": [_sarif_rule(rule_id, summaries.get(rule_id, rule_id), worst.get(rule_id)) for rule_id in ids],
    }
    if version:
        driver["version"] = version
    results = [_sarif_result(finding, index[finding.rule]) for finding in arranged]
    return {
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}],
    }


def _sarif_rule(rule_id: str, text: str, severity: Severity | None) -> dict[str, Any]:
    entry: dict[str, Any] = {"id": rule_id, "shortDescription": {"text": text}}
    page = address_of(rule_id)
    if page:
        entry["helpUri"] = page
    if severity is not None:
        entry["defaultConfiguration"] = {"level": _LEVELS[severity]}
        entry["properties"] = {"security-severity": _SCORES[severity], "tags": ["security", "isolation"]}
    return entry


def _sarif_result(finding: Finding, index: int) -> dict[str, Any]:
    places = [_sarif_location(place) for place in finding.where]
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": _LEVELS[finding.severity],
        "message": {"text": f"{finding.message} {finding.fix}"},
        "locations": places[:1],
        "properties": {
            "severity": finding.severity.label,
            "hazards": list(finding.hazards),
            "environments": list(finding.environments),
            "machine": finding.machine,
            "resource": finding.resource,
        },
    }
    if places[1:]:
        result["relatedLocations"] = [{**place, "id": number} for number, place in enumerate(places[1:], start=1)]
    if finding.waived:
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": finding.waived}]
    return result


def _sarif_location(place: Where) -> dict[str, Any]:
    location: dict[str, Any] = {}
    if place.file:
        physical: dict[str, Any] = {"artifactLocation": {"uri": quote(place.file, safe="/")}}
        if place.line > 0:
            physical["region"] = {"startLine": place.line}
        location["physicalLocation"] = physical
    if place.item:
        location["logicalLocations"] = [{"fullyQualifiedName": place.item}]
    return location


def junit(findings: Sequence[Finding], summaries: Mapping[str, str], stopping: Sequence[Finding]) -> str:
    """A JUnit report with a test case for each rule: stopping findings are its failure, others its output."""
    arranged = arrange(findings)
    failing = set(arrange(stopping))
    by_rule: dict[str, list[Finding]] = {rule_id: [] for rule_id in sorted(summaries)}
    for finding in arranged:
        by_rule.setdefault(finding.rule, []).append(finding)
    failed = 0
    suite = ElementTree.Element("testsuite", name="bulkhead isolation")
    for rule_id, of_rule in by_rule.items():
        case = ElementTree.SubElement(suite, "testcase", classname="bulkhead.isolation", name=_xml(rule_id))
        failures = [finding for finding in of_rule if finding in failing]
        if failures:
            failed += 1
            failure = ElementTree.SubElement(case, "failure", type=failures[0].severity.label)
            failure.set("message", _xml(f"{number(len(failures), 'finding')}, the worst: {failures[0].message}"))
            failure.text = _xml("\n\n".join(map(_plain, failures)))
        others = [finding for finding in of_rule if finding not in failing]
        if others:
            ElementTree.SubElement(case, "system-out").text = _xml("\n\n".join(map(_plain, others)))
    counts = {"tests": str(len(by_rule)), "failures": str(failed), "errors": "0", "skipped": "0"}
    suite.attrib.update(counts)
    root = ElementTree.Element("testsuites", {"name": "bulkhead", **counts})
    root.append(suite)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def markdown(environments: Sequence[str], findings: Sequence[Finding], stopping: Sequence[Finding]) -> str:
    """A summary for the page of a pipeline: GitHub's and GitLab's Markdown."""
    verdict, failing = "refused" if stopping else "proved on paper", arrange(stopping)
    lines = [f"### Isolation: {verdict}", "", f"Environments: {', '.join(map(_code, environments)) or 'none'}"]
    arranged = arrange(findings)
    if arranged:
        lines += ["", "| severity | environments | what | where | fix |", "|---|---|---|---|---|"]
    for finding in arranged:
        severity = f"{finding.severity.label}, waived" if finding.waived else finding.severity.label
        cells = (
            f"**{severity}**" if finding in failing else severity,
            ", ".join(map(_code, finding.environments)),
            f"{_escaped(finding.message)} ({_linked(finding.rule)})",
            ", ".join(_code(str(place)) for place in finding.where),
            _escaped(finding.fix),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _escaped(text: str) -> str:
    """A text that Markdown shows as it is: whoever writes a value does not write the page."""
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~&@-])", r"\\\1", " ".join(text.split()))


def _linked(rule_id: str) -> str:
    """A rule's id, as a link to its page where it has one."""
    page = address_of(rule_id)
    return f"[{_code(rule_id)}]({page})" if page else _code(rule_id)


def _code(text: str) -> str:
    """A text as code, without what could end it."""
    return f"`{' '.join(text.split()).replace('`', chr(39)).replace('|', '¦')}`"


def _plain(finding: Finding) -> str:
    """One finding as a few lines of text."""
    lines = [
        f"{finding.severity.label}: {', '.join(finding.environments)}: {finding.resource}",
        finding.message,
        f"fix: {finding.fix}",
        *(f"at: {place}" for place in finding.where),
        *(f"page: {page}" for page in [page_of(finding.rule)] if page),
    ]
    return "\n".join([*lines, f"waived: {finding.waived}"] if finding.waived else lines)


def _xml(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)
