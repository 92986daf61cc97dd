# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A volume that was there before: whose it may be while the project that made it still runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Environment, Fleet
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.rules.volumes import foreign_volume
from unit.rendered import rendered_environment

VOLUME = "ai-ia-backend_pgdata_staging"
SERVICES = {"postgresql": {"image": "postgres:16", "volumes": ["pgdata:/var/lib/postgresql/data"]}}
VOLUMES = {"pgdata": {"name": VOLUME, "external": True}}


def staging(variables: Mapping[str, Any]) -> Environment:
    return rendered_environment("staging", SERVICES, variables, volumes=VOLUMES)


@pytest.mark.parametrize(
    ("variables", "owner", "found"),
    [
        # The guide's production still runs as the project that made both volumes.
        ({"bulkhead_adopted_volumes": {"pgdata": VOLUME}}, {}, 0),
        ({}, {}, 1),
        ({"bulkhead_adopted_volumes": {"pgdata": "another"}}, {}, 1),
        # What Bulkhead deploys is somebody's, whatever is declared here.
        ({"bulkhead_adopted_volumes": {"pgdata": VOLUME}}, {"project": "ai-ia"}, 1),
        ({"bulkhead_adopted_volumes": {"pgdata": VOLUME}}, {"registered_services": {}}, 1),
    ],
    ids=["taken over", "not declared", "another one declared", "of an environment", "of a registered environment"],
)
def test_a_volume_of_the_project_that_was_there_before(
    variables: Mapping[str, Any], owner: dict[str, Any], found: int
) -> None:
    before = Environment(prefix="ai-ia-backend", machine="app1", directory="/home/ubuntu/ai-ia-backend", **owner)
    assert len([*foreign_volume(Fleet((staging(variables), before)))]) == found
