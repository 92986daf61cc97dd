# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two environments behind one front door: each answers for itself, and neither notices the other's deployments."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge import places
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge.door import STATE_LABEL
from checkout import ROOT
from guide_stack import IMAGES, self_signed
from observe import ask, connect, containers, trust
from support import Place, Site, docker, free_port, only, web
from test_behind_a_balancer import SERVER

DOOR = "bulkhead-demo/haproxy:3.0"


def set_up(site: Site, http: int, https: int, **settings: Any) -> subprocess.CompletedProcess[str]:
    """Set the machine's front door up, or update it, as its role does."""
    wanted = {
        "state_directory": str(site.directory / "machine-state"),
        "image": DOOR,
        "http_port": http,
        "https_port": https,
        "addresses": ["127.0.0.1", "::1"],
        **settings,
    }
    adhoc = [sys.executable, "-m", "ansible", "adhoc", "localhost", "-m", "aiia.bulkhead.edge", "-a"]
    return subprocess.run(
        [*adhoc, json.dumps(wanted)],
        check=False,
        capture_output=True,
        text=True,
        env={**site.environment(), "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
    )


@contextmanager
def front_door(site: Site, http: int, https: int) -> Iterator[None]:
    """The machine's front door, as its role sets it up."""
    state = str(site.directory / "machine-state")
    try:
        made = set_up(site, http, https)
        assert made.returncode == 0, made.stdout + made.stderr
        yield
    finally:
        label = f"label={STATE_LABEL}={state}"
        found = subprocess.run(
            ["docker", "ps", "--all", "--quiet", "--filter", label], check=True, capture_output=True, text=True
        ).stdout.split()
        if found:
            subprocess.run(["docker", "rm", "--force", *found], check=True, capture_output=True)
        subprocess.run(["umount", places.sockets(state)], check=False, capture_output=True)


def behind(site: Site, name: str, http: int, https: int) -> Place:
    """A small environment behind the front door."""
    domain = f"{name}.example.com"
    certificate, key = self_signed([domain])
    return site.add(
        name,
        name,
        {"bulkhead_tls_certificate": certificate, "bulkhead_tls_key": key},
        app_service="web",
        services=only(web=web(command=["python3", "-u", "-c", SERVER]), nginx=IMAGES["nginx"]),
        env={},
        domains=[domain],
        edge=True,
        http_port=http,
        https_port=https,
        allow_downtime=False,
        wait_timeout=90,
    )


class Visitors:
    """Requests to some environments, one after the other, until they are told to end."""

    def __init__(self, *places: Place) -> None:
        self.places = places
        self.failures: list[str] = []
        self.answers = 0
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._visit, args=(place,)) for place in places]

    def __enter__(self) -> Visitors:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_unused: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _visit(self, place: Place) -> None:
        while not self._over.is_set():
            try:
                answer = ask(place, "/", timeout=20)
                assert answer.status == 200 and answer.headers["X-Environment"] == place.prefix, answer.status
                self.answers += 1
            except (OSError, AssertionError, http.client.HTTPException) as error:
                self.failures.append(f"{place.prefix}: {error!r}")
            time.sleep(0.02)


def nginx_of(place: Place) -> str:
    """The id of an environment's nginx."""
    return next(found["Id"] for name, found in containers(place.prefix).items() if "nginx" in name)


def over_ipv6(place: Place) -> dict[str, str]:
    """The headers that an environment's application got of a request over IPv6."""
    name, port = place.variables["bulkhead_domains"][0], place.variables["bulkhead_https_port"]
    link = http.client.HTTPConnection("::1", port, timeout=30)
    link.sock = trust(place).wrap_socket(socket.create_connection(("::1", port), 30), server_hostname=name)
    link.request("GET", "/", headers={"Host": f"{name}:{port}"})
    headers: dict[str, str] = json.loads(link.getresponse().read())
    return headers


def requests_logged(place: Place) -> list[str]:
    """The requests of nginx's access log."""
    return [line for line in docker("logs", nginx_of(place)).splitlines() if '"GET / ' in line]


def from_inside(place: Place) -> str:
    """Who answers an environment's own domain when its application asks for it."""
    name, port = place.variables["bulkhead_domains"][0], place.variables["bulkhead_https_port"]
    program = (
        "import ssl, sys, urllib.request as request; context = ssl._create_unverified_context(); "
        "print(request.urlopen(sys.argv[1], context=context, timeout=10).headers['X-Environment'])"
    )
    return docker("exec", f"{place.prefix}_web", "python3", "-c", program, f"https://{name}:{port}/").strip()


def test_two_environments_behind_one_door(site: Site) -> None:
    http_port, https_port = free_port(), free_port()
    one, two = behind(site, "one", http_port, https_port), behind(site, "two", http_port, https_port)
    refused = one.deploy()
    assert "absent on this machine" in refused.output and not containers(one.prefix)
    with front_door(site, http_port, https_port):
        one.deploy().succeeded()
        with Visitors(one) as visitors:
            two.deploy().succeeded()
            for place in (one, two):
                answer = ask(place, "/")
                assert answer.headers["X-Environment"] == place.prefix
                assert answer.json["x-forwarded-for"] == answer.json["x-real-ip"] == "127.0.0.1"
                assert (
                    ask(place, "/", tls=False)
                    .headers["Location"]
                    .startswith(f"https://{place.variables['bulkhead_domains'][0]}:{https_port}/")
                )
                assert over_ipv6(place)["x-real-ip"] == over_ipv6(place)["x-forwarded-for"] == "::1"
                assert {line.split(" - ")[0] for line in requests_logged(place)} >= {"127.0.0.1", "::1"}
                # Past the machine, whose firewall keeps an environment's containers from its ports.
                assert from_inside(place) == place.prefix
            # By the name in the handshake the door chose this environment: another's host is nobody's here.
            assert ask(one, "/", host="two.example.com").status == 421
            link = connect(one, "one.example.com")
            link.close()
        assert visitors.failures == [] and visitors.answers
        with Visitors(one, two) as visitors:
            before = nginx_of(one)
            one.variables["bulkhead_services"]["nginx"] = {**IMAGES["nginx"], "environment": {"CHANGED": "1"}}
            one.deploy().succeeded()
            assert nginx_of(one) != before
            updated = set_up(site, http_port, https_port, idle_timeout=1800)
            assert updated.returncode == 0 and "CHANGED" in updated.stdout, updated.stdout + updated.stderr
        assert visitors.failures == [] and visitors.answers > 20
        with Visitors(one) as visitors:  # the other one goes, and comes again
            destroyed = site.play("-l", "two", "-e", f"bulkhead_confirm={two.prefix}", playbook="playbooks/destroy.yml")
            destroyed.succeeded()
            assert not containers(two.prefix)
            two.deploy().succeeded()
        assert visitors.failures == [] and visitors.answers > 20
        assert ask(two, "/").headers["X-Environment"] == two.prefix


@pytest.mark.full
def test_twenty_deployments_and_not_one_failed_request(site: Site) -> None:
    """One of two environments is deployed twenty times, each with another nginx; the door is updated in between."""
    http_port, https_port = free_port(), free_port()
    one, two = behind(site, "one", http_port, https_port), behind(site, "two", http_port, https_port)
    with front_door(site, http_port, https_port):
        for place in (one, two):
            place.deploy().succeeded()
        with Visitors(one, two) as visitors:
            for number in range(20):
                before = nginx_of(two)
                two.variables["bulkhead_services"]["nginx"] = {**IMAGES["nginx"], "environment": {"TURN": str(number)}}
                two.deploy().succeeded()
                assert nginx_of(two) != before
                if number % 5 == 0:
                    assert set_up(site, http_port, https_port, idle_timeout=1800 + number).returncode == 0
        print(f"{visitors.answers} answers while one was deployed 20 times and the door was updated 4 times")
        assert visitors.failures == [] and visitors.answers > 1000
