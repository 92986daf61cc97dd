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
from ansible_collections.aiia.bulkhead.plugins.module_utils import schedule as module
from ansible_collections.aiia.bulkhead.plugins.module_utils.engine import EngineError
from ansible_collections.aiia.bulkhead.plugins.module_utils.schedule import Schedule, program, unit_name

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
    for name in ("SYSTEMD", "UNITS", "CRON"):
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
        f"systemctl {each}" for each in ("daemon-reload", f"enable {name}.timer", f"restart {name}.timer")
    ]
    schedule.remove()
    assert engine.calls[3:] == [f"systemctl disable --now {name}.timer", "systemctl daemon-reload"]
    assert files(machine) == []


def test_a_machine_without_either_says_so(machine: Path, schedule: Schedule) -> None:
    (machine / "cron").rmdir()
    with pytest.raises(EngineError, match="needs systemd or cron on the machine"):
        schedule.bring(WANTED)


def test_a_percent_sign_is_no_line_end_for_cron(machine: Path, engine: Engine) -> None:
    Schedule(engine, "aiia_prod", str(machine / "a %b")).bring(WANTED)
    assert r"'" + str(machine / "a \\%b/schedules") in (machine / "cron/bulkhead-aiia_prod-backup").read_text()


def test_the_program_is_always_the_same_and_runs_without_ansible(tmp_path: Path) -> None:
    assert program() == program()
    (tmp_path / "backup.pyz").write_bytes(program())
    settings = {
        "docker_host": f"unix://{tmp_path}/none.sock",
        "backup": {
            "prefix": "aiia_prod",
            "project": "aiia_prod",
            "directory": "",
            "state_directory": str(tmp_path / "state"),
            "home": "/nowhere",
            "timeout": 5,
            "parts": [{"service": "db", "key": "db", "kind": "postgresql", "admin": "a", "database": "d"}],
        },
    }
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(tmp_path / "backup.pyz")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert done.stderr.startswith("aiia_prod: no backup was made: "), done.stderr
    last = json.loads((tmp_path / "last.json").read_text())
    assert not last["succeeded"] and last["message"] in done.stderr
    lease = json.loads((tmp_path / "state/locks/aiia_prod.json").read_text())
    assert lease["owner"] == "its own backup on schedule" and lease["token"] == ""


def test_how_the_last_one_went(machine: Path, schedule: Schedule) -> None:
    assert schedule.last() == {}
    schedule.bring(WANTED)
    last = machine / "state/schedules/aiia_prod/last.json"
    last.write_text('{"succeeded": false}')
    assert schedule.last() == {"succeeded": False}
    last.write_text("{")
    assert schedule.last() == {}
