# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is said of a domain before its authority is asked."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.certificates import challenge
from ansible_collections.aiia.bulkhead.plugins.module_utils.certificates.challenge import refuse_elsewhere
from ansible_collections.aiia.bulkhead.plugins.module_utils.certificates.pem import CertificateError
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.engine import EngineError
from unit.module_utils.fake_engine import FakeEngine

VOLUME = "aiia_prod_acme_prod"


@pytest.fixture
def engine(tmp_path: Path) -> FakeEngine:
    """An engine with the volume of challenges."""
    made = FakeEngine(tmp_path)
    (tmp_path / "volume").mkdir()
    made.objects["volume"].append({"Name": VOLUME, "Mountpoint": str(tmp_path / "volume")})
    return made


class Server:
    """A web server that answers with files below a directory, or with what a test wants."""

    def __init__(self, root: Path) -> None:
        self.asked: list[tuple[str, str]] = []
        self.status = 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append((str(self.headers["Host"]), self.path))
                path = root / self.path.lstrip("/")
                self.send_response(outer.status or (200 if path.is_file() else 404))
                self.end_headers()
                self.wfile.write(path.read_bytes() if path.is_file() and not outer.status else b"something")

            def log_message(self, *_unused: Any) -> None:
                """Say nothing."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """What answers for every domain that begins with a; b is nowhere."""
    made = Server(tmp_path / "volume")
    monkeypatch.setattr(challenge, "PORT", made.port)

    def addresses(domain: str, port: int, *_more: Any, **_options: Any) -> list[Any]:
        if domain != "127.0.0.1" and not domain.startswith("a"):
            raise socket.gaierror(-2, "Name or service not known")
        return [(socket.AF_INET, 1, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(challenge.socket, "getaddrinfo", addresses)
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_its_own_nginx_answers(engine: FakeEngine, server: Server, tmp_path: Path) -> None:
    refuse_elsewhere(engine, VOLUME, ["a.example.com", "a2.example.com"])
    hosts, paths = zip(*server.asked, strict=True)
    assert hosts == ("a.example.com", "a2.example.com") and paths[0].startswith("/.well-known/acme-challenge/bulkhead-")
    left = [path for path in (tmp_path / "volume").rglob("*") if path.is_file()]
    assert left == [], "what was laid there for the question is gone"


def test_all_that_is_wrong_is_said_at_once(engine: FakeEngine, server: Server) -> None:
    server.status = 200
    with pytest.raises(CertificateError) as caught:
        refuse_elsewhere(engine, VOLUME, ["a.example.com", "b.example.com"])
    said = caught.value.message
    assert "a.example.com (127.0.0.1) is answered by another server, with status 200" in said
    assert "b.example.com has no address in DNS. The authority was not asked" in said


def test_nobody_listens(engine: FakeEngine, server: Server) -> None:
    server.server.shutdown()
    server.server.server_close()
    with pytest.raises(CertificateError, match=r"\(127.0.0.1\) does not answer on port \d+: connection refused"):
        refuse_elsewhere(engine, VOLUME, ["a.example.com"])


def test_a_balancer_that_redirects_is_the_authority_s_to_follow(engine: FakeEngine, server: Server) -> None:
    server.status = 301
    refuse_elsewhere(engine, VOLUME, ["a.example.com"])


def test_a_volume_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="from which nginx answers an authority"):
        refuse_elsewhere(FakeEngine(tmp_path), VOLUME, ["a.example.com"])
