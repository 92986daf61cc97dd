# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets that two environments have in common on the machine, told by keyed digests."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.live.credentials import shared_credentials
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Severity
from unit.plugin_utils.isolation.live.observations import container, deployed, environment, observation

OURS, THEIRS = "aiia_staging", "aiia_prod"
SECRETS = {
    "DB_PASSWORD": "kHq83hSnd72nKlqOap",
    "SECRET_KEY": "Ghq73nSlqk28snGhlw",
    "API_TOKEN": "Yqk28snGhlw0skqPSm",
    "TLS_KEY": "/etc/tls/key.pem",
}


def found(ours: dict[str, str], *others: dict[str, Any]) -> list[tuple[str, str, Severity]]:
    """Rule, resource and severity of what is found with these digests of settings."""
    seen = observation(containers=[deployed(OURS, settings=ours), *others])
    findings = shared_credentials(environment(OURS, variables={"bulkhead_secrets": SECRETS}), seen)
    return [(finding.rule, finding.resource, finding.severity) for finding in findings]


def theirs(**settings: str) -> dict[str, Any]:
    """Production's container with digests of its settings."""
    return deployed(THEIRS, settings=settings)


def test_one_value_in_two_environments() -> None:
    """Under the rules of the plan, so that one waiver is enough."""
    ours = {"DB_PASSWORD": "d1", "SECRET_KEY": "d2", "API_TOKEN": "d3"}
    assert found(ours, theirs(DB_PASSWORD="d1", SECRET_KEY="d2", PAYMENT_TOKEN="d3")) == [
        ("shared-secret", "API_TOKEN and PAYMENT_TOKEN", Severity.HIGH),
        ("shared-database-password", "DB_PASSWORD", Severity.HIGH),
        ("shared-signing-key", "SECRET_KEY", Severity.CRITICAL),
    ]


@pytest.mark.parametrize(
    ("ours", "other"),
    [
        ({"DB_PASSWORD": "d1"}, theirs(DB_PASSWORD="d2")),
        ({"GPG_KEY": "d1"}, theirs(GPG_KEY="d1")),
        ({"TLS_KEY": "d1"}, theirs(TLS_KEY="d1")),
        ({"DB_PASSWORD": "d1"}, theirs(PAGE_SIZE="d1")),
        ({"DB_PASSWORD": ""}, theirs(DB_PASSWORD="")),
        ({"DB_PASSWORD": "d1"}, container("stray", settings={"DB_PASSWORD": "d1"})),
        ({"DB_PASSWORD": "d1"}, deployed(OURS, id="2", settings={"DB_PASSWORD": "d1"})),
    ],
    ids=["another", "an image's", "a path", "no secret", "no key", "a stranger's", "our own second"],
)
def test_what_is_not_shared(ours: dict[str, str], other: dict[str, Any]) -> None:
    assert found(ours, other) == []
