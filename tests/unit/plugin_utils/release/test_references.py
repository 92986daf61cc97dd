# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names that lead nowhere in a stack: found on paper, before Compose refuses them on the machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from unit.plugin_utils.release.test_proved import noted, only, with_service


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        ({"depends_on": ["rediss"]}, "the service rediss, which this stack does not have. Did you mean redis?"),
        ({"depends_on": {"aiia_prod_redis": {"condition": "service_started"}}}, "the service aiia_prod_redis, which"),
        ({"networks": ["data"]}, "the network data, which"),
        ({"networks": {"shared": None}}, "the network shared, which"),
        ({"configs": ["web"]}, "the config web, which"),
        ({"secrets": [{"source": "key", "target": "/run/key"}]}, "the secret key, which"),
    ],
)
def test_names_that_lead_nowhere(tmp_path: Path, keys: dict[str, Any], found: str) -> None:
    problems = with_service(tmp_path, **keys)
    assert len(problems) == 1 and problems[0].startswith("unknown-reference: ") and found in problems[0], problems


@pytest.mark.parametrize(
    "keys",
    [
        # A service of the default stack that was left out: nobody waits for it.
        {"depends_on": ["redis"]},
        {"networks": {"default": {"aliases": ["site"]}}},
        {"networks": ["more"], "configs": ["more"], "secrets": ["more"]},
        {"network_mode": "none"},
    ],
)
def test_names_that_the_stack_has(tmp_path: Path, keys: dict[str, Any]) -> None:
    more: dict[str, Any] = {"networks": {"more": {"name": "aiia_staging_more"}}}
    more.update({section: {"more": {"content": "x"}} for section in ("configs", "secrets")})
    services = only(web={"image": "web:1", **keys})
    problems = noted(tmp_path, bulkhead_services=services, bulkhead_compose=more)
    assert not [problem for problem in problems if problem.startswith("unknown-reference")]


@pytest.mark.parametrize("key", ["services", "name"])
def test_what_bulkhead_compose_cannot_say(tmp_path: Path, key: str) -> None:
    value = "other" if key == "name" else {"web": {"image": "web:2"}}
    problems = noted(tmp_path, bulkhead_services=only(web={"image": "web:1"}), bulkhead_compose={key: value})
    assert [problem for problem in problems if f"bulkhead_compose.{key} would have no effect" in problem], problems
