# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said to an engine's socket, and how its refusals are told."""

from __future__ import annotations

import http.server
import json
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.swarm.api import SwarmApi, SwarmError


class Engine(socketserver.ThreadingUnixStreamServer):
    """Answers every request alike, and keeps what it was asked."""

    status = 200
    answer: Any = None
    asked: list[tuple[str, str, Any]]


class Handler(http.server.BaseHTTPRequestHandler):
    """One request."""

    server: Engine

    def _answer(self) -> None:
        given = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append((self.command, self.path, json.loads(given) if given else None))
        body = b"" if self.server.answer is None else json.dumps(self.server.answer).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if body:
            self.wfile.write(body)

    do_GET = do_POST = do_DELETE = _answer

    def log_message(self, *_unused: Any) -> None:
        """Be silent."""

    def address_string(self) -> str:
        """A socket has none."""
        return ""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Engine(str(tmp_path / "docker.sock"), Handler) as server:
        server.asked = []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def api(engine: Engine, tmp_path: Path) -> SwarmApi:
    return SwarmApi(f"unix://{tmp_path}/docker.sock")


def test_a_token_is_in_the_request_and_nowhere_else(engine: Engine, api: SwarmApi) -> None:
    api.join("10.0.0.2", ["10.0.0.1:2377"], "SWMTKN-1")
    ((method, path, body),) = engine.asked
    assert (method, path) == ("POST", "/v1.44/swarm/join")
    assert body == {
        "ListenAddr": "10.0.0.2:2377", "AdvertiseAddr": "10.0.0.2:2377", "DataPathAddr": "10.0.0.2",
        "RemoteAddrs": ["10.0.0.1:2377"], "JoinToken": "SWMTKN-1",
    }  # fmt: skip


def test_a_swarm_listens_on_one_address(engine: Engine, api: SwarmApi) -> None:
    engine.answer = "abc"
    assert api.form("fd00::1", True) == "abc"
    body = engine.asked[0][2]
    assert (body["ListenAddr"], body["DataPathAddr"]) == ("[fd00::1]:2377", "fd00::1")
    assert body["Spec"]["EncryptionConfig"] == {"AutoLockManagers": True}


def test_an_old_engine_is_asked_in_its_own_version(engine: Engine, api: SwarmApi) -> None:
    engine.answer = {"ServerVersion": "20.10.5"}
    assert api.info()["ServerVersion"] == "20.10.5"
    assert engine.asked == [("GET", "/info", None)]


def test_a_refusal_is_in_the_engines_words(engine: Engine, api: SwarmApi) -> None:
    engine.status, engine.answer = 503, {"message": "rpc error: the swarm does not have a leader"}
    with pytest.raises(SwarmError) as caught:
        api.nodes()
    assert (caught.value.message, caught.value.status) == ("the swarm does not have a leader", 503)
    engine.answer = None
    with pytest.raises(SwarmError, match="status 503"):
        api.remove_node("abc")
    assert engine.asked[-1][:2] == ("DELETE", "/v1.44/nodes/abc")


def test_no_engine(tmp_path: Path) -> None:
    with pytest.raises(SwarmError, match="gives no answer: start it"):
        SwarmApi(f"unix://{tmp_path}/none.sock").info()
    with pytest.raises(SwarmError, match=r"over the engine's own socket, and bulkhead_docker_host is tcp://"):
        SwarmApi("tcp://10.0.0.1:2375")
