# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tasks of a stack are asked, on which nodes, and that no node without an answer counts as isolated."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.live.health import own_containers
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.live.probes import MACHINE, Probes
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.live.stack_probes import (
    judge_stack_probes,
    plan_stack_probes,
)
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import (
    Claim,
    Environment,
    Finding,
    Where,
)
from unit.plugin_utils.isolation.live.observations import container, deployed, environment, network
from unit.plugin_utils.isolation.live.test_stack import seen, stack
from unit.stacks import PREFIX, STACK, seen_node, seen_service, seen_task

OTHER, COMPOSE = "other_prod", "aiia_staging"


def ours() -> Environment:
    return replace(stack(), domains=("shop.example.com",), http_port=80, variables={})


def task(name: str, prefix: str, **networks: str) -> dict[str, Any]:
    """The container of a task, with its addresses by the networks' names."""
    attached = {name: {"id": f"net-{name}", "address": address, "aliases": []} for name, address in networks.items()}
    return container(name, {PREFIX: prefix, STACK: prefix}, networks=attached, exposed=[5432], id=f"container-{name}")


OVERLAYS = [
    network("ours", driver="overlay", subnets=["10.0.1.0/24"]),
    network("theirs", driver="overlay", subnets=["fd00::/64", None, "10.0.2.0/24"]),
]
SWARM: dict[str, Any] = {
    "services": [
        seen_service("web", ports=[{"port": 80, "mode": "host"}]),
        seen_service("db", OTHER, OTHER, ports=[{"port": 5433, "mode": "ingress"}, {"port": 5434, "mode": "host"}]),
    ],
    "tasks": [seen_task("web", "web"), seen_task("db", "db", OTHER, node="n2")],
}


def before(**swarm: Any) -> dict[str, Any]:
    """Our task on the first node; another stack's and a Compose project's containers on the second."""
    compose = deployed(COMPOSE, ports=[{"port": 9000, "address": ""}])
    return seen(
        first={"containers": [task("web", "app_prod", ours="10.0.1.2")], "networks": OVERLAYS[:1]},
        second={"containers": [task("db", OTHER, theirs="10.0.2.2"), compose], "networks": OVERLAYS},
        **{**SWARM, **swarm},
    )


def others() -> dict[str, list[Environment]]:
    other = Environment(prefix=OTHER, machine="swarm main", swarm="main")
    return {"h1": [other], "h2": [other, environment(COMPOSE)]}


def planned(**swarm: Any) -> dict[str, Probes]:
    found = before(**swarm)
    return plan_stack_probes(ours(), others(), found, found["stack"])


def test_only_nodes_with_tasks_are_asked() -> None:
    assert set(planned()) == {"h1"}
    assert set(planned(tasks=[seen_task("web", "web", node="n2")])) == {"h2"}
    assert planned(tasks=[seen_task("web", "web", state="failed")]) == {}


def test_an_image_that_says_that_it_is_of_a_stack() -> None:
    """Its labels come to the container of another environment, and Docker overwrites those of stacks in tasks alone."""
    own, false = task("web", "app_prod"), deployed(COMPOSE, ports=[])
    false["labels"] = {**false["labels"], STACK: "app_prod"}
    assert false["labels"][PREFIX] == COMPOSE and false["running"], "the control"
    assert list(own_containers(ours(), {"containers": [own, false]})) == [own]


def test_what_is_on_another_node() -> None:
    """Overlays reach across. Addresses of a node's own networks may be anybody's on another node, and so its ports."""
    probes = planned()["h1"]
    assert probes.resolve == ["db", "other_prod_db", "tasks.other_prod_db"]
    assert probes.connect == [
        {"address": "10.0.2.2", "port": 5432, "subnet": "10.0.2.0/24"}, {"address": MACHINE, "port": 5433},
    ]  # fmt: skip
    assert probes.owners["tasks.other_prod_db"] == probes.owners["10.0.2.2", 5432] == OTHER


def test_what_is_on_the_same_node() -> None:
    """A Compose project there is asked for its names, addresses and published ports."""
    probes = planned(tasks=[seen_task("web", "web", node="n2")])["h2"]
    assert {"address": "172.18.0.2", "port": 5432} in probes.connect
    assert {"address": MACHINE, "port": 9000} in probes.connect
    assert probes.owners[MACHINE, 9000] == COMPOSE and "aiia_staging_web" in probes.resolve


@pytest.mark.parametrize(("mode", "hosts"), [("host", {"h1"}), ("ingress", {"h1", "h2"})])
def test_domains_are_asked_where_the_ports_are(mode: str, hosts: set[str]) -> None:
    """In mode host on the nodes with the service that has them, and else on every node that is asked."""
    web = seen_service("web", ports=[{"port": 80, "mode": mode}])
    tasks = [seen_task("web", "web"), seen_task("job", "job", node="n2")]
    made = planned(services=[web, seen_service("job")], tasks=tasks)
    assert {host for host, probes in made.items() if probes.requests} == hosts
    assert set(made) == {"h1", "h2"}


def test_domains_are_asked_at_the_front_doors_that_lead_here() -> None:
    """Each is asked for them on its own node; one that is not to lead here may refuse them."""
    nodes = [seen_node("n1", labels={"io.bulkhead.door.app_prod": "true"}), seen_node("n2")]
    route = Claim("route", "swarm main", "shop.example.com", "app_prod", Where(), False)
    behind = replace(ours(), claims=(route,), https_port=443)
    tasks = [seen_task("one", "web", node="n1"), seen_task("two", "web", node="n2")]
    found = before(tasks=tasks, nodes=nodes)
    asked = plan_stack_probes(behind, others(), found, found["stack"])
    assert {request["address"] for request in asked["h1"].requests} == {"front door"}
    assert asked["h2"].requests == []


def answer(**more: Any) -> dict[str, Any]:
    return {"inside": [], "answers": [], "replies": [], "observation": before(), **more}


def judged(answers: dict[str, Any], away: dict[str, str] | None = None, **swarm: Any) -> list[Finding]:
    after = {**before(**swarm), **({"nodes": {}, "away": away} if away else {})}
    made = dict.fromkeys(("h1", "h2"), planned()["h1"])
    return judge_stack_probes(ours(), others(), made, answers, after)


def test_nothing_answered_that_should_not() -> None:
    assert judged({"h1": answer()}) == []


def test_what_a_task_reached() -> None:
    """The same finding as on one machine, and where it was made."""
    inside = {"container": "web", "resolved": [], "connected": [("10.0.2.2", 5432)], "entered": [], "error": ""}
    found = judged({"h1": answer(inside=[inside]), "h2": answer(inside=[inside])})
    assert [(one.rule, one.message) for one in found] == [
        ("foreign-port-connects", "Container web can connect to 10.0.2.2:5432 of other_prod.")
    ]
    assert [str(where.item) for where in found[0].where] == ["probed on h1", "probed on h2"]


def test_a_node_without_an_answer_is_not_isolated() -> None:
    tasks = [seen_task("web", "web"), seen_task("web2", "web", node="n2")]
    (found,) = judged({"h1": answer()}, {"h2": "no route to h2"}, tasks=tasks)
    assert found.rule == "probe-failed" and found.resource == "node n2"
    assert "n2 runs 1 task of app_prod that could not be probed" in found.message and "no route to h2" in found.message


def test_a_task_that_its_node_does_not_have() -> None:
    """It came after the look, or is another engine's."""
    (found,) = judged({"h1": answer()}, tasks=[seen_task("web", "web"), seen_task("new", "web")])
    assert found.rule == "probe-failed" and "its engine does not have their containers" in found.message


def test_the_containers_of_a_stack() -> None:
    """Those of its tasks that run; not a Compose project's of the same name."""
    ended = {**task("old", "app_prod"), "running": False}
    found = before()
    found["containers"] += [ended, deployed("app_prod")]
    assert [one["name"] for one in own_containers(ours(), found)] == ["web"]
