# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The day's jobs on a machine: whose containers, what is hidden, and what is answered."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.directory import Tree
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.steps import Step
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.engine import Engine, EngineError
from ansible_collections.aiia.bulkhead.plugins.module_utils.operations import maintenance as maintenance_module
from ansible_collections.aiia.bulkhead.plugins.module_utils.operations.maintenance import PAGE, Maintenance
from ansible_collections.aiia.bulkhead.plugins.module_utils.operations.services import Services
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.service import Service

DIRECTORY = "/srv/staging"


def container(name: str, **more: Any) -> dict[str, Any]:
    """A healthy container of aiia_staging, as the engine inspects it."""
    labels = {
        "com.docker.compose.project": "aiia_staging",
        "com.docker.compose.project.working_dir": DIRECTORY,
        "com.docker.compose.service": name,
        "com.docker.compose.oneoff": "False",
        "io.bulkhead.prefix": "aiia_staging",
        **more.pop("labels", {}),
    }
    state = {
        "Running": True,
        "Health": {"Status": "healthy"},
        "StartedAt": "2026-01-01T10:00:00.5Z",
        **more.pop("state", {}),
    }
    return {
        "Id": f"id-{name}",
        "Name": f"/aiia_staging_{name}",
        "Config": {"Image": f"{name}:1", "Labels": labels, "Env": []},
        "State": state,
        **more,
    }


ENDED = {"Running": False, "Status": "exited", "ExitCode": 0}


class FakeEngine:
    """Containers and answers in memory."""

    project = "aiia_staging"
    directory = DIRECTORY

    def __init__(self, *containers: dict[str, Any], **answers: Any) -> None:
        self.found = list(containers)
        self.answers = answers
        self.calls: list[tuple[str, ...]] = []
        #: What calls could read of open files, and got as standard input.
        self.read: list[str] = []
        self.data: list[str | None] = []

    def containers(self, *_filters: str) -> list[dict[str, Any]]:
        return self.found

    def inspect(self, ids: list[str]) -> list[dict[str, Any]]:
        return [container for container in self.found if container["Id"] in ids]

    log_lines = Engine.log_lines

    def docker(self, *args: str, **options: Any) -> tuple[int, str, str]:
        self.calls.append(args)
        for descriptor in options.get("pass_fds", ()):
            self.read.append(Path(f"/proc/self/fd/{descriptor}").read_text(encoding="utf-8"))
        self.data.append(options.get("data"))
        return cast("tuple[int, str, str]", self.answers.get(args[0], (0, "", "")))

    def docker_ok(self, *args: str) -> str:
        return self.docker(*args)[1]

    def check_reachable(self, _errors: str) -> None:
        pass

    def logs(self, _identity: str) -> str:
        return "its last words"


def services(engine: FakeEngine, *names: str, secrets: tuple[str, ...] = (), one_shot: bool = False) -> Services:
    wanted = [Service(name, name, f"aiia_staging_{name}", one_shot=one_shot) for name in names]
    return Services(cast(Any, engine), "aiia_staging", wanted, list(secrets))


# ---- services --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "labels",
    [
        {"io.bulkhead.prefix": "aiia_staging2"},
        {"com.docker.compose.project.working_dir": "/srv/other"},
        {"com.docker.compose.oneoff": "True"},
        {"com.docker.compose.service": "other"},
    ],
)
def test_what_is_not_exactly_ours_is_not_touched(labels: dict[str, str]) -> None:
    engine = FakeEngine(container("web", labels=labels))
    with pytest.raises(EngineError, match="service web has no container"):
        services(engine, "web").restart(1, 0)
    assert engine.calls == []


def test_both_outputs_of_a_log_in_the_order_of_time() -> None:
    engine = FakeEngine(container("web"), logs=(0, "T1 one\nT3 three\n", "T2 two\nT4 four\n"))
    assert services(engine, "web").logs(3) == [
        {"container": "aiia_staging_web", "lines": ["T2 two", "T3 three", "T4 four"]}
    ]


@pytest.mark.parametrize("text", ["10%\r20%\r100%", "page\x0cbreak", "a\x0bb\x1cc\x1dd\x1ee", "next\x85line\u2028more"])
def test_only_a_line_feed_ends_a_line_of_a_log(text: str) -> None:
    """A progress bar stays in its place, and pushes no line out."""
    engine = FakeEngine(container("web"), logs=(0, f"2026-01-01T1Z {text}\r\n2026-01-01T3Z b\n", "2026-01-01T2Z a\n"))
    (found,) = services(engine, "web").logs(3)
    assert found["lines"] == [f"2026-01-01T1Z {text}", "2026-01-01T2Z a", "2026-01-01T3Z b"]


def test_secrets_of_the_container_itself_are_hidden() -> None:
    """Every line of one of several lines; too short ones would hide everything."""
    settings = {
        "Image": "i",
        "Env": ["A=key one\nkey two", "B=xyz", "C=plain"],
        "Labels": container("web")["Config"]["Labels"],
    }
    engine = FakeEngine(container("web", Config=settings), exec=(0, "key one, key two, xyz, plain", ""))
    done = services(engine, "web", secrets=("A", "B")).execute(["env"])
    assert done["lines"] == ["********, ********, xyz, plain"]


def test_a_log_since_a_time() -> None:
    engine = FakeEngine(container("web"), logs=(0, "T1 one\n", ""))
    services(engine, "web").logs(3, "10m")
    assert engine.calls[-1] == ("logs", "--timestamps", "--tail", "3", "--since", "10m", "id-web")


def test_what_a_command_gets_is_in_no_argument() -> None:
    """Every user of the machine sees a process's arguments."""
    engine = FakeEngine(container("web"), exec=(0, "done", ""))
    services(engine, "web").execute(["load"], data="one secret\n", variables={"PASSWORD": "another"})
    (call,) = engine.calls
    assert call[:4] == ("exec", "--interactive", "--env-file", call[3]) and call[3].startswith("/proc/self/fd/")
    assert call[4:] == ("id-web", "load")
    assert engine.data == ["one secret\n"] and engine.read == ["PASSWORD=another\n"]
    assert not Path(call[3]).exists(), "the file without a name is still open"


def test_a_command_without_input_gets_none() -> None:
    engine = FakeEngine(container("web"), exec=(0, "done", ""))
    services(engine, "web").execute(["load"])
    assert engine.calls == [("exec", "id-web", "load")] and engine.data == [None] and engine.read == []


def test_a_long_output_is_cut_and_says_so() -> None:
    engine = FakeEngine(container("web"), exec=(0, "x" * 300_000, ""))
    first, rest = services(engine, "web").execute(["yes"])["lines"]
    assert "characters before this are left out" in first and len(rest) == 256 * 1024


def test_a_secret_is_hidden_before_the_output_is_cut() -> None:
    """Its rest would be known to nobody: neither here nor to the controller, which hides what it knows itself."""
    config = {**container("web")["Config"], "Env": ["TOKEN=very-secret-text"]}
    longest = "x" * (256 * 1024 - 9)
    engine = FakeEngine(container("web", Config=config), exec=(0, f"very-secret-text{longest}", ""))
    assert "ret-text" not in "".join(services(engine, "web", secrets=("TOKEN",)).execute(["env"])["lines"])
    engine = FakeEngine(container("web"), exec=(0, f"known-elsewhere\n{longest}\n", ""))
    first, rest = services(engine, "web").execute(["env"])["lines"]
    assert rest == longest and first.startswith("… 16 characters")


@pytest.mark.parametrize(
    ("state", "how"),
    [
        ({"Running": False, "Status": "exited", "ExitCode": 1}, r"exited \(1\)"),
        ({"Running": True, "Paused": True}, "paused"),
        ({"Running": True, "Restarting": True}, "restarting"),
    ],
)
def test_nothing_is_run_in_a_container_that_stands_still(state: dict[str, Any], how: str) -> None:
    engine = FakeEngine(container("web", state=state))
    with pytest.raises(EngineError, match=rf"is not running \({how}\)\. Start it: .*bulkhead_service=web"):
        services(engine, "web").execute(["id"])
    assert engine.calls == []


def test_what_ended_because_its_work_is_done_is_not_sent_to_a_restart_that_passes_it_over() -> None:
    engine = FakeEngine(container("seed", state=ENDED))
    with pytest.raises(EngineError, match=r"\(exited \(0\)\)\. Service seed runs once and ends") as caught:
        services(engine, "seed", one_shot=True).execute(["id"])
    assert "aiia.bulkhead.restart" not in caught.value.message and "bulkhead_service" in caught.value.message


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"Health": {"Status": "unhealthy"}}, "it is unhealthy"),
        ({"Running": False, "Status": "exited", "ExitCode": 3}, r"it is exited \(3\)"),
        ({"Health": {"Status": "starting"}}, "it is starting after 0 s"),
    ],
)
def test_a_restart_that_ends_badly(state: dict[str, Any], words: str) -> None:
    with pytest.raises(EngineError, match=words) as error:
        services(FakeEngine(container("web", state=state)), "web").restart(0, 0)
    assert error.value.detail == "its last words"


def test_a_missing_container_stops_the_whole_restart() -> None:
    """Before the first is touched."""
    engine = FakeEngine(container("web"))
    with pytest.raises(EngineError, match="service store has no container"):
        services(engine, "web", "store").restart(1, 0)
    assert engine.calls == []


# ---- maintenance -----------------------------------------------------------------------------------------------------


class FakeProber:
    """nginx: answers with the page that lies there; ``deaf`` does not look for one, ``gone`` does not answer."""

    def __init__(self, directory: Path, how: str = "") -> None:
        self.directory, self.how = directory, how

    def page(self, _request: dict[str, Any]) -> tuple[int, bytes]:
        path = self.directory / PAGE
        if self.how == "gone":
            return 0, b""
        return (503, path.read_bytes()) if path.exists() and not self.how else (200, b"hello")


def maintenance(directory: Path, how: str = "") -> Maintenance:
    (directory / PAGE).parent.mkdir(parents=True, exist_ok=True)
    request = {"tls": True, "host_header": "example.com"}
    return Maintenance(Tree(str(directory)), cast(Any, FakeProber(directory, how)), request)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance_module, "_PATIENCE", 0)


def test_the_page_goes_up_and_away(tmp_path: Path) -> None:
    page = tmp_path / PAGE
    assert maintenance(tmp_path).switch(b"soon", True, check_mode=True) and not page.exists()
    assert maintenance(tmp_path).switch(b"soon", True, check_mode=False) == [Step("put up", "maintenance page")]
    assert page.read_bytes() == b"soon"
    assert page.stat().st_mode & 0o777 == 0o644
    assert maintenance(tmp_path).switch(b"soon", True, check_mode=False) == []
    assert maintenance(tmp_path).switch(b"", False, check_mode=False) == [Step("take down", "maintenance page")]
    assert not page.exists()
    assert maintenance(tmp_path).switch(b"", False, check_mode=False) == []


@pytest.mark.parametrize(
    ("how", "words"), [("deaf", "answers with 200 instead of the page"), ("gone", "does not answer")]
)
def test_a_page_that_is_not_answered_is_not_left(tmp_path: Path, how: str, words: str) -> None:
    with pytest.raises(EngineError, match=words):
        maintenance(tmp_path, how).switch(b"soon", True, check_mode=False)
    assert not (tmp_path / PAGE).exists()


def test_the_page_before_comes_back(tmp_path: Path) -> None:
    maintenance(tmp_path).switch(b"one", True, check_mode=False)
    with pytest.raises(EngineError):
        maintenance(tmp_path, "gone").switch(b"two", True, check_mode=False)
    assert (tmp_path / PAGE).read_bytes() == b"one"


def test_an_environment_that_is_not_deployed_has_no_page(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="is not deployed"):
        Maintenance(Tree(str(tmp_path)), cast(Any, FakeProber(tmp_path)), {})
    assert list(tmp_path.iterdir()) == []


def test_what_did_its_work_is_not_restarted() -> None:
    """Among others it is passed over; named, it is refused instead of doing nothing."""
    engine = FakeEngine(container("web"), container("seed", state=ENDED))
    both = services(engine, "web", "seed")
    both.services[1] = replace(both.services[1], one_shot=True)
    assert both.restart(1, 0) == [Step("restart", "aiia_staging_web", "container")]
    with pytest.raises(EngineError, match="service seed runs once and has ended"):
        services(engine, "seed", one_shot=True).restart(1, 0)


def test_what_may_end_and_runs_is_restarted() -> None:
    worker = services(FakeEngine(container("worker")), "worker", one_shot=True)
    assert worker.restart(1, 0) == [Step("restart", "aiia_staging_worker", "container")]
