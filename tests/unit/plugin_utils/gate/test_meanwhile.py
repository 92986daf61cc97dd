# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A module's line is shown while it works, only where somebody watches, and never at the cost of the run."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.meanwhile import of_run
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate import meanwhile
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.meanwhile import (
    LINES,
    Lines,
    line_of,
    reading,
    shown_meanwhile,
)


class Action:
    """An action with a connection; each command of it runs here, and is noted in a file that forks share."""

    def __init__(self, notes: Path, transport: str = "local", check: bool = False, **options: str) -> None:
        self.notes = notes
        self._task = SimpleNamespace(check_mode=check, delegate_to=None)
        self._play_context = SimpleNamespace(remote_addr="app1")
        self._connection = SimpleNamespace(transport=transport, get_option=options.get)
        self.before: Callable[[], object] = lambda: None

    def _low_level_execute_command(self, command: str, executable: str) -> dict[str, Any]:
        with self.notes.open("a", encoding="utf-8") as stream:
            stream.write("read\n")
        self.before()
        done = subprocess.run([executable, "-c", command], capture_output=True, text=True, check=False)
        return {"rc": done.returncode, "stdout": done.stdout}

    @property
    def reads(self) -> int:
        return len(self.notes.read_text(encoding="utf-8").splitlines()) if self.notes.exists() else 0


@pytest.fixture(autouse=True)
def watched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody watches."""
    monkeypatch.setattr(LINES, "pause", 0.05)


def told(state: Path, said: str, token: str = "token") -> dict[str, Any]:
    """The arguments of a module that tells this."""
    (state / "meanwhile").mkdir(exist_ok=True)
    content = json.dumps({"run": of_run(token), "said": said})
    (state / "meanwhile/aiia_prod.json").write_text(content, encoding="utf-8")
    return {"prefix": "aiia_prod", "token": "token", "state_directory": str(state)}


def seen(action: Any, arguments: dict[str, Any], name: str = "converge", hide: Any = str, wait: float = 1.0) -> str:
    """What is shown while a module works, for ``wait`` seconds at most."""
    began = time.monotonic()
    with shown_meanwhile(action, name, arguments, hide):
        while time.monotonic() - began < wait:
            found = LINES.newest(began)
            if found:
                return found
            time.sleep(0.01)
    return ""


def test_a_line_is_shown_without_secrets(tmp_path: Path) -> None:
    action = Action(tmp_path / "notes")
    arguments = told(tmp_path, "log: hunter2 was refused")
    shown = seen(action, arguments, hide=lambda text: text.replace("hunter2", "********"), wait=20)
    assert shown == "log: ******** was refused"
    assert LINES.newest(0) == ""  # the module has ended
    count = action.reads
    time.sleep(0.3)
    assert action.reads == count


@pytest.mark.parametrize(
    ("action", "name", "hide", "token"),
    [
        ({"check": True}, "converge", str, "token"),
        ({"transport": "paramiko"}, "converge", str, "token"),
        ({"transport": "ssh", "ssh_args": "-o ControlMaster=no"}, "converge", str, "token"),
        ({"transport": "ssh", "ssh_args": "-o ControlPersist=60s", "password": "x"}, "converge", str, "token"),
        ({}, "machine_info", str, "token"),
        ({}, "converge", None, "token"),
        ({}, "converge", str, ""),
    ],
)
def test_where_nothing_is_read(tmp_path: Path, action: dict[str, Any], name: str, hide: Any, token: str) -> None:
    """Check mode, connections that a fork would disturb, short modules, unknown secrets, jobs without a lock."""
    asked = Action(tmp_path / "notes", **action)
    assert seen(asked, {**told(tmp_path, "at work"), "token": token}, name, hide, wait=0.4) == ""
    assert asked.reads == 0


def test_an_open_connection_of_ssh_is_used(tmp_path: Path) -> None:
    """Control of the above."""
    action = Action(tmp_path / "notes", "ssh", ssh_args="-C -o ControlMaster=auto -o ControlPersist=60s")
    assert seen(action, told(tmp_path, "at work"), wait=20) == "at work"


def test_nobody_watches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LINES, "pause", 0.0)
    action = Action(tmp_path / "notes")
    assert seen(action, told(tmp_path, "at work"), wait=0.3) == "" and action.reads == 0


def test_the_line_of_another_run_is_not_shown(tmp_path: Path) -> None:
    action = Action(tmp_path / "notes")
    assert seen(action, told(tmp_path, "at work", token="another"), wait=0.5) == ""
    assert action.reads > 0


def test_a_reading_that_hangs_delays_nothing(tmp_path: Path) -> None:
    action = Action(tmp_path / "notes")
    action.before = lambda: time.sleep(300)
    began = time.monotonic()
    assert seen(action, told(tmp_path, "at work"), wait=0.5) == ""
    assert time.monotonic() - began < 10


def test_readings_that_fail_end(tmp_path: Path) -> None:
    """A connection that breaks is not asked again and again; and a reader that crashes is gone."""

    class Broken(Action):
        def _low_level_execute_command(self, command: str, executable: str) -> dict[str, Any]:
            super()._low_level_execute_command("exit 255", executable)
            return {"rc": 255}

    class Crashing(Action):
        def _low_level_execute_command(self, command: str, executable: str) -> dict[str, Any]:
            raise ZeroDivisionError

    action = Broken(tmp_path / "notes")
    assert seen(action, told(tmp_path, "at work"), wait=1.5) == ""
    assert action.reads == 3
    assert seen(Crashing(tmp_path / "others"), told(tmp_path, "at work"), wait=0.5) == ""


def test_an_error_of_the_module_is_the_module_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It passes, and the reader is gone with it."""
    forks: list[int] = []

    def fork(fork: Callable[[], int] = os.fork) -> int:
        forks.append(fork())
        return forks[-1]

    monkeypatch.setattr(meanwhile.os, "fork", fork)
    action = Action(tmp_path / "notes")
    with pytest.raises(ZeroDivisionError), shown_meanwhile(action, "converge", told(tmp_path, "at work"), str):
        raise ZeroDivisionError
    (reader,) = forks
    with pytest.raises(ChildProcessError):
        os.waitpid(reader, os.WNOHANG)


def test_no_room_for_another_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> int:
        raise BlockingIOError

    monkeypatch.setattr(meanwhile.os, "fork", full)
    assert seen(Action(tmp_path / "notes"), told(tmp_path, "at work"), wait=0.1) == ""


def test_the_newest_line_of_all_hosts() -> None:
    lines = Lines()
    began = time.monotonic()
    assert lines.newest(0) == ""
    lines.put("app1", "first")
    lines.put("app2", "second")
    assert lines.newest(began) == "second"
    lines.put("app2", "")
    assert lines.newest(began) in ("", "first")  # what was taken back is the newest
    assert lines.newest(time.monotonic()) == ""
    lines.put("app1", "ä" * 2000)
    assert lines.newest(began).startswith("ää")


def test_a_half_written_line_is_not_shown() -> None:
    lines = Lines()
    lines.put("app1", "a whole line")
    row = lines._row("app1")
    lines._table[row + 16 : row + 18] = b"XX"
    assert lines.newest(0) == ""


@pytest.mark.parametrize(
    "content",
    ["", "no json", "[]", "{}", '{"run": "x", "said": "y"}', '{"said": "y"}', "null", "1", '{"run": "' + "x" * 4000],
)
def test_what_is_no_line(content: str) -> None:
    assert line_of(content, of_run("token")) == ""
    good = json.dumps({"run": of_run("token"), "said": "y"})
    assert line_of(f"a banner\r\n{good}\r\n", of_run("token")) == "y"


def test_what_is_read_cannot_be_more_than_a_file(tmp_path: Path) -> None:
    """A name is a word for the shell, whatever is in it; a file that is not there is no error."""
    state = tmp_path / "a b; touch owned"
    state.mkdir()
    command = reading(told(state, "x" * 9000))
    done = subprocess.run(["/bin/sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert len(done.stdout) == 4096 and list(tmp_path.iterdir()) == [state]
    away = reading({"prefix": "aiia_prod"})
    subprocess.run(["/bin/sh", "-c", away], env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]}, check=True)
