# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a container of an environment reaches of the machine and its cloud, with the variables at their defaults."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.engine import Engine
from ansible_collections.aiia.bulkhead.plugins.module_utils.host import firewall_boot
from ansible_collections.aiia.bulkhead.plugins.module_utils.host.firewall import Firewall
from ansible_collections.aiia.bulkhead.plugins.module_utils.host.firewall_rules import chain_rules, jumps
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.naming import firewall_chain
from filter_table import WAIT, chain_of, drop_rules, filter_rules, of_others, unable
from observe import eventually
from support import IMAGE, Place, Site, docker, free_port, only, web

pytestmark = pytest.mark.skipif(bool(unable()), reason=f"no firewall rules here: {unable()}")

METADATA = "169.254.169.254"

#: Says which of the addresses (address=port) accept a connection.
CONNECT = """
import socket, sys
for target in sys.argv[1:]:
    address, port = target.split("=")
    try:
        socket.create_connection((address, int(port)), 5).close()
        print(target, flush=True)
    except OSError:
        pass
"""


def reached(container: str, targets: list[str]) -> list[str]:
    """The targets to which a container can connect."""
    return docker("exec", container, "python3", "-c", CONNECT, *targets).split()


def gateway_of(network: str) -> str:
    """The machine's own address in a network."""
    return str(json.loads(docker("network", "inspect", network))[0]["IPAM"]["Config"][0]["Gateway"])


@contextmanager
def cloud(name: str) -> Iterator[None]:
    """A network namespace beyond the machine that answers at the metadata address."""
    link = f"md{os.getpid() % 1000000}"
    commands = (
        f"ip netns add {name}",
        f"ip link add {link} type veth peer name eth0 netns {name}",
        f"ip addr add 198.51.100.5/30 dev {link}",
        f"ip link set {link} up",
        f"ip -n {name} addr add 198.51.100.6/30 dev eth0",
        f"ip -n {name} link set eth0 up",
        f"ip -n {name} link set lo up",
        f"ip -n {name} addr add {METADATA}/32 dev lo",
        f"ip route add {METADATA}/32 via 198.51.100.6 dev {link}",
    )
    try:
        for command in commands:
            done = subprocess.run(command.split(), capture_output=True, text=True, check=False)
            if done.returncode != 0:
                pytest.skip(f"{command}: {done.stderr.strip()}")
        serve = [sys.executable, "-m", "http.server", "80", "--directory", os.devnull]
        with subprocess.Popen(["ip", "netns", "exec", name, *serve], stderr=subprocess.DEVNULL) as server:
            try:
                yield
            finally:
                server.kill()
    finally:
        subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


@pytest.fixture
def outsider(site: Site) -> Iterator[str]:
    """A container of no environment, on a network of its own: the control."""
    name = f"{site.project}-outsider"
    docker("network", "create", "--label", f"io.bulkhead.project={site.project}", name)
    label = ["--label", f"io.bulkhead.project={site.project}"]
    docker("run", "--detach", "--name", name, "--network", name, *label, "--init", IMAGE, "sleep", "600")
    yield name


def test_metadata_and_the_machine(site: Site, outsider: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither answers a container of staging, unlike one of no environment. So it is after a reboot, for which the
    unit's command stands in. What an environment left that is gone does not stay in the firewall."""
    port = free_port()
    staging = site.small("staging", "staging", services=only(web=web(ports=[f"127.0.0.1:{port}:8000"])))
    gone = dead_guard(site)
    run = staging.deploy().succeeded()
    assert filter_rules() and not [rule for rule in filter_rules() if gone in rule], "it would stay for ever"
    assert "firewall chain" in json.dumps(run.result("converge")["steps"])
    inside = f"{staging.prefix}_web"
    with (
        cloud(f"{site.project}-cloud"),
        socket.create_server(("0.0.0.0", 0)) as server,
    ):
        own, machine = gateway_of(f"{staging.prefix}_network"), server.getsockname()[1]
        others = [gateway_of(outsider), gateway_of("bridge")]
        targets = [f"{METADATA}=80", *(f"{address}={machine}" for address in (own, *others))]
        assert eventually(lambda: reached(outsider, targets) == targets), reached(outsider, targets)
        assert reached(inside, targets) == []
        assert reached(inside, ["web=8000"]) == ["web=8000"]

        before, deployed = of_others(staging.prefix), sorted(chain_of(staging))
        drop_rules(staging)
        assert reached(inside, targets) == targets, "without the guard all of it is in reach"
        start = boot_command(staging, tmp_path, monkeypatch)
        drop_rules(staging)
        for _twice in range(2):
            subprocess.run(start, check=True)
        assert reached(inside, targets) == [] and reached(inside, ["web=8000"]) == ["web=8000"]
        assert of_others(staging.prefix) == before and sorted(chain_of(staging)) == deployed


def dead_guard(site: Site) -> str:
    """The guard of an environment whose network was removed by hand. Returns its chain."""
    prefix, bridge = f"{site.project}_gone", "br-gone00000000"
    chain = firewall_chain(prefix)
    rules = [f":{chain} - [0:0]", *chain_rules(4, chain, prefix, [bridge], [])]
    jump = jumps(chain, prefix, [bridge], ["INPUT"])["INPUT"][0]
    text = "\n".join(["*filter", *rules, f"-I INPUT 1 {jump}", "COMMIT", ""])
    subprocess.run(["iptables-restore", *WAIT, "--noflush"], input=text, text=True, check=True)
    return chain


def boot_command(place: Place, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What systemd runs for an environment when the machine starts, written by the code that a deployment runs, as on a
    machine with systemd."""
    (folder / "systemd").mkdir()
    (folder / "units").mkdir()
    monkeypatch.setattr(firewall_boot, "SYSTEMD", str(folder / "systemd"))
    monkeypatch.setattr(firewall_boot, "UNITS", str(folder / "units"))
    monkeypatch.setattr(firewall_boot, "SCRIPTS", str(folder / "scripts"))
    monkeypatch.setattr(firewall_boot.BootGuard, "_systemctl", lambda _self, *_args: None)
    with patch_module_args({}):
        engine = Engine(AnsibleModule(argument_spec={}), "unix:///var/run/docker.sock")
    chain = firewall_chain(place.prefix)
    Firewall(engine, place.prefix, chain, [f"{place.prefix}_network"], [], str(folder / "state")).apply([])
    unit = (folder / "units" / f"bulkhead-{place.prefix}-guard.service").read_text(encoding="utf-8")
    found = re.search(r'^ExecStart=(\S+) "(.+)"$', unit, re.MULTILINE)
    assert found
    return [found[1], found[2]]
