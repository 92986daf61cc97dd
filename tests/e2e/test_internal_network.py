# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The whole stack with bulkhead_internal_network: what keeps data has no way out, and all else works as before."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from guide_stack import IMAGES, environment
from make_repository import make_repository
from observe import ask, running
from support import Place, Site, docker, remove_project

pytestmark = pytest.mark.full

DATA = ("pgbouncer", "postgresql", "redis")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, projects: Callable[[], str]) -> Iterator[Place]:
    """The guide's production with the second network."""
    site = Site(tmp_path_factory.mktemp("internal"), projects())
    make_repository(site.directory / "origin.git")
    site.everyone = {
        "bulkhead_source_repository": str(site.directory / "origin.git"),
        "bulkhead_bind_address": "127.0.0.1",
        "bulkhead_services": IMAGES,
        "bulkhead_internal_network": True,
    }
    made = environment(site, "production", "prod", "main", ["eduaiia.com"], 8000)
    made.deploy().succeeded()
    yield made
    remove_project(site.project)


def members(name: str) -> tuple[bool, list[str]]:
    """Whether a network is internal, and its containers."""
    network = json.loads(docker("network", "inspect", name))[0]
    return network["Internal"], sorted(Container["Name"] for Container in network["Containers"].values())


def default_route(container: str) -> bool:
    """Whether a container has a way out, by its own routing table."""
    pid = docker("inspect", "--format", "{{.State.Pid}}", container).strip()
    lines = Path(f"/proc/{pid}/net/route").read_text(encoding="utf-8").splitlines()[1:]
    return any(line.split()[1] == "00000000" for line in lines)


def test_who_is_where(place: Place) -> None:
    """Both networks contain containers of the environment only; all five are healthy."""
    prefix = place.prefix
    assert members(f"{prefix}_network") == (False, [f"{prefix}_django", f"{prefix}_nginx"])
    assert members(f"{prefix}_data") == (True, sorted(f"{prefix}_{service}" for service in (*DATA, "django")))
    assert sorted(running(prefix)) == sorted(f"{prefix}_{service}" for service in (*DATA, "django", "nginx"))


def test_no_way_out(place: Place) -> None:
    """The database, its pooler and Redis have no default route; the application has one."""
    assert [service for service in (*DATA, "django", "nginx") if default_route(f"{place.prefix}_{service}")] == [
        "django",
        "nginx",
    ]


def test_the_application_works(place: Place) -> None:
    """The guide's names resolve for the application, and requests go the whole way to the database and Redis."""
    for name in ("pgbouncer", "redis"):
        address = docker("exec", f"{place.prefix}_django", "getent", "hosts", name).split()[0]
        networks = json.loads(docker("inspect", f"{place.prefix}_{name}"))[0]["NetworkSettings"]["Networks"]
        assert {key: item["IPAddress"] for key, item in networks.items()} == {f"{place.prefix}_data": address}
    answer = ask(place, "/health/")
    assert answer.status == 200 and answer.json["healthy"] is True
    assert place.deploy().succeeded().changed == 0
