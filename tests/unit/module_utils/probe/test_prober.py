# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The targets of probes: the placeholder for the machine becomes its addresses in the environment's networks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.probe.prober import (
    MACHINE,
    Prober,
    first_asset,
    same_host,
    targets,
    uploads,
)
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.live import probes as judged


def test_the_machine_is_every_gateway_of_the_own_networks() -> None:
    """Of both families, and only of networks that the containers are on."""
    ours = {"gateways": ["172.18.0.1", "fd00:1::1"]}
    own = [{"networks": {"ours": ours}}, {"networks": {"ours": ours, "data": {"gateways": []}}}]
    networks = [
        {"name": "ours", "gateways": ["172.18.0.1"]},
        {"name": "data", "gateways": ["172.20.0.1"]},
        {"name": "theirs", "gateways": ["172.19.0.1"]},
    ]
    connect = [{"address": "172.19.0.5", "port": 5432}, {"address": "machine", "port": 5433}]
    assert targets(connect, own, networks) == [
        ["172.19.0.5", 5432], ["172.18.0.1", 5433], ["172.20.0.1", 5433], ["fd00:1::1", 5433],
    ]  # fmt: skip
    assert targets(connect, [], networks) == [["172.19.0.5", 5432]]


def test_the_machine_as_the_tasks_of_a_swarm_see_it() -> None:
    """They leave their overlays through a bridge of the node, which is in no container's list."""
    own: list[dict[str, Any]] = [{"networks": {"ours": {"gateways": []}}}]
    bridge = {"name": "docker_gwbridge", "driver": "bridge", "gateways": ["172.18.0.1"]}
    overlay = {"name": "ours", "driver": "overlay", "gateways": ["10.0.1.1"]}
    connect = [{"address": "machine", "port": 5433}]
    there = {"address": "10.0.2.2", "port": 5432, "subnet": "10.0.2.0/24"}
    assert targets([there], own, []) == [["10.0.2.2", 5432, "10.0.2.0/24"]]
    assert targets(connect, own, [bridge, overlay]) == [["10.0.1.1", 5433], ["172.18.0.1", 5433]]
    assert targets(connect, own, [bridge, {**overlay, "driver": "bridge"}]) == [["10.0.1.1", 5433]]


def test_controller_and_machine_call_it_the_same() -> None:
    """The two share no code in which the value could be written once."""
    assert MACHINE == judged.MACHINE


class Site(BaseHTTPRequestHandler):
    """A site whose start page leads to a page that names two files, of which one is there."""

    def do_GET(self) -> None:
        found = {"/": (302, ""), "/in?next=/": (200, '<link href="/static/a.1.css"><script src="/static/b.js">')}
        status, page = found.get(self.path, (200 if self.path == "/static/b.js" else 404, ""))
        self.send_response(status)
        self.send_header("Location", f"http://{self.headers['Host']}/in?next=/")
        self.end_headers()
        self.wfile.write(page.encode())

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""


@pytest.fixture
def site() -> Iterator[dict[str, Any]]:
    """A request for the first static file of a site that runs here."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_address[1]
        own = {"address": "127.0.0.1", "port": port, "tls": False, "host": "a.example", "host_header": "a.example"}
        yield {**own, "kind": "asset", "path": "/static/"}
        server.shutdown()


def test_the_first_static_file_of_the_start_page_is_asked_for(site: dict[str, Any]) -> None:
    """Through redirects on the same host; where the page names none, nothing is asked for."""
    prober = Prober(cast(Any, None), 0.5)
    (found,) = prober.requests([site])
    assert (found["path"], found["status"]) == ("/static/a.1.css", 404)
    (none,) = prober.requests([{**site, "path": "/other/"}])
    assert (none["path"], none["status"]) == ("", 0)


@pytest.mark.parametrize(
    ("page", "found"),
    [
        ('<img src="/static/x/logo.png?v=1">', "/static/x/logo.png"),
        ("<a href=/static/guide.pdf>", "/static/guide.pdf"),
        ('<img src="https://cdn.example/static/x.png">', ""),
        ("", ""),
        ('<img src="/static/é%20ü.png">', "/static/%C3%A9%20%C3%BC.png"),
    ],
)
def test_what_a_page_names(page: str, found: str) -> None:
    assert first_asset(page, "/static/") == found


def test_redirects() -> None:
    """To the same host only."""
    assert same_host("https://a.example/in?x=1", "a.example") == "/in?x=1"
    assert same_host("/in", "a.example") == "/in"
    assert same_host("https://sso.example/in", "a.example") == same_host("in", "a.example") == ""
    assert same_host("http://[", "a.example") == ""
    assert same_host("/é?ü=1", "a.example") == "/%C3%A9?%C3%BC=1"


def test_what_cannot_be_asked_is_an_error(site: dict[str, Any]) -> None:
    """And ends no verification."""
    requests = [
        dict(site, kind="own", path="/é"),
        dict(site, kind="own", path="/b c"),
        dict(site, kind="own", path="/"),
    ]
    found = Prober(cast(Any, None), 0.5).requests(requests)
    assert [bool(answer["error"]) for answer in found] == [True, True, False]


def test_uploads() -> None:
    """Files that are new, in a directory for uploads; not directories, changes, caches or what was deleted."""
    changes = """C /app
A /app/media
A /app/media/2026
A /app/media/2026/photo of x.jpg
A /app/media/2026-a.png
A /app/user_files/.keep
C /app/media/old.jpg
D /app/uploads/gone.jpg
A /app/__pycache__/x.pyc
A /tmp/y.txt
A /app/multimedia/z.txt
"""
    assert uploads(changes) == [
        "/app/media/2026-a.png", "/app/media/2026/photo of x.jpg", "/app/user_files/.keep",
    ]  # fmt: skip


def test_uploads_in_a_directory_that_is_kept() -> None:
    """Whatever it is called, and nothing beside it."""
    changes = (
        "A /rails/storage\nA /rails/storage/ab\nA /rails/storage/ab/x.1\nA /rails/storages/y.1\nC /rails/storage/z.1"
    )
    assert uploads(changes) == []
    assert uploads(changes, ["/rails/storage/"]) == ["/rails/storage/ab/x.1"]
