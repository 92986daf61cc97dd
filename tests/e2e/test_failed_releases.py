# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Releases that fail of a service that is replaced without a gap: nobody notices, and nothing of them is left."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import pytest
from guide_stack import IMAGES
from interruption import Visitor, identity, rolling_place
from observe import ask, moment
from support import Place, Site, health_check, remove_project

HANGS, DIES, SHELL_LESS = "a migration that hangs", "a container that dies", "an image without a shell"
WRONG, REFUSED = "an answer that is an error", "an entry point that cap_drop stops"

#: What a release brings, and what the error that it ends with says.
FAILURES: dict[str, tuple[dict[str, Any], list[str]]] = {
    HANGS: (
        {"x-bulkhead": {"prepare": [["sleep", "600"]], "prepare_status": ["echo", "half of it"]}},
        [
            "preparing the new release of django failed",
            r"sleep 600 did not end within 8 s \(bulkhead_prepare_timeout\) and was stopped",
            r"how it stands \(echo half of it\)",
        ],
    ),
    DIES: (
        {"command": ["sh", "-c", "echo no such module; exit 7"]},
        [
            r"the new version of django did not get healthy "
            r"\(exited \(7\)\) and received no requests",
            "no such module",
        ],
    ),
    WRONG: (
        {"healthcheck": {**health_check(600, interval=60), "test": ["CMD-SHELL", "echo HTTP Error 500; exit 3"]}},
        [r"did not get healthy \(starting: it answers its health check with an error\)", "HTTP Error 500"],
    ),
    REFUSED: (
        {"user": "root", "command": ["sh", "-c", "chown 12345 /tmp"]},
        [r"did not get healthy \(exited \(1\)", r"cap_add: \[CHOWN\]"],
    ),
    SHELL_LESS: (
        {"healthcheck": {**health_check(1, interval=1), "test": ["CMD-SHELL", "true"]}},
        [r"the new version of django did not get healthy \(unhealthy\)", "/bin/sh", "no such file"],
    ),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, projects: Callable[[], str]) -> Iterator[Place]:
    """An environment that serves."""
    made = rolling_place(Site(tmp_path_factory.mktemp("failed"), projects()))
    made.deploy().succeeded()
    yield made
    remove_project(made.site.project)


@pytest.mark.parametrize("name", FAILURES)
def test_a_release_that_fails(place: Place, name: str, request: pytest.FixtureRequest) -> None:
    """One error with the cause; the old version alone answers, from the very containers that it had."""
    changes, words = FAILURES[name]
    if name == SHELL_LESS:
        changes = {**changes, "image": request.getfixturevalue("shell_less")}
    kept, before = deepcopy(place.variables), moment(place)
    if name == HANGS:
        place.variables["bulkhead_prepare_timeout"] = 8
    service = place.variables["bulkhead_services"]["django"]
    own = {**service["x-bulkhead"], **changes.get("x-bulkhead", {})}
    place.variables["bulkhead_services"]["django"] = {**service, **changes, "x-bulkhead": own}
    place.variables["bulkhead_env"] = {"SAY": "new"}
    try:
        with Visitor(place) as visitor:
            run = place.deploy()
    finally:
        place.variables = kept
    for word in (*words, "The previous release serves again"):
        assert re.search(word, run.error), run.output
    visitor.was_served([0])
    assert len(visitor.answers) > 10
    assert moment(place) == before
    assert not [suffix for suffix in ("_next", "_prepare") if identity(f"{place.prefix}_django{suffix}")]
    assert place.deploy().succeeded().changed == 0


@pytest.mark.full
def test_a_release_whose_database_does_not_come_up(place: Place) -> None:
    """The application of before needs the database of before: that is put back first, and the site answers again.

    Something to prepare, a changed application and a broken database, all in one release.
    """
    kept = deepcopy(place.variables)
    services = place.variables["bulkhead_services"]
    store = f"{place.prefix}_store"
    services["store"] = {
        "image": IMAGES["redis"]["image"],
        "container_name": store,
        "command": ["redis-server", "--save", ""],
        "user": "1000:1000",
        "healthcheck": {**health_check(1, interval=1), "test": ["CMD", "redis-cli", "ping"]},
        "deploy": {"resources": {"limits": {"memory": "128M"}}},
    }
    # Well only as long as the store answers, like a page that asks a database.
    well = f"exec 3<>/dev/tcp/{store}/6379 && exec 4<>/dev/tcp/127.0.0.1/8000"
    django = services["django"]
    django["depends_on"] = {"store": {"condition": "service_healthy"}}
    django["healthcheck"] = {**health_check(1, interval=1), "test": ["CMD", "bash", "-c", well]}
    try:
        place.deploy().succeeded()
        before = moment(place)
        working = deepcopy(place.variables)
        services["store"]["command"] = ["sh", "-c", "echo no such cluster; exit 3"]
        django["x-bulkhead"]["prepare"] = [["sleep", "0.1"]]
        place.variables["bulkhead_env"] = {"SAY": "new"}
        run = place.deploy()
        for word in (
            rf"{store}\s+is\s+(exited \(3\)|restarting|starting)",
            "no such cluster",
            r"The\s+previous\s+release\s+serves\s+again",
        ):
            assert re.search(word, run.error), run.output
        assert ask(place, "/").body.decode() == "0"
        after = moment(place).containers
        assert {name for name, known in before.containers.items() if known != after.get(name)} <= {store}
        place.variables = working
        assert place.deploy().succeeded().changed == 0
    finally:
        place.variables = kept
