# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a server whose certificate nobody trusts shows all the same."""

from __future__ import annotations

import http.server
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.certificates.pem import first
from ansible_collections.aiia.bulkhead.plugins.module_utils.certificates.unverified import certificate_of, clock_of
from unit.module_utils.certificates.issuer import DAY, NOW, Issuer


class Late(http.server.BaseHTTPRequestHandler):
    """Its clock is ten days late, and what it answers is an error."""

    date = "Mon, 30 Nov 2026 08:16:37 GMT"

    def do_HEAD(self) -> None:
        self.send_response_only(405)
        if self.date:
            self.send_header("Date", self.date)
        self.end_headers()


@pytest.fixture
def text() -> bytes:
    return Issuer().text("a.example.com", begins=NOW - 9 * DAY, ends=NOW - DAY)


@pytest.fixture
def port(text: bytes, tmp_path: Path) -> Iterator[int]:
    (tmp_path / "expired.pem").write_bytes(text)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "expired.pem")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Late)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def test_a_certificate_that_has_expired(port: int, text: bytes) -> None:
    assert certificate_of("127.0.0.1", port, "a.example.com") == first(text)


@pytest.mark.parametrize(("date", "clock"), [(Late.date, 1_796_026_597.0), ("", None), ("yesterday", None)])
def test_a_clock(port: int, monkeypatch: pytest.MonkeyPatch, date: str, clock: float | None) -> None:
    monkeypatch.setattr(Late, "date", date)
    assert clock_of(f"https://127.0.0.1:{port}/dir") == clock


def test_nobody_answers() -> None:
    assert clock_of("https://127.0.0.1:1/dir") is None
