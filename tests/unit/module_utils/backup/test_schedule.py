# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The schedule of backups on a machine: its files, and the program that needs no Ansible."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup import schedule as module
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup import scheduled_run
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.create import Backups
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.job import CERTIFICATES, unit_name
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.schedule import Schedule, program
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.directory import DesiredFile, Tree, TreeError
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.engine import EngineError
from ansible_collections.aiia.bulkhead.plugins.module_utils.state.locks import Locks

WANTED: dict[str, Any] = {
    "cron": "17 3 * * *",
    "calendar": "*-*-* 03:17:00",
    "docker_host": "unix:///var/run/docker.sock",
    "backup": {"prefix": "aiia_prod"},
}


class Engine:
    """An engine that only hears what is run on the machine."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def tool(self, *args: str) -> tuple[int, str, str]:
        self.calls.append(" ".join(args))
        return 0, "", ""


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with cron and without systemd, in a directory."""
    for name in ("SYSTEMD", "UNITS", "CRON", "STAMPS"):
        monkeypatch.setattr(module, name, str(tmp_path / name.lower()))
    (tmp_path / "cron").mkdir()
    return tmp_path


@pytest.fixture
def schedule(machine: Path, engine: Engine) -> Schedule:
    return Schedule(engine, "aiia_prod", str(machine / "state"))


def files(machine: Path) -> list[str]:
    return sorted(str(path.relative_to(machine)) for path in machine.rglob("*") if path.is_file())


def test_cron(machine: Path, schedule: Schedule, engine: Engine) -> None:
    steps = schedule.bring(WANTED)
    folder = machine / "state/schedules/aiia_prod"
    assert len(steps) == 3
    assert files(machine) == [
        "cron/bulkhead-aiia_prod-backup",
        "state/schedules/aiia_prod/backup.pyz",
        "state/schedules/aiia_prod/settings.json",
    ]
    lines = (machine / "cron/bulkhead-aiia_prod-backup").read_text().splitlines()
    assert lines[-1].startswith("17 3 * * * root /") and lines[-1].endswith(f" -I {folder}/backup.pyz")
    assert json.loads((folder / "settings.json").read_text())["backup"]["state_directory"] == str(machine / "state")
    assert (folder / "settings.json").stat().st_mode & 0o777 == 0o600
    assert schedule.bring(WANTED) == [] and engine.calls == []


def test_check_mode_writes_nothing(machine: Path, schedule: Schedule) -> None:
    assert schedule.bring(WANTED, change=False) and files(machine) == []


def test_no_schedule_takes_away_exactly_what_was_made(machine: Path, schedule: Schedule, engine: Engine) -> None:
    schedule.bring(WANTED)
    Schedule(engine, "aiia_prod_eu", str(machine / "state")).bring(WANTED)
    (machine / "cron/aiia_prod").write_text("somebody else's")
    assert len(schedule.remove()) == 3 and schedule.remove() == []
    assert files(machine) == [
        "cron/aiia_prod",
        "cron/bulkhead-aiia_prod_eu-backup",
        "state/schedules/aiia_prod_eu/backup.pyz",
        "state/schedules/aiia_prod_eu/settings.json",
    ]


def test_systemd_comes_first_and_takes_over(machine: Path, schedule: Schedule, engine: Engine) -> None:
    schedule.bring(WANTED)
    (machine / "systemd").mkdir()
    (machine / "units").mkdir()
    schedule.bring(WANTED)
    name = unit_name("aiia_prod")
    assert files(machine)[-2:] == [f"units/{name}.service", f"units/{name}.timer"] and not list(
        (machine / "cron").iterdir()
    )
    timer, service = ((machine / f"units/{name}.{ending}").read_text() for ending in ("timer", "service"))
    assert "OnCalendar=*-*-* 03:17:00\nPersistent=true\n" in timer
    assert f'"{machine}/state/schedules/aiia_prod/backup.pyz"' in service
    assert engine.calls == [
        f"systemctl {command}" for command in ("daemon-reload", f"enable {name}.timer", f"restart {name}.timer")
    ]
    (machine / "stamps").mkdir()
    (machine / f"stamps/stamp-{name}.timer").touch()
    assert schedule.bring(WANTED) == [], "when the timer last ran is kept as long as there is a timer"
    schedule.remove()
    ending = ["disable --now {}.timer", "stop {}.service", "reset-failed {}.service", "daemon-reload"]
    assert engine.calls[3:] == [f"systemctl {command.format(name)}" for command in ending]
    assert files(machine) == []


def test_what_somebody_took_away_is_not_stopped(machine: Path, schedule: Schedule, engine: Engine) -> None:
    for name in ("systemd", "units", "stamps"):
        (machine / name).mkdir()
    schedule.bring(WANTED)
    (machine / f"stamps/stamp-{schedule.name}.timer").touch()
    (machine / f"units/{schedule.name}.timer").unlink()
    (machine / f"units/{schedule.name}.service").unlink()
    schedule.remove()
    assert engine.calls[3:] == ["systemctl daemon-reload"] and files(machine) == []


def test_a_machine_without_either_says_so(machine: Path, schedule: Schedule) -> None:
    (machine / "cron").rmdir()
    with pytest.raises(EngineError, match="needs systemd or cron on the machine"):
        schedule.bring(WANTED)


def test_a_percent_sign_is_no_line_end_for_cron(machine: Path, engine: Engine) -> None:
    Schedule(engine, "aiia_prod", str(machine / "a %b")).bring(WANTED)
    assert r"'" + str(machine / "a \\%b/schedules") in (machine / "cron/bulkhead-aiia_prod-backup").read_text()


def run_program(folder: Path, parts: list[dict[str, Any]]) -> subprocess.CompletedProcess[str]:
    """What a machine runs on schedule, with the lock's state beside it."""
    (folder / "backup.pyz").write_bytes(program())
    settings = {
        "docker_host": f"unix://{folder}/none.sock",
        "backup": {
            "prefix": "aiia_prod",
            "project": "aiia_prod",
            "directory": "",
            "state_directory": str(folder / "state"),
            "home": "/nowhere",
            "timeout": 5,
            "kinds": ["postgresql"],
            "parts": parts,
        },
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    command = [sys.executable, "-I", "-S", str(folder / "backup.pyz")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


DATABASE = {"service": "db", "name": "db", "key": "db", "kind": "postgresql", "admin": "a", "database": "d"}


def test_the_program_is_always_the_same_and_runs_without_ansible(tmp_path: Path) -> None:
    assert program() == program()
    done = run_program(tmp_path, [DATABASE])
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert done.stderr.startswith(f"{tmp_path.name}: no backup was made: "), done.stderr
    last = json.loads((tmp_path / "last.json").read_text())
    assert not last["succeeded"] and last["message"] in done.stderr
    lease = json.loads((tmp_path / "state/locks/aiia_prod.json").read_text())
    assert lease["owner"] == "its own backup on schedule" and lease["token"] == ""


def test_the_settings_are_those_after_the_wait_for_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def make(self: Backups, *_args: Any, **_how: Any) -> dict[str, Any]:
        seen.append(self.params["parts"])
        return {"path": "/b/1"}

    def wait(_self: Locks, *_args: Any) -> str:
        (tmp_path / "settings.json").write_text(json.dumps({"docker_host": "", "backup": {**backup, "parts": ["new"]}}))
        return ""

    seen: list[Any] = []
    backup = {"prefix": "aiia_prod", "state_directory": str(tmp_path), "directory": "/b", "parts": ["old"]}
    (tmp_path / "settings.json").write_text(json.dumps({"docker_host": "", "backup": backup}))
    monkeypatch.setattr(Locks, "take", wait)
    monkeypatch.setattr(Locks, "renew", lambda *_args: None)
    monkeypatch.setattr(Backups, "make", make)
    assert scheduled_run.run(str(tmp_path)) == "/b/1" and seen == [["new"]]


def test_a_schedule_that_went_meanwhile_is_not_run_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, state = tmp_path / "schedule", tmp_path / "state"
    folder.mkdir()
    backup = {"prefix": "aiia_prod", "state_directory": str(state), "parts": []}
    (folder / "settings.json").write_text(json.dumps({"docker_host": "", "backup": backup}))
    take = Locks.take

    def wait(*args: Any) -> str:
        (folder / "settings.json").unlink()
        return take(*args)

    monkeypatch.setattr(Locks, "take", wait)
    monkeypatch.setattr(sys, "argv", [str(folder / "backup.pyz")])
    assert scheduled_run.main() == 0 and capsys.readouterr().out == "the schedule was removed\n"
    assert list(folder.iterdir()) == []
    assert json.loads((state / "locks/aiia_prod.json").read_text())["token"] == ""


@pytest.mark.parametrize(
    ("notify", "count"),
    [
        ({"url": "https://hooks.example.com/x", "headers": {"X-Token": "t"}}, 1),
        ({}, 0),
        ({"command": ["touch", "/tmp/owned"]}, 0),
    ],
)
def test_a_scheduled_backup_that_fails_tells_the_webhook_and_runs_no_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], notify: Any, count: int
) -> None:
    """Whether it hears or not, the run ends as it would have, and says what it would have said."""

    def deliver(to: dict[str, Any], payload: dict[str, Any]) -> str:
        told.append((to, payload))
        return "it answered 503"

    def fail(_folder: str) -> str:
        raise EngineError("the disk is full")

    told: list[Any] = []
    folder = tmp_path / "schedules/aiia_prod"
    folder.mkdir(parents=True)
    (folder / "settings.json").write_text(json.dumps({"notify": notify}))
    monkeypatch.setattr(sys, "argv", [str(folder / "backup.pyz")])
    monkeypatch.setattr(scheduled_run, "deliver", deliver)
    assert scheduled_run.end(fail) == 1
    said = capsys.readouterr().err
    assert "aiia_prod: the disk is full" in said and ("was not told: it answered 503" in said) == bool(count)
    assert json.loads((folder / "last.json").read_text())["message"] == "the disk is full"
    assert len(told) == count
    for to, payload in told:
        assert to == notify
        assert (payload["environment"], payload["action"], payload["outcome"]) == ("aiia_prod", "backup", "failed")
        assert "disk" not in json.dumps(payload)
    assert scheduled_run.end(lambda _folder: "fine") == 0 and len(told) == count


def test_the_webhook_is_kept_for_root_alone(machine: Path, schedule: Schedule) -> None:
    schedule.bring({**WANTED, "notify": {"url": "https://hooks.example.com/x", "headers": {}}})
    settings = machine / "state/schedules/aiia_prod/settings.json"
    assert json.loads(settings.read_text())["notify"]["url"] == "https://hooks.example.com/x"
    assert settings.stat().st_mode & 0o777 == 0o600
    schedule.bring({**WANTED, "notify": {}})
    assert "notify" not in json.loads(settings.read_text())


def test_how_the_last_one_went(machine: Path, schedule: Schedule) -> None:
    assert schedule.last() == {}
    schedule.bring(WANTED)
    last = machine / "state/schedules/aiia_prod/last.json"
    last.write_text('{"succeeded": false}')
    assert schedule.last() == {"succeeded": False}
    last.write_text("{")
    assert schedule.last() == {}


def test_the_renewal_of_certificates(machine: Path, engine: Engine) -> None:
    schedule = Schedule(engine, "aiia_prod", str(machine / "state"), CERTIFICATES)
    settings = {"prefix": "aiia_prod", "project": "aiia_prod", "directory": str(machine / "prod"), "owner": ""}
    schedule.bring({**WANTED, "docker_host": f"unix://{machine}/none.sock", "certificates": settings})
    Schedule(engine, "aiia_prod", str(machine / "state")).bring(WANTED)
    folder = machine / "state/certificates/aiia_prod"
    assert files(machine) == [
        "cron/bulkhead-aiia_prod-backup",
        "cron/bulkhead-aiia_prod-certificates",
        "state/certificates/aiia_prod/certificates.pyz",
        "state/certificates/aiia_prod/settings.json",
        "state/schedules/aiia_prod/backup.pyz",
        "state/schedules/aiia_prod/settings.json",
    ]
    kept = json.loads((folder / "settings.json").read_text())["certificates"]
    kept.update(domains=["a.example.com"], authority="https://ca.example.com/dir", image="certbot:1")
    changed = {"docker_host": f"unix://{machine}/none.sock", "certificates": kept}
    (folder / "settings.json").write_text(json.dumps(changed))
    command = [sys.executable, "-I", "-S", str(folder / "certificates.pyz")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "Traceback" not in done.stderr and "cannot be reached" in done.stderr, done.stderr
    assert not json.loads((folder / "last.json").read_text())["succeeded"]
    lease = json.loads((machine / "state/locks/aiia_prod.json").read_text())
    assert lease["owner"] == "the renewal of its certificate" and lease["token"] == ""
    assert len(schedule.remove()) == 3 and (machine / "cron/bulkhead-aiia_prod-backup").exists()


def test_a_job_that_breaks_on_a_full_disk_tells_the_webhook_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither an error that nobody foresaw nor a record that cannot be written ends it without a word."""

    def full(self: Tree, file: DesiredFile, base: str = "") -> None:
        raise TreeError("cannot write last.json: the disk is full")

    def fail(_folder: str) -> str:
        raise KeyError("parts")

    told: list[Any] = []
    folder = tmp_path / "schedules/aiia_prod"
    folder.mkdir(parents=True)
    (folder / "settings.json").write_text(json.dumps({"notify": {"url": "https://hooks.example.com/x"}}))
    monkeypatch.setattr(sys, "argv", [str(folder / "backup.pyz")])

    def deliver(_to: object, payload: object) -> str:
        told.append(payload)
        return ""

    monkeypatch.setattr(scheduled_run, "deliver", deliver)
    monkeypatch.setattr(Tree, "write", full)
    assert scheduled_run.end(fail) == 1
    said = capsys.readouterr().err
    assert "the disk is full" in said and "aiia_prod: it ended unexpectedly: KeyError: 'parts'" in said
    assert [payload["outcome"] for payload in told] == ["failed"]
