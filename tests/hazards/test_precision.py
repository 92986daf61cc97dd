# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tally of findings about public repositories: its form, its goals, and the page that is made of it."""

from __future__ import annotations

import re

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Severity
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.rules import rules
from hazards.precision import tally

#: Rules of readers, which are no functions in ``rules/``.
_OF_READERS = {"not-compose", "not-yaml"}


def test_form() -> None:
    """Each repository is named once, with its commit; each finding has its place, a known rule and a verdict."""
    named = [item["repository"] for item in tally.repositories()]
    assert len(named) == len(set(named)) >= 40
    assert all(re.fullmatch(r"[\w.-]+/[\w.-]+", name) for name in named)
    known = rules().keys() | _OF_READERS
    for finding in tally.judged():
        assert re.fullmatch(r"[0-9a-f]{40}", finding.commit), finding
        assert finding.rule in known, finding
        assert finding.verdict in tally.VERDICTS, finding
        assert Severity.parse(finding.severity) >= Severity.MEDIUM, finding
        assert finding.at and finding.why, finding


def test_goal() -> None:
    """Nine of ten findings are true."""
    assert tally.share(tally.judged()) >= tally.GOAL


@pytest.mark.parametrize("rule", tally.by_rule(tally.judged()))
def test_goal_of_rule(rule: str) -> None:
    """A rule that is less often right is advice."""
    assert tally.share(tally.by_rule(tally.judged())[rule]) >= tally.GOAL_OF_RULE


def test_page() -> None:
    """The page is that of the tally."""
    assert tally.main(["--check"]) == 0


def test_counting() -> None:
    """An arguable finding is half a true one, and a false one counts as nothing."""
    first = tally.judged()[0]
    made = [tally.Judged(**{**vars(first), "verdict": verdict}) for verdict in ("true", "arguable", "false", "false")]
    assert tally.share(made) == pytest.approx(1.5 / 4)


def test_second_reader_sees_no_verdict() -> None:
    """A third of the findings, without what the first reader thought of them."""
    text = tally.questions()
    assert text.count("verdict:\n") == len(tally.third()) == (len(tally.judged()) + 2) // 3
    assert not any(f"verdict: {verdict}" in text for verdict in tally.VERDICTS)
    assert "why" not in text
