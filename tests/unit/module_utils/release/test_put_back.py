# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever changed, whatever fails and whatever was to be prepared: the release of before serves again.

The application here is well only as long as the database is: what is started in another order does not get healthy.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.errors import Failure
from unit.module_utils.deployments import WEB, Machine, roll_back
from unit.module_utils.fake_engine import COMPOSE_FILE, FakeEngine, compose_text, file, service

pytestmark = pytest.mark.usefixtures("quick", "clock")

#: What may change in one release.
PARTS = ("web", "db", "pool", "worker")

CHANGES = [frozenset(some) for count in range(1, 5) for some in itertools.combinations(PARTS, count)]


class Waiting(FakeEngine):
    """An engine whose web and worker are well only beside a pooler, and that only beside a database."""

    NEEDS = (("pool", ("db",)), ("web", ("db", "pool")), ("worker", ("db", "pool")))

    def _hear(self, call: str) -> None:
        super()._hear(call)
        for key, needed in self.NEEDS:
            for container in self.running.values():
                labels = container["Config"]["Labels"]
                if labels["com.docker.compose.service"] != key or not container["State"].get("Running"):
                    continue
                wanted = self.sick.get(container["Config"]["Image"], "healthy")
                lacking = [other for other in needed if not self._is_healthy(other)]
                container["State"]["Health"]["Status"] = "unhealthy" if lacking else wanted

    def _is_healthy(self, key: str) -> bool:
        found = self.running.get(key)
        return found is not None and found["State"].get("Health", {}).get("Status") == "healthy"


def services(prepare: str, prepared: bool = True) -> list[Any]:
    commands = [["migrate", prepare]] if prepared else []
    return [
        service("web", **WEB, rolling=True, needs_application=True, prepare=commands),
        service("db", awaited=True, steady=True),
        service("pool", awaited=True, steady=True),
        service("worker", needs_application=True),
    ]


def release(changed: Collection[str], number: int, **more: Any) -> dict[str, Any]:
    """The arguments of a release in which some services have another definition."""
    images = {name: f"{name}:{number if name in changed else 1}" for name in PARTS}
    content = [file(COMPOSE_FILE, compose_text(**images)), file("web.conf", "one")]
    return {"files": content, "allow_downtime": True, "keep_releases": 3, **more}


@pytest.fixture
def waiting(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path / "env")
    machine.engine = Waiting(machine.directory)
    machine.deploy(**release(set(), 1), services=services("1"))
    assert serves(machine)
    return machine


def serves(machine: Machine) -> bool:
    """Whether all that the environment has is well, and nothing else is there."""
    found = {key: item["State"].get("Health", {}).get("Status") for key, item in machine.engine.running.items()}
    return found == dict.fromkeys(PARTS, "healthy")


def fail(machine: Machine, changed: Collection[str], failing: str, how: str, prepare: str) -> Failure:
    """A release in which something changed and something fails, with something to prepare or not."""
    machine.engine.sick[f"{failing}:2"] = how
    if failing == "prepare":
        machine.engine.commands[f"migrate {prepare}"] = (1, "", "no such column")
    return machine.fails(**release(changed, 2), services=services(prepare), commit="c2")


#: What fails, and how it ends.
FAILURES = [(part, how) for part in PARTS for how in ("unhealthy", "exited 1")] + [("prepare", "")]


@pytest.mark.parametrize("prepare", ["1", "2"], ids=["prepared before", "to be prepared"])
@pytest.mark.parametrize(("failing", "how"), FAILURES)
def test_the_release_before_serves_again(
    waiting: Machine, failing: str, how: str, prepare: str, tmp_path: Path
) -> None:
    """Every combination of what changed, with this that fails."""
    if failing == "prepare" and prepare == "1":
        prepare = "3"  # only what has to be prepared can fail
    tried = 0
    for changed in CHANGES:
        if failing in PARTS and failing not in changed:
            continue
        before = waiting.engine.images()
        error = fail(waiting, changed, failing, how, prepare)
        assert "The previous release serves again" in error.message, (changed, error.message, error.detail)
        assert serves(waiting) and waiting.engine.images() == before, changed
        assert waiting.plan(**release(set(), 1), services=services("1")) == [], changed
        tried += 1
    assert tried == (len(CHANGES) if failing == "prepare" else 8)


@pytest.mark.parametrize("changed", CHANGES, ids=lambda changed: "+".join(sorted(changed)))
def test_what_could_not_be_put_back_a_rollback_puts_back(waiting: Machine, changed: Collection[str]) -> None:
    """The engine did nothing while the deployment went back; later it does, and one command is enough."""
    waiting.engine.sick.update({f"{part}:2": "unhealthy" for part in changed})
    ups: list[str] = []

    def refuses(call: str) -> bool:
        ups.append(call) if call.startswith("up") else None
        return call.startswith("up") and len(ups) > 1

    waiting.engine.refuses = refuses
    error = waiting.fails(**release(changed, 2), services=services("2"), commit="c2")
    waiting.engine.refuses = lambda _call: False
    assert "Putting it back failed too" in error.message or serves(waiting)
    current = json.loads((waiting.kept / "state.json").read_text())["release"]
    roll_back(waiting, current, allow_downtime=True)
    assert serves(waiting)
    assert waiting.engine.images() == {name: f"{name}:1" for name in PARTS}


@pytest.mark.parametrize("changed", CHANGES, ids=lambda changed: "+".join(sorted(changed)))
def test_a_corrected_release_follows_a_failed_one(waiting: Machine, changed: Collection[str]) -> None:
    fail(waiting, changed, sorted(changed)[0], "unhealthy", "2")
    waiting.deploy(**release(changed, 3), services=services("3"), commit="c3")
    assert serves(waiting)


def test_what_the_application_waits_for_is_started_before_its_stand_in(waiting: Machine) -> None:
    """A new service, nothing to prepare: a stand-in starts without what it depends on."""
    waiting.engine.NEEDS = (*waiting.engine.NEEDS, ("web", ("db", "pool", "queue")))  # type: ignore[attr-defined]
    images = {**{name: f"{name}:1" for name in PARTS}, "web": "web:2", "queue": "queue:1"}
    content = [file(COMPOSE_FILE, compose_text(**images)), file("web.conf", "one")]
    waiting.deploy(files=content, services=[*services("1"), service("queue", awaited=True, steady=True)])
    assert set(waiting.engine.running) == {*PARTS, "queue"}


def test_a_database_that_had_died_is_started_before_the_stand_in(waiting: Machine) -> None:
    waiting.engine.running["db"]["State"] = {"Running": False, "Status": "exited", "ExitCode": 137}
    waiting.deploy(**release({"web"}, 2), services=services("1"))
    assert serves(waiting)
