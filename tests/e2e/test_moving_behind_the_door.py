# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A machine whose environments publish ports moves behind the front door: nobody is refused, whatever fails or is
killed meanwhile."""

from __future__ import annotations

import json
import random
import secrets
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import steady_client
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.engine import Engine
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge import places
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge.door import STATE_LABEL
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge.moving import Moving
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge.routes import DoorSettings
from door import Module
from filter_table import COMMANDS, unable
from guide_stack import IMAGES, self_signed
from observe import containers, eventually
from sabotage import started
from support import Place, Run, Site, docker, free_port, only, web

pytestmark = pytest.mark.skipif(bool(unable()), reason=f"rules cannot be changed here: {unable()}")

DOOR = "bulkhead-demo/haproxy:3.0"


@dataclass
class Moved:
    """A machine of a test's own: two environments that publish ports, and the door that is to have production's."""

    site: Site
    http: int
    https: int
    outside: str

    def __post_init__(self) -> None:
        self.site.everyone = {
            "bulkhead_edge_image": DOOR,
            "bulkhead_edge_http_port": self.http,
            "bulkhead_edge_https_port": self.https,
        }
        self.state = str(self.site.directory / "machine-state")
        self.production = self.published("production", self.http, self.https)
        self.staging = self.published("staging", free_port(), free_port())
        self.earlier = self.staging.variables["bulkhead_https_port"]

    def published(self, name: str, http: int, https: int) -> Place:
        """A small environment on ports of the machine, of both families."""
        certificate, key = self_signed([f"{name}.example.com"])
        return self.site.add(
            name,
            name,
            {"bulkhead_tls_certificate": certificate, "bulkhead_tls_key": key},
            app_service="web",
            services=only(web=web(), nginx=IMAGES["nginx"]),
            env={"SAY": name},
            domains=[f"{name}.example.com"],
            http_port=http,
            https_port=https,
            allow_downtime=False,
            wait_timeout=90,
            drain_timeout=10,
        )

    def behind(self, place: Place) -> None:
        """What a person changes in the inventory."""
        place.variables.update(bulkhead_edge=True, bulkhead_http_port=self.http, bulkhead_https_port=self.https)

    def edge(self, move: bool, *more: str) -> Run:
        """Run the playbook of the front door, as a person does."""
        moves = ["-e", "bulkhead_edge_move=true"] if move else []
        return self.site.play("-l", "production", *moves, *more, playbook="playbooks/edge.yml")

    def steps(self, move: bool, *more: str) -> list[str]:
        """What it did, or would do, each by its verb."""
        return [step["verb"] for step in self.edge(move, *more).succeeded().result("edge")["steps"]]

    def targets(self, place: Place, port: int) -> list[list[Any]]:
        """An environment by a port at both loopback addresses, and at one that is no loopback."""
        name = place.variables["bulkhead_domains"][0]
        return [[address, port, name, place.prefix] for address in ("127.0.0.1", "::1", GATEWAY)]

    @property
    def rules(self) -> list[str]:
        """The rules of this door in both families."""
        chain = f"BULKHEAD-EDGE-{places.project(self.state).rpartition('_')[2]}"
        saved = [
            subprocess.run([f"{command}-save", "-t", "nat"], capture_output=True, text=True, check=True).stdout
            for command in COMMANDS
        ]
        return [line for text in saved for line in text.splitlines() if chain in line]

    def remove(self) -> None:
        """Remove the door, and its rules whatever became of the test."""
        label = f"label=io.bulkhead.project={self.site.project}"
        for found in (f"label={STATE_LABEL}={self.state}", label):
            ids = docker("ps", "--all", "--quiet", "--filter", found).split()
            if ids:
                docker("rm", "--force", *ids)
        subprocess.run(["umount", places.sockets(self.state)], check=False, capture_output=True)
        Moving(Engine(Module(), "unix:///var/run/docker.sock"), self.state).bring(DoorSettings(), False)


#: The ends of a cable to a network of its own, in which a client is that comes to this machine from outside.
_NETWORK = f"10.213.{random.randrange(100, 250)}"
GATEWAY, CLIENT, MASK = f"{_NETWORK}.1", f"{_NETWORK}.2", 30


@pytest.fixture(scope="module")
def outside() -> Iterator[str]:
    """A network namespace beside this machine, from which it is reached as from another one."""
    name, cable = f"bulkhead-{secrets.token_hex(3)}", f"bh{secrets.token_hex(3)}"
    commands = [
        ["netns", "add", name],
        ["link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", name],
        ["addr", "add", f"{GATEWAY}/{MASK}", "dev", cable],
        ["link", "set", cable, "up"],
        ["-n", name, "addr", "add", f"{CLIENT}/{MASK}", "dev", "eth0"],
        ["-n", name, "link", "set", "eth0", "up"],
    ]
    try:
        for command in commands:
            subprocess.run(["ip", *command], check=True, capture_output=True)
        yield name
    finally:
        subprocess.run(["ip", "link", "delete", cable], check=False, capture_output=True)
        subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


@pytest.fixture
def machine(site: Site, outside: str) -> Iterator[Moved]:
    made = Moved(site, free_port(), free_port(), outside)
    try:
        for place in (made.production, made.staging):
            place.deploy().succeeded()
        yield made
    finally:
        made.remove()


@dataclass
class Visits:
    """Clients on the machine and outside of it, and what they were answered while a block ran."""

    machine: Moved
    targets: list[list[Any]]
    served: dict[str, int] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    def __enter__(self) -> Visits:
        program = [sys.executable, steady_client.__file__]
        far = [target for target in self.targets if target[0] == GATEWAY]
        self._clients = [
            subprocess.Popen([*before, *program, json.dumps(them)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            for before, them in (([], self.targets), (["ip", "netns", "exec", self.machine.outside], far))
        ]
        return self

    def __exit__(self, *_unused: object) -> None:
        for where, client in zip(("inside", "outside"), self._clients, strict=True):
            said = json.loads(client.communicate(timeout=60)[0])
            self.failed += [f"{where}: {text}" for text in said["failed"]]
            self.served.update({f"{where} {target}": count for target, count in said["served"].items()})

    def none_failed(self) -> None:
        """Every request was answered by its own environment, wherever it came from."""
        print(self.served)
        assert self.failed == []
        assert min(self.served.values()) > 10, self.served


@pytest.mark.full
def test_environment_by_environment_without_a_failed_request(machine: Moved) -> None:
    production, staging = machine.production, machine.staging
    refused = machine.edge(move=False)
    assert refused.code and f"port {machine.https} is taken by container {production.prefix}_nginx" in refused.output
    assert "bulkhead_edge_move: true" in refused.output
    everyone = machine.targets(production, machine.https) + machine.targets(staging, machine.earlier)
    with Visits(machine, everyone) as visits:
        assert machine.steps(True, "--check") == ["start", "begin the move"]
        assert machine.steps(move=True) == ["start", "begin the move"]
        assert machine.steps(move=True) == [] == machine.rules
    visits.none_failed()
    machine.behind(production)
    production.variables["bulkhead_services"]["bad"] = web(command=["false"], restart="no")
    with Visits(machine, everyone) as visits:
        # One that fails once production is behind the door: it goes back to its own ports.
        failed = production.deploy()
    assert failed.code and "The previous release serves again" in failed.output
    visits.none_failed()
    assert machine.rules == [] and sorted(containers(production.prefix)) == [
        f"{production.prefix}_{name}" for name in ("nginx", "web")
    ]
    del production.variables["bulkhead_services"]["bad"]
    with Visits(machine, everyone) as visits:
        # One that is killed while new connections go to the door already, and the earlier nginx still runs.
        with started(machine.site, "-l", "production"):
            eventually(lambda: machine.rules, 120, pause=0.02)
        production.deploy().succeeded()
        assert production.deploy().succeeded().changed == 0
        assert {line.split()[1] for line in machine.rules if line.startswith("-A")} > {"PREROUTING", "OUTPUT"}
        machine.behind(staging)
        staging.deploy().succeeded()
    visits.none_failed()
    everyone += machine.targets(staging, machine.https)
    with Visits(machine, everyone) as visits:
        # Without its rules, as after a flush by somebody else, the machine's own door is put in order by its role.
        assert machine.steps(True, "--check") == ["start", "end", "lead"]
        assert machine.steps(move=True) == ["start", "end", "lead"]
        assert machine.steps(move=True) == []
    visits.none_failed()
    assert not [line for line in machine.rules if f"--dport {machine.https} " in line]
    with Visits(
        machine, machine.targets(production, machine.https) + machine.targets(staging, machine.https)
    ) as visits:
        assert machine.steps(False, "--check") == ["end the move"]
        assert machine.steps(move=False) == ["end the move"]
        assert machine.steps(move=False) == [] == machine.rules
    visits.none_failed()
    with pytest.raises(ConnectionRefusedError):
        steady_client.ask("127.0.0.1", machine.earlier, "staging.example.com")
