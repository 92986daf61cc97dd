# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What nginx passes on: large headers, answers in parts, and what a load balancer says of a request."""

from __future__ import annotations

import http.client
import json
import time

from guide_stack import behind_nginx
from observe import address, ask, connect
from support import Place, Site, web

#: Says what it got; its answer has 6 KB of headers, and comes in two parts with a second between them.
SERVER = """
import http.server, json, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({key.lower(): value for key, value in self.headers.items()}).encode()
        self.send_response(200)
        for number in range(6):
            self.send_header("X-Large-%d" % number, "x" * 1000)
        self.end_headers()
        self.wfile.write(body + b"\\n")
        self.wfile.flush()
        if self.path.startswith("/events/"):
            time.sleep(2)
            self.wfile.write(b"second\\n")
    def log_message(self, *_): pass
print("serving", flush=True)
http.server.ThreadingHTTPServer(("", 8000), Handler).serve_forever()
""".strip()
#: Where requests to a published port come from: the balancer of this test is the machine itself.
SUBNET, GATEWAY = "10.213.77.0/28", "10.213.77.1"


def plain(place: Place, **headers: str) -> http.client.HTTPResponse:
    """The answer to a request over plain HTTP."""
    link = http.client.HTTPConnection(address(place), place.variables["bulkhead_http_port"], timeout=30)
    link.request("GET", "/", headers={"Host": "small.example.com", **headers})
    return link.getresponse()


def seconds_to_the_first_line(place: Place, path: str) -> float:
    """How long the first part of an answer takes."""
    link = http.client.HTTPConnection(address(place), place.variables["bulkhead_https_port"], timeout=30)
    link.sock = connect(place, "small.example.com")
    link.request("GET", path, headers={"Host": "small.example.com"})
    answer, began = link.getresponse(), time.monotonic()
    answer.readline()
    taken = time.monotonic() - began
    assert answer.read() == b"second\n"
    return taken


def test_what_nginx_passes_on(site: Site) -> None:
    own = {
        "nginx_server": "location = /robots.txt { return 410; }",
        "nginx_locations": [{"path": "/own/", "directives": "proxy_set_header X-Own yes;"}],
    }
    place = behind_nginx(site, nginx_streaming=["/events/"], trusted_proxies=[GATEWAY], **own)
    place.variables["bulkhead_compose"] = {"networks": {"default": {"ipam": {"config": [{"subnet": SUBNET}]}}}}
    place.variables["bulkhead_services"]["web"] = web(command=["python3", "-u", "-c", SERVER])
    place.deploy().succeeded()
    large = ask(place, "/")
    assert large.status == 200 and len(large.headers["X-Large-5"]) == 1000
    assert large.json["x-forwarded-proto"] == "https"
    assert ask(place, "/robots.txt").status == 410
    assert ask(place, "/own/").json["x-own"] == "yes"
    # The balancer ended TLS: no redirect, which would lead to itself for ever.
    balanced = plain(place, **{"X-Forwarded-Proto": "https", "X-Forwarded-For": "198.51.100.7, 203.0.113.9"})
    assert balanced.status == 200
    told = json.loads(balanced.read())
    assert (told["x-forwarded-proto"], told["x-forwarded-for"]) == ("https", "203.0.113.9")
    assert plain(place).status == 301
    assert seconds_to_the_first_line(place, "/events/now") < 1
    # Nobody is trusted now: it is a redirect whatever a request says, and its address is the one that was seen.
    del place.variables["bulkhead_trusted_proxies"]
    place.deploy().succeeded()
    assert plain(place, **{"X-Forwarded-Proto": "https"}).status == 301
