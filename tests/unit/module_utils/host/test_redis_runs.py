# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run ids of Redis servers: which questions are asked, for how long, and which server gets which password."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.host import redis_runs as subject

RUN = "0123456789abcdef0123456789abcdef01234567"


class Redis:
    """A server that speaks enough of the Redis protocol, and records its input. ``silent`` never answers."""

    def __init__(self, password: str = "", silent: bool = False) -> None:
        self.password, self.silent = password, silent
        self.heard = b""
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _peer = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        known = not self.password
        while words := connection.recv(4096):
            self.heard += words
            if self.silent:
                continue
            if b"AUTH" in words:
                known = self.password.encode() in words
                connection.sendall(b"+OK\r\n" if known else b"-WRONGPASS\r\n")
            elif not known:
                connection.sendall(b"-NOAUTH Authentication required.\r\n")
            elif words.startswith(b"PING"):
                connection.sendall(b"+PONG\r\n")
            else:
                connection.sendall(b"$90\r\n# Server\r\nredis_version:7.4.5\r\nrun_id:" + RUN[:20].encode())
                time.sleep(0.05)
                connection.sendall(RUN[20:].encode() + b"\r\ntcp_port:6379\r\n")

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Redis]]:
    """Servers that a test starts."""
    made: list[Redis] = []
    yield made
    for server in made:
        server.close()


def container(servers: list[Redis], monkeypatch: pytest.MonkeyPatch, redis: Redis, **more: Any) -> dict[str, Any]:
    """The container of a server, with a limit that is long enough for a busy machine."""
    servers.append(redis)
    monkeypatch.setattr(subject, "_PORT", redis.port)
    monkeypatch.setattr(subject, "_LIMITS", (20.0,))
    return {
        "id": "id-redis", "running": True, "labels": {"io.bulkhead.prefix": "aiia_prod"}, "exposed": [redis.port],
        "mounts": [], "networks": {"n": {"address": "127.0.0.1"}}, **more,
    }  # fmt: skip


def folder(tmp_path: Path, password: str) -> dict[str, Any]:
    """The mount that holds a password."""
    (tmp_path / "password").write_text(password)
    return {"mounts": [[subject.PASSWORD, "bind", str(tmp_path), False]]}


def test_the_run_of_a_server(servers: list[Redis], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With the password from its deployment, however many pieces the answer comes in."""
    redis = Redis("s3cret word")
    seen = container(servers, monkeypatch, redis, **folder(tmp_path, "s3cret word\n"))
    assert subject.runs([seen]) == {"id-redis": RUN}


def test_a_server_without_a_password(servers: list[Redis], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is asked without a password."""
    redis = Redis()
    seen = container(servers, monkeypatch, redis, **folder(tmp_path, "s3cret word"))
    assert subject.runs([seen]) == {"id-redis": RUN}
    assert b"s3cret" not in redis.heard


@pytest.mark.parametrize(
    "more",
    [
        {"running": False},
        {"labels": {}},
        {"exposed": []},
        {"networks": {"n": {"address": ""}}},
    ],
    ids=["stopped", "a stranger's", "no Redis", "without an address"],
)
def test_who_is_not_asked(more: dict[str, Any], servers: list[Redis], monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is sent to it."""
    redis = Redis()
    assert subject.runs([container(servers, monkeypatch, redis, **more)]) == {}
    assert redis.heard == b""


@pytest.mark.parametrize("how", ["wrong", "missing", "a link", "behind a link", "a directory"])
def test_a_password_that_is_not_to_be_had(
    how: str, servers: list[Redis], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The server is not asked and no other file is read: the folder's owner may have placed a link."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "password").write_text("s3cret word")
    place = tmp_path / "redis"
    if how == "behind a link":
        place.symlink_to(other)
    else:
        place.mkdir()
    if how == "a link":
        (place / "password").symlink_to(other / "password")
    elif how == "a directory":
        (place / "password").mkdir()
    elif how == "wrong":
        (place / "password").write_text("an older one")
    redis = Redis("s3cret word")
    seen = container(servers, monkeypatch, redis, mounts=[[subject.PASSWORD, "bind", str(place), False]])
    assert subject.runs([seen]) == {}
    assert b"s3cret" not in redis.heard


def test_a_pipe_holds_nobody_up(servers: list[Redis], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Opening one for reading would wait for its writer."""
    os.mkfifo(tmp_path / "password")
    redis = Redis("x")
    seen = container(servers, monkeypatch, redis, mounts=[[subject.PASSWORD, "bind", str(tmp_path), False]])
    assert subject.runs([seen]) == {}


def test_many_silent_servers(servers: list[Redis], monkeypatch: pytest.MonkeyPatch) -> None:
    """Limited in number and time: two attempts for each, many at once."""
    seen = container(servers, monkeypatch, Redis(silent=True))
    monkeypatch.setattr(subject, "_LIMITS", (0.05, 0.1))
    began = time.monotonic()
    assert subject.runs([dict(seen, id=f"id{number}") for number in range(1000)]) == {}
    assert time.monotonic() - began < 5
    assert servers[0].heard.count(b"PING") <= 2 * subject.MOST
