# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the version before to this one: production behind nginx under load, and staging, both deployed by the former."""

from __future__ import annotations

import http.client
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from guide_stack import behind_nginx
from observe import ask, containers, running, say
from other_versions import OtherVersion, earlier_version
from sabotage import lease_path
from support import Place, Run, Site, remove_project

#: Containers by name: id, start time, restarts.
Containers = dict[str, tuple[str, str, int]]


@dataclass
class Requests:
    """Requests to production's nginx while a block runs, each over a connection of its own."""

    place: Place
    answers: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Requests:
        self.thread = threading.Thread(target=self._ask, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_unused: object) -> None:
        self.over.set()
        self.thread.join()

    @property
    def failed(self) -> list[str]:
        """What was not answered as it should be."""
        return [answer for answer in self.answers if answer != "200 hello"]

    def _ask(self) -> None:
        while not self.over.is_set():
            try:
                answer = ask(self.place, "/", timeout=10)
                self.answers.append(f"{answer.status} {answer.body.decode()}")
            except (OSError, http.client.HTTPException) as error:
                self.answers.append(f"{type(error).__name__}: {error}")
            time.sleep(0.1)


@dataclass
class Upgrade:
    """What happened, in order; the tests below say what must be true of it."""

    earlier: OtherVersion
    production: Place
    staging: Place
    before: list[Containers]
    after: list[Containers]
    again: Run
    requests: Requests


@pytest.fixture(scope="module")
def upgrade(tmp_path_factory: pytest.TempPathFactory, projects: Callable[[], str]) -> Iterator[Upgrade]:
    """Both environments deployed by the version before, and then by this one, under load."""
    earlier = earlier_version(tmp_path_factory.mktemp("earlier"))
    site = Site(tmp_path_factory.mktemp("upgrade"), projects())
    production = behind_nginx(site, protected=True, env={"SAY": "hello"})
    staging = site.small("staging", "staging", env={"SAY": "first"})
    for place in (production, staging):
        earlier.play(place).succeeded()
    before = [running(place.prefix) for place in (production, staging)]
    with Requests(production) as requests:
        for place in (production, staging):
            place.deploy().succeeded()
        again = production.deploy().succeeded()
    after = [running(place.prefix) for place in (production, staging)]
    yield Upgrade(earlier, production, staging, before, after, again, requests)
    remove_project(site.project)


def test_taken_over_without_a_restart(upgrade: Upgrade) -> None:
    """Ids, start times and restart counts of all containers are what they were."""
    assert [len(environment) for environment in upgrade.before] == [2, 1]
    assert upgrade.after == upgrade.before


def test_swap_is_limited_in_place(upgrade: Upgrade) -> None:
    """The version before left swap to the engine, which gives a container as much as it has memory."""
    found = [container for place in (upgrade.production, upgrade.staging) for container in _limits(place)]
    assert len(found) == 3 and all(memory == swap > 0 for memory, swap in found)


def _limits(place: Place) -> list[tuple[int, int]]:
    """Memory, and memory with swap, of an environment's containers."""
    hosts = [container["HostConfig"] for container in containers(place.prefix).values()]
    return [(host["Memory"], host["MemorySwap"]) for host in hosts]


def test_no_request_failed(upgrade: Upgrade) -> None:
    """Production answered all the time, and it was asked."""
    assert len(upgrade.requests.answers) > 20
    assert upgrade.requests.failed == []


def test_a_second_run_changes_nothing(upgrade: Upgrade) -> None:
    """What is taken over once is in force."""
    assert upgrade.again.changed == 0


def test_an_older_controller_is_refused(upgrade: Upgrade) -> None:
    """Each of its jobs stops before it looks at anything, and says where. Control: with the lease where it looks for
    one, it deploys."""
    staging = upgrade.staging
    for job in ("deploy", "destroy"):
        run = upgrade.earlier.play(staging, playbook=job)
        assert f"locks/{staging.prefix}.json: Is a directory" in run.error
        assert run.changed == 0
    assert [running(place.prefix) for place in (upgrade.production, staging)] == upgrade.before
    guard = lease_path(staging).parent
    assert "Upgrade aiia.bulkhead" in (guard / "README").read_text()
    shutil.rmtree(guard)
    upgrade.earlier.play(staging).succeeded()


def test_rollback_across_versions(upgrade: Upgrade) -> None:
    """A release that the version before made is returned to, after one of this version."""
    staging = upgrade.staging
    staging.variables["bulkhead_env"] = {"SAY": "second"}
    staging.deploy().succeeded()
    assert say(staging.prefix) == "second"
    staging.site.play("-l", staging.group, playbook="playbooks/rollback.yml").succeeded()
    assert say(staging.prefix) == "first"
    staging.variables["bulkhead_env"] = {"SAY": "first"}
    assert running(upgrade.production.prefix) == upgrade.before[0]


def test_destroyed(upgrade: Upgrade) -> None:
    """Nothing of staging is left, and production is as it was."""
    staging = upgrade.staging
    confirm = ("-e", f"bulkhead_confirm={staging.prefix}")
    staging.site.play("-l", staging.group, *confirm, playbook="playbooks/destroy.yml").succeeded()
    assert containers(staging.prefix) == {}
    assert not (staging.directory / ".bulkhead/state.json").exists()
    assert running(upgrade.production.prefix) == upgrade.before[0]
