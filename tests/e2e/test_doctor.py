# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The doctor beside the guide's real servers: the hop that fails is named, and nothing of production is touched."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress

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


def hops(guide: Guide) -> list[str]:
    """Where the doctor says that staging's PostgreSQL fails, asked without the password of a vault."""
    run = guide.site.play("-e", "bulkhead_format=json", playbook="playbooks/doctor.yml", passwords=[])
    found = run.result("doctor")["results"]
    assert run.code == (2 if any(each["kind"] == "fault" for each in found) else 0), run.output
    assert [each for each in found if each["kind"] == "not checked"] == []
    domains = [domain for place in guide.both for domain in place.variables["bulkhead_domains"]]
    assert domains and not any(domain in json.dumps(found) for domain in domains)
    said = [each["saw"] for each in found if each["environment"] == guide.staging.prefix]
    return [saw for saw in said if saw.startswith("hop postgresql")]


def well(guide: Guide) -> bool:
    """Whether the application answers, with its database, and the engine knows that all are healthy: what other files
    of the guide begin with."""
    names = docker("ps", "--filter", f"name=^{guide.staging.prefix}_", "--format", "{{.Status}}").splitlines()
    with suppress(OSError, ValueError, KeyError):
        return all("(healthy)" in status for status in names) and ask(guide.staging, "/health/").json["healthy"] is True
    return False


def test_a_stopped_database_is_the_hop_that_fails(guide: Guide) -> None:
    """Control: before, it is none."""
    assert hops(guide) == []
    name = f"{guide.staging.prefix}_postgresql"
    docker("stop", "--time", "5", name)
    try:
        first = hops(guide)[0]
    finally:
        docker("start", name)
    assert first.startswith(f"hop postgresql: {name} is exited")
    assert eventually(lambda: well(guide))
