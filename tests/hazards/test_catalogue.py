# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every hazard of the catalogue has exactly one entry, and what the entry says is there."""

from __future__ import annotations

import re

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.rules import rules
from checkout import ROOT
from hazards.cases import JUDGED, broken, catalogue, entries

HAZARDS = catalogue()
ENTRIES = entries()


def complain(wrong: list[str]) -> None:
    """Fail with every complaint at once."""
    if wrong:
        pytest.fail("\n".join(wrong), pytrace=False)


def test_catalogue_is_whole() -> None:
    """The catalogue itself: 231 hazards, numbered without gaps within a group."""
    assert len(HAZARDS) == 231
    numbers: dict[str, list[int]] = {}
    for hazard in HAZARDS:
        group, _unused, number = hazard.partition("-")
        numbers.setdefault(group, []).append(int(number))
    assert all(found == list(range(1, len(found) + 1)) for found in numbers.values())


def test_files_of_cases_keep_the_form() -> None:
    """Every entry can be read."""
    complain(list(broken()))


def test_every_hazard_has_an_entry() -> None:
    """None is forgotten."""
    missing = [hazard for hazard in HAZARDS if hazard not in {entry.hazard for entry in ENTRIES}]
    complain([f"{len(missing)} of {len(HAZARDS)} hazards have no entry: {', '.join(missing)}"] if missing else [])


def test_no_entry_twice_or_unknown() -> None:
    """None is told twice, or made up."""
    seen: dict[str, str] = {}
    wrong = []
    for entry in ENTRIES:
        if entry.hazard not in HAZARDS:
            wrong.append(f"{entry.group}.yml: {entry.hazard} is not in the catalogue")
        if entry.hazard in seen:
            wrong.append(f"{entry.group}.yml: {entry.hazard} has an entry in {seen[entry.hazard]}.yml already")
        seen[entry.hazard] = entry.group
    complain(wrong)


def test_every_entry_has_a_reason() -> None:
    """A person who reads the table learns why."""
    complain([f"{entry.hazard} has no reason" for entry in ENTRIES if len(entry.reason) < 20])


def test_judged_entries_name_rules_that_exist() -> None:
    """The rule is there and says that it covers the hazard."""
    known = rules()
    wrong = [f"{entry.hazard} names no rule" for entry in ENTRIES if entry.outcome in JUDGED and not entry.rules]
    for entry in ENTRIES:
        for name in entry.rules:
            if name not in known:
                wrong.append(f"{entry.hazard} names the rule {name}, which does not exist")
            elif entry.hazard not in known[name].hazards:
                wrong.append(f"{entry.hazard} names the rule {name}, which does not name the hazard")
    complain(wrong)


def test_rules_name_hazards_that_exist() -> None:
    """A rule claims to cover only hazards of the catalogue."""
    complain(
        [
            f"the rule {name} names {hazard}, which is not in the catalogue"
            for name, rule in rules().items()
            for hazard in rule.hazards
            if hazard not in HAZARDS
        ]
    )


def test_every_rule_has_cases() -> None:
    """A rule that covers a hazard is named by an entry, so that it is seen to find something and to keep still."""
    named = {name for entry in ENTRIES for name in entry.rules}
    complain(
        [
            f"the rule {name} covers {', '.join(rule.hazards)}, and no entry names it"
            for name, rule in rules().items()
            if rule.hazards and name not in named
        ]
    )


def test_hazards_met_on_paper_are_judged_or_explained() -> None:
    """What the catalogue says can be seen on paper is not left to what is seen after, or to later."""
    complain(
        [
            f"{entry.hazard} can be seen on paper, and is left for {entry.outcome}"
            for entry in ENTRIES
            if entry.outcome in ("after", "later") and "ST" in HAZARDS[entry.hazard].stages
        ]
    )


def test_named_tests_exist() -> None:
    """What is said to be shown by a test is shown by one, and what is impossible by construction has one."""
    wrong = [
        f"{entry.hazard} is made impossible by construction, and no test shows it"
        for entry in ENTRIES
        if entry.outcome == "construction" and not entry.tests
    ]
    for entry in ENTRIES:
        for test in entry.tests:
            path, _unused, name = test.partition("::")
            file = ROOT / path
            if not file.exists():
                wrong.append(f"{entry.hazard} names {path}, which does not exist")
            elif name and not re.search(
                rf"^\s*def {re.escape(name.split('::')[-1])}\b", file.read_text(), re.MULTILINE
            ):
                wrong.append(f"{entry.hazard} names {test}, and there is no such test in that file")
    complain(wrong)
