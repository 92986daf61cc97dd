# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guard on a real engine: what a container of one environment reaches of another's published port."""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.steps import sentences
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.naming import firewall_chain
from filter_table import COMMANDS, WAIT, chain_of, drop_rules, of_others, unable
from observe import eventually
from support import Place, Run, Site, docker, free_port, only, remove_project, web

#: Says which of the addresses let it connect to the port.
CONNECT = """
import socket, sys
for address in sys.argv[2:]:
    try:
        socket.create_connection((address, int(sys.argv[1])), 20).close()
        print(address, flush=True)
    except OSError:
        pass
""".strip()


pytestmark = pytest.mark.skipif(bool(unable()), reason=f"no firewall rules here: {unable()}")


@dataclass
class Pair:
    """Two environments: `server` publishes a port on all addresses, `client` has a port of its own too."""

    server: Place
    client: Place
    port: int
    own_port: int

    def gateways(self) -> list[str]:
        """Addresses of the machine: the gateways of both networks, and of the default bridge."""
        found: list[str] = []
        for network in (f"{self.client.prefix}_network", f"{self.server.prefix}_network", "bridge"):
            configs = json.loads(docker("network", "inspect", network))[0]["IPAM"]["Config"]
            found += [config["Gateway"].split("/")[0] for config in configs]
        return found

    def reached(self, port: int) -> list[str]:
        """The gateways through which the client's container reaches a port of the machine."""
        command = ["docker", "exec", f"{self.client.prefix}_web", "python3", "-c", CONNECT, str(port)]
        done = subprocess.run([*command, *self.gateways()], capture_output=True, text=True, check=True)
        return done.stdout.split()

    def guard(self, on: bool = True, *arguments: str, **variables: object) -> Run:
        """Deploy the client with or without the guard."""
        self.client.variables.update(bulkhead_firewall=on, bulkhead_firewall_allow=[], **variables)
        return self.client.deploy(*arguments)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, projects: Callable[[], str]) -> Iterator[Pair]:
    """Both environments deployed, without a guard. Where the machine has IPv6 the client's network has it too."""
    site = Site(tmp_path_factory.mktemp("firewall"), projects())
    site.everyone = {"bulkhead_fail_on": "critical"}  # a port that is published on all addresses is a finding
    port, own_port = free_port(), free_port()
    ipv6 = {
        "enable_ipv6": True,
        "ipam": {"config": [{"subnet": f"fd00:{port:x}::/64", "gateway": f"fd00:{port:x}::1"}]},
    }
    networks = {"networks": {"default": ipv6}} if Path("/proc/net/if_inet6").exists() else {}
    server = site.small("server", "server", services=only(web=web(ports=[f"{port}:8000"])))
    client = site.small(
        "client", "client", services=only(web=web(ports=[f"{own_port}:8000"])), compose=networks, firewall=False
    )
    server.deploy().succeeded()
    client.deploy().succeeded()
    yield Pair(server, client, port, own_port)
    drop_rules(client)
    remove_project(site.project)


def test_the_guard(pair: Pair) -> None:
    """Without the guard every gateway leads to the other's port; with it none does, and all else works on."""
    before = {command: of_others(pair.client.prefix, command) for command in COMMANDS}
    assert pair.reached(pair.port) == pair.gateways(), "nothing has to be guarded here, so this test shows nothing"
    assert chain_of(pair.client) == []

    checked = pair.guard(True, "--check", "--diff").succeeded()
    assert "firewall chain" in " ".join(sentences(checked.result("converge")["steps"]))
    assert "REJECT" in checked.output and chain_of(pair.client) == []

    assert pair.guard().succeeded().result("converge")["changed"]
    assert pair.reached(pair.port) == []
    assert pair.reached(pair.own_port) == pair.gateways(), "an own published port is out of reach"
    for place, port in ((pair.client, pair.own_port), (pair.server, pair.port)):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=20) as answer:
            assert answer.read() == b"hello", place.prefix
    assert docker("exec", f"{pair.client.prefix}_web", "getent", "hosts", "web").split()[1:] == ["web"]

    chain = firewall_chain(pair.client.prefix)
    jumps = [line for line in chain_of(pair.client) if f"-j {chain}" in line]
    assert sorted(line.split()[1] for line in jumps) == ["DOCKER-USER", "INPUT"]
    assert all(f'"{pair.client.prefix}: bulkhead' in line for line in chain_of(pair.client)[1:])
    for command, others in before.items():
        assert of_others(pair.client.prefix, command) == others

    rules = chain_of(pair.client)
    assert pair.guard().succeeded().changed == 0
    assert chain_of(pair.client) == rules

    pair.guard(False).succeeded()
    for command, others in before.items():
        assert chain_of(pair.client, command) == [] and of_others(pair.client.prefix, command) == others
    assert pair.reached(pair.port) == pair.gateways()
    assert pair.guard(False).succeeded().changed == 0


def test_the_machine_itself(pair: Pair) -> None:
    """The machine's own ports are closed by the guard, unless they are allowed."""
    pair.guard(False).succeeded()
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as server:
        port = server.getsockname()[1]
        assert pair.reached(port) == pair.gateways()
        pair.guard().succeeded()
        assert pair.reached(port) == []
        pair.client.variables["bulkhead_firewall_allow"] = [str(port)]
        pair.client.deploy().succeeded()
        assert pair.reached(port) == pair.gateways()
    assert pair.reached(pair.port) == []


def test_the_way_out(pair: Pair) -> None:
    """What goes on to another network than this machine's passes, and its answers come back."""
    pair.guard().succeeded()
    name, link = f"{pair.client.prefix}_out", f"bo{pair.port}"
    # A host beyond the machine: a network namespace behind a link that is no bridge of the engine.
    for command in (
        f"ip netns add {name}",
        f"ip link add {link} type veth peer name eth0 netns {name}",
        f"ip addr add 198.51.100.1/30 dev {link}",
        f"ip link set {link} up",
        f"ip -n {name} addr add 198.51.100.2/30 dev eth0",
        f"ip -n {name} link set eth0 up",
    ):
        done = subprocess.run(command.split(), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
            pytest.skip(f"{command}: {done.stderr.strip()}")
    try:
        listen = [sys.executable, "-m", "http.server", "8080", "--directory", os.devnull]
        with subprocess.Popen(["ip", "netns", "exec", name, *listen], stderr=subprocess.DEVNULL) as outside:
            try:
                ask = ["docker", "exec", f"{pair.client.prefix}_web", "python3", "-c", CONNECT, "8080"]
                ask.append("198.51.100.2")
                answered = eventually(lambda: subprocess.run(ask, capture_output=True, text=True, check=True).stdout)
                assert answered.strip() == "198.51.100.2"
            finally:
                outside.kill()
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


def test_rules_that_somebody_took_away(pair: Pair) -> None:
    """Flushed and shadowed rules are seen, and put back by the next deployment."""
    pair.guard().succeeded()
    chain, as_wanted = firewall_chain(pair.client.prefix), sorted(chain_of(pair.client))
    # For this environment's packets only: the guards of other tests' environments stand below.
    bridge = shlex.split(next(line for line in chain_of(pair.client) if line.startswith("-A INPUT")))[3]
    shadow = ["INPUT", "-i", bridge, "-m", "comment", "--comment", f"{pair.client.prefix} by hand", "-j", "ACCEPT"]
    subprocess.run(["iptables", *WAIT, "-F", chain], check=True)
    subprocess.run(["iptables", *WAIT, "-I", *shadow], check=True)
    try:
        assert pair.reached(pair.port) != []
        seen = pair.client.site.play("-l", "client", playbook="playbooks/verify.yml").succeeded()
        assert f"The guard in the firewall (chain {chain}) was changed" in " ".join(seen.output.split())
        assert "firewall chain" in " ".join(sentences(pair.guard().succeeded().result("converge")["steps"]))
        assert pair.reached(pair.port) == []
        assert sorted(chain_of(pair.client)) == as_wanted
    finally:
        subprocess.run(["iptables", *WAIT, "-D", *shadow], check=True)


def test_before_the_first_start(pair: Pair) -> None:
    """The rules are there when the first container starts, and a failed first deployment leaves none behind."""
    # In an address as it is written the proof would see the engine's own network.
    spelled = "import sys\nsys.argv[2:] = [text.replace('_', '.') for text in sys.argv[2:]]"
    program = f"{spelled}\n{CONNECT}\nprint('tried to get out', flush=True)"
    early = web(command=["python3", "-u", "-c", program, str(pair.port), pair.gateways()[-1].replace(".", "_")])
    client = pair.server.site.small("early", "early", services=only(web=early), firewall=True)
    try:
        error = client.deploy().error
        assert "tried to get out" in error and pair.gateways()[-1] not in error, error
        assert chain_of(client) == []
        assert not docker("network", "ls", "--quiet", "--filter", f"name=^{client.prefix}_network$").strip()
    finally:
        del pair.server.site.places["early"]
        drop_rules(client)
