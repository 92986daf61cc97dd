# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Probes on a real engine, with root and without: what they see, and that they leave nothing behind."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.engine import Engine
from ansible_collections.aiia.bulkhead.plugins.module_utils.host.observation import containers, networks
from ansible_collections.aiia.bulkhead.plugins.module_utils.probe import prober
from ansible_collections.aiia.bulkhead.plugins.module_utils.probe.prober import Prober, targets
from ansible_collections.aiia.bulkhead.plugins.module_utils.probe.program import Asker
from observe import eventually
from support import IMAGE, docker, free_port

PASSWORD = "a password of theirs"
POSTGRESQL, REDIS = "bulkhead-demo/postgresql:17", "bulkhead-demo/redis:8"


@dataclass
class Network:
    """Two networks: ``near`` stands on one; an open Redis, a closed one and a PostgreSQL on the other."""

    engine: Engine
    name: str
    port: int
    seen: dict[str, dict[str, Any]]

    def address(self, short: str) -> str:
        """The address of a container."""
        (only,) = self.seen[f"{self.name}-{short}"]["networks"].values()
        return str(only["address"])


def says(server: str, answer: str) -> bool:
    """Whether a Redis answers a ping with this word."""
    return answer in docker("exec", server, "redis-cli", "ping", check=False)


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    """Servers without health checks: the tests wait for them."""
    name, port = f"e2eprobe{secrets.token_hex(3)}", free_port()
    here, there = f"{name}-here", f"{name}-there"
    secret = ["--env", f"POSTGRES_PASSWORD={PASSWORD}", "--env", "POSTGRES_USER=theirs"]
    run = ["run", "--detach", "--name"]
    try:
        subnet = f"fd{secrets.token_hex(1)}:{secrets.token_hex(2)}:{secrets.token_hex(2)}::/64"
        docker("network", "create", "--ipv6", "--subnet", subnet, here)
        docker("network", "create", there)
        docker(*run, f"{name}-near", "--network", here, "--init", IMAGE, "sleep", "600")
        serve = ["redis-server", "--save", "", "--protected-mode", "no"]
        docker(*run, f"{name}-open", "--network", there, "--publish", f"{port}:6379", REDIS, *serve)
        docker(*run, f"{name}-closed", "--network", there, REDIS, *serve, "--requirepass", PASSWORD)
        docker(*run, f"{name}-postgresql", "--network", there, *secret, POSTGRESQL)
        with patch_module_args({}):
            engine = Engine(AnsibleModule(argument_spec={}), "unix:///var/run/docker.sock")
        made = Network(engine, name, port, {})
        made.seen = {
            container["name"]: container for container in containers(engine) if container["name"].startswith(name)
        }
        ready = ["exec", f"{name}-postgresql", "pg_isready", "--host=127.0.0.1", "--username=theirs"]
        eventually(lambda: "accepting" in docker(*ready, check=False), 60)
        for server, answer in (("open", "PONG"), ("closed", "NOAUTH")):
            eventually(partial(says, f"{name}-{server}", answer), 60)
        yield made
    finally:
        for suffix in ("near", "open", "closed", "postgresql"):
            docker("rm", "--force", "--volumes", f"{name}-{suffix}", check=False)
        for network in (here, there):
            docker("network", "rm", network, check=False)


def left_behind() -> list[str]:
    """Containers and images of probes, under the names that the test gave them."""
    return [
        *docker("ps", "--all", "--quiet", "--filter", f"label={prober.PROBE}").split(),
        *docker("image", "ls", "--quiet", prober.IMAGE).split(),
    ]


@pytest.mark.parametrize("enters", [True, False], ids=["as root", "without root"])
def test_from_inside(network: Network, enters: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Own names resolve and foreign ones do not; a port published on every address is reached over IPv4 and IPv6, and
    lets us in."""
    if enters and os.geteuid() != 0:
        pytest.skip("enters a network namespace, as root")
    # Deployments of other tests probe this machine at the same time.
    monkeypatch.setattr(prober, "IMAGE", f"{prober.IMAGE}-{network.name}")
    monkeypatch.setattr(prober, "PROBE", f"{prober.PROBE}.{network.name}")
    near = network.seen[f"{network.name}-near"]
    wanted = [{"address": "machine", "port": network.port}, {"address": network.address("open"), "port": 6379}]
    connect = targets([*wanted, {"address": "192.0.2.1", "port": 80}], [near], networks(network.engine))
    gateways = [target for target in connect if target[1] == network.port]
    assert ["." in address for address, _port in sorted(gateways)] == [True, False]
    names = [near["name"], f"{network.name}-open", f"{network.name}-postgresql"]
    ask = {"resolve": names, "connect": connect}
    (answer,) = Prober(network.engine, 4.0, enters=enters).inside([near], ask)
    assert answer["error"] == ""
    assert answer["resolved"] == [near["name"]]
    assert answer["connected"] == gateways
    assert answer["entered"] == gateways
    assert left_behind() == []


@pytest.mark.skipif(os.geteuid() != 0, reason="enters a network namespace, as root")
def test_a_process_that_is_somebody_elses(network: Network) -> None:
    """A process id that means another network is noticed: silence there would prove nothing."""
    stranger = {**network.seen[f"{network.name}-near"], "pid": os.getpid()}
    (answer,) = Prober(network.engine, 4.0).inside([stranger], {"resolve": [], "connect": []})
    assert answer["error"] == "this is not the network of that container"


@pytest.mark.parametrize(
    ("server", "port", "entered"), [("open", 6379, True), ("closed", 6379, False), ("postgresql", 5432, False)]
)
def test_who_is_let_in(network: Network, server: str, port: int, entered: bool) -> None:
    """Of real servers, only the one that wants no password."""
    target = [network.address(server), port]
    answer = Asker({"resolve": [], "connect": [target], "timeout": 3}).answer()
    assert answer["connected"] == [target]
    assert answer["entered"] == ([target] if entered else [])
