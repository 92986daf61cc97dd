# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A release of a stack, brought into force on a swarm that is a dictionary."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.directory import DesiredFile
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.errors import Failure
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.steps import sentence
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.engine import EngineError
from ansible_collections.aiia.bulkhead.plugins.module_utils.stack import converge, election, jobs, prepare, rollout
from ansible_collections.aiia.bulkhead.plugins.module_utils.stack.converge import StackConverger
from ansible_collections.aiia.bulkhead.plugins.module_utils.stack.kept import KeptReleases
from ansible_collections.aiia.bulkhead.plugins.module_utils.swarm.api import SwarmError
from unit.stacks import PREFIX, STACK

LABELS = {PREFIX: "app_prod"}


class FakeSwarm:
    """A swarm and its client. A stack file is JSON here: ``{service: image}``; the image ``bad`` never stays up."""

    def __init__(self) -> None:
        self.stack: dict[str, str] = {}
        self.jobs: list[str] = []
        self.files: dict[str, dict[str, dict[str, Any]]] = {"config": {}, "secret": {}}
        self.calls: list[str] = []
        self.rolled_back: set[str] = set()
        self.version = 0
        self.logins: list[str] = []
        self.quorum = True
        self.labels: dict[str, str] = {}
        #: Tasks that end only a while after their service was removed, each with how many more looks see it.
        self.ending: dict[str, int] = {}

    def info(self) -> dict[str, Any]:
        error = "" if self.quorum else "the swarm does not have a leader"
        return {"Swarm": {"NodeID": "n1", "LocalNodeState": "active", "ControlAvailable": True, "Error": error}}

    def nodes(self) -> list[dict[str, Any]]:
        return [{"ID": "n1", "Spec": {"Role": "manager", "Labels": self.labels}, "Status": {"State": "ready"}}]

    def services(self) -> list[dict[str, Any]]:
        return [self._service(key, image) for key, image in self.stack.items()]

    def _service(self, key: str, image: str) -> dict[str, Any]:
        update = {"State": "rollback_completed", "StartedAt": f"at {self.version}", "Message": "rolled back"}
        return {
            "ID": f"id-{key}",
            "Version": {"Index": self.version},
            "Spec": {
                "Name": f"app_prod_{key}",
                "Labels": {**LABELS, STACK: "app_prod"},
                "TaskTemplate": {"ContainerSpec": {"Image": image, "Labels": {STACK: "app_prod"}}},
                "Mode": {"ReplicatedJob" if key.startswith("prepare-") else "Replicated": {}},
            },
            "ServiceStatus": {"DesiredTasks": 1, "RunningTasks": 1},
            **({"UpdateStatus": update} if key in self.rolled_back else {}),
        }

    def tasks(self) -> list[dict[str, Any]]:
        ending = [key for key, looks in self.ending.items() if looks and key not in self.stack]
        self.ending.update((key, self.ending[key] - 1) for key in ending)
        still = [{**self._task(key, "1"), "Status": {"State": "running"}} for key in ending]
        return [*(self._task(key, image) for key, image in self.stack.items()), *still]

    def _task(self, key: str, image: str) -> dict[str, Any]:
        state = {"prepare-1": "failed" if image == "bad" else "complete"}.get(key, "running")
        return {
            "ID": f"task-{key}-{self.version}",
            "ServiceID": f"id-{key}",
            "DesiredState": "running",
            "Status": {"State": state, "Err": "task: non-zero exit (1)" if state == "failed" else ""},
            "Spec": {"ContainerSpec": {"Image": image, "Labels": {STACK: "app_prod"}}},
            **({"JobIteration": {"Index": 1}} if key.startswith("prepare-") else {}),
        }

    def networks(self) -> list[dict[str, Any]]:
        return []

    def configs(self) -> list[dict[str, Any]]:
        return list(self.files["config"].values())

    def secrets(self) -> list[dict[str, Any]]:
        return list(self.files["secret"].values())

    def make_config(self, name: str, labels: dict[str, str], content: bytes) -> str:
        return self.make("config", name, labels, content)

    def make(self, kind: str, name: str, labels: dict[str, str], content: bytes = b"") -> str:
        spec = {"Name": name, "Labels": labels, "Data": base64.b64encode(content).decode()}
        self.files[kind][name] = {"ID": name, "Version": {"Index": 1}, "Spec": spec}
        return name

    def label_config(self, identity: str, version: int, spec: dict[str, Any]) -> None:
        self.files["config"][identity]["Spec"] = spec

    def remove_object(self, kind: str, identity: str) -> None:
        self.calls.append(f"remove {kind} {identity}")
        if kind == "service":
            del self.stack[identity.removeprefix("id-")]
        else:
            del self.files[kind][identity]


class FakeEngine:
    """The client of the swarm."""

    def __init__(self, swarm: FakeSwarm) -> None:
        self.swarm = swarm
        self.refuses = ""
        self.code = 1
        self.docker_host = "unix:///var/run/docker.sock"
        self.module = SimpleNamespace(check_mode=False)

    def docker(self, *args: str, **options: Any) -> tuple[int, str, str]:
        assert options["limit"] > 0, "an engine that hangs must not hold the run"
        if args[-1] == "--help":
            return 0, "  -d, --detach   Exit immediately", ""
        if args[:2] == ("service", "logs"):
            return 0, "", "the disk is gone"
        directory = Path(options["cwd"])
        self.swarm.calls.append(" ".join(args[args.index("stack") :]))
        if "--config" in args:
            self.swarm.logins.append((Path(args[args.index("--config") + 1]) / "config.json").read_text())
        if self.refuses:
            return self.code, "", self.refuses
        wanted = json.loads((directory / "docker-stack.yml").read_text())
        assert (directory / ".env").stat().st_mode & 0o777 == 0o600
        self.swarm.version += 1
        self.swarm.rolled_back.clear()
        if "--prune" in args:
            self.swarm.stack = {key: image for key, image in self.swarm.stack.items() if key in wanted}
        for key, image in wanted.items():
            if image == "bad" and key in self.swarm.stack:
                self.swarm.rolled_back.add(key)
            else:
                self.swarm.stack[key] = image
        return 0, "", ""

    def check_reachable(self, errors: str) -> None: ...


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(rollout, "_PAUSE", 0.0)
    monkeypatch.setattr(rollout, "_STEADY", 0.0)
    monkeypatch.setattr(prepare, "_PAUSE", 0.0)
    monkeypatch.setattr(election, "_PAUSE", 0.0)
    yield


def wanted(digest: str, services: dict[str, str], **more: Any) -> dict[str, Any]:
    text = json.dumps(services)
    return {
        "project": "app_prod", "prefix": "app_prod", "labels": LABELS, "by": "ann@laptop", "commit": "c" * 40,
        "digest": digest, "text": text, "kept_text": text, "foundation": [], "foundation_text": "{}", "jobs": [],
        "definitions": {key: f"{key}-{image}" for key, image in services.items()}, "images": services, "pinned": {},
        "networks": [], "configs": [], "secrets": [], "settings": "A=1\n", "environment": {"prefix": "app_prod"},
        "data_label": "", "waits": {}, "wait_timeout": 5, "prepare_timeout": 5, "keep_releases": 2, **more,
    }  # fmt: skip


ENV = [DesiredFile(".env", b"A=1\n", 0o600, True)]


def converger(swarm: FakeSwarm, given: dict[str, Any], login: tuple[str, str, str] = ("", "", "")) -> StackConverger:
    return StackConverger(FakeEngine(swarm), swarm, given, login)


def release(swarm: FakeSwarm, given: dict[str, Any], **more: Any) -> str:
    return converger(swarm, given, **more).apply(ENV)


def test_a_release_and_the_next() -> None:
    """Kept in the swarm; again the same does nothing; what no kept release needs is removed."""
    swarm = FakeSwarm()
    first = release(swarm, wanted("d1", {"web": "1", "old": "1"}, configs=["c1"]))
    swarm.make("config", "c1", LABELS)
    swarm.make("config", "theirs", {PREFIX: "app_other"})
    assert converger(swarm, wanted("d1", {"web": "1", "old": "1"})).plan.steps == ()
    second = release(swarm, wanted("d2", {"web": "2"}, configs=["c2"]))
    assert swarm.stack == {"web": "2"} and "remove config c1" not in swarm.calls
    third = converger(swarm, wanted("d3", {"web": "3"}, configs=["c3"]))
    assert third.releases.manifest(third.releases.current)["follows"] == first
    name = third.apply(ENV)
    assert "remove config c1" in swarm.calls and "theirs" in swarm.files["config"]
    assert set(third.releases.names()) == {second, name} and third.releases.current == name


def test_images_that_no_kept_release_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The nodes are told which ones are kept, and only where there may be others."""
    swarm = FakeSwarm()
    given = {"files": [{"path": ".env", "content": "A=1", "source": "", "secret": True}]}
    told = [
        job(swarm, "apply", {**wanted(f"d{number}", {"web": image}), **given}, monkeypatch).get("kept_images")
        for number, image in enumerate(["web@1", "web@2", "web@2", "web@3"])
    ]
    assert told == [None, None, ["web@2"], None]


@pytest.mark.parametrize("label", ["io.bulkhead.data.app_prod", ""])
def test_the_data_stays_on_its_node(label: str) -> None:
    """The engine gets the id of the node with the label; without one, a name that no node has. What is kept has none,
    so that a return to it finds the data where that is then."""
    swarm = FakeSwarm()
    swarm.labels = {"io.bulkhead.data.app_prod": "true"}
    name = release(swarm, wanted("d1", {"web": "the-node-with-the-data"}, data_label=label))
    assert swarm.stack == {"web": "n1" if label else "the-node-with-the-data"}
    assert "the-node-with-the-data" in KeptReleases(cast(Any, swarm), "app_prod").manifest(name)["text"]


def test_the_login_is_in_the_clients_file_only() -> None:
    swarm = FakeSwarm()
    release(swarm, wanted("d1", {"web": "1"}), login=("r.example.com", "pipeline", "not-shown"))
    assert base64.b64encode(b"pipeline:not-shown").decode() in swarm.logins[0]
    assert "--with-registry-auth" in swarm.calls[0] and "not-shown" not in "".join(swarm.calls)


def test_what_the_engine_rolls_back_is_an_error() -> None:
    """All services return to the release before, and nothing is kept of the failed one."""
    swarm = FakeSwarm()
    release(swarm, wanted("d1", {"web": "1", "api": "1"}))
    failing = converger(swarm, wanted("d2", {"web": "bad", "api": "2"}))
    with pytest.raises(EngineError, match="the engine rolled it back: rolled back") as caught:
        failing.apply(ENV)
    assert swarm.stack == {"web": "1", "api": "1"}
    assert len(failing.releases.names()) == 1
    assert [sentence(step) for step in caught.value.steps] == ["update web", "update api"]
    assert caught.value.put_back.endswith("serves as before")


def test_a_first_release_that_the_engine_refuses() -> None:
    swarm = FakeSwarm()
    first = converger(swarm, wanted("d1", {"web": "1"}))
    first.rollout.engine.refuses = "services.web.x is not allowed"
    with pytest.raises(EngineError, match="refused the stack app_prod") as caught:
        first.apply(ENV)
    assert caught.value.detail == "services.web.x is not allowed" and swarm.stack == {}


JOB = {"service": "web", "key": "prepare-1", "command": ["migrate"], "text": json.dumps({"prepare-1": "1"})}


def test_commands_run_once_after_what_they_need() -> None:
    swarm = FakeSwarm()
    given = wanted(
        "d1", {"web": "1", "db": "1"}, jobs=[JOB], foundation=["db"], foundation_text=json.dumps({"db": "1"})
    )  # fmt: skip
    release(swarm, given)
    assert [call for call in swarm.calls if "prepare" in call] == ["remove service id-prepare-1"]
    assert len([call for call in swarm.calls if call.startswith("stack deploy")]) == 3
    swarm.calls.clear()
    release(swarm, {**given, "digest": "d2", "settings": "A=2\n"})
    assert len(swarm.calls) == 1, "for the same image they do not run again"


def test_a_command_that_fails() -> None:
    """Nothing of the release is in force, and its last lines are shown."""
    swarm = FakeSwarm()
    release(swarm, wanted("d1", {"web": "1"}))
    bad = {**JOB, "text": json.dumps({"prepare-1": "bad"})}
    with pytest.raises(EngineError, match="preparing the new release of web failed: migrate ended") as caught:
        release(swarm, wanted("d2", {"web": "2"}, jobs=[bad]))
    assert swarm.stack == {"web": "1"} and caught.value.detail == "the disk is gone"
    assert [sentence(step) for step in caught.value.steps] == ["prepare web: migrate"]


def job(swarm: FakeSwarm, name: str, given: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """One job of the module."""
    monkeypatch.setattr(jobs, "SwarmApi", lambda _host: swarm)
    return jobs.JOBS[name](FakeEngine(swarm), {"prefix": "app_prod"}, given)


def failing(
    swarm: FakeSwarm, monkeypatch: pytest.MonkeyPatch, method: str, times: int, late: bool = False
) -> list[int]:
    """Have one question or order fail, as while managers elect another leader; ``late`` after it was done."""
    left, real = [times], getattr(swarm, method)

    def ask(*args: Any) -> Any:
        answer = real(*args) if late or not left[0] else None
        if left[0]:
            left[0] -= 1
            raise SwarmError("the swarm does not have a leader", status=503)
        return answer

    monkeypatch.setattr(swarm, method, ask)
    return left


def test_a_swarm_that_says_nothing_is_not_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    swarm = FakeSwarm()
    release(swarm, wanted("d1", {"web": "1"}))
    swarm.quorum = False
    with pytest.raises(
        SwarmError, match="the swarm cannot be asked: it cannot decide: the swarm does not have a leader"
    ):
        converger(swarm, wanted("d2", {"web": "2"}))
    with pytest.raises(SwarmError, match="the swarm cannot be asked"):
        job(swarm, "destroy", {"project": "app_prod", "wait_timeout": 5}, monkeypatch)
    assert swarm.stack == {"web": "1"}


def test_an_election_after_a_release_does_not_fail_it() -> None:
    """What is not needed any more waits until the next deployment."""
    swarm = FakeSwarm()
    swarm.make("config", "unneeded", LABELS)
    first = converger(swarm, wanted("d1", {"web": "1"}))
    swarm.quorum = False
    assert first.apply(ENV) == first.releases.current and "unneeded" in swarm.files["config"]


@pytest.mark.parametrize("late", [False, True])
def test_a_release_is_kept_in_spite_of_an_election(late: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it was kept, and only the answer was lost."""
    swarm = FakeSwarm()
    failing(swarm, monkeypatch, "make_config", 2, late)
    first = converger(swarm, wanted("d1", {"web": "1"}))
    assert first.releases.names() == [] and first.apply(ENV) == first.releases.current
    assert len(swarm.files["config"]) == 1


def test_a_release_that_cannot_be_kept_is_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the next deployment would not know that it has served, and migrate without a backup."""
    swarm = FakeSwarm()
    release(swarm, wanted("d1", {"web": "1"}))
    failing(swarm, monkeypatch, "make_config", 9)
    monkeypatch.setattr(converge, "ELECTION", 0.0)
    with pytest.raises(SwarmError) as caught:
        release(swarm, wanted("d2", {"web": "2"}))
    assert swarm.stack == {"web": "1"} and caught.value.put_back.endswith("serves as before")


def test_services_whose_release_was_not_kept_may_have_data(monkeypatch: pytest.MonkeyPatch) -> None:
    swarm = FakeSwarm()
    given = {**wanted("d1", {"web": "1"}, jobs=[JOB]), "files": []}
    assert not job(swarm, "foresee", given, monkeypatch)["has_served"]
    swarm.stack = {"web": "1"}
    assert job(swarm, "foresee", given, monkeypatch)["has_served"]


def test_what_was_there_without_a_release_stays() -> None:
    swarm = FakeSwarm()
    swarm.stack = {"web": "1"}
    failed = converger(swarm, wanted("d2", {"web": "bad", "api": "2"}))
    with pytest.raises(EngineError) as caught:
        failed.apply(ENV)
    assert swarm.stack == {"web": "1"} and caught.value.put_back == (
        "1 new services were removed; networks and volumes stay; no release was kept of the services that were there, "
        "so they stay as they are now"
    )


def test_a_release_that_no_swarm_could_keep_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    swarm = FakeSwarm()
    given = {**wanted("d1", {"web": "1"}, settings="x" * 1_100_000), "files": []}
    for name in ("foresee", "apply"):
        with pytest.raises(Failure, match="a swarm keeps no config of more than 1000 KiB"):
            job(swarm, name, given, monkeypatch)
    assert swarm.calls == []


def test_commands_run_again_after_a_restore(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same release, whose data is that of a backup now."""
    swarm = FakeSwarm()
    given = wanted("d1", {"web": "1"}, jobs=[JOB])
    name = release(swarm, given)
    assert not converger(swarm, given).plan.steps
    assert "prepares web again" in job(swarm, "forget", {}, monkeypatch)["notes"][0]
    swarm.calls.clear()
    assert release(swarm, given) == name
    assert [call for call in swarm.calls if "prepare" in call] == ["remove service id-prepare-1"]
    assert not converger(swarm, given).plan.steps


def test_an_election_does_not_end_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    swarm = FakeSwarm()
    begun = converger(swarm, wanted("d1", {"web": "1"}, jobs=[JOB]))
    real = begun.rollout.deploy
    left: list[list[int]] = []

    def deploy(*args: Any, **options: Any) -> None:
        real(*args, **options)
        if "prepare-1" in swarm.stack:
            left.append(failing(swarm, monkeypatch, "tasks", 3))

    monkeypatch.setattr(begun.rollout, "deploy", deploy)
    begun.apply(ENV)
    assert left == [[0]] and swarm.stack == {"web": "1"}


def test_a_command_that_failed_is_the_error_also_where_its_job_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    swarm = FakeSwarm()
    failing(swarm, monkeypatch, "remove_object", 1000)
    monkeypatch.setattr(prepare, "_CLEARED", 0.0)
    bad = {**JOB, "text": json.dumps({"prepare-1": "bad"})}
    with pytest.raises(EngineError, match="preparing the new release of web failed: migrate ended"):
        release(swarm, wanted("d1", {"web": "1"}, jobs=[bad]))


def test_a_command_waits_for_that_of_a_killed_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its service is removed at once, and its container ends later: two migrations must not overlap."""
    swarm = FakeSwarm()
    swarm.stack, swarm.ending = {"prepare-2": "1"}, {"prepare-2": 3}
    begun = converger(swarm, wanted("d1", {"web": "1"}, jobs=[JOB]))
    real = begun.rollout.deploy

    def deploy(*args: Any, **options: Any) -> None:
        assert swarm.ending == {"prepare-2": 0}
        real(*args, **options)

    monkeypatch.setattr(begun.rollout, "deploy", deploy)
    begun.apply(ENV)
    swarm.ending = {"prepare-2": 1000}
    monkeypatch.setattr(prepare, "_CLEARED", 0.0)
    with pytest.raises(EngineError, match=r"a command of an earlier run has not ended \(task task-prepare-2-\d\)"):
        release(swarm, wanted("d2", {"web": "2"}, jobs=[{**JOB, "command": ["other"]}]))


def test_what_the_application_needs_is_there_first() -> None:
    """Without commands too: it would end again and again while a database is set up."""
    swarm = FakeSwarm()
    begun = converger(
        swarm, wanted("d1", {"web": "1", "db": "1"}, foundation=["db"], foundation_text=json.dumps({"db": "1"}))
    )
    begun.apply(ENV)
    assert [call.count("--prune") for call in swarm.calls] == [0, 1]
    assert [sentence(step) for step in begun.begun] == ["create db", "create web"]


def test_an_engine_that_hangs_is_an_error() -> None:
    swarm = FakeSwarm()
    first = converger(swarm, wanted("d1", {"web": "1"}))
    first.rollout.engine.refuses, first.rollout.engine.code = "Terminated", 124
    with pytest.raises(EngineError, match="did not take the stack app_prod within 300 s"):
        first.apply(ENV)


def test_going_back_may_fail_for_the_operating_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full memory disk, for example; the first error stays the error."""
    swarm = FakeSwarm()
    release(swarm, wanted("d1", {"web": "1"}))
    second = converger(swarm, wanted("d2", {"web": "2"}))

    def refuse(*_args: Any, **_options: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(second.rollout, "deploy", refuse)
    with pytest.raises(EngineError, match="the operating system refused") as caught:
        second.apply(ENV)
    assert caught.value.put_back == "going back failed too: [Errno 28] No space left on device"
