# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Findings of one cause become one, and others do not."""

from __future__ import annotations

from typing import Any

from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Finding, Severity, Where
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation_check.folding import folded


def finding(
    line: int = 1, *, file: str = "deploy.sh", environments: tuple[str, ...] = ("prod",), **more: Any
) -> Finding:
    """A finding of a rule at a line."""
    made: dict[str, Any] = {
        "rule": "prune",
        "severity": Severity.HIGH,
        "environments": environments,
        "resource": "docker system prune",
        "message": "It prunes.",
        "fix": "Do not.",
        "where": (Where(file, line),) if file else (),
        **more,
    }
    return Finding(**made)


def test_one_line_for_several_environments() -> None:
    """They are named together, in the order in which they were found."""
    found = folded([finding(), finding(environments=("staging",)), finding(environments=("demo",))])
    assert [item.environments for item in found] == [("prod", "staging", "demo")]
    assert found[0].message == "It prunes. staging and demo use the same file."


def test_both_ways_round() -> None:
    """What one can do to the other, and the other to the one, is one finding about one line."""
    found = folded([finding(environments=("prod", "staging")), finding(environments=("staging", "prod"))])
    assert [item.message for item in found] == ["It prunes."]


def test_several_lines() -> None:
    """The places are kept; the message says which, or of what."""
    found = folded([finding(3), finding(9), finding(12)])
    assert [item.message for item in found] == ["It prunes. The same holds for lines 9 and 12."]
    assert [place.line for place in found[0].where] == [3, 9, 12]
    found = folded([finding(3), finding(9, resource="docker volume prune")])
    assert [item.message for item in found] == ["It prunes. The same holds for docker volume prune."]


def test_what_stays_apart() -> None:
    """Another rule, severity, file, pair of environments or waiver; and what has no place."""
    several = [
        finding(),
        finding(2, rule="image-deletion"),
        finding(3, severity=Severity.LOW),
        finding(4, file="other.sh"),
        finding(5, environments=("staging",)),
        finding(6, waived="known"),
        finding(file="", resource="a"),
        finding(file="", resource="b"),
    ]
    assert folded(several) == several
