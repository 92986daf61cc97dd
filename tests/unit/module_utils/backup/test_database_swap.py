# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Databases that are swapped: all of a server at once, all servers or none, whichever process is killed in between."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup import database_swap as module
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup import files as media
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup import recovery
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.database_swap import (
    DatabaseSwap,
    swap_all,
    swaps_by_server,
)
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.sources import home_of
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.staged_database import StagedDatabase
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.engine import EngineError
from ansible_collections.aiia.bulkhead.plugins.module_utils.state.deployed import load_state, save_state

STAMP = "20260725031500"
HELD = "ERROR:  database is being accessed by other users"


class Server:
    """A server that renames and drops databases on request; it refuses ``refusals`` times, for the reason ``said``."""

    def __init__(self, container: str, *names: str) -> None:
        self.container = container
        self.names = set(names)
        self.open = dict.fromkeys(names, True)
        self.roles: list[str] = []
        self.refusals = 0
        self.said = HELD
        self.statements: list[str] = []
        self.before: Callable[[], None] = lambda: None
        self.after: Callable[[], None] = lambda: None

    def databases(self) -> list[str]:
        return sorted(self.names)

    def query(self, database: str, sql: str) -> list[list[str]]:
        assert database == "postgres"
        if "pg_roles" in sql:
            return [[role] for role in self.roles]
        self.statements.append(sql)
        if "RENAME" in sql:
            self.before()
            if self.refusals:
                self.refusals -= 1
                raise EngineError("the database server reported an error", self.said)
            assert sql.startswith("DO ") and sql.count("$bulkhead$") == 2, "one statement is one transaction"
        for verb, name, rest in re.findall(r'(ALTER|DROP) DATABASE "(\w+)" ?(.*)', sql):
            self.names.remove(name)
            if "RENAME TO" in rest:
                self.names.add(rest.split('"')[1])
                self.open[rest.split('"')[1]] = self.open.pop(name)
            elif verb == "ALTER":
                self.names.add(name)
                self.open[name] = "true" in rest
        if "RENAME" in sql:
            self.after()
        return []


def prepared(server: Server, *names: str) -> list[StagedDatabase]:
    """Databases of a server, each with its staged one."""
    databases = [StagedDatabase(server, name, STAMP) for name in names]
    for database in databases:
        server.names |= {database.database, database.staged_name}
        server.open |= {database.database: True, database.staged_name: True}
    return databases


def test_all_databases_of_a_server_change_names_in_one_statement() -> None:
    server = Server("c1")
    (swap,) = swaps_by_server(prepared(server, "shop", "reports"))
    assert swap.is_staged() and not swap.is_swapped()
    swap.swap()
    assert len(server.statements) == 1 and server.statements[0].count("RENAME TO") == 4
    assert server.statements[0].count("pg_terminate_backend") == 2
    assert server.names == {"shop", "reports", f"shop_before_{STAMP}", f"reports_before_{STAMP}"}
    assert {name for name, is_open in server.open.items() if not is_open} == {
        f"shop_before_{STAMP}",
        f"reports_before_{STAMP}",
    }
    assert swap.is_swapped() and not swap.is_staged()
    swap.swap_back()
    assert len(server.statements) == 2 and swap.is_staged() and not swap.is_swapped()
    assert all(server.open.values())


def test_a_held_database_is_tried_again() -> None:
    server = Server("c1")
    (swap,) = swaps_by_server(prepared(server, "shop"))
    server.refusals = 2
    swap.swap()
    assert len(server.statements) == 3 and swap.is_swapped()


@pytest.mark.parametrize("said", [HELD, "permission denied"])
def test_databases_that_stay_held_serve_on(said: str) -> None:
    server = Server("c1")
    server.refusals, server.said = 99, said
    with pytest.raises(EngineError, match="still serve: shop, reports") as caught:
        DatabaseSwap(prepared(server, "shop", "reports")).swap()
    assert caught.value.detail == said
    assert len(server.statements) == (module._ATTEMPTS if said == HELD else 1)


def test_where_one_server_will_not_all_go_back() -> None:
    first, second, third = (Server(f"c{number}") for number in range(3))
    swaps = swaps_by_server(database for server in (first, second, third) for database in prepared(server, "shop"))
    third.refusals, third.said = 1, "no"
    with pytest.raises(EngineError, match="still serve"):
        swap_all(swaps)
    assert [swap.is_swapped() for swap in swaps] == [False] * 3 and all(swap.is_staged() for swap in swaps)


def test_an_answer_that_was_lost_is_asked_for() -> None:
    """The engine restarted after the server had swapped: the restored databases serve, and no error is raised."""

    def lose() -> None:
        raise EngineError("the database server reported an error", "unexpected EOF")

    first, second = Server("c1"), Server("c2")
    swaps = swaps_by_server([*prepared(first, "shop"), *prepared(second, "reports")])
    first.after = lose
    swap_all(swaps)
    assert [swap.is_swapped() for swap in swaps] == [True, True]
    swaps[0].swap_back()
    assert not swaps[0].is_swapped()


def test_a_server_that_is_lost_does_not_serve_on(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server("c1")
    (swap,) = swaps_by_server(prepared(server, "shop"))

    def gone() -> list[str]:
        raise EngineError("the database server reported an error", "is not running")

    server.refusals, server.said = 1, "unexpected EOF"
    monkeypatch.setattr(server, "databases", gone)
    with pytest.raises(EngineError, match="it is unknown which of them serve: shop") as caught:
        swap.swap()
    assert caught.value.detail == "is not running"


def test_what_is_not_in_force_goes_before_the_roles_that_own_it() -> None:
    server = Server("c1", "other", f"other_restore_{STAMP}", "shop_restore_20250101000000")
    server.roles = ["guest"]
    DatabaseSwap(prepared(server, "shop", "reports")).discard_staged()
    assert server.names == {"shop", "reports", "other", f"other_restore_{STAMP}"}
    assert server.statements[-1].splitlines()[-1] == 'DROP ROLE "guest";'


# ---- an interrupted restore --------------------------------------------------------------------------------------


class Engine:
    """An engine in which a container still moves files for a restore whose process was killed."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []

    def containers(self, *filters: str) -> list[dict[str, Any]]:
        assert filters == ("io.bulkhead.prefix=aiia_prod", f"io.bulkhead.restore={STAMP}")
        return [{"Id": "mover"}]

    def docker(self, *args: str, **_options: Any) -> None:
        self.calls.append(args)


class Files:
    """The files of a service, half restored."""

    path = "/srv/media"

    def __init__(self) -> None:
        self.moves: list[str] = []
        self.seen = ["exists", "staged"]
        self.keeps = ""

    def look(self, _stamp: str) -> list[str]:
        return self.seen

    def rearrange(self, step: str, _stamp: str) -> str:
        self.moves.append(step)
        return f"{self.keeps}\n" if self.keeps else ""


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An environment with two database servers and files, in which a restore began."""

    parts = [
        {"kind": "postgresql", "name": "one", "database": "shop"},
        {"kind": "postgresql", "name": "two", "database": "reports"},
        {"kind": "postgresql", "name": "late", "database": "late"},
        {"kind": "files", "name": "web", "service": "web"},
        {"kind": "files", "name": "later", "service": "later"},
    ]

    class Two:
        params: ClassVar = {
            "prefix": "aiia_prod",
            "directory": str(tmp_path),
            "home": str(tmp_path / "home"),
            "state_directory": str(tmp_path / "state"),
            "parts": parts,
        }
        engine = Engine()
        one, two, late, files = Server("c1"), Server("c2"), Server("c3", "late"), Files()
        swaps = swaps_by_server([*prepared(one, "shop"), *prepared(two, "reports")])

        def recover(self) -> str:
            done = recovery.recover(self.engine, self.params)
            return done.note() if done else ""

        def deploy(self) -> None:
            """Leave the state of a deployment that ran migrations."""
            save_state(home_of(self.params), {"release": "r1", "prepared": {"web": "key"}})

        def prepared(self) -> str:
            return str(load_state(home_of(self.params))["prepared"]["web"])

    found = Two()
    found.deploy()
    servers = {"one": found.one, "two": found.two, "late": found.late}
    monkeypatch.setattr(recovery, "server_of", lambda _engine, _params, part: servers[part["name"]])
    places = {"web": lambda: found.files}
    monkeypatch.setattr(recovery, "files_of", lambda _engine, _params, part: places[part["name"]]())
    recovery.open_journal(found.params, STAMP, "/b/1", ["one", "two"], ["web"])
    return found


def test_killed_before_the_first_server_all_is_taken_back(two: Any) -> None:
    assert "undone" in two.recover()
    assert (two.one.names, two.two.names, two.files.moves) == ({"shop"}, {"reports"}, ["swap-back"])
    assert two.engine.calls == [("rm", "--force", "--volumes", "mover")]
    assert two.recover() == "" and two.prepared() == "key"


def test_killed_between_two_servers_all_is_brought_to_its_end(two: Any) -> None:
    two.swaps[0].swap()
    assert "finished" in two.recover()
    assert [swap.is_swapped() for swap in two.swaps] == [True, True] and two.files.moves == ["swap"]
    assert two.late.statements == [], "what was not to be restored is left alone"
    assert two.recover() == "" and two.prepared() == "", "a deployment since then migrated what is gone now"


def test_killed_between_two_servers_with_the_second_one_lost_all_is_taken_back(two: Any) -> None:
    two.swaps[0].swap()
    two.two.names.remove(f"reports_restore_{STAMP}")
    assert "undone" in two.recover()
    assert (two.one.names, two.two.names, two.files.moves) == ({"shop"}, {"reports"}, ["swap-back"])
    assert all(two.one.open.values())


def test_a_server_that_will_not_is_for_the_next_run(two: Any) -> None:
    two.swaps[0].swap()
    two.two.refusals, two.two.said = 1, "no"
    with pytest.raises(EngineError, match="still serve: reports"):
        two.recover()
    assert two.files.moves == []
    assert "finished" in two.recover() and two.swaps[1].is_swapped()


def test_a_journal_that_was_cut_off_was_written_before_anything(two: Any, tmp_path: Path) -> None:
    (tmp_path / ".restore.json").write_text(json.dumps({"stamp": STAMP})[:-3])
    assert two.recover() == "" and two.one.statements == [] and not (tmp_path / ".restore.json").exists()


def test_what_came_into_a_directory_since_is_kept_and_told(two: Any) -> None:
    """A day of uploads is in no backup when the next one finds the interrupted restore."""
    two.swaps[0].swap()
    two.files.keeps = f".bulkhead-before-{STAMP}"
    assert f"are kept until the next restore: /srv/media/.bulkhead-before-{STAMP}" in two.recover()
    assert "clean" not in two.files.moves


def test_files_without_a_container_are_waited_for(two: Any) -> None:
    """They follow the decision made for the databases."""
    files, two.files = two.files, None
    two.swaps[0].swap()
    assert two.recover().endswith("Its files are waiting for a container of service web: deploy it")
    assert two.prepared() == ""
    two.deploy()
    for server in (two.one, two.two):
        server.names = {name for name in server.names if "before" not in name}
    two.files = files
    assert "finished" in two.recover() and files.moves == ["swap"]
    assert two.recover() == "" and two.prepared() == "key", "the databases were decided on before"


def test_files_alone_that_began_to_take_their_places_take_them(two: Any) -> None:
    for seen, moved in ((["exists", "staged"], "swap-back"), (["exists", "staged", "swapped"], "swap")):
        recovery.open_journal(two.params, STAMP, "/b/1", [], ["web"])
        two.files.seen = seen
        two.recover()
        assert two.files.moves.pop() == moved
    assert two.one.statements == []


def test_a_directory_on_no_volume_holds_nothing_of_a_restore(two: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    loose = media.ContainerFiles(two.engine, {"Id": "c1", "Image": "i1", "Mounts": []}, "/srv/media")
    monkeypatch.setattr(recovery, "files_of", lambda *_args: loose)
    assert "undone" in two.recover() and two.recover() == ""
