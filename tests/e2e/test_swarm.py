# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role ``swarm`` on servers of a test's own: formed, extended, mended, and left alone where something is wrong.

One swarm for the whole file, from the first test to the last; each test leaves it as the next one finds it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from support import ROOT, Run, Site
from swarm_servers import SwarmServer, SwarmServers, swarm_servers

PLAYBOOK = ROOT / "playbooks/swarm.yml"


class Group:
    """The inventory group of some servers: ``hosts`` has what it says of each beside how to reach it."""

    def __init__(self, servers: SwarmServers, directory: Path) -> None:
        self.servers = servers
        self.site = Site(directory, servers.name)
        self.hosts: dict[str, dict[str, Any]] = {}
        self.common: dict[str, Any] = {}

    def bring(self, *arguments: str, **options: Any) -> Run:
        """Run the playbook."""
        reached = {server.name: server.variables for server in self.servers}
        lost = {"ansible_host": "127.77.0.77", "ansible_timeout": 2}
        hosts = {
            name: {
                **reached.get(name, lost),
                **{f"bulkhead_swarm_{key}": value for key, value in said.items() if not key.startswith("ansible_")},
                **{key: value for key, value in said.items() if key.startswith("ansible_")},
            }
            for name, said in self.hosts.items()
        }
        inventory = {"swarm": {"hosts": hosts, "vars": self.common}}
        self.site.inventory.mkdir(parents=True, exist_ok=True)
        (self.site.inventory / "hosts.yml").write_text(yaml.safe_dump(inventory))
        return self.site.play(*arguments, playbook=PLAYBOOK, write=False, **options)

    def nodes(self, manager: SwarmServer) -> dict[str, dict[str, Any]]:
        """The swarm's nodes by their whole ids, as a manager has them."""
        ids = manager.docker("node", "ls", "--quiet").split()
        return {node["ID"]: node for node in json.loads(manager.docker("node", "inspect", *ids))}


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Group]:
    """Three servers that are in no swarm yet."""
    directory = tmp_path_factory.mktemp("swarm")
    with swarm_servers(directory) as servers:
        made = Group(servers, directory)
        made.hosts = {"node1": {"role": "manager"}, "node2": {"role": "worker"}, "node3": {"role": "worker"}}
        yield made


def test_form(group: Group) -> None:
    group.hosts["node2"]["labels"] = {"disk": "ssd"}
    planned = group.bring("--check").succeeded()
    print(planned.output)
    assert group.servers[0].docker("info", "--format", "{{.Swarm.LocalNodeState}}") == "inactive"
    done = group.bring().succeeded()
    print(done.output)
    print(group.servers[0].docker("node", "ls"))
    again = group.bring().succeeded()
    print(again.output, again.seconds)
    assert again.changed == 0
    assert 0
