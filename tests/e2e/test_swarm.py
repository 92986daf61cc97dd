# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role ``swarm`` on servers of a test's own: formed, extended, mended, and left alone where something is wrong. On
the swarm that it formed, a stack is deployed.

One swarm for the whole file; each test finds it as the one before left it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible_collections.aiia.bulkhead.plugins.module_utils.edge import places
from container_registry import ContainerRegistry, container_registry
from observe import ProcessArguments, eventually
from stack_doors import NEAR_DOMAIN, behind_doors, compose_behind_door, give_doors, route_of, state_of
from steady_client import ask
from support import ROOT, Place, Run, Site
from swarm_servers import SwarmServer, SwarmServers, swarm_servers
from swarm_stack import (
    DOMAIN,
    HTTPS,
    NEAR,
    SHELL,
    alone,
    commit,
    compose_place,
    play,
    site_of,
    stack_place,
    steady_requests,
)

PREFIX = "io.bulkhead.prefix"
PLAYBOOK = ROOT / "playbooks/swarm.yml"
#: A Python whose clock is ten minutes ahead.
EARLY = """#!/bin/sh
export LD_PRELOAD=$(echo /usr/lib/*/faketime/libfaketimeMT.so.1) FAKETIME=+600 FAKETIME_DONT_FAKE_MONOTONIC=1
exec /usr/bin/python3 "$@"
"""


class Group:
    """The inventory group of some servers: ``hosts`` has what it says of each beside how to reach it."""

    def __init__(self, servers: SwarmServers, directory: Path) -> None:
        self.servers = servers
        self.site = Site(directory, servers.name)
        self.hosts: dict[str, dict[str, Any]] = {}
        self.common: dict[str, Any] = {}

    def bring(self, *arguments: str) -> Run:
        """Run the playbook."""
        reached = {server.name: {**server.variables, "ansible_timeout": 5} for server in self.servers}
        hosts = {name: {**reached[name], **_named(said)} for name, said in self.hosts.items()}
        inventory = {"swarm": {"hosts": hosts, "vars": _named(self.common)}}
        self.site.inventory.mkdir(parents=True, exist_ok=True)
        (self.site.inventory / "hosts.yml").write_text(yaml.safe_dump(inventory))
        return self.site.play(*arguments, playbook=PLAYBOOK, write=False)

    def refused(self, *arguments: str) -> str:
        """The one error of a run that changes nothing."""
        run = self.bring(*arguments)
        assert run.changed == 0, run.output
        return run.error

    def nodes(self, manager: str) -> dict[str, dict[str, Any]]:
        """The swarm's nodes by their host names, as a manager has them. One that is down does not count."""
        asked = self.servers.named(manager)
        found = json.loads(asked.docker("node", "inspect", *asked.docker("node", "ls", "--quiet").split()))
        return {each["Description"]["Hostname"]: each for each in found if each["Status"]["State"] == "ready"}

    def tasks(self, manager: str) -> dict[str, str]:
        """Which tasks of the service run, each with its node."""
        said = self.servers.named(manager).docker(
            "service", "ps", "steady", "--no-trunc", "--filter", "desired-state=running", "--format",
            "{{.ID}} {{.Node}} {{.CurrentState}}",
        )  # fmt: skip
        rows = [line.split() for line in said.splitlines()]
        return {task: node for task, node, state, *_since in rows if state == "Running"}


def _named(said: dict[str, Any]) -> dict[str, Any]:
    return {key if key.startswith("ansible_") else f"bulkhead_swarm_{key}": value for key, value in said.items()}


def give_image(server: SwarmServer) -> None:
    """The smallest image, which no registry has to have."""
    done = server.run("sh", "-c", "tar -C / -c bin/busybox | docker import - tiny")
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Group]:
    """Three servers that are in no swarm yet."""
    directory = tmp_path_factory.mktemp("swarm")
    with swarm_servers(directory) as servers:
        made = Group(servers, directory)
        made.hosts = {"node1": {"role": "manager"}, "node2": {"role": "worker"}, "node3": {"role": "worker"}}
        for server in servers:
            give_image(server)
        yield made


def test_form(group: Group) -> None:
    group.hosts["node2"]["labels"] = {"disk": "ssd"}
    planned = group.bring("--check").succeeded()
    assert "swarm: begin the swarm on node1" in planned.output and planned.changed == 1
    assert "swarm: set up node2; label disk=ssd" in planned.output
    assert group.servers[0].docker("info", "--format", "{{.Swarm.LocalNodeState}}") == "inactive"

    with ProcessArguments(["SWMTKN-"]) as arguments:
        done = group.bring("-vvv").succeeded()
    assert arguments.rounds > 10 and not arguments.seen
    assert "SWMTKN-" not in done.output and not any("SWMTKN-" in str(task.result) for task in done.tasks)
    nodes = group.nodes("node1")
    assert {name: node["Spec"]["Role"] for name, node in nodes.items()} == {
        "node1": "manager", "node2": "worker", "node3": "worker",
    }  # fmt: skip
    assert nodes["node2"]["Spec"]["Labels"]["disk"] == "ssd"
    assert nodes["node3"]["Spec"]["Labels"] == {}

    again = group.bring().succeeded()
    assert again.changed == 0
    assert group.nodes("node1").keys() == nodes.keys()
    # It listens on its own address alone.
    assert f"{group.servers[0].address}:2377" in group.servers[0].run("ss", "--listening", "--tcp", "--numeric").stdout
    group.servers[0].docker(
        "service", "create", "--detach", "--quiet", "--no-resolve-image", "--name", "steady", "--replicas", "4",
        "tiny", "/bin/busybox", "sleep", "100000",
    )  # fmt: skip
    eventually(lambda: len(group.tasks("node1")) == 4, 60)


@pytest.fixture(scope="module")
def registry(group: Group, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ContainerRegistry]:
    """A registry that the swarm's nodes reach."""
    with container_registry(tmp_path_factory.mktemp("images") / "registry", f"{group.servers.subnet}.1") as made:
        yield made


@pytest.fixture(scope="module")
def stack(group: Group, registry: ContainerRegistry, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """An environment on the swarm, which is not deployed yet; its data is to be on node1."""
    return stack_place(group.servers, registry, tmp_path_factory.mktemp("stack") / "site")


def services(group: Group, place: Place, manager: str = "node1") -> dict[str, str]:
    """The ids of the stack's services, by name."""
    said = group.servers.named(manager).docker(
        "service", "ls", "--filter", f"label=com.docker.stack.namespace={place.prefix}", "--format", "{{.Name}} {{.ID}}"
    )
    return dict(line.split() for line in said.splitlines())


def running(group: Group, place: Place, key: str) -> dict[str, str]:
    """The tasks of a service that run, each with its node."""
    said = group.servers[0].docker(
        "service", "ps", f"{place.prefix}_{key}", "--no-trunc", "--filter", "desired-state=running", "--format",
        "{{.ID}} {{.Node}}",
    )  # fmt: skip
    return dict(line.split() for line in said.splitlines())


def test_a_stack_is_deployed(group: Group, stack: Place) -> None:
    """Refused while no node has the data; then deployed, others unchanged; and a second time with nothing to do."""
    manager = group.servers[0]
    error = stack.deploy().error
    assert "data-node" in error and f"No node has the label io.bulkhead.data.{stack.prefix}=true" in error
    assert services(group, stack) == {}
    manager.update_node("--label-add", f"io.bulkhead.data.{stack.prefix}=true", "node1")

    planned = stack.deploy("--check").succeeded()
    assert "create django_prod" in planned.output and services(group, stack) == {}
    assert "prepare django_prod: /bin/busybox echo migrated" in planned.output
    bystanders = group.tasks("node1")
    password = stack.secrets["bulkhead_secrets"]["REGISTRY_PASSWORD"]
    with ProcessArguments([password]) as arguments:
        done = stack.deploy().succeeded()
    assert not arguments.seen and password not in done.output
    assert {name.removeprefix(f"{stack.prefix}_") for name in services(group, stack)} == {
        "django_prod",
        "nginx",
        "redis",
    }
    assert set(running(group, stack, "nginx").values()) == {"node1", "node2", "node3"}
    assert set(running(group, stack, "redis").values()) == {"node1"}
    assert len(running(group, stack, "django_prod")) == 2
    assert group.tasks("node1") == bystanders
    for server in group.servers:
        assert ask(server.address, HTTPS, DOMAIN)[0] == 200
    tasks = running(group, stack, "django_prod") | running(group, stack, "nginx")

    again = stack.deploy().succeeded()
    assert again.changed == 0, again.output
    assert running(group, stack, "django_prod") | running(group, stack, "nginx") == tasks
    assert stack.deploy("--check").succeeded().changed == 0


def test_a_release_of_a_stack(group: Group, stack: Place) -> None:
    """A changed setting, a failed release, a return and a drained node, with requests all the while."""
    addresses = [server.address for server in group.servers]
    nginx = running(group, stack, "nginx")
    with steady_requests(*addresses[:2]) as requests:
        stack.variables["bulkhead_env"]["SAY"] = "changed"
        done = stack.deploy().succeeded()
        assert "update django_prod" in done.output and "update nginx" not in done.output
        first = running(group, stack, "django_prod")

        stack.variables["bulkhead_services"]["django"]["command"] = [*SHELL, "echo the disk is gone; exit 3"]
        error = stack.deploy().error
        assert "the engine rolled it back" in error and "the disk is gone" in error
        del stack.variables["bulkhead_services"]["django"]["command"]
        assert set(running(group, stack, "django_prod")) & set(first)

        done = play(stack, "rollback").succeeded()
        assert done.changed == 1
        group.servers[0].update_node("--availability", "drain", "node3")
        eventually(lambda: "node3" not in running(group, stack, "django_prod").values(), 60)
        eventually(lambda: len(running(group, stack, "django_prod")) == 2, 60)
        group.servers[0].update_node("--availability", "active", "node3")
    assert requests.failed == [] and requests.served > 50
    assert set(running(group, stack, "nginx")) >= {task for task, node in nginx.items() if node != "node3"}
    assert play(stack, "releases").succeeded().output.count("\n* ") == 1
    logs = play(stack, "logs", "-e", "bulkhead_service=django", "-e", "bulkhead_follow=2").succeeded().output
    assert "serving" in logs and f"== {stack.prefix}_django_prod.1@node" in logs
    assert "2 of 2 tasks" in play(stack, "services").succeeded().output
    said = play(stack, "shell", "-e", "bulkhead_service=django", "-e", "bulkhead_command='/bin/busybox echo $SAY'")
    assert "$SAY" in said.succeeded().output
    assert "; isolated" in play(stack, "verify").succeeded().output


@pytest.mark.full  # a minute
def test_an_environment_of_compose_beside_it(group: Group, stack: Place) -> None:
    """Each is deployed while the other runs, and leaves it alone. Ports that both want are refused before."""
    server = group.servers.named("node2")
    near = compose_place(stack, server)
    tasks = running(group, stack, "django_prod") | running(group, stack, "nginx")
    done = near.deploy().succeeded()
    assert stack.prefix in done.result("verify")["receipt"]["bystanders"]
    assert running(group, stack, "django_prod") | running(group, stack, "nginx") == tasks
    container = server.docker("ps", "--quiet", "--no-trunc", "--filter", f"name={near.prefix}_web")

    stack.variables["bulkhead_env"]["SAY"] = "beside"
    receipt = stack.deploy().succeeded().result("verify")["receipt"]
    assert near.prefix in receipt["bystanders"] and receipt["bystander_changes"] == []
    assert all(receipt["probed"][what] for what in ("containers", "addresses", "names"))
    assert server.docker("ps", "--quiet", "--no-trunc", "--filter", f"name={near.prefix}_web") == container

    web = near.variables["bulkhead_services"]["web"]
    web["ports"] = [f"{NEAR}:8000"]
    near.deploy().succeeded()
    said = play(stack, "verify")
    assert "foreign-port-connects" in said.error and f":{NEAR} of {near.prefix}" in said.output
    web["ports"] = [f"{HTTPS}:8000"]
    before = server.docker("ps", "--quiet", "--no-trunc", "--filter", f"name={near.prefix}_web")
    refused = near.deploy()
    assert f"port {HTTPS}" in refused.error + refused.output and refused.changed == 0
    assert server.docker("ps", "--quiet", "--no-trunc", "--filter", f"name={near.prefix}_web") == before
    web["ports"] = [f"127.0.0.1:{NEAR}:8000"]
    play(near, "destroy", "-e", f"bulkhead_confirm={near.prefix}").succeeded()
    alone(stack)


@pytest.mark.full  # a minute
def test_images_that_no_release_needs(group: Group, stack: Place) -> None:
    """They go from all nodes, once no container of an ended task has them."""
    manager = group.servers[0]
    listing = ("image", "ls", "--digests", "--format", "{{.Digest}}", "--filter", f"label={PREFIX}={stack.prefix}")

    def images() -> list[set[str]]:
        return [set(server.docker(*listing).split()) for server in group.servers]

    manager.docker("swarm", "update", "--task-history-limit", "0")
    stack.variables["bulkhead_keep_releases"] = 1
    (first,) = images()[0]
    for word in ("one", "two"):
        commit(manager, word)
        stack.deploy().succeeded()
    assert all(first not in found for found in images())
    # Of the release before, a task may have been there until now.
    assert len(images()[0]) in (1, 2)
    manager.docker("swarm", "update", "--task-history-limit", "5")
    del stack.variables["bulkhead_keep_releases"]


@pytest.mark.full  # four minutes
def test_ten_releases_and_a_killed_worker(group: Group, stack: Place) -> None:
    """No release fails a request. A worker without power takes no more with it than what was on its way there."""
    with steady_requests(*(server.address for server in group.servers)) as requests:
        for number in range(10):
            stack.variables["bulkhead_env"]["SAY"] = f"release {number}"
            assert "update django_prod" in stack.deploy().succeeded().output
    print(f"{requests.served} requests in ten releases")
    assert requests.failed == [] and requests.served > 500

    name = next(node for node in running(group, stack, "django_prod").values() if node != "node1")
    killed = group.servers.named(name)
    others = [server.address for server in group.servers if server is not killed]
    with steady_requests(*others) as requests:
        eventually(lambda: requests.served > 20, 20)
        killed.kill()
        eventually(lambda: sum(node != name for node in running(group, stack, "django_prod").values()) == 2, 60)
        served = requests.served
        eventually(lambda: requests.served > served + 100, 60)
    killed.start()
    eventually(lambda: name in group.nodes("node1"), 60)
    print(f"{requests.served} requests with a killed worker, failed: {requests.failed}")
    assert len(requests.failed) <= len(others), requests.failed


def test_behind_the_front_doors_of_its_nodes(group: Group, stack: Place, registry: ContainerRegistry) -> None:
    """A stack leaves its own ports for the doors of its nodes, and an environment of Compose is behind one of them as
    well. No other environment's route changes, and a door that is killed leads to both again."""
    give_doors(stack, registry)
    second = group.servers[1]
    near = compose_behind_door(stack, second, registry)
    near.deploy().succeeded()
    beside = route_of(stack, second, near.prefix)
    assert beside[0] and len(beside[1]) == 1
    others = [route_of(stack, server) for server in group.servers]
    assert all(len(live) == 1 for _disk, live in others)
    behind_doors(stack, registry)
    stack.deploy().succeeded()
    assert set(running(group, stack, "relay").values()) == {"node1", "node2", "node3"}
    for server in group.servers:
        assert ask(server.address, 443, DOMAIN)[0] == 200
        with pytest.raises(OSError):
            ask(server.address, 443, "unknown.example.com")
        with pytest.raises(OSError):
            ask(server.address, HTTPS, DOMAIN)
    # Not by `docker service logs`, which waits for ever for tasks of a node that was killed.
    logs = [
        server.docker("logs", task)
        for server in group.servers
        for task in server.docker("ps", "--quiet", "--filter", f"name={stack.prefix}_nginx").split()
    ]
    assert f"{group.servers.subnet}.1 - " in "".join(logs)
    assert [route_of(stack, server) for server in group.servers] == others
    assert route_of(stack, second, near.prefix) == beside

    own = route_of(stack, second, stack.prefix)
    near.variables["bulkhead_edge_connections"] = 700
    receipt = near.deploy().succeeded().result("verify")["receipt"]
    assert stack.prefix in receipt["bystanders"] and receipt["bystander_changes"] == []
    assert route_of(stack, second, near.prefix) != beside and route_of(stack, second, stack.prefix) == own
    for domain, prefix in ((DOMAIN, stack.prefix), (NEAR_DOMAIN, near.prefix)):
        status, headers = ask(second.address, 443, domain)
        assert (status, headers["x-environment"]) == (200, prefix)

    door = second.docker("ps", "--quiet", "--filter", "label=io.bulkhead.edge")
    second.run("kill", "-9", second.docker("inspect", "--format", "{{.State.Pid}}", door))
    eventually(lambda: _answers(second.address), 20)
    assert ask(second.address, 443, NEAR_DOMAIN)[0] == 200
    assert stack.deploy("--check").succeeded().changed == 0


@pytest.mark.full  # a minute
def test_a_release_behind_front_doors(group: Group, stack: Place) -> None:
    """No request fails while nginx and relays are replaced, and while a node with both is drained."""
    first, second, third = group.servers
    others = [route_of(stack, server) for server in group.servers]
    before = running(group, stack, "nginx") | running(group, stack, "relay")
    with steady_requests(first.address, second.address, port=443) as requests:
        stack.variables |= {"bulkhead_nginx_body_size": "30m", "bulkhead_edge_connections": 900}
        stack.deploy().succeeded()
        assert not before.keys() & (running(group, stack, "nginx") | running(group, stack, "relay")).keys()
        first.update_node("--availability", "drain", "node3")
        eventually(lambda: set(running(group, stack, "nginx").values()) == {"node1", "node2"}, 60)
        eventually(lambda: len(running(group, stack, "django_prod")) == 2, 60)
        first.update_node("--availability", "active", "node3")
        eventually(lambda: _answers(third.address), 60)
    print(f"{requests.served} requests through two front doors")
    assert requests.failed == [] and requests.served > 100
    assert [route_of(stack, server) for server in group.servers] == others
    play(stack, "verify").succeeded()


def _answers(address: str) -> bool:
    with suppress(OSError):
        return ask(address, 443, DOMAIN)[0] == 200
    return False


@pytest.mark.full  # a minute
def test_a_node_with_a_front_door_is_lost(group: Group, stack: Place) -> None:
    """No request at the other doors fails. Once its own door is set up again after the boot, it leads to the stack."""
    third = group.servers[2]
    with steady_requests(*(server.address for server in group.servers.members[:2]), port=443) as requests:
        eventually(lambda: requests.served > 20, 20)
        third.kill()
        eventually(lambda: set(running(group, stack, "nginx").values()) == {"node1", "node2"}, 60)
        served = requests.served
        eventually(lambda: requests.served > served + 100, 60)
    print(f"{requests.served} requests at the other doors, failed: {requests.failed}")
    assert len(requests.failed) <= 2, requests.failed  # those that were on their way to its nginx
    third.start()
    eventually(lambda: "node3" in group.nodes("node1"), 60)
    play(stack, "edge").succeeded()
    eventually(lambda: _answers(third.address), 60)


def images_of(stack: Place, server: SwarmServer) -> set[str]:
    """The images on a server that were built for an environment."""
    listing = ("image", "ls", "--quiet", "--no-trunc", "--filter", f"label={PREFIX}={stack.prefix}")
    return set(server.docker(*listing).split())


def traces(stack: Place, server: SwarmServer) -> set[str]:
    """What is on a server of an environment that is a stack, beside the engine's objects."""
    kept = {kind: f"{state_of(stack)}/{kind}" for kind in ("environments", "edge/routes")}
    kept["sockets"] = places.sockets(state_of(stack))
    return {kind for kind, folder in kept.items() if stack.prefix in server.run("ls", folder).stdout}


def test_a_stack_is_destroyed(group: Group, stack: Place) -> None:
    """Nothing of it is left where the run came, nor of its images. Where it did not come, it says what stays, and a
    second run removes that."""
    near = site_of(stack).places["near"]
    bystanders = group.tasks("node1")
    third = group.servers.named("node3")
    assert all(images_of(stack, server) for server in group.servers)
    beside = route_of(stack, group.servers[1], near.prefix)
    site_of(stack).unreached = frozenset({"node3"})
    done = play(stack, "destroy", "-e", f"bulkhead_confirm={stack.prefix}").succeeded()
    assert f"  service {stack.prefix}_nginx" in done.output
    assert services(group, stack) == {}
    for server in group.servers.members[:2]:
        assert traces(stack, server) == images_of(stack, server) == set()
    assert f"node {third.name} ({third.address}): the route of {stack.prefix} at its front door" in done.output
    assert "  node3-shop (" in done.output and "Run destroy again" in done.output
    assert traces(stack, third) == {"environments", "edge/routes", "sockets"} and images_of(stack, third)

    site_of(stack).unreached = frozenset()
    again = play(stack, "destroy", "-e", f"bulkhead_confirm={stack.prefix}").succeeded()
    assert f"  route {stack.prefix} on node3-shop" in again.output and "not reached" not in again.output
    assert traces(stack, third) == images_of(stack, third) == set()
    assert route_of(stack, group.servers[1], near.prefix) == beside
    assert all(len(route_of(stack, server)[1]) == 1 for server in group.servers)
    left = group.servers[0].docker("config", "ls", "--quiet") + group.servers[0].docker("secret", "ls", "--quiet")
    assert left == ""
    assert group.tasks("node1") == bystanders
    play(near, "destroy", "-e", f"bulkhead_confirm={near.prefix}").succeeded()
    assert route_of(stack, group.servers[1], near.prefix) == ("", [])
    alone(stack)


def test_what_may_not_join(group: Group) -> None:
    """Another swarm's node; blocked ports and a wrong clock at once; part of the group. What runs goes on."""
    before = group.tasks("node1")
    (fourth,) = group.servers.add("node4")
    give_image(fourth)
    group.hosts["node4"] = {"role": "manager"}
    fourth.docker("swarm", "init", "--advertise-addr", fourth.address)
    assert "node4 is in another swarm than node1" in group.refused()
    fourth.docker("swarm", "leave", "--force")

    fourth.block("udp", 4789)
    group.servers.named("node1").block("tcp", 2377, source=fourth.address)
    fourth.run("sh", "-c", "cat >/usr/local/bin/early && chmod +x /usr/local/bin/early", given=EARLY)
    group.hosts["node4"]["ansible_python_interpreter"] = "/usr/local/bin/early"
    error = group.refused()
    assert f"port 2377/tcp of node1 ({group.servers[0].address}) cannot be reached from node4 (no answer" in error
    assert f"port 4789/udp of node4 ({fourth.address}) cannot be reached from node1, node2, node3 (no answer" in error
    assert re.search(r"the clock of node4 is (59|60)\d s ahead of that of node\d", error)
    assert error.count("\n  - ") == 3, error
    for server in (fourth, group.servers[0]):
        server.unblock()
    del group.hosts["node4"]["ansible_python_interpreter"]

    group.hosts["node4"]["advertise"] = "192.0.2.9"
    assert "bulkhead_swarm_advertise is 192.0.2.9, which is no address of that machine" in group.refused()
    del group.hosts["node4"]["advertise"]
    assert "node1, node2, node3 of group swarm is left out" in group.refused("-l", "node4")
    assert fourth.docker("info", "--format", "{{.Swarm.LocalNodeState}}") == "inactive"
    assert set(group.nodes("node1")) == {"node1", "node2", "node3"}
    assert group.tasks("node1") == before


def test_add_and_drain(group: Group) -> None:
    group.hosts["node2"] |= {"role": "manager", "labels": {"zone": "a"}}
    group.hosts["node3"]["availability"] = "drain"
    done = group.bring().succeeded()
    assert "swarm: join node4" in done.output
    nodes = group.nodes("node1")
    assert {name for name, node in nodes.items() if node["Spec"]["Role"] == "manager"} == {"node1", "node2", "node4"}
    assert all(nodes[name]["ManagerStatus"]["Reachability"] == "reachable" for name in ("node1", "node2", "node4"))
    labels = nodes["node2"]["Spec"]["Labels"]
    assert labels["zone"] == "a" and "disk" not in labels
    assert nodes["node3"]["Spec"]["Availability"] == "drain"
    eventually(lambda: len(group.tasks("node1")) == 4 and "node3" not in group.tasks("node1").values(), 60)
    group.hosts["node3"]["availability"] = "active"


def test_a_manager_is_away(group: Group, stack: Place) -> None:
    """Another one is asked, and the rest becomes as declared. A stack whose data is there is not started elsewhere."""
    group.servers.named("node1").kill()
    eventually(lambda: group.servers.named("node2").run("docker", "node", "ls").returncode == 0, 60)
    run = group.bring()
    assert "node1 could not be reached and was left as it is; the run went on with the others" in run.error
    # A node whose manager is gone is not ready until it has found another one.
    ready = eventually(lambda: group.nodes("node2").get("node3"), 60)
    assert ready["Spec"]["Availability"] == "active"
    error = stack.deploy().error
    assert "data-node" in error and f"node1 has the volumes of {stack.prefix} and is down" in error
    assert services(group, stack, "node2") == {}
    # What ran on node1 runs elsewhere, and something on the manager that is left alone next.
    eventually(lambda: "node4" in group.tasks("node2").values() and len(group.tasks("node2")) == 4, 60)


def test_the_quorum_is_lost(group: Group, stack: Place) -> None:
    """Nothing is changed, above all no second swarm begun, and what runs goes on."""
    group.servers.named("node2").kill()
    # Until its managers notice, a swarm has one.
    eventually(lambda: group.servers.named("node4").run("docker", "node", "ls").returncode != 0, 60)
    group.hosts["node3"]["labels"] = {"late": "1"}
    error = group.refused()
    assert "the swarm has no quorum: node4 would decide" in error
    assert "(no answer from node1, node2)" in error and "Nothing was changed" in error
    error = stack.deploy().error
    assert "no manager of the swarm can be asked" in error and "node4-shop: it cannot decide: " in error
    running = group.servers.named("node4").docker("ps", "--quiet", "--filter", "ancestor=tiny").split()
    assert running
    for name in ("node1", "node2"):
        group.servers.named(name).start()
    eventually(lambda: set(group.nodes("node4")) == {"node1", "node2", "node3", "node4"}, 90)
    assert group.nodes("node4")["node3"]["Spec"]["Labels"] == {}


def test_a_lost_worker_is_replaced(group: Group) -> None:
    """It is removed by its whole id, which the inventory names; a new machine has its place and its name."""
    old = group.nodes("node4")["node3"]["ID"]
    group.common["lost"] = [old]
    assert f"bulkhead_swarm_lost has {old}, which is node3 and is up" in group.refused()
    group.servers.remove(group.servers.named("node3"))
    (new,) = group.servers.add("node3")
    give_image(new)
    manager = group.servers.named("node4")
    eventually(lambda: manager.docker("node", "inspect", "--format", "{{.Status.State}}", old) == "down", 60)
    done = group.bring().succeeded()
    assert f"swarm: remove node node3; {old}: lost" in done.output
    assert old not in manager.docker("node", "ls", "--quiet")
    nodes = group.nodes("node4")
    assert set(nodes) == {"node1", "node2", "node3", "node4"} and nodes["node3"]["Spec"]["Labels"]["late"] == "1"
    assert group.bring().succeeded().changed == 0


def test_locked_managers(group: Group) -> None:
    """Their key is kept in a vault file before they need it, and opens them after a restart."""
    file = group.site.directory / "unlock-key.vault"
    group.common |= {"autolock": True, "unlock_key_file": str(file)}
    assert "this run has no password for the vault id swarm" in group.refused()
    assert not file.exists()
    password = group.site.directory / "swarm.password"
    password.write_text("of the tests")
    vault = ("--vault-id", f"swarm@{password}")
    done = group.bring(*vault, "-vvv").succeeded()
    key = VaultLib([("swarm", VaultSecret(b"of the tests"))]).decrypt(file.read_bytes()).decode().strip()
    assert key.startswith("SWMKEY-") and key not in done.output
    assert file.stat().st_mode & 0o777 == 0o600
    first = group.servers.named("node1")
    first.stop_engine()
    first.start_engine()
    assert first.docker("info", "--format", "{{.Swarm.LocalNodeState}}") == "locked"
    opened = group.bring(*vault).succeeded()
    assert opened.changed == 1 and key not in opened.output
    assert first.docker("info", "--format", "{{.Swarm.LocalNodeState}}") == "active"
