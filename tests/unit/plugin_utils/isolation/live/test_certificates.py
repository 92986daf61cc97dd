# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates that end, and renewals that fail: said in time, and no run is stopped before it must be."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.live.certificates import certificate_findings
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Severity
from unit.plugin_utils.isolation.live.observations import environment

DAY = 86400


def found(left: float, life: float = 90, issued: bool = True, **more: Any) -> list[tuple[str, Severity, str]]:
    """What is said of a certificate with so many days left, of a life of so many."""
    about = {"ends": "2026-12-24 10:00 UTC", "left": left * DAY, "life": life * DAY, "self_signed": False}
    about["names"] = ["a.example.com", "*.b.example.com"]
    own = {"kind": "own", "host": "a.example.com", "certificate": {**about, **more.pop("about", {})}}
    others = [{**own, "kind": "foreign", "certificate": {**about, "left": -1}}, {**own, "certificate": {}}, own]
    seen = environment(variables={"bulkhead_acme": issued}, domains=more.pop("domains", ("a.example.com",)))
    findings = certificate_findings(seen, {"answers": [own, *others], **more})
    return [(finding.rule, finding.severity, finding.message) for finding in findings]


@pytest.mark.parametrize(
    ("left", "life", "severity"),
    [
        (31, 90, None),
        (21, 90, None),
        (20.9, 90, Severity.LOW),
        (3.1, 90, Severity.LOW),
        (2.9, 90, Severity.MEDIUM),
        (-0.1, 90, Severity.HIGH),
        (22, 365, None),
        (2.5, 7, None),
        (1.5, 6, None),
        (1.4, 6, Severity.LOW),
        (0.4, 6, Severity.MEDIUM),
    ],
)
def test_it_ends(left: float, life: float, severity: Severity | None) -> None:
    expected = [("certificate-expiring", severity)] if severity is not None else []
    assert [item[:2] for item in found(left, life)] == expected
    assert [item[:2] for item in found(left, life, issued=False)] == expected


def test_what_is_said() -> None:
    ((_rule, _severity, said),) = found(2.5)
    assert said == "the certificate of a.example.com of aiia_staging ends in 2 days, on 2026-12-24 10:00 UTC"
    assert "ended on 2026-12-24" in found(-3)[0][2] and "ends in 5 h, on" in found(0.21)[0][2]


def test_what_nginx_started_with() -> None:
    ((rule, severity, said),) = found(3000, 3650, about={"self_signed": True})
    assert (rule, severity) == ("placeholder-certificate", Severity.HIGH)
    assert said == "a.example.com of aiia_staging answers with a certificate that no browser accepts"
    assert found(3000, 3650, issued=False, about={"self_signed": True}) == []
    last = {"succeeded": False, "began": "", "message": "the authority is away\ndetails"}
    ((_rule, _severity, said),) = found(3000, 3650, about={"self_signed": True}, renewal=last)
    assert said.endswith("that no browser accepts: the authority is away")


def test_a_domain_that_it_is_not_for() -> None:
    domains = ("a.example.com", "X.b.example.com", "b.example.com")
    ((rule, severity, said),) = found(80, domains=domains)
    assert (rule, severity) == ("placeholder-certificate", Severity.HIGH)
    assert said.endswith("answers with a certificate that is not for b.example.com")
    assert found(80, issued=False, domains=domains) == [] == found(80, domains=domains[:2])


def test_a_renewal_that_failed() -> None:
    last = {"succeeded": False, "began": "2026-11-29T03:11:00Z", "message": "the authority is away\ndetails"}
    ((rule, severity, said),) = found(25, renewal=last)
    assert (rule, severity) == ("renewal-failed", Severity.LOW)
    assert said == (
        "the last renewal of the certificate of aiia_staging (2026-11-29T03:11:00Z) failed: the authority is away"
    )
    assert found(25, renewal={**last, "succeeded": True}) == [] and found(25, issued=False, renewal=last) == []
