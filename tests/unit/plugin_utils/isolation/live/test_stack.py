# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stack on a swarm that was looked at: what stands in its way, and what a run did to others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.live.stack import (
    compare_swarms,
    data_label_of,
    stack_findings,
    unwell,
)
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import (
    Claim,
    ComposeProject,
    Environment,
    Where,
)
from unit.plugin_utils.isolation.live.observations import container, deployed, entry, labels, observation, volume
from unit.stacks import PREFIX, STACK, seen_node, seen_service, seen_swarm, seen_task

LABEL = "io.bulkhead.data.app_prod"
MACHINES = {"h1": "m1", "h2": "m2"}


def stack() -> Environment:
    """A stack of one service with a port and a volume."""

    def claim(namespace: str, key: str, **attributes: Any) -> Claim:
        return Claim(namespace, "swarm main", key, "app_prod", Where("docker-stack.prod.yml", 1), False, attributes)

    web = {"image": "web", "deploy": {"placement": {"constraints": [f"node.labels.{LABEL} == true"]}}}
    return Environment(
        prefix="app_prod",
        machine="swarm main",
        swarm="main",
        nodes=("m1", "m2"),
        compose=(ComposeProject("app_prod", "app_prod", {"web": web}),),
        claims=(
            claim("stack", "app_prod"),
            claim("swarm-service", "app_prod_web"),
            claim("network", "app_prod_network"),
            claim("swarm-config", "app_prod_nginx_1"),
            claim("volume", "app_prod_data"),
            claim("host-port", "80/tcp", ip="", service="web"),
        ),
    )


def machine(node: str, **more: Any) -> dict[str, Any]:
    found = observation(**more)
    return {**found, "engine": {**found["engine"], "node": node}}


def seen(
    first: Mapping[str, Any] | None = None,
    second: Mapping[str, Any] | None = None,
    away: dict[str, str] | None = None,
    **swarm: Any,
) -> dict[str, Any]:
    """A swarm of two nodes, the first of which has the data."""
    nodes = [seen_node("n1", role="manager", labels={LABEL: "true"}), seen_node("n2")]
    return {
        **machine("n1", **(first or {})),
        "host": "h1",
        "nodes": {} if away else {"h2": machine("n2", **(second or {}))},
        "away": away or {},
        "stack": seen_swarm(**{"nodes": nodes, **swarm}),
    }


def rules(found: dict[str, Any]) -> list[str]:
    return [finding.rule for finding in stack_findings(stack(), {"app_prod"}, found, MACHINES)]


def test_nothing_stands_in_the_way() -> None:
    assert rules(seen()) == []
    assert data_label_of(stack()) == LABEL


def test_its_own_objects_are_its_own() -> None:
    own = {PREFIX: "app_prod", STACK: "app_prod"}
    task = container("app_prod_web.1.x", own, ports=[{"port": 80, "address": ""}])
    found = seen(
        second={"containers": [task], "sockets": [{"address": "", "port": 80, "process": "docker-proxy"}]},
        services=[seen_service("web", ports=[{"port": 80, "mode": "host"}])],
        networks=[{"id": "1", "name": "app_prod_network", "labels": own, "attachable": False}],
    )
    assert rules(found) == []


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([seen_node("n1"), seen_node("n2")], "No node has the label"),
        ([seen_node("n1", labels={LABEL: "true"}), seen_node("n2", labels={LABEL: "true"})], "n1 and n2 all have"),
        ([seen_node("n1", labels={LABEL: "true"}, availability="drain"), seen_node("n2")], "is set to drain"),
        ([seen_node("n1", labels={LABEL: "true"}, state="down"), seen_node("n2")], "is down"),
    ],
)
def test_the_node_with_the_data(nodes: list[dict[str, Any]], message: str) -> None:
    (found,) = stack_findings(stack(), {"app_prod"}, seen(nodes=nodes), MACHINES)
    assert found.rule == "data-node" and message in found.message


def on(node: str) -> list[dict[str, Any]]:
    """Two nodes, one of which has the label."""
    return [seen_node(name, labels={LABEL: "true"} if name == node else {}) for name in ("n1", "n2")]


OWN_VOLUME = {"volumes": [volume("app_prod_data", {PREFIX: "app_prod"})]}


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (seen(first=OWN_VOLUME, nodes=on("n2")), "The volumes of app_prod are on n1, and now n2 has the label"),
        # Swarm moves the tasks at once, so the other node has volumes too by now, and they are empty.
        (
            {**seen(OWN_VOLUME, OWN_VOLUME, nodes=on("n2")), "data_node": "n1"},
            "At the last deployment, n1 had the volumes of app_prod, and now n2 has the label",
        ),
        ({**seen(), "data_node": "n9"}, "a node that is gone (n9) had the volumes"),
    ],
)
def test_the_label_on_another_node_than_the_data(found: dict[str, Any], message: str) -> None:
    """The database would start empty; a person may say that this is meant."""
    (finding,) = stack_findings(stack(), {"app_prod"}, found, MACHINES)
    assert finding.rule == "data-node" and message in finding.message
    assert "-e bulkhead_confirm=app_prod" in finding.fix
    assert stack_findings(stack(), {"app_prod"}, found, MACHINES, moves=True) == []


def test_the_label_where_the_data_is() -> None:
    """Volumes that an earlier move left elsewhere do not matter once a deployment has noted the node."""
    assert rules(seen(first=OWN_VOLUME)) == []
    assert rules({**seen(OWN_VOLUME, OWN_VOLUME, nodes=on("n2")), "data_node": "n2"}) == []
    assert rules({**seen(second=OWN_VOLUME, nodes=on("n2")), "data_node": "n2"}) == []


def test_a_node_at_which_nobody_looked() -> None:
    """One that is up may get tasks; one that is down gets none."""
    nodes = [seen_node("n1", labels={LABEL: "true"}), seen_node("n2")]
    (found,) = stack_findings(stack(), {"app_prod"}, seen(away={"h2": "no route"}, nodes=nodes), MACHINES)
    assert found.rule == "unseen-node" and "h2: no route" in found.message
    nodes[1]["state"] = "down"
    assert rules(seen(away={"h2": "no route"}, nodes=nodes)) == []


def test_a_host_that_is_no_node() -> None:
    assert rules(seen(nodes=[seen_node("n1", labels={LABEL: "true"})])) == ["not-a-node"]


@pytest.mark.parametrize("prefix", ["", "app_other"])
def test_a_stack_of_our_name_that_is_not_ours(prefix: str) -> None:
    assert rules(seen(services=[seen_service("api", prefix=prefix), seen_service("web", prefix=prefix)])) == [
        "foreign-stack"
    ]


def test_names_that_others_have() -> None:
    taken = {"id": "1", "name": "app_prod_network", "labels": {}, "attachable": False}
    other = {"id": "2", "name": "app_prod_nginx_1", "labels": {PREFIX: "app_other"}}
    found = seen(second={"volumes": [volume("app_prod_data", labels("app_other"))]}, networks=[taken], configs=[other])
    assert rules(found) == ["foreign-name"] * 3


def test_ports_that_others_have() -> None:
    """A service of the swarm, a container of a worker, a process of a worker."""
    port = [{"port": 80, "mode": "ingress"}]
    assert rules(seen(services=[seen_service("lb", "proxy", "", ports=port)])) == ["taken-port"]
    project = deployed("app_staging", ports=[{"port": 80, "address": ""}])
    assert "taken-port" in rules(seen(second={"containers": [project]}))
    assert rules(seen(second={"sockets": [{"address": "", "port": 80, "process": "apache2"}]})) == ["taken-port"]
    # The engine itself holds a port of the ingress mesh.
    assert rules(seen(second={"sockets": [{"address": "", "port": 80, "process": "dockerd"}]})) == []


def test_a_port_of_a_node_on_which_the_service_may_not_run() -> None:
    """In mode host only a task takes the port, and its service is bound to the node with the data."""
    taken = [{"address": "", "port": 80, "process": "apache2"}]
    by_host = [
        replace(claim, attributes={**claim.attributes, "mode": "host"}) if claim.namespace == "host-port" else claim
        for claim in stack().claims
    ]
    environment = replace(stack(), claims=tuple(by_host))
    assert stack_findings(environment, {"app_prod"}, seen(second={"sockets": taken}), MACHINES) == []
    (found,) = stack_findings(environment, {"app_prod"}, seen(first={"sockets": taken}), MACHINES)
    assert found.rule == "taken-port"


def test_an_environment_of_another_inventory_on_a_worker() -> None:
    claims = [{"namespace": "host-port", "scope": "m2", "key": "80/tcp", "shareable": False, "attributes": {"ip": ""}}]
    registered = entry("shop_live", machine="m2", claims=claims)
    found = seen(second={"containers": [deployed("shop_live")], "registry": {"shop_live": registered}})
    assert rules(found) == ["shared-port"]


def test_services_that_do_not_run() -> None:
    environment = stack()
    assert [one.rule for one in unwell(environment, seen(services=[seen_service("web")]))] == []
    assert [one.rule for one in unwell(environment, seen())] == ["unhealthy"]
    assert [one.rule for one in unwell(environment, seen(services=[seen_service("web", running=0)]))] == ["unhealthy"]


def bystander(**more: Any) -> dict[str, Any]:
    """A swarm on which another stack and another project run beside ours."""
    given: dict[str, Any] = {
        "services": [seen_service("web"), seen_service("api", "app_other", "app_other")],
        "tasks": [seen_task("t1", "web"), seen_task("t2", "api", "app_other", node="n2")],
    }
    return seen(second={"containers": [deployed("app_staging")]}, **{**given, **more})


FLEET = ("app_prod", "app_other", "app_staging")


def test_nobody_else_changed() -> None:
    before, after = bystander(), bystander(tasks=[seen_task("t9", "web"), seen_task("t2", "api", "app_other")])
    found = compare_swarms(before, after, "app_prod", FLEET)
    assert (found.bystanders, found.changes) == (("app_other", "app_staging"), ())


def test_another_stacks_task_was_replaced() -> None:
    after = bystander(tasks=[seen_task("t1", "web"), seen_task("t3", "api", "app_other")])
    assert compare_swarms(bystander(), after, "app_prod", FLEET).changes == ("task t2 of service app_other_api ended",)


def test_a_task_on_a_node_that_went_down_is_not_our_doing() -> None:
    nodes = [seen_node("n1", labels={LABEL: "true"}), seen_node("n2", state="down")]
    found = compare_swarms(bystander(), bystander(tasks=[], nodes=nodes), "app_prod", FLEET)
    assert found.changes == () and any("its node is down" in note for note in found.notes)


def test_another_stacks_service_was_changed_or_removed() -> None:
    changed = [seen_service("web"), seen_service("api", "app_other", "app_other", spec="spec-2")]
    assert compare_swarms(bystander(), bystander(services=changed), "app_prod", FLEET).changes == (
        "service app_other_api was changed",
    )
    gone = bystander(services=[seen_service("web")])
    assert "service app_other_api is gone" in compare_swarms(bystander(), gone, "app_prod", FLEET).changes


def test_a_project_on_a_worker_was_restarted() -> None:
    after = bystander()
    after["nodes"]["h2"]["containers"][0]["started"] = "2026-01-02T00:00:00Z"
    assert compare_swarms(bystander(), after, "app_prod", FLEET).changes == (
        "container app_staging_web was restarted on h2",
    )


def test_a_stranger_is_only_noted() -> None:
    before = seen(services=[seen_service("lb", "proxy", "")])
    found = compare_swarms(before, seen(), "app_prod", FLEET)
    assert found.changes == () and found.notes == ("service proxy_lb is gone (no environment registered here)",)
