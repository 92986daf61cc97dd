# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What accepts connections is what does so time and again."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.probe import program
from ansible_collections.aiia.bulkhead.plugins.module_utils.probe.program import Asker


@pytest.fixture
def servers() -> Iterator[list[socket.socket]]:
    """Two servers of this machine."""
    found = [socket.create_server(("127.0.0.1", 0)) for _number in range(2)]
    yield found
    for server in found:
        server.close()


def ask(servers: list[socket.socket]) -> dict[str, Any]:
    """What a container is asked that may reach some servers."""
    connect = [list(server.getsockname()) for server in servers]
    return {"own": "", "resolve": [], "connect": connect, "timeout": 1}


def test_a_connection_that_a_moment_let_through_is_none(
    servers: list[socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While an engine makes a network, it does not isolate any. A way that stays open is reported."""
    monkeypatch.setattr(program, "AGAIN", (0.0, 0.0))
    steady, momentary = servers
    asked = ask(servers)

    def close_after_one() -> None:
        momentary.accept()[0].close()
        momentary.close()

    closing = threading.Thread(target=close_after_one, daemon=True)
    closing.start()
    monkeypatch.setattr(program.time, "sleep", lambda _seconds: closing.join())
    answer = Asker(asked).answer()
    assert answer == {"resolved": [], "connected": [list(steady.getsockname())], "entered": [], "late": False}


def test_what_there_was_no_time_to_ask_again_is_reported(
    servers: list[socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    asker = Asker(ask(servers[:1]))
    monkeypatch.setattr(program.time, "sleep", lambda _seconds: setattr(asker, "end", 0.0))
    answer = asker.answer()
    assert answer["connected"] == [list(servers[0].getsockname())] and answer["late"]


@pytest.mark.parametrize(("subnet", "counts"), [("127.0.0.0/8", True), ("10.0.1.0/24", False)])
def test_an_overlay_is_reached_from_inside_only(
    servers: list[socket.socket], subnet: str, counts: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From elsewhere, its addresses are those of any host to which the machine's own network leads."""
    monkeypatch.setattr(program, "AGAIN", (0.0,))
    asked = ask(servers[:1])
    asked["connect"][0].append(subnet)
    assert Asker(asked).answer()["connected"] == [list(servers[0].getsockname())] * counts
