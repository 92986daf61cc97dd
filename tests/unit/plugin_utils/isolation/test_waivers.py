# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Waivers: what they accept, until when, and what is said about those that do not fit."""

from __future__ import annotations

from datetime import date
from functools import partial
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation import waivers
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import (
    SEALED,
    Environment,
    Finding,
    Fleet,
    Severity,
    Where,
)
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.rules import rules

apply = partial(waivers.apply, known=rules())
TODAY = date(2026, 6, 15)
WAIVER = {"rule": "shared-port", "resource": "8080/tcp", "reason": "one front door", "until": "2026-06-15"}
FOUND = Finding(
    rule="shared-port",
    severity=Severity.HIGH,
    environments=("aiia_prod", "aiia_staging"),
    resource="8080/tcp",
    message="aiia_prod and aiia_staging both publish port 8080.",
    fix="Give aiia_staging another port.",
)


def fleet(prod: Any = None, staging: Any = None) -> Fleet:
    """Two environments with these waivers."""
    given = {"aiia_prod": prod, "aiia_staging": staging}
    return Fleet(
        tuple(
            Environment(prefix=prefix, variables={} if waivers is None else {"bulkhead_waivers": waivers})
            for prefix, waivers in given.items()
        )
    )


def by_rule(findings: list[Finding]) -> dict[str, Finding]:
    """The findings by their rule; each rule is there once."""
    found = {finding.rule: finding for finding in findings}
    assert len(found) == len(findings)
    return found


def test_accepted_by_both() -> None:
    """It stays in the report, with the reason."""
    (found,) = apply(fleet([WAIVER], [{**WAIVER, "until": date(2027, 1, 1)}]), [FOUND], TODAY)
    assert found.waived == "one front door"


def test_accepted_by_one_of_two_counts() -> None:
    """Staging cannot accept what would happen to production."""
    found = by_rule(apply(fleet(None, [WAIVER]), [FOUND], TODAY))
    assert not found["shared-port"].waived
    assert found["incomplete-waiver"].severity is Severity.LOW
    assert "accepted by aiia_staging, but not by aiia_prod" in found["incomplete-waiver"].message


def test_the_last_day_still_holds_and_the_next_does_not() -> None:
    """Expired: a finding of its own, and the original counts again."""
    found = by_rule(apply(fleet([WAIVER]), [Finding(**{**_fields(FOUND), "environments": ("aiia_prod",)})], TODAY))
    assert found["shared-port"].waived
    late = by_rule(apply(fleet([WAIVER]), [FOUND], date(2026, 6, 16)))
    assert not late["shared-port"].waived
    assert late["expired-waiver"].severity is Severity.MEDIUM
    assert "2026-06-15, 1 day ago" in late["expired-waiver"].message


def _fields(finding: Finding) -> dict[str, Any]:
    return {name: getattr(finding, name) for name in finding.__slots__}


def test_unused() -> None:
    """It would hide the next one."""
    found = by_rule(apply(fleet([WAIVER]), [], TODAY))
    assert found["unused-waiver"].severity is Severity.LOW


def test_written_once_for_all() -> None:
    """In ``group_vars/all`` it is used when one environment uses it, and told once when nobody does."""
    only_prod = Finding(**{**_fields(FOUND), "environments": ("aiia_prod",)})
    (found,) = apply(fleet([WAIVER], [WAIVER]), [only_prod], TODAY)
    assert found.waived
    (unused,) = apply(fleet([WAIVER], [WAIVER]), [], TODAY)
    assert unused.environments == ("aiia_prod", "aiia_staging")
    (expired,) = apply(fleet([WAIVER], [WAIVER]), [], date(2026, 7, 1))
    assert expired.environments == ("aiia_prod", "aiia_staging")


def test_given_beside_the_variables() -> None:
    """A check of files has no variables."""
    where = Where("check.yml", 3, "waivers")
    (found,) = apply(fleet(), [], TODAY, {"aiia_prod": [([WAIVER], where)]})
    assert found.where == (Where("check.yml", 3, "waivers[0]"),)


def test_another_resource_is_not_accepted() -> None:
    """A waiver is for one thing."""
    other = {**WAIVER, "resource": "8443/tcp"}
    found = by_rule(apply(fleet([other], None), [FOUND], TODAY))
    assert not found["shared-port"].waived
    assert "unused-waiver" in found


@pytest.mark.parametrize(
    ("waivers", "said"),
    [
        ("all of them", "must be a list, but is text"),
        (SEALED, "must be a list"),
        (["shared-port"], "must be a mapping of rule, resource, reason, until, but is text"),
        ([{**WAIVER, "reason": "  "}], "lacks reason"),
        ([{"rule": "shared-port", "resource": "8080/tcp"}], "lacks reason and until"),
        ([{**WAIVER, "until": "next year"}], "has until: 'next year', which is not a date"),
        ([{**WAIVER, "until": True}], "has until: 'True', which is not a date"),
        ([{**WAIVER, "severity": "low"}], "has unknown keys: severity"),
        ([{**WAIVER, "rule": "expired-waiver"}], "is for expired-waiver, which cannot be waived"),
    ],
)
def test_malformed(waivers: Any, said: str) -> None:
    """It accepts nothing, and says why."""
    found = by_rule(apply(fleet(waivers), [FOUND], TODAY))
    assert not found["shared-port"].waived
    assert found["malformed-waiver"].severity is Severity.MEDIUM
    assert said in found["malformed-waiver"].message
