# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The doctor beside the guide's real servers: the hop that fails is named, and nothing of production is touched."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from guide_stack import Guide
from observe import ask, eventually, moment
from support import docker


@pytest.fixture(autouse=True)
def production_untouched(guide: Guide) -> Iterator[None]:
    """No test of this file touches production."""
    before = moment(guide.production, without=())
    yield
    assert moment(guide.production, without=()) == before


def faults(guide: Guide) -> list[dict[str, Any]]:
    """What the doctor finds wrong with staging without the password of a vault, but for the backup that nobody made."""
    run = guide.site.play("-e", "bulkhead_format=json", playbook="playbooks/doctor.yml", passwords=[])
    assert run.code == 2, run.output
    found = run.result("doctor")["results"]
    assert [each for each in found if each["kind"] == "not checked"] == []
    domains = [domain for place in guide.both for domain in place.variables["bulkhead_domains"]]
    assert domains and not any(domain in json.dumps(found) for domain in domains)
    return [
        each
        for each in found
        if each["kind"] == "fault" and each["environment"] == guide.staging.prefix and each["check"] != "backups"
    ]


def well(guide: Guide) -> bool:
    """Whether the application answers, with its database."""
    with suppress(OSError, ValueError, KeyError):
        return bool(ask(guide.staging, "/health/").json["healthy"])
    return False


def test_a_stopped_database_is_the_hop_that_fails(guide: Guide) -> None:
    """Control: before, there is no fault."""
    assert faults(guide) == []
    name = f"{guide.staging.prefix}_postgresql"
    docker("stop", "--time", "5", name)
    try:
        first = faults(guide)[0]
    finally:
        docker("start", name)
    assert first["check"] == "database connection" and first["saw"].startswith(f"hop postgresql: {name} is exited")
    assert eventually(lambda: well(guide))
