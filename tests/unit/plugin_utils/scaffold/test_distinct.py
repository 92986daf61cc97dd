# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a new environment has of its own."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.scaffold.distinct import NAME, ports, values, words

STAGING: dict[str, Any] = {
    "bulkhead_environment": "staging",
    "bulkhead_domains": ["staging.example.com"],
    "bulkhead_directory": "/home/ubuntu/staging/app",
    "bulkhead_source_branch": "staging",
    "bulkhead_http_port": 8080,
    "bulkhead_https_port": 8443,
    "bulkhead_protected": False,
}
PRODUCTION = {
    **STAGING,
    "bulkhead_environment": "prod",
    "bulkhead_domains": ["example.com", "www.example.com"],
    "bulkhead_directory": "/home/ubuntu/main/app",
    "bulkhead_source_branch": "main",
    "bulkhead_http_port": 80,
    "bulkhead_https_port": 443,
    "bulkhead_protected": True,
}


def test_words_of_a_model() -> None:
    """Names, domains and directory: by the model's name where they have it, else under the new name."""
    assert words("qa", "staging", STAGING) == {
        "staging": "qa",
        "staging.example.com": "qa.example.com",
        "/home/ubuntu/staging/app": "/home/ubuntu/qa/app",
    }
    assert words("qa", "production", PRODUCTION) == {
        "production": "qa",
        "prod": "qa",
        "example.com": "qa.example.com",
        "www.example.com": "www.qa.example.com",
        "/home/ubuntu/main/app": "/home/ubuntu/qa/app",
    }


@pytest.mark.parametrize(
    ("directory", "expected"), [("/srv/app", "/srv/app-qa"), ("/app", "/app-qa"), ("/srv/a/b/app", "/srv/a/qa/app")]
)
def test_a_directory_without_the_model_s_name(directory: str, expected: str) -> None:
    """It becomes a sibling, and never a directory below the model's."""
    assert words("qa", "staging", {**STAGING, "bulkhead_directory": directory})[directory] == expected


def test_a_copy_of_production_is_not_protected() -> None:
    """Nor does it deploy production's branch."""
    assert values("qa", PRODUCTION, [80, 443]) == {
        "bulkhead_environment": "qa",
        "bulkhead_source_branch": "qa",
        "bulkhead_protected": False,
        "bulkhead_http_port": 8080,
        "bulkhead_https_port": 8443,
    }


def test_ports_that_are_free() -> None:
    """Near the model's; none of those that other environments have, nor one for both."""
    assert ports(STAGING, [8080, 8443, 8081]) == {"bulkhead_http_port": 8082, "bulkhead_https_port": 8444}
    near = {"bulkhead_http_port": 8442, "bulkhead_https_port": 8442}
    assert ports(near, [8442]) == {"bulkhead_http_port": 8443, "bulkhead_https_port": 8444}
    with pytest.raises(ValueError, match="every port from 1024 to 32767"):
        ports(STAGING, range(1024, 32768))


def test_behind_the_front_door_all_have_its_ports() -> None:
    """A copy with ports of its own would name them in its URLs."""
    assert ports({**PRODUCTION, "bulkhead_edge": True}, [80, 443]) == {}
    assert "bulkhead_https_port" not in values("qa", {**PRODUCTION, "bulkhead_edge": True}, [80, 443])


@pytest.mark.parametrize(
    ("name", "usable"),
    [("qa", True), ("pr-123", True), ("qa_eu", True), ("QA", False), ("1a", False), ("a/b", False), ("qa\n", False)],
)
def test_names(name: str, usable: bool) -> None:
    """A name becomes a path, a group and a branch."""
    assert bool(NAME.match(name)) is usable
