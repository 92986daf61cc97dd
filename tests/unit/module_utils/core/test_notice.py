# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a receiver of notifications gets, and that a slow, dead or malicious one gains and delays nothing."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.core import notice
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.notice import deliver
from unit.module_utils.certificates.issuer import Issuer

PAYLOAD = {"event": "ended", "environment": "aiia_staging", "outcome": "failed"}
TOKEN = "token-8c1f"


class Receiver(ThreadingHTTPServer):
    """A webhook. It answers with each of ``answers`` in turn, after as many seconds as ``slow`` says."""

    def __init__(self, tmp_path: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = [200]
        self.slow = 0.0
        self.got: list[tuple[str, dict[str, str], Any]] = []
        issuer = Issuer()
        (tmp_path / "server.pem").write_bytes(issuer.text("localhost"))
        (tmp_path / "authority.pem").write_bytes(issuer.certificate)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "server.pem")
        self.socket = context.wrap_socket(self.socket, server_side=True)

    def handle_error(self, *_where: Any) -> None:
        """A client that refuses the certificate is no news."""

    @property
    def url(self) -> str:
        return f"https://localhost:{self.server_address[1]}/hook?key={TOKEN}"


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, dict(self.headers), json.loads(body)))
        time.sleep(self.server.slow)
        answers = self.server.answers
        self.send_response(answers.pop(0) if len(answers) > 1 else answers[0])
        self.send_header("Location", "/elsewhere")
        self.end_headers()

    do_GET = do_POST

    def log_message(self, *_said: Any) -> None:
        """Say nothing."""


@pytest.fixture
def receiver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    server = Receiver(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    monkeypatch.setenv("no_proxy", "localhost")
    monkeypatch.setattr(notice, "PAUSES", (0.0, 0.01, 0.02))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_a_webhook_gets_the_event_with_its_headers(receiver: Receiver) -> None:
    assert deliver({"url": receiver.url, "headers": {"Authorization": f"Bearer {TOKEN}"}}, PAYLOAD) == ""
    ((path, headers, body),) = receiver.got
    assert path == f"/hook?key={TOKEN}" and body == PAYLOAD
    assert headers["Authorization"] == f"Bearer {TOKEN}" and headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("answers", "tries", "problem"),
    [
        ([500, 429, 204], 3, ""),
        ([503], 3, "it answered 503"),
        ([404], 1, "it answered 404"),
        ([302], 1, "it answered 302"),
        ([307], 1, "it answered 307"),
    ],
)
def test_what_may_pass_is_tried_again_and_nothing_is_sent_elsewhere(
    receiver: Receiver, answers: list[int], tries: int, problem: str
) -> None:
    receiver.answers = answers
    assert deliver({"url": receiver.url}, PAYLOAD) == problem
    assert len(receiver.got) == tries
    assert {path for path, _headers, _body in receiver.got} == {f"/hook?key={TOKEN}"}


def test_a_slow_receiver_has_a_bounded_time(receiver: Receiver) -> None:
    receiver.slow = 5
    began = time.monotonic()
    problem = deliver({"url": receiver.url}, PAYLOAD, total=0.6)
    assert time.monotonic() - began < 3
    assert problem == "it cannot be reached (TimeoutError)"


def test_a_receiver_that_no_authority_vouches_for_gets_nothing(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "none.pem").write_text("")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "nowhere"))
    assert "SSLCertVerificationError" in deliver({"url": receiver.url}, PAYLOAD)
    assert receiver.got == []


@pytest.mark.parametrize(
    "url", ["http://localhost/", "file:///etc/passwd", "ftp://localhost/", "https://localhost:1/x"]
)
def test_an_address_where_nothing_may_be_or_is(url: str) -> None:
    problem = deliver({"url": url, "headers": {"X-Token": TOKEN}}, PAYLOAD, total=1)
    assert problem and TOKEN not in problem and "localhost" not in problem


def test_headers_that_are_none_are_a_problem_without_their_text(receiver: Receiver) -> None:
    problem = deliver({"url": receiver.url, "headers": {"X-Token": f"{TOKEN}\r\nHost: other"}}, PAYLOAD)
    assert problem == "it cannot be reached (ValueError)" and receiver.got == []


def test_a_command_gets_the_event_by_standard_input_and_no_shell_reads_its_words(tmp_path: Path) -> None:
    program = "import sys; open(sys.argv[1], 'w').write(sys.argv[2] + sys.stdin.read())"
    command = [sys.executable, "-c", program, str(tmp_path / "got"), "$(id); `id`"]
    assert deliver({"command": command}, PAYLOAD) == ""
    words, brace, rest = (tmp_path / "got").read_text().partition("{")
    assert words == "$(id); `id`" and json.loads(brace + rest) == PAYLOAD


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ([sys.executable, "-c", "raise SystemExit(3)"], "it ended with exit code 3"),
        (["/nonexistent/program"], "it cannot be run: No such file or directory"),
        ([sys.executable, "-c", "import time; time.sleep(60)"], "it did not end within 0 s"),
        (["a\0b"], "it cannot be run: ValueError"),
    ],
)
def test_a_command_that_fails_is_told(command: list[str], problem: str) -> None:
    assert deliver({"command": command}, PAYLOAD, total=0.4 if "sleep" in command[-1] else 10) == problem


def test_as_a_process_it_leaves_the_result_in_a_file(tmp_path: Path) -> None:
    """It runs by itself: no module of ours is imported."""
    given = {"to": {"command": ["/nonexistent/program"]}, "payload": PAYLOAD, "result": str(tmp_path / "result")}
    command = [sys.executable, "-I", notice.__file__]
    subprocess.run(command, input=json.dumps(given).encode(), check=True, timeout=20)
    assert "cannot be run" in (tmp_path / "result").read_text()
