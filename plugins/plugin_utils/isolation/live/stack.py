# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stack on its live swarm: what stands in its way, whether it runs as proved, and that no bystander changed.

An observation of a swarm is that of the manager that was asked, as of any machine, and beside it ``nodes``, those of
the other nodes by their hosts, and ``stack``, what the manager says of the whole swarm. ``host`` is the manager's, and
``away`` says of each host that gave no answer why, and ``data_node`` is the node that had the volumes at the last
deployment, by its id.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from ....module_utils.core.addresses import overlap
from ....module_utils.docker.labels import DATA, PREFIX, STACK, swarm_service
from ..model import SWARM_FILES, Environment, Finding, Fleet, Severity, Where
from ..rules import judge
from ..wording import listing
from .ownership import owner_of
from .placement import may_run
from .receipt import BystanderComparison, Difference, Observation, compare, is_busy, sorted_out
from .registered import registered, strangers

#: What a swarm has under names, by the namespaces of claims.
_OBJECTS = {
    "swarm-service": ("services", "service"),
    "network": ("networks", "network"),
    **{namespace: (section, section[:-1]) for section, namespace in SWARM_FILES.items()},
}

_LIVE = (Where(item="seen on the swarm"),)


def nodes_of(observation: Observation) -> Mapping[str, Observation]:
    """The observations of all nodes that were looked at, by their hosts."""
    return {str(observation["host"]): observation, **observation["nodes"]}


def node_id(seen: Observation) -> str:
    """The id of the node that was looked at; empty for an engine that is none."""
    return str(seen["engine"].get("node") or "")


def running_tasks(look: Mapping[str, Any], services: Collection[str]) -> dict[str, list[Mapping[str, Any]]]:
    """The tasks of services (ids) that run as they are to, by the ids of their nodes."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for task in look["tasks"]:
        if task["service"] in services and task["state"] == task["desired"] == "running":
            found.setdefault(task["node"], []).append(task)
    return found


def stack_findings(
    environment: Environment,
    fleet: Collection[str],
    observation: Observation,
    machines: Mapping[str, str],
    moves: bool = False,
) -> list[Finding]:
    """What stands in the way of a stack on its swarm. ``machines`` are the names of the nodes' machines by their hosts,
    ``fleet`` the prefixes that the plan judged in full, and ``moves`` says that the data is meant to be elsewhere."""
    return [
        *_unseen_nodes(environment, observation),
        *_data_node(environment, observation),
        *(() if moves else _moved_data(environment, observation)),
        *_foreign_objects(environment, observation),
        *_foreign_volumes(environment, observation),
        *_taken_ports(environment, observation),
        *_shared(environment, fleet, observation, machines),
    ]


def _finding(environment: Environment, rule: str, resource: str, message: str, fix: str, *hazards: str) -> Finding:
    return Finding(
        rule, Severity.CRITICAL, (environment.prefix,), resource, message, fix, _LIVE, environment.machine, hazards
    )


def _unseen_nodes(environment: Environment, observation: Observation) -> Iterator[Finding]:
    """Nodes on which tasks may come to run and at which nobody looked, and hosts that are no nodes."""
    nodes = {node["id"]: node for node in observation["stack"]["nodes"]}
    seen = {host: node_id(found) for host, found in nodes_of(observation).items()}
    for host, identity in seen.items():
        if identity not in nodes:
            yield _finding(
                environment, "not-a-node", f"host {host}",
                f"{host} is in the group of {environment.prefix} and is no node of the swarm that "
                f"{observation['host']} manages: nothing of the stack would ever run there.",
                "Let it join the swarm (ansible-playbook aiia.bulkhead.swarm), or take it out of the group.",
            )  # fmt: skip
    away = "; ".join(f"{host}: {why}" for host, why in observation["away"].items())
    for identity, node in nodes.items():
        if identity not in seen.values() and node["state"] == "ready":
            said = f"hosts without an answer: {away}" if away else "the group has no host for it"
            yield _finding(
                environment, "unseen-node", f"node {node['hostname']}",
                f"The node {node['hostname']} ({node['address']}) of the swarm is up, and could not be looked at "
                f"({said}): tasks of {environment.prefix} may run there beside whatever is there.",
                "Add its host to the group of the environment, or make it reachable.",
            )  # fmt: skip


def data_label_of(environment: Environment) -> str:
    """The label of the node with an environment's volumes, if a service asks for it."""
    label = f"{DATA}{environment.prefix}"
    for _project, _name, service in environment.services():
        placement = (service.get("deploy") or {}).get("placement") or {}
        if any(f"node.labels.{label} " in f"{constraint} " for constraint in placement.get("constraints") or ()):
            return label
    return ""


def _labelled(environment: Environment, observation: Observation) -> list[Mapping[str, Any]]:
    """The nodes with the label of an environment's volumes; none where no service asks for it."""
    label = data_label_of(environment)
    return [node for node in observation["stack"]["nodes"] if label and node["labels"].get(label) == "true"]


def _moved_data(environment: Environment, observation: Observation) -> Iterator[Finding]:
    """The label is on the node that has the data: of the last deployment, or else of volumes that are there."""
    labelled = _labelled(environment, observation)
    if len(labelled) != 1:
        return
    (node,) = labelled
    label, prefix = data_label_of(environment), environment.prefix
    names = {str(one["id"]): str(one["hostname"]) for one in observation["stack"]["nodes"]}
    before = str(observation.get("data_node") or "")
    having = _nodes_with_volumes(environment, observation)
    if before and before != node["id"]:
        had = names.get(before) or f"a node that is gone ({before})"
        seen = f"At the last deployment, {had} had the volumes of {prefix}"
    elif not before and having and node["id"] not in having:
        had = listing(names.get(identity) or identity for identity in having)
        seen = f"The volumes of {prefix} are on {had}"
    else:
        return
    yield _finding(
        environment, "data-node", f"label {label}",
        f"{seen}, and now {node['hostname']} has the label {label}=true: the database would start empty there, or with "
        "what was left there earlier.",
        f"Take the label from {node['hostname']} and give it back to the other node. If the data is to be on "
        f"{node['hostname']} from now on, say so with -e bulkhead_confirm={prefix}.", "VP-01",
    )  # fmt: skip


def _nodes_with_volumes(environment: Environment, observation: Observation) -> list[str]:
    """The nodes that have volumes of an environment with its own label, by their ids."""
    names = {claim.key for claim in environment.claims if claim.namespace == "volume"}
    return [
        node_id(seen)
        for seen in nodes_of(observation).values()
        if any(one["name"] in names and one["labels"].get(PREFIX) == environment.prefix for one in seen["volumes"])
    ]


def _data_node(environment: Environment, observation: Observation) -> Iterator[Finding]:
    """The data is on exactly one node, and that one is up: elsewhere the database would start empty."""
    label = data_label_of(environment)
    if not label:
        return
    found = _labelled(environment, observation)
    names = listing(node["hostname"] for node in found)
    if not found:
        message = f"No node has the label {label}=true, so nothing says where the volumes of {environment.prefix} are."
        fix = f"Give it to the one node that has them: docker node update --label-add {label}=true <node>"
    elif len(found) > 1:
        message = f"{names} all have the label {label}=true: on a second node the database would start empty."
        fix = f"Take it from all but one: docker node update --label-rm {label} <node>"
    elif found[0]["state"] != "ready" or found[0]["availability"] != "active":
        how = "down" if found[0]["state"] != "ready" else f"set to {found[0]['availability']}"
        message = (
            f"{names} has the volumes of {environment.prefix} and is {how}. Its services cannot run there, and "
            "elsewhere the database would start empty."
        )
        fix = "Bring the node back, or restore a backup on another node before you give that one the label."
    else:
        return
    yield _finding(environment, "data-node", f"label {label}", message, fix, "VP-01")


def _foreign_objects(environment: Environment, observation: Observation) -> Iterator[Finding]:
    """Services, networks, configs and secrets with a name of this stack that it did not make."""
    seen = observation["stack"]
    stacks = {claim.key for claim in environment.claims if claim.namespace == "stack"}
    for service in seen["services"]:
        name = service["labels"].get(STACK)
        if name in stacks and service["labels"].get(PREFIX) != environment.prefix:
            yield _finding(
                environment, "foreign-stack", f"stack {name}",
                f"The swarm has a stack {name} with the service {service['name']} of {_owner(service['labels'])}: a "
                f"deployment of {environment.prefix} would update and remove its services.",
                f"Remove that stack (docker stack rm {name}), or choose another bulkhead_prefix.", "CP-01",
            )  # fmt: skip
            break
    for namespace, (kind, word) in _OBJECTS.items():
        names = {claim.key for claim in environment.claims if claim.namespace == namespace}
        for one in seen[kind]:
            if one["name"] in names and one["labels"].get(PREFIX) != environment.prefix:
                if one["labels"].get(STACK) in stacks and word == "service":
                    continue
                yield _finding(
                    environment, "foreign-name", f"{word} {one['name']}",
                    f"The swarm has a {word} called {one['name']}, which belongs to {_owner(one['labels'])}: deploying "
                    f"{environment.prefix} would use or replace it.",
                    f"Rename or remove that {word}, or declare it external if {environment.prefix} is to share it.",
                    "NM-03",
                )  # fmt: skip


def _owner(labels: Mapping[str, str]) -> str:
    if not labels.get(PREFIX) and labels.get(STACK):
        return f"the stack {labels[STACK]}, which Bulkhead did not deploy"
    return owner_of(labels) if labels.get(PREFIX) else "nobody that Bulkhead knows"


def _foreign_volumes(environment: Environment, observation: Observation) -> Iterator[Finding]:
    names = {claim.key for claim in environment.claims if claim.namespace == "volume"}
    for host, seen in nodes_of(observation).items():
        for volume in seen["volumes"]:
            if volume["name"] in names and volume["labels"].get(PREFIX) != environment.prefix:
                yield _finding(
                    environment, "foreign-name", f"volume {volume['name']}",
                    f"{host} has a volume called {volume['name']}, which belongs to {_owner(volume['labels'])}: a task "
                    f"of {environment.prefix} there would use it.",
                    "Rename or remove that volume.", "VP-01",
                )  # fmt: skip


def _taken_ports(environment: Environment, observation: Observation) -> Iterator[Finding]:
    """Ports of this stack that another service of the swarm, another container of a node or a process there holds."""
    ports = {
        int(claim.key.partition("/")[0]): claim
        for claim in environment.claims
        if claim.namespace == "host-port" and claim.key.endswith("/tcp")
    }
    nodes = {node["id"]: node for node in observation["stack"]["nodes"]}
    definitions = {name: service for _project, name, service in environment.services()}
    for number, claim in sorted(ports.items()):
        definition = definitions.get(str(claim.attributes.get("service"))) or {}
        everywhere = claim.attributes.get("mode") != "host"  # the ingress mesh holds it on every node
        holders = [
            f"service {service['name']} of {_owner(service['labels'])}"
            for service in observation["stack"]["services"]
            if service["labels"].get(PREFIX) != environment.prefix
            for port in service["ports"]
            if port["port"] == number
        ]
        for host, seen in nodes_of(observation).items():
            node = nodes.get(node_id(seen))
            if everywhere or node is None or may_run(definition, node):
                holders += [f"{holder} on {host}" for holder in _holders(environment, seen, number)]
        if holders:
            yield Finding(
                "taken-port", Severity.HIGH, (environment.prefix,), f"port {number}",
                f"Port {number} of service {claim.attributes.get('service')} is taken by {holders[0]}: a task of "
                f"{environment.prefix} cannot start there.",
                "Stop what holds it, or choose another port.", _LIVE, environment.machine, ("PT-01", "PT-02"),
            )  # fmt: skip


def _holders(environment: Environment, seen: Observation, number: int) -> Iterator[str]:
    """Who holds a port of a node, apart from the stack itself."""
    publishing = [
        container
        for container in seen["containers"]
        if container["running"] and any(port["port"] == number for port in container["ports"])
    ]
    for container in publishing:
        if container["labels"].get(PREFIX) != environment.prefix:
            yield f"container {container['name']} of {owner_of(container['labels'])}"
    if publishing:
        return
    for socket in seen["sockets"]:
        # The engine itself holds a port of the ingress mesh.
        if socket["port"] == number and overlap("", socket["address"]) and socket["process"] != "dockerd":
            yield socket["process"] or "a process that this user cannot see"


def _shared(
    environment: Environment, fleet: Collection[str], observation: Observation, machines: Mapping[str, str]
) -> Iterator[Finding]:
    """What the stack would share with environments that are deployed on its nodes, whoever deployed them."""
    told = set()
    for host, seen in nodes_of(observation).items():
        machine = machines.get(host) or host
        deployed = list(registered(seen, {environment.prefix}, machine))
        projects = {project.name for project in environment.compose}
        known = {*fleet, *(neighbour.prefix for neighbour in deployed), *projects, environment.prefix}
        others = [*deployed, *strangers(seen, known, machine)]
        for finding in judge(Fleet((environment, *others))):
            same = (finding.rule, finding.environments, finding.resource)
            if environment.prefix in finding.environments and len(finding.environments) > 1 and same not in told:
                told.add(same)
                yield finding


def unwell(environment: Environment, observation: Observation) -> Iterator[Finding]:
    """Services of the stack that do not run as they should."""
    project = next((project.name for project in environment.compose), environment.prefix)
    services = {one["name"]: one for one in observation["stack"]["services"] if one["labels"].get(STACK) == project}
    for _project, key, _definition in environment.services():
        name = swarm_service(project, key)
        service = services.get(name)
        if service is None:
            message = f"The swarm has no service {name}."
        elif service["running"] < service["desired"]:
            message = f"{service['running']} of {service['desired']} tasks of {service['name']} run."
        elif service["update"]["State"].startswith(("rollback", "paused")):
            message = f"The engine gave up the last update of {service['name']}: {service['update']['Message']}."
        else:
            continue
        yield Finding(
            "unhealthy", Severity.CRITICAL, (environment.prefix,), f"service {key}", message,
            f"docker service ps --no-trunc {name} says why.", _LIVE, environment.machine,
        )  # fmt: skip


def compare_swarms(
    before: Observation, after: Observation, target: str, fleet: Collection[str] = ()
) -> BystanderComparison:
    """Compare two observations of a swarm: each node as any machine, and the services and tasks of other stacks."""
    then, now = nodes_of(before), nodes_of(after)
    parts = [(host, compare(then[host], now[host], target, fleet)) for host in then if host in now]
    owners = {_owner_word(service["labels"]) for service in (*before["stack"]["services"], *after["stack"]["services"])}
    known = ({name for _host, part in parts for name in part.bystanders} | (owners & set(fleet))) - {target}
    busy = {prefix for prefix in known for host in then if host in now and is_busy(then[host], now[host], prefix)}
    changes, notes = sorted_out(_of_the_swarm(before["stack"], after["stack"], target), known, busy)
    notes += [f"{host} gave no answer after the run" for host in then if host not in now]
    return BystanderComparison(
        tuple(sorted(known)),
        sum(part.containers for _host, part in parts),
        (*(f"{change} on {host}" for host, part in parts for change in part.changes), *changes),
        (*(f"{note} on {host}" for host, part in parts for note in part.notes), *notes),
    )


def _owner_word(labels: Mapping[str, str]) -> str:
    return labels.get(PREFIX) or labels.get(STACK) or ""


def _of_the_swarm(before: Mapping[str, Any], after: Mapping[str, Any], target: str) -> Iterator[Difference]:
    """Services, tasks and networks of other stacks that are not as they were."""
    then, now = (
        {one["id"]: one for one in seen["services"] if _owner_word(one["labels"]) != target} for seen in (before, after)
    )
    down = {node["id"] for node in after["nodes"] if node["state"] != "ready"}
    for identity, was in then.items():
        owner = _owner_word(was["labels"])
        if identity not in now:
            yield Difference(owner, f"service {was['name']} is gone")
            continue
        if now[identity]["spec"] != was["spec"]:
            yield Difference(owner, f"service {was['name']} was changed")
        for task in sorted(_running(before, identity).keys() - _running(after, identity).keys()):
            moved = "its node is down" if _running(before, identity)[task] in down else ""
            yield Difference(owner, f"task {task} of service {was['name']} ended", moved)
    for identity in now.keys() - then.keys():
        yield Difference(_owner_word(now[identity]["labels"]), f"service {now[identity]['name']} is new")
    for kind in ("networks", "configs", "secrets"):
        was_there, is_there = (
            {one["id"]: one for one in seen[kind] if _owner_word(one["labels"]) != target} for seen in (before, after)
        )
        for identity in was_there.keys() - is_there.keys():
            one = was_there[identity]
            yield Difference(_owner_word(one["labels"]), f"{kind[:-1]} {one['name']} is gone")


def _running(seen: Mapping[str, Any], service: str) -> dict[str, str]:
    """The tasks of a service that run, each with its node."""
    return {
        task["id"]: task["node"]
        for task in seen["tasks"]
        if task["service"] == service and task["state"] == "running" and task["desired"] == "running"
    }
