# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is read from the engine's socket is what Docker's client would say; what is not as expected is left to it."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker import direct
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.engine import Engine, EngineError

ANSWERS = {
    "/info": {"ID": "a"},
    "/version": {"Version": "26.1.5"},
    "/containers/json?all=1": [{"Id": "c1"}, {"Id": "c2"}],
    "/containers/json?all=0": [{"Id": "c1"}],
    "/containers/json?all=1&filters=%7B%22label%22%3A%20%5B%22io.bulkhead.prefix%3Daiia_prod%22%5D%7D": [{"Id": "c2"}],
    "/containers/c1/json": {"Id": "c1", "Name": "/one"},
    "/networks?": [{"Id": "n1"}],
    "/networks/n1": {"Id": "n1"},
    "/volumes?": {"Volumes": [{"Name": "v1"}]},
    "/volumes/v1": {"Name": "v1"},
    "/images/json?": [{"Id": "sha256:1"}],
    "/images/registry:5000/a/b%20c:1/json": {"Id": "sha256:1"},
}


def answered(path: str) -> bytes:
    """What an engine answers to a request for a path of its interface."""
    known = path.removeprefix("/v1.44")
    body = json.dumps(ANSWERS.get(known, {"message": f"No such object: {known}"})).encode()
    return b"HTTP/1.0 %s\r\nA: b\r\n\r\n%s" % (b"200 OK" if known in ANSWERS else b"404 Not Found", body)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """An engine's socket; the function that makes it takes what answers, and returns its address."""
    open_now: list[socket.socket] = []

    def start(answer: Callable[[str], bytes] = answered) -> str:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(tmp_path / "engine.sock"))
        listener.listen()
        open_now.append(listener)

        def work() -> None:
            while True:
                try:
                    link, _peer = listener.accept()
                except OSError:
                    return
                with link:
                    link.sendall(answer(link.recv(65536).split(b" ")[1].decode()))

        threading.Thread(target=work, daemon=True).start()
        return f"unix://{tmp_path}/engine.sock"

    yield start
    for listener in open_now:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


@pytest.mark.parametrize(
    ("command", "output"),
    [
        ("ps --all --quiet --no-trunc", "c1\nc2\n"),
        ("ps --quiet --no-trunc", "c1\n"),
        ("ps --all --quiet --no-trunc --filter label=io.bulkhead.prefix=aiia_prod", "c2\n"),
        ("network ls --quiet", "n1\n"),
        ("volume ls --quiet", "v1\n"),
        ("image ls --quiet", "sha256:1\n"),
        ("version --format {{.Server.Version}}", "26.1.5\n"),
        ("container inspect c1", '[{"Id": "c1", "Name": "/one"}]'),
        ("network inspect n1", '[{"Id": "n1"}]'),
        ("volume inspect v1", '[{"Name": "v1"}]'),
    ],
)
def test_answers_of_the_engine(serve: Callable[..., str], command: str, output: str) -> None:
    assert direct.read(serve(), command.split(" ")) == (0, output, "")


def test_settings_of_the_engine(serve: Callable[..., str]) -> None:
    assert direct.read(serve(), ("info", "--format", "{{json .}}")) == (0, '{"ID": "a"}', "")


def test_a_name_stays_a_name(serve: Callable[..., str]) -> None:
    assert direct.read(serve(), ("image", "inspect", "registry:5000/a/b c:1")) == (0, '[{"Id": "sha256:1"}]', "")


def test_missing_objects_are_left_out_and_named(serve: Callable[..., str]) -> None:
    code, output, errors = direct.read(serve(), ("container", "inspect", "c1", "gone")) or (0, "", "")
    assert (code, json.loads(output)) == (1, [{"Id": "c1", "Name": "/one"}])
    assert errors == "Error response from daemon: No such object: /containers/gone/json"


@pytest.mark.parametrize(
    "command",
    [
        "ps --all",
        "ps --all --quiet --no-trunc --filter status=exited",
        "ps --all --quiet --no-trunc --latest",
        "container inspect",
        "container inspect --size c1",
        "container rm c1",
        "image ls --quiet --no-trunc",
        "info",
        "compose up",
    ],
)
def test_other_commands_are_the_clients(serve: Callable[..., str], command: str) -> None:
    assert direct.read(serve(), command.split(" ")) is None


@pytest.mark.parametrize("address", ["", "tcp://127.0.0.1:2375", "ssh://root@app1", "unix:///nonexistent/engine.sock"])
def test_other_engines_are_the_clients(address: str) -> None:
    assert direct.read(address, ("ps", "--quiet", "--no-trunc")) is None


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.0",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.0 500 Internal Server Error\r\n\r\n{}",
        b"HTTP/1.0 301 Moved\r\n\r\n{}",
        b'HTTP/1.0 200 OK\r\n\r\n[{"Id": "c1"}',
        b"HTTP/1.0 200 OK\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\n\r\nnull",
        b'HTTP/1.0 404 Not Found\r\n\r\n{"message": "page not found"}',
    ],
)
def test_an_answer_that_is_not_understood_is_the_clients(serve: Callable[..., str], answer: bytes) -> None:
    assert direct.read(serve(lambda _path: answer), ("ps", "--quiet", "--no-trunc")) is None


def test_the_engine_asks_its_socket_before_the_client(
    serve: Callable[..., str], module: AnsibleModule, tmp_path: Path
) -> None:
    client = tmp_path / "docker"
    client.write_text("#!/bin/sh\necho client\n")
    client.chmod(0o755)
    engine = Engine(module, serve())
    engine._docker = str(client)
    assert engine.version() == "26.1.5"
    assert engine.docker("ps")[1] == "client\n"
    # A limit is the client's to keep.
    assert engine.docker("ps", "--quiet", "--no-trunc", limit=5)[1] == "client\n"
    assert engine.docker("rm", "c1")[1] == "client\n"


def test_without_a_client_an_engine_is_of_no_use(
    serve: Callable[..., str], module: AnsibleModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "get_bin_path", lambda *_args, **_options: None)
    with pytest.raises(EngineError, match="there is no docker command"):
        Engine(module, serve()).version()


def waited(address: str, seconds: float = 0.2) -> float:
    """How long a change since the beginning of time is waited for."""
    began = time.monotonic()
    direct.await_change(address, "a=b", 0.0, seconds)
    return time.monotonic() - began


def test_a_change_ends_the_wait(serve: Callable[..., str]) -> None:
    asked: list[str] = []

    def tell(path: str) -> bytes:
        asked.append(path)
        return b'HTTP/1.0 200 OK\r\nA: b\r\n\r\n{"status": "health_status: healthy"}\n'

    assert waited(serve(tell), 60) < 30
    path, _question, query = asked[0].partition("?")
    given = {name: values[0] for name, values in parse_qs(query).items()}
    assert (path, given.pop("since")) == ("/v1.44/events", "0.000000")
    assert json.loads(given.pop("filters")) == {
        "type": ["container"], "event": ["health_status", "die"], "label": ["a=b"],
    }  # fmt: skip
    assert not given


@pytest.mark.parametrize(
    "said",
    [b"", b"HTTP/1.0 200 OK\r\nA: b\r\n\r\n", b"HTTP/1.0 400 Bad Request\r\n\r\n{}", b"\r\n\r\nnonsense"],
    ids=["nothing", "no change", "refused", "nonsense"],
)
def test_without_a_change_the_wait_takes_its_time(serve: Callable[..., str], said: bytes) -> None:
    assert waited(serve(lambda _path: said)) >= 0.2


def test_an_engine_that_does_not_answer_is_not_waited_for_longer(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "engine.sock"))
        silent.listen()
        assert 0.2 <= waited(f"unix://{tmp_path}/engine.sock") < 30
    assert waited("tcp://127.0.0.1:1") >= 0.2
