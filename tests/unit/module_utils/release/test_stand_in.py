# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Replacing a service without a gap: at every call of the engine somebody serves, whoever is killed when."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.steps import Step
from ansible_collections.aiia.bulkhead.plugins.module_utils.release import stand_in
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.converge import Converger
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.plan import plan
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.store import Releases
from ansible_collections.aiia.bulkhead.plugins.module_utils.state.deployed import current_release
from unit.module_utils.deployments import WEB, Machine, files, roll_back
from unit.module_utils.fake_engine import COMPOSE_FILE, PROJECT, compose_text, file, service
from unit.module_utils.rolled import ROLLING, Rolled

pytestmark = pytest.mark.usefixtures("quick")


# ---- replacing ---------------------------------------------------------------------------------------------------


def test_a_new_version(rolled: Rolled) -> None:
    before = rolled.engine.ids()
    assert "replace aiia_prod_web without a gap" not in rolled.plan()
    rolled.deploy(**files(web="web:2"))
    assert rolled.who_serves() == "web:2"
    assert rolled.steered == {"web:2"}
    assert rolled.is_clean()
    # It serves: it has to come back with the machine.
    assert "update --restart unless-stopped aiia_prod_web_next" in rolled.engine.calls
    assert rolled.engine.ids()["db"] == before["db"]
    assert rolled.plan(**files(web="web:2")) == []


def ups(machine: Machine) -> list[str]:
    """The services that Compose was asked to start, each time."""
    calls = [call for call in machine.engine.calls if call.startswith("compose up")]
    return [call.partition("--quiet-pull")[2].strip() for call in calls]


def test_what_runs_already_is_not_started_once_more(rolled: Rolled) -> None:
    """Compose itself has just said that nothing is left to do: it is asked to start the new version only."""
    rolled.engine.calls.clear()
    rolled.deploy(**files(web="web:2"))
    assert ups(rolled) == ["web"]


@pytest.mark.parametrize("bare", [True, False])
def test_who_starts_the_new_container(rolled: Rolled, bare: bool) -> None:
    """The engine, unless Compose puts configs or secrets into it; Compose would first wait for what is well already."""
    services = [service("web", **{**ROLLING, "bare": bare}), service("db", awaited=True)]
    rolled.deploy(**files(web="web:2"), services=services)
    new = rolled.engine.running["web"]["Id"]
    calls = [call for call in rolled.engine.calls if call.startswith(("compose up", "start"))]
    made = "compose up --no-start --no-build --quiet-pull web"
    assert calls == ([made, f"start {new}"] if bare else ["compose up --detach --no-build --quiet-pull web"])
    assert rolled.who_serves() == "web:2" and rolled.is_clean()


def test_a_new_container_that_the_engine_cannot_start(rolled: Rolled) -> None:
    """The release before serves again."""
    rolled.engine.refuses = lambda call: call.startswith("start web")
    error = rolled.fails(**files(web="web:2"))
    assert "refused by the test" in error.detail and error.message.endswith("The previous release serves again")
    assert rolled.who_serves() == "web:1" and rolled.is_clean()


@pytest.mark.parametrize(
    ("health", "started"), [("healthy", ["web"]), ("starting", ["db", "web"]), ("unhealthy", ["db", "web"])]
)
def test_what_the_preparation_needs_is_started_where_it_is_not_well(
    rolled: Rolled, health: str, started: list[str]
) -> None:
    """A migration needs the database: one that runs is left alone, one that is not well is waited for."""
    database = rolled.engine.running["db"]["State"]

    def change(call: str) -> None:
        if call.startswith("compose --dry-run"):
            database["Health"] = {"Status": health}
        elif call.startswith("compose up"):
            database["Health"] = {"Status": "healthy"}

    rolled.engine.calls.clear()
    rolled.engine.on_call = change
    services = [service("web", **ROLLING, image="web:2"), service("db", awaited=True)]
    rolled.deploy(**files(web="web:2"), services=services)
    calls = [call for call in rolled.engine.calls if call.startswith(("compose up", "compose run --rm"))]
    assert calls[len(started) - 1].startswith("compose run --rm"), "the migration comes after what it needs"
    assert ups(rolled)[: len(started)] == started


def test_what_ended_meanwhile_is_started(rolled: Rolled) -> None:
    """Near miss: another service ends while the new version starts."""
    rolled.engine.calls.clear()

    def end(call: str) -> None:
        if call.startswith("update --restart"):
            rolled.engine.running["db"]["State"] = {**rolled.engine.running["db"]["State"], "Running": False}

    rolled.engine.on_call = end
    rolled.deploy(**files(web="web:2"))
    assert ups(rolled)[-1] == "" and rolled.engine.running["db"]["State"]["Running"]


def test_the_plan_says_how(rolled: Rolled) -> None:
    changed = [service("web", **{**ROLLING, "input": "new"}), service("db", input="new", awaited=True)]
    for container in rolled.engine.running.values():
        container["Config"]["Labels"]["io.bulkhead.input"] = "old"
    steps = rolled.plan(**files(web="web:2"), services=changed)
    assert "replace aiia_prod_web without a gap" in steps
    assert "recreate aiia_prod_db" in steps


def test_changed_settings(rolled: Rolled) -> None:
    services = [service("web", **ROLLING, env_files=[".env"]), service("db")]
    rolled.deploy(services=services)
    changed = {"services": services, "secret_files": [file(".env", "A=2\n", "0600")]}
    assert rolled.plan(**changed) == ["write .env", "replace aiia_prod_web without a gap"]
    # What somebody did to the file is put right, and the container never saw it.
    (rolled.directory / ".env").write_text("A=3\n")
    assert rolled.plan(services=services) == ["write .env"]


def test_files_that_it_reads_when_it_starts(rolled: Rolled) -> None:
    before = rolled.engine.ids()
    rolled.deploy(**files(conf="two"))
    assert rolled.engine.ids()["web"] != before["web"]
    assert rolled.is_clean()


@pytest.mark.parametrize("by_hand", ["renamed", "paused"])
def test_one_that_somebody_had_his_hands_on_is_replaced_without_a_gap(rolled: Rolled, by_hand: str) -> None:
    found = rolled.engine.container("web")
    if by_hand == "renamed":
        found["Name"] = "/aiia_prod_quatre"
    else:
        found["State"]["Paused"] = True
    rolled.deploy(**files(web="web:2"))
    assert rolled.steered == {"web:2"} and rolled.is_clean()


def test_one_that_others_wait_for_is_no_exception(rolled: Rolled) -> None:
    services = [service("web", **ROLLING, awaited=True), service("db", awaited=True)]
    rolled.deploy(**files(conf="two"), services=services)
    assert rolled.steered == {"web:1"}
    assert rolled.is_clean()


def test_a_new_version_that_does_not_get_healthy_gets_no_request(rolled: Rolled) -> None:
    before = rolled.engine.ids()
    rolled.engine.sick["web:2"] = "unhealthy"
    error = rolled.fails(**files(web="web:2"))
    assert "the new version of web did not get healthy (unhealthy) and received no requests" in error.message
    assert error.message.endswith("The previous release serves again")
    assert "probe: no answer" in error.detail and "last words of aiia_prod_web_next" in error.detail
    assert rolled.steered == set()
    assert rolled.engine.ids() == before
    assert rolled.is_clean()


def test_a_new_version_that_dies_at_once(rolled: Rolled) -> None:
    rolled.engine.sick["web:2"] = "exited 3"
    assert "did not get healthy (exited (3))" in rolled.fails(**files(web="web:2")).message
    # The engine would start it again and again.
    assert not [call for call in rolled.engine.calls if call.startswith("update --restart")]
    assert rolled.is_clean() and rolled.who_serves() == "web:1"


def test_a_new_version_that_dies_before_it_has_its_limits(rolled: Rolled) -> None:
    """The engine limits only what runs; what counts is how the container ended."""

    def die(call: str) -> None:
        found = rolled.engine.running.get("aiia_prod_web_next")
        if found:
            found.setdefault("HostConfig", {"Memory": 1 << 26, "MemorySwap": 1 << 27})
            if call.startswith("update --memory"):
                found["State"] = {"Running": False, "Status": "exited", "ExitCode": 7}

    rolled.engine.on_call = die
    rolled.engine.refuses = lambda call: call.startswith("update --memory")
    error = rolled.fails(**files(web="web:2"))
    assert "the new version of web did not get healthy (exited (7))" in error.message
    assert any(call.startswith("update --memory") for call in rolled.engine.calls)
    assert rolled.who_serves() == "web:1" and rolled.is_clean()


def test_files_that_it_reads_come_back_with_the_rest(rolled: Rolled) -> None:
    """Compose sees no difference between two containers that read other files, so it is not left to Compose."""
    services = [service("web", **ROLLING, awaited=True), service("db")]
    rolled.engine.sick["db:2"] = "unhealthy"
    rolled.fails(**files(db="db:2", conf="two"), services=services)
    assert (rolled.directory / "web.conf").read_text() == "one"
    stopped = [call for call in rolled.engine.calls if call.startswith("stop web-")]
    assert len(stopped) == 2, stopped  # for the new file, and for the earlier one
    assert rolled.is_clean()


def test_no_health_check(rolled: Rolled) -> None:
    rolled.engine.sick["web:2"] = "none"
    error = rolled.fails(**files(web="web:2"))
    assert "web has no health check to judge it by" in error.message
    assert rolled.is_clean() and rolled.who_serves() == "web:1"


def test_a_second_container_that_does_not_get_healthy(rolled: Rolled) -> None:
    """The stand-in was well, and its twin is not: the stand-in serves until the version before does."""

    def sick_from_the_second(call: str) -> None:
        rolled._look(call)
        if call.startswith("compose up") and rolled.steered:
            rolled.engine.sick["web:2"] = "unhealthy"

    rolled.engine.on_call = sick_from_the_second
    error = rolled.fails(**files(web="web:2"))
    assert "The previous release serves again" in error.message
    assert rolled.who_serves() == "web:1"
    assert rolled.is_clean()


def test_a_later_step_that_fails(rolled: Rolled) -> None:
    """Back is without a gap as well."""
    rolled.engine.sick["db:2"] = "unhealthy"
    rolled.fails(**files(web="web:2", db="db:2"))
    assert rolled.who_serves() == "web:1"
    assert rolled.is_clean()


@pytest.mark.parametrize(("restarts", "how"), [(0, "unhealthy"), (3, "starting: it ended, and was restarted 3 times")])
def test_a_new_version_that_ends_is_said_to_have_ended(rolled: Rolled, restarts: int, how: str) -> None:
    """Its process goes with its workers, and the engine starts it again: at that moment it only looks slow."""
    rolled.engine.sick["web:2"] = "starting" if restarts else "unhealthy"

    def end(call: str) -> None:
        if call == "look" and "aiia_prod_web_next" in rolled.engine.running:
            rolled.engine.container("aiia_prod_web_next", RestartCount=restarts)

    rolled.engine.on_call = end
    error = rolled.fails(**files(web="web:2"))
    assert f"the new version of web did not get healthy ({how}) and received no requests" in error.message


# ---- preparing ---------------------------------------------------------------------------------------------------


def prepared(machine: Machine) -> list[str]:
    return [call.split(" web ")[1] for call in machine.engine.calls if "--rm" in call and " web " in call]


@pytest.mark.parametrize("name", ["worker", "gone"], ids=["worker", "service that is gone"])
def test_a_container_that_was_killed_is_told(rolled: Rolled, name: str) -> None:
    """It did not end within its grace period: what it was doing may be half done."""
    services = [service("web", **ROLLING), service("db", awaited=True), service("worker"), service("gone")]
    images = {"web": "web:1", "db": "db:1", "worker": "worker:1", "gone": "gone:1"}
    conf = file("web.conf", "one")
    rolled.deploy(files=[file(COMPOSE_FILE, compose_text(**images)), conf], services=services)
    rolled.engine.stubborn.add(f"{name}:1")
    images.update(web="web:2", worker="worker:2")
    del images["gone"]
    rolled.deploy(files=[file(COMPOSE_FILE, compose_text(**images)), conf], services=services[:3])
    assert [step for step in rolled.tried if step.startswith("killed")] == [
        f"killed {name}: it did not end within its grace period (stop_grace_period of its service)"
    ]


def test_prepared_before_it_gets_requests_and_after_a_backup(rolled: Rolled) -> None:
    def back_up(reason: str) -> Step:
        rolled.engine.calls.append(f"backup {reason}")
        return Step("make", "one", "backup")

    rolled.back_up = back_up
    rolled.look()  # web:1 was prepared by its own deployment
    release = rolled.deploy(**files(web="web:2"), services=[service("web", **ROLLING, image="web:2"), service("db")])
    calls = rolled.engine.calls
    order = [
        next(number for number, call in enumerate(calls) if part in call)
        for part in (f"backup before release {release}", "web migrate", "web collect", "run --detach")
    ]
    assert order == sorted(order)


@pytest.mark.parametrize(("user", "said"), [(None, "cap_add: [CHOWN, SETGID, SETUID]"), ("app", "runs as app")])
def test_an_entry_point_that_lacks_a_capability(
    rolled: Rolled, monkeypatch: pytest.MonkeyPatch, user: str | None, said: str
) -> None:
    """It comes before the command: the first that a team sees of it is a migration that fails."""
    real = rolled.engine.compose
    definition = {"cap_drop": ["ALL"], "cap_add": ["CHOWN"], **({"user": user} if user else {})}

    def compose(*args: str, **options: Any) -> tuple[int, str, str]:
        if args[0] == "config":
            return 0, json.dumps({"services": {"web": definition}}), ""
        return real(*args, **options)

    monkeypatch.setattr(rolled.engine, "compose", compose)
    rolled.engine.commands["migrate"] = (1, "", "error: failed switching to 'app': operation not permitted")
    error = rolled.fails(**files(web="web:2"), services=[service("web", **ROLLING, image="web:2"), service("db")])
    assert "preparing the new release of web failed" in error.message and said in error.detail


def test_prepared_once_for_each_image(rolled: Rolled) -> None:
    rolled.deploy(**files(conf="two"))
    assert prepared(rolled) == [] and rolled.backups == []


def test_the_first_deployment_has_nothing_to_lose(tmp_path: Path) -> None:
    machine = Rolled(tmp_path / "first")
    machine.deploy()
    assert prepared(machine) == ["migrate", "collect"]
    assert machine.backups == []
    ups = [call for call in machine.engine.calls if call.startswith("compose up")]
    assert ups[0].endswith(" db")  # what the preparation needs, and nothing else


@pytest.mark.parametrize("containers", [True, False], ids=["containers", "a volume"])
def test_a_lost_state_does_not_make_it_a_first_deployment(rolled: Rolled, containers: bool) -> None:
    """There is a database full of data, and nobody but its volume knows."""
    (rolled.kept / "state.json").unlink()
    rolled.engine.on_call = lambda _call: None
    if not containers:
        rolled.engine.running.clear()
    ours = {"com.docker.compose.project": PROJECT}
    rolled.engine.objects["volume"] = [{"Name": "aiia_prod_pgdata_prod", "CreatedAt": "2026", "Labels": ours}]
    before = len(rolled.backups)
    rolled.deploy(**files(web="web:2"))
    assert len(rolled.backups) == before + 1


def test_a_database_that_is_new_is_started_before_its_backup(rolled: Rolled) -> None:
    """Nobody waits for it, and a backup that begins without it would fail."""
    store = service("store", container="aiia_prod_store")
    services = [service("web", **ROLLING, image="web:2"), service("db", awaited=True), store]
    parts = [{"key": "store", "kind": "postgresql"}, {"key": "web", "kind": "files"}]
    there: list[bool] = []

    def back_up(_reason: str) -> Step:
        there.append("store" in rolled.engine.running)
        return Step("make", "one", "backup")

    rolled.back_up = back_up
    rolled.deploy(
        files=[file(COMPOSE_FILE, compose_text(web="web:2", db="db:1", store="store:1")), file("web.conf", "one")],
        services=services,
        backup={"parts": parts},
    )
    assert there == [True]


def test_a_preparation_that_fails(rolled: Rolled) -> None:
    rolled.engine.commands = {"migrate": (1, "", "column is there already"), "plan": (0, "0004_headline\n", "")}
    services = [service("web", **ROLLING, image="web:2"), service("db")]
    error = rolled.fails(**files(web="web:2"), services=services)
    assert "preparing the new release of web failed: migrate ended with exit code 1" in error.message
    assert "column is there already" in error.detail
    assert error.detail.endswith("how it stands (plan):\n0004_headline")
    assert prepared(rolled) == ["migrate", "plan"]
    assert rolled.who_serves() == "web:1" and rolled.steered == set()
    assert (rolled.kept / "state.json").exists()
    rolled.engine.commands = {}
    rolled.deploy(**files(web="web:2"), services=services)
    assert rolled.who_serves() == "web:2"


@pytest.mark.parametrize(
    ("new", "old", "told"),
    [
        (
            (0, "[X] 1\n[X] 2\n[ ] 3\n", ""),
            (0, "[X] 1\n", ""),
            "(plan), beyond what the version that serves knows:\n[X] 2\n[ ] 3",
        ),
        ((0, "[X] 1\n", ""), (0, "[X] 1\n[X] 2\n", ""), "(plan):\n[X] 1"),
        ((0, "[X] 1\n[ ] 2\n", ""), (1, "", "no such command"), "(plan):\n[X] 1\n[ ] 2"),
        ((1, "half", "no connection"), (0, "half\n", ""), "(plan):\nno connection"),
        ((0, "", ""), (0, "[X] 1\n", ""), "(plan):\n(no answer)"),
        (
            (0, "".join(f"{number}\n" for number in range(25)), ""),
            (0, "0\n", ""),
            "knows:\n… 4 lines before\n5\n" + "\n".join(map(str, range(6, 25))),
        ),
    ],
)
def test_how_things_stand_after_a_preparation_failed(
    rolled: Rolled, new: tuple[int, str, str], old: tuple[int, str, str], told: str
) -> None:
    rolled.engine.commands = {"migrate": (1, "", "no"), "plan": new, "exec plan": old}
    services = [service("web", **ROLLING, image="web:2"), service("db")]
    detail = rolled.fails(**files(web="web:2"), services=services).detail
    assert detail.startswith("no\nhow it stands (plan)") and detail.endswith(told), detail


def test_a_backup_that_fails_stops_the_release(rolled: Rolled) -> None:
    def no_room(_reason: str) -> str:
        raise stand_in.EngineError("no backup was made: the disk is full")

    rolled.back_up = no_room
    services = [service("web", **ROLLING, image="web:2"), service("db")]
    error = rolled.fails(**files(web="web:2"), services=services)
    assert "no backup was made: the disk is full. The previous release serves again" in error.message
    assert prepared(rolled) == []


# ---- gaps --------------------------------------------------------------------------------------------------------


def steady(**changes: Any) -> dict[str, Any]:
    return {"services": [service("web", **ROLLING), service("db", steady=True, **changes)]}


def test_a_service_that_would_be_away(rolled: Rolled) -> None:
    rolled.engine.container("db")["Config"]["Labels"]["io.bulkhead.input"] = "old"
    changes = {**files(db="db:2"), **steady(input="new")}
    before = rolled.engine.ids()
    error = rolled.fails(**changes)
    assert error.message.startswith(
        "deploying would take these services down until they are healthy, for at most 1 s:\n"
    )
    assert "\n  aiia_prod_db: its definition or a setting changed\n" in error.message
    assert "bulkhead_allow_downtime: true" in error.message and error.message.endswith("Nothing was changed")
    assert rolled.engine.ids() == before
    (step,) = [step for step in rolled.plan(**changes) if step.startswith("recreate")]
    why = "its definition or a setting changed"
    assert step == f"recreate aiia_prod_db: it is down until it is healthy again, for at most 1 s ({why})"
    converger = Converger(rolled.look(**changes, allow_downtime=True), Releases(rolled.tree))
    converger.apply()
    assert 0 <= converger.serving.downtime["aiia_prod_db"] < 1


@pytest.mark.parametrize(
    ("made_from", "now", "why"),
    [
        ("db:1", {"db:2": "sha256:2"}, "its image changed from db:1 to db:2"),
        ("db:2", {"db:2": "sha256:2"}, "its image db:2 has changed under the same name"),
        ("db:2", {}, "its definition or a setting changed"),
    ],
)
def test_why_a_service_would_be_away(rolled: Rolled, made_from: str, now: dict[str, str], why: str) -> None:
    """A stack that was meant to be completed and was replaced shows by its images."""
    config = rolled.engine.container("db")["Config"]
    config["Labels"]["io.bulkhead.input"] = "old"
    rolled.engine.container("db", Config={**config, "Image": made_from})
    rolled.engine.named = now
    message = rolled.fails(**files(db="db:2"), **steady(input="new", image="db:2")).message
    assert f"\n  aiia_prod_db: {why}\n" in message


def test_a_service_that_compose_would_recreate_for_reasons_of_its_own(rolled: Rolled) -> None:
    """Another version of Compose computes other hashes."""
    for waits in (False, True):
        error = rolled.fails(**files(web="web:2", db="db:2"), **steady(needs_application=waits))
        assert "Compose would recreate aiia_prod_db although no definition changed" in error.message
        assert rolled.who_serves() == "web:1" and rolled.engine.images()["db"] == "db:1"
        # Only of what waits for the application it can be known no sooner.
        assert any(call.startswith("compose run") for call in rolled.engine.calls) is waits
    rolled.deploy(**files(web="web:2", db="db:2"), **steady(), allow_downtime=True)


def test_a_service_that_does_not_run_is_not_missed(rolled: Rolled) -> None:
    rolled.engine.container("db")["Config"]["Labels"]["io.bulkhead.input"] = "old"
    rolled.engine.container("db", State={"Running": False, "Status": "exited", "ExitCode": 1})
    rolled.deploy(**files(db="db:2"), **steady(input="new"))
    assert rolled.engine.images()["db"] == "db:2"


def test_another_number_of_replicas(rolled: Rolled) -> None:
    """Compose calls one container otherwise than several: what is replaced is what there is."""
    three = [service("web", **ROLLING, replicas=3), service("db", awaited=True)]
    rolled.deploy(**files(web="web:2"), services=three)
    assert rolled.steered == {"web:2"} and rolled.is_clean()


def test_what_depends_on_the_replaced_is_no_surprise(rolled: Rolled, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose says of an nginx that waits for the application that it would be recreated as well, until that is."""
    outdated = rolled.engine._outdated
    monkeypatch.setattr(
        rolled.engine, "_outdated", lambda wanted: outdated(wanted) and ["aiia_prod_web", "aiia_prod_db"]
    )
    before = rolled.engine.ids()
    rolled.deploy(**files(web="web:2"), **steady(needs_application=True))
    assert rolled.who_serves() == "web:2" and rolled.engine.ids()["db"] == before["db"]


def test_a_name_that_a_service_takes_over(deployed: Machine) -> None:
    """Compose would find it in use: the container of the service that is gone goes first, and that is a gap."""
    changes = {
        "files": [file(COMPOSE_FILE, compose_text(web="web:1", store="store:1"))],
        "services": [service("web", **WEB), service("store", container="aiia_prod_db")],
    }
    error = deployed.fails(**changes)
    assert "aiia_prod_db: it takes over the name of a container whose service is gone" in error.message
    taken: list[str] = []
    deployed.engine.on_call = lambda call: taken.append(call) if call.startswith(("rm", "compose up")) else None
    steps = plan(deployed.look(**changes))
    assert [(step.verb, step.reason) for step in steps if step.target == "aiia_prod_db"] == [
        ("recreate", "it takes over the name of a container whose service is gone"),
        ("remove", "its service is gone"),
    ]
    deployed.deploy(**changes, allow_downtime=True)
    assert taken.index("rm --force db-2") < taken.index("compose up --detach --no-build --quiet-pull")
    assert sorted(deployed.engine.running) == ["store", "web"]


def test_another_port_cannot_be_stood_in_for(rolled: Rolled) -> None:
    rolled.engine.container("web")["Config"]["ExposedPorts"] = {"8000": {}, "9000/tcp": {}}
    changes = {**files(web="web:2"), "services": [service("web", **ROLLING, expose=["8001"]), service("db")]}
    assert "it now listens on another port" in rolled.fails(**changes).message
    same = [service("web", **ROLLING, expose=["8000"]), service("db")]
    rolled.deploy(**files(web="web:2"), services=same)


def test_a_restart_has_no_gap(rolled: Rolled) -> None:
    """A stand-in serves meanwhile; the fixture looks at every call. Nothing else is touched."""
    before, current = rolled.engine.ids(), current_release(rolled.tree)
    roll_back(rolled, current, restart=["web"])
    after = rolled.engine.ids()
    assert after["web"] != before["web"] and after["db"] == before["db"]
    assert (rolled.who_serves(), rolled.is_clean()) == ("web:1", True) and rolled.steered == {"web:1"}
    assert rolled.plan() == [] and current_release(rolled.tree) == current


def test_what_does_not_serve_is_restarted_as_well(rolled: Rolled) -> None:
    rolled.engine.on_call = lambda _call: None
    before = rolled.engine.ids()
    rolled.engine.container("web")["State"]["Health"] = {"Status": "unhealthy", "Log": []}
    roll_back(rolled, current_release(rolled.tree), restart=["web"])
    assert rolled.engine.ids()["web"] != before["web"] and rolled.who_serves() == "web:1"


def test_a_restart_is_planned(rolled: Rolled) -> None:
    assert rolled.plan(restart=["web"]) == ["replace aiia_prod_web without a gap: to restart it"]
    assert rolled.plan(restart=["db"]) == []


def test_a_restart_that_fails_leaves_what_serves(rolled: Rolled) -> None:
    rolled.engine.sick["web:1"] = "unhealthy"  # whatever is started from now on
    with pytest.raises(stand_in.EngineError, match="The previous release serves again"):
        roll_back(rolled, current_release(rolled.tree), restart=["web"])
    assert rolled.who_serves() == "web:1"
