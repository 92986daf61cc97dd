# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a deployment decides to do on its machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.errors import Failure
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.layout import STATE
from unit.module_utils.deployments import WEB, Machine, files, pem
from unit.module_utils.fake_engine import (
    COMPOSE_FILE,
    compose_text,
    file,
    service,
)


def test_first_deployment(machine: Machine) -> None:
    assert machine.plan() == [
        f"write {COMPOSE_FILE}",
        "write web.conf",
        "write .env",
        "check out c1 in code",
        "start aiia_prod_web",
        "start aiia_prod_db",
    ]
    machine.deploy()
    assert machine.engine.images() == {"web": "web:1", "db": "db:1"}
    assert machine.checkout.commit == "c1"
    state = json.loads((machine.kept / STATE).read_text())
    assert state["commit"] == "c1"
    assert state["files"] == [COMPOSE_FILE, "web.conf", ".env"]
    assert [state["release"]] == machine.releases()


def test_nothing_to_do(deployed: Machine) -> None:
    assert deployed.plan() == []
    assert not [call for call in deployed.engine.calls if call.startswith("compose")]


def test_a_changed_file(deployed: Machine) -> None:
    before = deployed.engine.ids()
    assert deployed.plan(**files(conf="two")) == ["write web.conf", "bring changed files to aiia_prod_web"]
    deployed.deploy(**files(conf="two"))
    after = deployed.engine.ids()
    assert after["web"] != before["web"]  # it has no command to take the file: recreated
    assert after["db"] == before["db"]
    assert deployed.plan(**files(conf="two")) == []


def test_a_service_with_a_command_keeps_its_container(deployed: Machine) -> None:
    before = deployed.engine.ids()
    services = [service("web", **WEB, on_change=["web", "reload"]), service("db")]
    deployed.deploy(**files(conf="two"), services=services)
    assert deployed.engine.ids() == before
    assert f"exec {before['web']} web reload" in deployed.engine.calls


def test_a_command_that_asks_for_a_start(deployed: Machine) -> None:
    """Exit code 75: what changed is only read when the service starts."""
    before = deployed.engine.ids()
    deployed.engine.commands["exec web reload"] = (75, "", "")
    services = [service("web", **WEB, on_change=["web", "reload"]), service("db")]
    deployed.deploy(**files(conf="two"), services=services)
    assert deployed.engine.ids()["web"] != before["web"]
    assert deployed.engine.ids()["db"] == before["db"]


def test_a_start_that_nobody_foresaw(deployed: Machine) -> None:
    """What serves is not taken down without leave, and what it has not taken is not left on disk."""
    before = deployed.engine.ids()
    deployed.engine.commands["exec web reload"] = (75, "", "")
    services = [service("web", **WEB, on_change=["web", "reload"], steady=True), service("db")]
    with pytest.raises(Failure, match="takes its changed files only when it starts"):
        deployed.deploy(**files(conf="two"), services=services)
    assert deployed.engine.ids() == before
    assert (deployed.directory / "web.conf").read_text() == "one"
    deployed.deploy(**files(conf="two"), services=services, allow_downtime=True)
    assert deployed.engine.ids()["web"] != before["web"]


def test_a_file_that_is_read_at_the_start_alone(deployed: Machine) -> None:
    """It takes the service down although there is a command for its other files: nobody allowed that."""
    reloads = {**WEB, "rolling": False, "on_change": ["web", "reload"], "steady": True}
    services = [service("web", **reloads, start_files=["web.conf"]), service("db")]
    with pytest.raises(Failure, match="files changed that it reads only when it starts"):
        deployed.deploy(**files(conf="two"), services=services)
    deployed.deploy(**files(conf="two"), services=[service("web", **reloads), service("db")])


def test_a_new_container_is_told_what_the_earlier_one_was(deployed: Machine) -> None:
    """What a command changes inside of a container does not outlive it."""
    services = [service("web", **WEB, on_change=["web", "reload"]), service("db")]
    deployed.deploy(**files(web="web:2"), services=services)
    assert f"exec {deployed.engine.ids()['web']} web reload" in deployed.engine.calls


def test_a_new_container_is_not_started_twice(deployed: Machine) -> None:
    deployed.deploy(**files(web="web:2", conf="two"))
    # The one before is let end.
    assert [call for call in deployed.engine.calls if call.startswith(("stop", "rm"))] == ["stop web-1"]
    assert deployed.engine.images()["web"] == "web:2"


def test_who_is_waited_for_takes_its_files_first(deployed: Machine) -> None:
    """An application that starts with a new password needs a database that knows it."""
    services = [service("web"), service("db", files=["db.sql"], on_change=["psql"], awaited=True)]
    changes = [file(COMPOSE_FILE, compose_text(web="web:2", db="db:1")), file("db.sql", "new")]
    deployed.deploy(files=changes, services=services)
    calls = [call for call in deployed.engine.calls if call.startswith(("exec", "compose up"))]
    assert calls.index("exec db-2 psql") < calls.index("compose up --detach --no-build --quiet-pull")


def test_volumes_may_be_older_than_the_first_deployment(machine: Machine) -> None:
    """The directory was lost and they were kept: the database learns its new password before anybody uses it."""
    services = [service("web"), service("db", files=["db.sql"], on_change=["psql"], awaited=True)]
    files = [file(COMPOSE_FILE, compose_text(web="web:1", db="db:1")), file("db.sql", "new")]
    machine.deploy(files=files, services=services)
    calls = [call for call in machine.engine.calls if call.startswith(("exec", "compose up"))]
    assert calls.index("exec db-1 psql") < calls.index("compose up --detach --no-build --quiet-pull")


@pytest.mark.parametrize(
    ("spoilt", "step"),
    [
        ({"State": {"Running": False, "Status": "exited", "ExitCode": 137}}, ["start aiia_prod_web"]),
        ({"State": {"Running": True, "Restarting": True}}, ["start aiia_prod_web"]),
        ({"State": {"Running": True, "Paused": True}}, ["start aiia_prod_web"]),
        ({"State": {"Running": True, "Health": {"Status": "unhealthy"}}}, ["start aiia_prod_web"]),
        ({"State": {"Running": True, "Health": {"Status": "starting"}}}, ["start aiia_prod_web"]),
        ({"State": {"Running": True}}, []),
        ({"State": {"Running": True, "Health": {"Status": "none"}}}, []),
    ],
)
def test_what_does_not_run_as_it_should_is_started(deployed: Machine, spoilt: dict[str, Any], step: list[str]) -> None:
    deployed.engine.container("web", **spoilt)
    assert deployed.plan() == step


def test_a_container_that_was_paused(deployed: Machine) -> None:
    """It goes on and is not replaced: Compose would stop at it."""
    before = deployed.engine.ids()
    deployed.engine.container("web")["State"]["Paused"] = True
    deployed.deploy()
    assert deployed.engine.ids() == before
    assert deployed.engine.container("web")["State"]["Running"] and deployed.plan() == []


def test_a_container_that_was_removed(deployed: Machine) -> None:
    del deployed.engine.running["db"]
    assert deployed.plan() == ["start aiia_prod_db"]


def test_a_container_that_somebody_recreated_by_hand(deployed: Machine) -> None:
    """`docker compose up` with another file gives it another configuration."""
    deployed.engine.container("web")["Config"]["Labels"]["com.docker.compose.config-hash"] = "other"
    assert deployed.plan() == ["start aiia_prod_web"]


@pytest.mark.parametrize(("one_shot", "code", "steps"), [(True, 0, 0), (True, 1, 1), (False, 0, 1)])
def test_a_service_that_runs_once(deployed: Machine, one_shot: bool, code: int, steps: int) -> None:
    deployed.engine.container("db", State={"Running": False, "Status": "exited", "ExitCode": code})
    assert len(deployed.plan(services=[service("web", **WEB), service("db", one_shot=one_shot)])) == steps


def test_a_service_that_is_gone(deployed: Machine) -> None:
    changes = {"files": [file(COMPOSE_FILE, compose_text(db="db:1"))], "services": [service("db")]}
    assert deployed.plan(**changes) == [
        f"write {COMPOSE_FILE}",
        "remove file web.conf",
        "remove container aiia_prod_web: its service is gone",
    ]
    deployed.deploy(**changes)
    assert list(deployed.engine.images()) == ["db"]
    assert not (deployed.directory / "web.conf").exists()
    assert deployed.plan(**changes) == []


def test_one_off_containers_are_nobodys_business(deployed: Machine) -> None:
    """`docker compose run django manage.py shell` of a person at work."""
    one_off = json.loads(json.dumps(deployed.engine.running["web"]))
    one_off["Config"]["Labels"]["com.docker.compose.oneoff"] = "True"
    deployed.engine.running["run-1"] = {**one_off, "Id": "run-1", "Name": "/aiia_prod-web-run-1"}
    assert deployed.plan() == []
    deployed.deploy(**files(web="web:2"))
    assert "run-1" in deployed.engine.running


def test_a_file_changed_by_hand_is_written_again(deployed: Machine) -> None:
    (deployed.directory / ".env").write_text("A=2\n")
    assert deployed.plan() == ["write .env"]
    (deployed.directory / ".env").write_text("A=1\n")
    (deployed.directory / ".env").chmod(0o644)
    assert deployed.plan() == ["write .env"]


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\x00\xff"])
def test_a_state_that_cannot_be_read_is_no_state(deployed: Machine, text: str) -> None:
    """Everything is brought into force once more; nothing breaks."""
    (deployed.kept / STATE).write_text(text, encoding="latin-1")
    assert "start aiia_prod_web" in deployed.plan()
    deployed.deploy()
    assert deployed.plan() == []


@pytest.mark.parametrize("path", ["../other/.env", "link/.env", "/etc/passwd"])
def test_a_state_never_names_files_of_others(deployed: Machine, path: str) -> None:
    """The environment's owner can write it, and a deployment may run as root."""
    other = deployed.directory.parent / "other"
    other.mkdir()
    (other / ".env").touch()
    (deployed.directory / "link").symlink_to(other)
    state = json.loads((deployed.kept / STATE).read_text())
    state["files"].append(path)
    (deployed.kept / STATE).write_text(json.dumps(state))
    assert deployed.plan() == []


def test_a_commit_that_is_not_checked_out(deployed: Machine) -> None:
    assert deployed.plan(commit="c2") == ["check out c2 in code"]
    deployed.checkout.branch = "feature"
    deployed.checkout.current_branch = lambda: "main"  # type: ignore[method-assign]
    assert deployed.plan() == ["check out c1 in code"]


def test_a_file_from_the_machine(machine: Machine, tmp_path: Path) -> None:
    """A certificate that a renewal replaced: certbot's names are links."""
    (tmp_path / "archive1.pem").write_text(pem("old"))
    (tmp_path / "live.pem").symlink_to("archive1.pem")
    wanted = {**file("tls.pem", ""), "source": str(tmp_path / "live.pem")}
    changes = {"files": [*files()["files"], wanted], "services": [service("web", files=["tls.pem"]), service("db")]}
    machine.deploy(**changes)
    assert (machine.directory / "tls.pem").read_text() == pem("old")
    (tmp_path / "archive2.pem").write_text(pem("new"))
    (tmp_path / "live.pem").unlink()
    (tmp_path / "live.pem").symlink_to("archive2.pem")
    assert machine.plan(**changes) == ["write tls.pem", "bring changed files to aiia_prod_web"]
    (tmp_path / "live.pem").unlink()
    with pytest.raises(Failure, match=r"live\.pem does not exist on this machine \(it is wanted as tls\.pem\)"):
        machine.plan(**changes)


def test_a_directory_that_somebody_removed_is_made_again(deployed: Machine) -> None:
    """Also where only a container is missing: the engine would make it, as root's."""
    (deployed.directory / "conf").rmdir()
    del deployed.engine.running["web"]
    deployed.deploy()
    assert (deployed.directory / "conf").is_dir()


def test_old_releases_go(deployed: Machine) -> None:
    for number in range(4):
        deployed.deploy(**files(conf=str(number)))
    assert len(deployed.releases()) <= 2


def test_a_container_says_for_which_release_it_was_made(machine: Machine) -> None:
    """One whose service did not change keeps its label, and is kept."""

    def changes(number: int) -> dict[str, Any]:
        definitions = {
            name: f"{name}:{version} io.bulkhead.release=<release-of-{name}> io.bulkhead.input={name}{version}"
            for name, version in (("web", number), ("db", 1))
        }
        return {
            "files": [file(COMPOSE_FILE, compose_text(**definitions)), file("web.conf", "one")],
            "services": [
                service("web", **WEB, input=f"web{number}", release="<release-of-web>"),
                service("db", input="db1", release="<release-of-db>"),
            ],
        }

    def labels() -> dict[str, str]:
        return {key: item["Config"]["Labels"]["io.bulkhead.release"] for key, item in machine.engine.running.items()}

    first = machine.deploy(**changes(1))
    assert labels() == {"web": first, "db": first}
    assert machine.plan(**changes(1)) == []
    before = machine.engine.ids()
    second = machine.deploy(**changes(2))
    assert labels() == {"web": second, "db": first}
    assert machine.engine.ids()["db"] == before["db"]
    assert machine.plan(**changes(2)) == []
