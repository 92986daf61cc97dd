# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Probes of a stack: from the tasks of each node, towards what others have on that node and on the whole swarm."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ....module_utils.docker.labels import PREFIX
from ..declared import is_routed
from ..model import Environment, Finding, Severity, Where
from ..wording import number
from .certificates import certificate_findings
from .credentials import shared_credentials
from .health import own_containers
from .probes import Probes, is_overlay, judge_answers, plan_probes
from .receipt import Observation
from .stack import node_id, nodes_of, running_tasks
from .stack_doors import leads


def own_tasks(environment: Environment, look: Mapping[str, Any]) -> dict[str, list[Mapping[str, Any]]]:
    """The environment's tasks that run, by the ids of their nodes."""
    own = {service["id"] for service in look["services"] if service["labels"].get(PREFIX) == environment.prefix}
    return running_tasks(look, own)


def plan_stack_probes(
    environment: Environment,
    others: Mapping[str, Sequence[Environment]],
    before: Observation,
    look: Mapping[str, Any],
    questions: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Probes]:
    """Plan the probes of each host whose node runs tasks now, as a manager says (``look``).

    ``others`` are the other environments by the hosts on which they are known, ``before`` is the last observation.
    """
    tasks = own_tasks(environment, look)
    seen = nodes_of(before)
    known = {other.prefix: other for found in others.values() for other in found}
    services = [_as_container(service) for service in look["services"]]
    planned = {}
    for host, node in seen.items():
        identity = node_id(node)
        if identity not in tasks:
            continue
        elsewhere = [one for other, there in seen.items() if other != host for one in _on_overlays(there)]
        networks = [
            *node["networks"],
            *(one for there in seen.values() for one in there["networks"] if is_overlay(one)),
        ]
        whole = {**node, "containers": [*node["containers"], *elsewhere, *services], "networks": networks}
        probes = plan_probes(environment, known.values(), whole, questions)
        if not _serves(environment, node, tasks[identity], look):
            probes = replace(probes, requests=[])
        planned[host] = probes
    return planned


def _on_overlays(seen: Observation) -> Iterator[Mapping[str, Any]]:
    """The containers of another node, with those of their networks that reach across; all others are its own."""
    overlays = {network["id"] for network in seen["networks"] if is_overlay(network)}
    for container in seen["containers"]:
        networks = {name: found for name, found in container["networks"].items() if found["id"] in overlays}
        if networks:
            yield {**container, "networks": networks, "ports": []}


def _as_container(service: Mapping[str, Any]) -> dict[str, Any]:
    """A service as :func:`plan_probes` reads a container: its names, and the ports that the whole swarm has."""
    return {
        "id": "",
        "name": service["name"],
        "labels": service["labels"],
        "running": True,
        "networks": {"": {"address": "", "aliases": [f"tasks.{service['name']}"]}},
        "exposed": [],
        "ports": [port for port in service["ports"] if port["mode"] == "ingress"],
    }


def _serves(
    environment: Environment, node: Observation, tasks: Sequence[Mapping[str, Any]], look: Mapping[str, Any]
) -> bool:
    """Whether a node answers for the environment's domains: it has their ports, or a front door."""
    if is_routed(environment):
        states = {str(state["id"]): state for state in look["nodes"]}
        return leads(environment.prefix, states[node_id(node)])
    own = {environment.http_port, environment.https_port}
    here = {task["service"] for task in tasks}
    return any(
        port["mode"] == "ingress" or service["id"] in here
        for service in look["services"]
        if service["labels"].get(PREFIX) == environment.prefix
        for port in service["ports"]
        if port["port"] in own
    )


def judge_stack_probes(
    environment: Environment,
    others: Mapping[str, Sequence[Environment]],
    planned: Mapping[str, Probes],
    answers: Mapping[str, Mapping[str, Any]],
    after: Observation,
) -> list[Finding]:
    """Judge what the nodes answered, by their hosts. What runs where nothing could be asked is a finding as well."""
    found = []
    for host, answer in answers.items():
        judged = [
            *judge_answers(environment, others.get(host, ()), planned[host], answer),
            *certificate_findings(environment, answer),
            *shared_credentials(environment, answer["observation"]),
        ]
        found += [replace(finding, where=(Where(item=f"probed on {host}"),)) for finding in judged]
    return [*_together(found), *_not_asked(environment, answers, after)]


def _together(findings: Iterable[Finding]) -> list[Finding]:
    """Each finding once, with all the nodes where it was made."""
    found: dict[tuple[str, ...], Finding] = {}
    for finding in findings:
        same = (finding.rule, finding.resource, finding.message)
        known = found.get(same)
        found[same] = replace(known, where=(*known.where, *finding.where)) if known else finding
    return list(found.values())


def _not_asked(
    environment: Environment, answers: Mapping[str, Mapping[str, Any]], after: Observation
) -> Iterator[Finding]:
    """Tasks whose isolation was not proved, by their nodes."""
    look = after["stack"]
    names = {str(node["id"]): str(node["hostname"]) for node in look["nodes"]}
    hosts = {node_id(seen): host for host, seen in nodes_of(after).items()}
    away = "; ".join(f"{host}: {why}" for host, why in after["away"].items())
    for identity, tasks in own_tasks(environment, look).items():
        host = hosts.get(identity, "")
        if host in answers:
            there = {one["id"] for one in own_containers(environment, answers[host]["observation"])}
            unseen = [task for task in tasks if task["container"] not in there]
            why = "its engine does not have their containers"
        else:
            unseen, why = tasks, away or "the group has no host for it"
        if unseen:
            name = names.get(identity) or identity
            yield Finding(
                "probe-failed", Severity.MEDIUM, (environment.prefix,), f"node {name}",
                f"{name} runs {number(len(unseen), 'task')} of {environment.prefix} that could not be probed from "
                f"inside, so their isolation is not proved: {why}",
                "Make the node reachable, and run aiia.bulkhead.verify again.",
                (Where(item="seen on the swarm"),), environment.machine,
            )  # fmt: skip
