# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every rule says, in every case: sentences for people, without words of Python and wrong plurals."""

from __future__ import annotations

import re
from functools import cache

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Finding, Severity
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.report.text import arrange
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.rules import judge
from hazards.cases import entries, fleet_of

WRONG = {
    "a word of Python": re.compile(r"\b(?:NoneType|dict|tuple|frozenset)\b|\bNone\b|<class "),
    "a plural of one": re.compile(r"(?<![\w.:/-])1 (?!of\b)[a-z]+s\b"),
    "a plural that was not decided": re.compile(r"\w\(e?s\)"),
    "a name that is its own": re.compile(r"\b([\w-]{4,})(?:, which is| of) \1\b"),
    "a word twice": re.compile(r"\b(the|a|of|and|is|in|on|to|with) \1\b"),
    "an article": re.compile(r"(?<![\w-])a (?!one\b)(?=(?:[aeio]|u[bdlmnp][^aeio])[a-z]+ )"),
    "an empty place": re.compile(r"  | [,.;:](?= |\Z)|(?<!\w)\(\)"),
    "inverted or vague": re.compile(r"may potentially|\bis told\b|\bis no [a-z]|\bsomebody\b"),
}


@cache
def found() -> list[Finding]:
    """Everything that the rules say of the cases, once for each text."""
    texts: dict[tuple[str, str], Finding] = {}
    for entry in entries():
        for case in entry.cases:
            for finding in judge(fleet_of(case)):
                texts.setdefault((finding.message, finding.fix), finding)
    return arrange(texts.values())


def quoted_out(text: str) -> str:
    """Without what is quoted from files: there anything may stand."""
    return re.sub(r"`[^`]*`|'[^']*'|\"[^\"]*\"|\{[^}]*\}", "X", text)


def faults(finding: Finding) -> list[str]:
    """What is wrong with the words of a finding."""
    said = [what for what, pattern in WRONG.items() if pattern.search(quoted_out(f"{finding.message} {finding.fix}"))]
    said += [] if finding.message[-1:] in ".!?" else ["a message without an end"]
    said += [] if finding.fix[:1].isupper() or not finding.fix[:1].isalpha() else ["advice that does not begin"]
    named = any(prefix in finding.message for prefix in finding.environments)
    return said + ([] if named or finding.severity < Severity.MEDIUM or where(finding) else ["no environment, no file"])


def where(finding: Finding) -> bool:
    """Whether a message says the file that its place says."""
    return any(place.file and place.file in finding.message for place in finding.where)


def test_every_rule_speaks_in_sentences() -> None:
    wrong = [
        f"{finding.rule}: {fault}\n  {finding.message}\n  {finding.fix}"
        for finding in found()
        for fault in faults(finding)
    ]
    if wrong:
        pytest.fail("\n".join(wrong), pytrace=False)


@pytest.mark.parametrize(
    ("message", "fix", "fault"),
    [
        ("aiia_prod has 1 environments.", "Mend it.", "a plural of one"),
        ("aiia_prod is NoneType.", "Mend it.", "a word of Python"),
        ("aiia_prod names aiia_staging, which is aiia_staging.", "Mend it.", "a name that is its own"),
        ("aiia_prod gives nginx a upstream called X.", "Mend it.", "an article"),
        ("aiia_prod mounts it", "Mend it.", "a message without an end"),
        ("aiia_prod mounts it.", "mend it.", "advice that does not begin"),
        ("It is mounted.", "Mend it.", "no environment, no file"),
    ],
)
def test_a_wrong_word_is_seen(message: str, fix: str, fault: str) -> None:
    """The control: each check sees what it is for."""
    assert fault in faults(Finding("r", Severity.HIGH, ("aiia_prod",), "x", message, fix))
