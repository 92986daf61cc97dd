# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""While containers are replaced the earlier passwords are in force too, and afterwards they are not."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.overlap import ended, together
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.store import Releases
from unit.module_utils.deployments import Machine
from unit.module_utils.fake_engine import COMPOSE_FILE, compose_text, file, service
from unit.module_utils.rolled import Killed

USERS = "users.txt"


def test_lines() -> None:
    assert together(b"a 2\n", []) == together(b"a 2\n", [b"a 2\n"]) == b"a 2\n"
    assert together(b"b 2", [b"a 1\nb 2\n", b"a 1\n\nc 3"]) == b"a 1\nc 3\nb 2"
    assert together(b"", [b"a 1"]) == b"a 1\n"
    assert ended(b"b 2\n", [b"a 1\nb 2\n", b"a 1\n"]) == [b"a 1"]


class Watched:
    """A machine whose service ``db`` has a list of users, and what that was when the service was told of it."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.told: list[tuple[str, str]] = []
        self.gone: list[bytes] = []
        real = machine.engine.docker

        def docker(*args: str, **options: Any) -> tuple[int, str, str]:
            if args[0] == "exec" and args[-1] in ("take", "retire"):
                self.told.append((args[-1], (machine.directory / USERS).read_text()))
                if "data" in options:
                    self.gone.append(options["data"])
            return real(*args, **options)

        machine.engine.docker = docker  # type: ignore[method-assign]

    def release(self, users: str, web: str = "web:1", **db: Any) -> dict[str, Any]:
        wanted = {"files": [USERS], "overlaps": [USERS], "on_change": ["take"], "retire": ["retire"], "awaited": True}
        return {
            "files": [file(COMPOSE_FILE, compose_text(web=web, db="db:1")), file(USERS, users)],
            "services": [service("web"), service("db", **{**wanted, **db})],
        }

    def deploy(self, users: str, web: str = "web:1", **db: Any) -> None:
        self.told.clear()
        self.gone.clear()
        self.machine.deploy(**self.release(users, web, **db))

    @property
    def users(self) -> str:
        return (self.machine.directory / USERS).read_text()


@pytest.fixture
def watched(machine: Machine) -> Watched:
    found = Watched(machine)
    found.deploy("a 1\n")
    assert found.users == "a 1\n" and found.gone == [b"\n"]
    return found


def test_both_while_containers_are_replaced(watched: Watched) -> None:
    step = "end the earlier passwords of aiia_prod_db, and try that they open nothing"
    assert step in watched.machine.plan(**watched.release("b 2\n", "web:2"))
    watched.deploy("b 2\n", "web:2")
    assert watched.told == [("take", "a 1\nb 2\n"), ("retire", "b 2\n")]
    assert watched.gone == [b"a 1\n"] and watched.users == "b 2\n" and step in watched.machine.tried
    assert watched.machine.plan(**watched.release("b 2\n", "web:2")) == []


def test_no_container_is_new_before_both_are_let_in(watched: Watched) -> None:
    watched.deploy("b 2\n", "web:2")
    calls = [call for call in watched.machine.engine.calls if call.startswith(("exec", "compose up"))][-3:]
    assert [call.split()[0] for call in calls] == ["exec", "compose", "exec"]


def test_what_does_not_change_ends_nothing(watched: Watched) -> None:
    watched.deploy("a 1\n", "web:2")
    assert watched.told == []


def test_an_earlier_password_that_still_opens(watched: Watched) -> None:
    """The release has failed: containers go back to the earlier password, and then the new one ends."""
    watched.machine.engine.refuses = lambda call: call.endswith("retire") and watched.users == "b 2\n"
    watched.told.clear()
    error = watched.machine.fails(**watched.release("b 2\n", "web:2"))
    assert error.message == "service db did not end its earlier passwords. The previous release serves again"
    assert watched.told[1:] == [("retire", "b 2\n"), ("take", "b 2\na 1\n"), ("retire", "a 1\n")]
    assert watched.gone[-1] == b"b 2\n" and watched.users == "a 1\n"
    assert watched.machine.plan(**watched.release("a 1\n")) == []


def test_a_release_that_does_not_get_healthy(watched: Watched) -> None:
    watched.machine.engine.sick["web:2"] = "unhealthy"
    watched.told.clear()
    watched.machine.fails(**watched.release("b 2\n", "web:2"))
    assert watched.told == [("take", "a 1\nb 2\n"), ("take", "b 2\na 1\n"), ("retire", "a 1\n")]


def test_a_killed_run_and_a_third_password(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """Containers of the killed run have its password, although no release with it ever came into force."""

    def kill(call: str) -> None:
        if call.endswith("retire"):
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Releases, "remove", lambda *_args: None)
        watched.machine.engine.on_call = kill
        with pytest.raises(Killed):
            watched.deploy("b 2\n", "web:2")
    watched.machine.engine.on_call = lambda _call: None
    watched.deploy("c 3\n", "web:3")
    assert watched.told == [("take", "a 1\nb 2\nc 3\n"), ("retire", "c 3\n")]
    assert watched.gone == [b"a 1\nb 2\n"]


def test_an_older_release_that_knows_of_no_overlap(watched: Watched) -> None:
    """Going back across an update of Bulkhead: it takes its files in the end as it always did."""
    watched.deploy("z 0\n", "web:0", overlaps=[], retire=[])
    assert watched.told == [("take", "a 1\nz 0\n"), ("take", "z 0\n")] and watched.users == "z 0\n"
