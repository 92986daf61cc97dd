# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is looked at for status and doctor: each look alone, and an environment's own containers only."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.manifest import FORMAT, write_manifest
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.errors import Failure
from ansible_collections.aiia.bulkhead.plugins.module_utils.operations import examine as module
from ansible_collections.aiia.bulkhead.plugins.module_utils.operations.examine import examine
from ansible_collections.aiia.bulkhead.plugins.module_utils.operations.watch import watched
from ansible_collections.aiia.bulkhead.plugins.module_utils.state.metrics import Metrics

OURS = "aiia_staging"


class Engine:
    """Answers the calls, and keeps them."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []
        self.log = ""
        self.too_old = ""

    def check_versions(self) -> None:
        if self.too_old:
            raise Failure(self.too_old)

    def docker(self, *args: str, **_options: Any) -> tuple[int, str, str]:
        self.calls.append(args)
        return (0, "", self.log) if args[0] == "logs" else (0, "answer\n", "")


def container(name: str, prefix: str = OURS, running: bool = True) -> dict[str, Any]:
    return {"id": f"id-{name}", "name": name, "running": running, "labels": {"io.bulkhead.prefix": prefix}}


def run(engine: Engine, state: Path, observed: list[dict[str, Any]], **more: Any) -> tuple[Any, dict[str, Any]]:
    found = examine(engine, [{"prefix": OURS, **more}], observed, str(state))
    return found, found["environments"][OURS]


def test_domains_that_have_no_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each domain is asked for once; one that gets no answer in time holds up nothing."""
    asked: list[str] = []

    def resolve(host: str, _port: None) -> list[str]:
        asked.append(host)
        if host == "slow.example.com":
            time.sleep(5)
        if host == "gone.example.com":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return ["192.0.2.1"]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(module, "_RESOLVING", 0.2)
    monkeypatch.setattr(module.Prober, "requests", lambda _prober, _requests: [])
    hosts = ("here.example.com", "gone.example.com", "here.example.com", "slow.example.com", "also.example.com")
    began = time.monotonic()
    _found, own = run(Engine(), tmp_path, [], requests=[{"host": host} for host in hosts])
    assert own["nameless"] == ["gone.example.com", "slow.example.com"] and time.monotonic() - began < 4
    assert sorted(asked) == sorted({*hosts})


def test_only_own_running_containers_are_asked_whatever_the_inventory_names(tmp_path: Path) -> None:
    """No gate has proved these names: those who write one environment's variables name another's container."""
    engine = Engine()
    names = (f"{OURS}_db", "aiia_prod_db", f"{OURS}_gone", "nobody")
    wanted = [{"container": name, "kind": "database", "command": ["psql"]} for name in names]
    observed = [container(names[0]), container(names[1], "aiia_prod"), container(names[2], running=False)]
    _found, own = run(engine, tmp_path, observed, questions=wanted)
    assert [reply["container"] for reply in own["replies"]] == [names[0]]
    assert {call[1] for call in engine.calls if call[0] == "exec"} == {names[0]}
    assert {call[-1] for call in engine.calls if call[0] == "logs"} == {f"id-{names[0]}", f"id-{names[2]}"}


@pytest.mark.parametrize(
    ("line", "sign"),
    [
        ("ERROR no more connections allowed (max_client_conn)", "pool-full"),
        ("FATAL: query_wait_timeout", "pool-full"),
        ("WARNING C-0x55: app/app@172.18.0.5:4242 pooler error: query_wait_timeout", "pool-full"),
        ("FATAL:  sorry, too many clients already", "slots-full"),
        ('FATAL:  password authentication failed for user "ann"', "credentials"),
        ("redis.exceptions.AuthenticationError: WRONGPASS invalid username-password pair", "credentials"),
        ('could not translate host name "db" to address: Name or service not known', "name"),
        ('nginx: [emerg] host not found in upstream "django"', "name"),
        ("redis.exceptions.ConnectionError: Error 111 connecting to redis:6379. Connection refused.", "refused"),
        ('FATAL:  database "shop" does not exist', "no-database"),
        ('django.db.utils.ProgrammingError: relation "auth_user" does not exist', "no-table"),
        ("PANIC: could not write to file: No space left on device", "no-space"),
        ("OOM command not allowed when used memory > 'maxmemory'.", "redis-full"),
        ("MISCONF Redis is configured to save RDB snapshots, but it's currently unable to", "redis-unsaved"),
        ("upstream timed out (110: Operation timed out) while reading", "upstream-slow"),
        ('open() "/srv/static/app.css" failed (13: Permission denied)', "permission"),
    ],
)
def test_signs_of_trouble_are_counted_and_no_line_leaves_the_machine(tmp_path: Path, line: str, sign: str) -> None:
    engine = Engine()
    engine.log = f"fine\n{line}\n{line}\nfine"
    found, own = run(engine, tmp_path, [container("web")])
    assert own["logs"]["web"][sign] >= 2
    assert line[:20] not in json.dumps(found)
    engine.log = (
        "GET / 200\nlistening on 0.0.0.0:8000\ndatabase system is ready to accept connections\n"
        "kernel file descriptor limit: 1048576 (hard: 1048576); max_client_conn: 500, max expected fd use: 552\n"
    )
    assert run(engine, tmp_path, [container("web")])[1]["logs"] == {"web": {}}


def test_a_look_that_fails_hides_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: Any) -> Any:
        raise Failure("no log can be read")

    def crash(*_arguments: Any) -> Any:
        raise ValueError("a secret")

    monkeypatch.setattr(module, "_logs", fail)
    monkeypatch.setattr(module, "_memory", crash)
    engine = Engine()
    engine.too_old = "Docker Compose 2.1 is too old"
    found, own = run(engine, tmp_path, [container("web")])
    assert found["failed"] == {"logs": "no log can be read", "memory": "ValueError in this look"}
    assert found["versions"] == "Docker Compose 2.1 is too old" and own["logs"] == {} and own["restored"] is False


def test_what_a_killed_run_left_and_whether_a_backup_was_restored(tmp_path: Path) -> None:
    kept, receipts = tmp_path / "deployed" / OURS, tmp_path / "environments" / OURS / "receipts"
    for folder in (kept, receipts):
        folder.mkdir(parents=True)
        for each in (folder, *folder.parents):
            if tmp_path in (each, *each.parents):
                each.chmod(0o700)
    (kept / "tried.json").write_text(json.dumps({"steps": [{"verb": "start", "target": "web"}]}))
    (receipts / "1.json").write_text(json.dumps({"what": "restore", "outcome": "failed"}))
    _found, own = run(Engine(), tmp_path, [])
    assert own["left"] == ["start"] and own["restored"] is False
    (receipts / "2.json").write_text(json.dumps({"what": "restore", "outcome": "done"}))
    assert run(Engine(), tmp_path, [])[1]["restored"] is True


def test_what_is_watched_needs_no_call_to_the_engine(tmp_path: Path) -> None:
    engine = Engine()
    folder = tmp_path / "backups" / OURS / "b1"
    folder.mkdir(parents=True)
    entry = {"format": FORMAT, "name": "b1", "created": "2026-01-10T00:00:00Z", "trigger": "hand", "prefix": OURS}
    write_manifest(str(folder), {**entry, "parts": [], "release": "r1"})
    environments = [{"prefix": OURS, "backups": "", "request": {}}, {"prefix": "aiia_prod"}]
    found = watched(engine, environments, str(tmp_path), 0.1)
    assert found[OURS]["backup"]["created"] == "2026-01-10T00:00:00Z" and found[OURS]["unread"] == ""
    assert found["aiia_prod"]["backup"] == {} and found["aiia_prod"]["certificate"] == {}
    assert found[OURS]["schedule"] == {"backup": {}, "certificates": {}} and found[OURS]["metrics"] is False
    Metrics(OURS, str(tmp_path)).bring(str(tmp_path / "collector"), {})
    assert watched(engine, environments, str(tmp_path), 0.1)[OURS]["metrics"] is True
    assert engine.calls == []
