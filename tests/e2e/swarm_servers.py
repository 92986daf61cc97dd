# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Servers that can make a swarm: containers with an engine of their own and sshd, on a network that only they have.

What was seen to work on them: overlay networks over all of them, with ``--endpoint-mode dnsrr``. A kernel without IPVS
has neither virtual addresses nor the ingress mesh: there, publish ports in host mode, on the servers' own addresses.

Three of them are up after 10 s on two busy cores, each with 40 MiB; in a swarm a manager takes 75 MiB, a worker 47.
"""

from __future__ import annotations

import random
import secrets
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from observe import eventually
from support import ROOT, docker

NODE_IMAGE = "bulkhead-test/swarm-node:trixie"
#: Everything that these tests make carries it, with the name of the swarm.
LABEL = "io.bulkhead.test.swarm"

#: A server's rights: all, or as many as an engine has that lacks one itself.
_RIGHTS = (
    ["--privileged"],
    [
        *("--cap-add=ALL", "--cap-drop=SYS_RESOURCE"),
        *(f"--security-opt={option}=unconfined" for option in ("seccomp", "apparmor", "systempaths")),
    ],
)


@dataclass
class SwarmServer:
    """One server: ``name`` is its host name, ``address`` its only address, ``container`` the id of its container."""

    name: str
    container: str
    address: str
    variables: dict[str, Any] = field(default_factory=dict)

    def run(self, *command: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command on it as root."""
        argv = ["docker", "exec", *(["--interactive"] if given is not None else []), self.container, *command]
        return subprocess.run(argv, input=given, capture_output=True, text=True, check=False)

    def docker(self, *arguments: str, check: bool = True) -> str:
        """Ask its engine, and return what that says."""
        done = self.run("docker", *arguments)
        if check and done.returncode != 0:
            raise AssertionError(f"{self.name}: docker {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout.strip()

    def update_node(self, *arguments: str) -> None:
        """Ask a manager to change a node. The client names the version of the node that it read, which the swarm itself
        may have replaced meanwhile."""
        for _attempt in range(5):
            done = self.run("docker", "node", "update", *arguments)
            if "out of sequence" not in done.stderr:
                break
        assert done.returncode == 0, f"{self.name}: docker node update {' '.join(arguments)}: {done.stderr.strip()}"

    def up(self) -> bool:
        """Whether its engine answers."""
        return self.run("docker", "version").returncode == 0

    def kill(self) -> None:
        """Cut its power: nothing of it gets a chance to say good-bye."""
        docker("kill", self.container)

    def start(self) -> None:
        """Start it again with the disk that it had, and wait for its engine."""
        docker("start", self.container)
        eventually(self.up, 60)

    def stop_engine(self) -> None:
        """Stop its engine and leave the server up."""
        self.run("sh", "-c", "touch /run/engine-stopped && kill -9 $(cat /run/docker.pid)")

    def start_engine(self) -> None:
        """Start its engine again, and wait until it answers."""
        self.run("rm", "-f", "/run/engine-stopped")
        eventually(self.up, 60)

    def block(self, protocol: str, port: int, source: str = "") -> None:
        """Have its firewall drop what comes to a port, from everywhere or from one address."""
        whence = ["--source", source] if source else []
        rule = [*whence, "--protocol", protocol, "--dport", str(port), "--jump", "DROP"]
        done = self.run("iptables", "--wait", "--insert", "INPUT", *rule)
        assert done.returncode == 0, done.stderr

    def unblock(self) -> None:
        """Take all of that back."""
        self.run("iptables", "--wait", "--flush", "INPUT")

    def load(self, *images: str) -> None:
        """Give its engine images that the machine's engine has."""
        with subprocess.Popen(["docker", "save", *images], stdout=subprocess.PIPE) as saving:
            command = ["docker", "exec", "--interactive", self.container, "docker", "load", "--quiet"]
            subprocess.run(command, stdin=saving.stdout, stdout=subprocess.DEVNULL, check=True)


@dataclass
class SwarmServers:
    """Some servers on one network. ``name`` is nobody else's."""

    name: str
    directory: Path
    network: str
    subnet: str
    images: Sequence[str] = ()
    members: list[SwarmServer] = field(default_factory=list)
    made: int = 0

    def __iter__(self) -> Iterator[SwarmServer]:
        return iter(self.members)

    def __getitem__(self, number: int) -> SwarmServer:
        return self.members[number]

    def named(self, name: str) -> SwarmServer:
        """The server of a name."""
        return next(server for server in self.members if server.name == name)

    def add(self, *names: str) -> list[SwarmServer]:
        """Start more servers at the same time; returns those."""
        with ThreadPoolExecutor(max_workers=4) as pool:
            made = list(pool.map(self._start, names, range(self.made + 2, self.made + 2 + len(names))))
        self.members += made
        self.made += len(names)
        lines = [f"{server.address} {server.run('cat', _HOST_KEY).stdout.strip()}\n" for server in self.members]
        (self.directory / "known_hosts").write_text("".join(lines))
        return made

    def form(self, managers: int = 1) -> None:
        """Make a swarm of them without Bulkhead: the first ones are managers."""
        leader = self.members[0]
        leader.docker("swarm", "init", "--advertise-addr", leader.address)
        for number, server in enumerate(self.members[1:], 1):
            token = leader.docker("swarm", "join-token", "--quiet", "manager" if number < managers else "worker")
            server.docker("swarm", "join", "--token", token, f"{leader.address}:2377")

    def remove(self, server: SwarmServer) -> None:
        """Destroy a server with its disk."""
        docker("rm", "--force", "--volumes", server.container)
        self.members.remove(server)

    def end(self) -> None:
        """Remove everything, by its id."""
        for server in [*self.members]:
            self.remove(server)
        left = docker("ps", "--all", "--quiet", "--filter", f"label={LABEL}={self.name}").split()
        if left:  # did not come up
            docker("rm", "--force", "--volumes", *left, check=False)
        docker("network", "rm", self.network)

    def memory(self) -> dict[str, str]:
        """How much memory each server has taken, as the engine words it."""
        ids = [server.container for server in self.members]
        said = docker("stats", "--no-stream", "--no-trunc", "--format", "{{.ID}} {{.MemUsage}}", *ids)
        used = dict(line.split(maxsplit=1) for line in said.splitlines())
        return {server.name: used[server.container].partition(" /")[0] for server in self.members}

    def _start(self, name: str, number: int) -> SwarmServer:
        address = f"{self.subnet}.{number}"  # its own: it keeps it when it is started again
        how = ["--hostname", name, "--name", f"{self.name}-{name}", "--network", self.network, "--ip", address]
        how += ["--label", f"{LABEL}={self.name}", "--cgroupns", "private", "--volume", "/var/lib/docker"]
        how += ["--tmpfs", "/run", "--cpu-shares", "512"]
        for rights in _RIGHTS:
            container = docker("run", "--detach", *how, *rights, NODE_IMAGE, check=False).strip()
            if container:
                break
            docker("rm", "--force", "--volumes", f"{self.name}-{name}", check=False)
        assert container, f"the server {name} could not be started: {docker('run', '--rm', *how, NODE_IMAGE)}"
        server = SwarmServer(name, container, address)
        eventually(server.up, 60)
        key = (self.directory / "key.pub").read_text()
        script = "install -d -m 700 /root/.ssh && cat >/root/.ssh/authorized_keys"
        assert server.run("sh", "-c", script, given=key).returncode == 0
        server.variables = {
            "ansible_host": server.address,
            "ansible_user": "root",
            "ansible_python_interpreter": "/usr/bin/python3",
            "ansible_ssh_private_key_file": str(self.directory / "key"),
            # A connection that an earlier run left open must notice that its server was killed.
            "ansible_ssh_common_args": f"-o UserKnownHostsFile={self.directory / 'known_hosts'} {_ALIVE}",
        }
        if self.images:
            server.load(*self.images)
        return server


_ALIVE = "-o ServerAliveInterval=3 -o ServerAliveCountMax=2"
_HOST_KEY = "/etc/ssh/ssh_host_ed25519_key.pub"


def _network(name: str) -> tuple[str, str]:
    """A network outside of what a swarm gives its overlays: its id, and how its addresses begin."""
    label = f"{LABEL}={name}"
    for _try in range(20):
        subnet = f"192.168.{random.randrange(1, 255)}"
        made = docker("network", "create", "--label", label, "--subnet", f"{subnet}.0/24", name, check=False)
        if made:
            return made.strip(), subnet
    raise AssertionError("no network is free between 192.168.1.0 and 192.168.255.0")


@contextmanager
def swarm_servers(directory: Path, count: int = 3, images: Sequence[str] = ()) -> Iterator[SwarmServers]:
    """Some servers, whose engines have some of the machine's images. ``directory`` gets their key and host keys.

    Each server's ``variables`` are what an inventory says to reach it by ssh.
    """
    if subprocess.run(["docker", "version"], capture_output=True, check=False).returncode != 0:
        pytest.skip("servers that are containers need a Docker engine")
    subprocess.run([sys.executable, str(ROOT / "tests/images/servers.py"), "--only", "node"], check=True)
    name = f"e2eswarm{secrets.token_hex(3)}"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(directory / "key")], check=True)
    made = SwarmServers(name, directory, *_network(name), images)
    try:
        made.add(*(f"node{number}" for number in range(1, count + 1)))
        yield made
    finally:
        made.end()
