# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What has to be done to bring a release of a stack into force, planned from what a manager said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.steps import Step
from ..docker.labels import RELEASE, STACK
from .look import digest_of, own


@dataclass(frozen=True)
class StackPlan:
    """What is to be done: nothing where ``steps`` is empty. ``prepare`` are the jobs that run before, ``first`` says
    that services which the application needs are not there yet."""

    steps: tuple[Step, ...] = ()
    prepare: tuple[Mapping[str, Any], ...] = ()
    first: bool = False


def stack_services(project: str, seen: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The services of a stack by their keys in its file."""
    return {
        service["name"][len(project) + 1 :]: service
        for service in seen["services"]
        if service["labels"].get(STACK) == project
    }


def plan(wanted: Mapping[str, Any], seen: Mapping[str, Any], current: Mapping[str, Any]) -> StackPlan:
    """The plan for a release. ``current`` is what was kept of the one in force; empty where there is none."""
    there = stack_services(wanted["project"], seen)
    drifted = others_than_left(there, current)
    same = current.get("digest") == wanted["digest"] and current.get("data_node", "") == data_node(wanted, seen)
    prepare = tuple(to_prepare(wanted, seen, current))
    if same and not drifted and not prepare and not set(wanted["definitions"]) ^ set(there):
        return StackPlan()
    steps = list(_made(wanted, seen))
    steps += [Step("prepare", job["service"], "service", detail=" ".join(job["command"])) for job in prepare]
    for key, digest in wanted["definitions"].items():
        if key not in there:
            steps.append(Step("create", key, "service"))
        elif key in drifted:
            steps.append(Step("update", key, "service", "it is not as the last deployment left it"))
        elif (current.get("definitions") or {}).get(key) != digest:
            steps.append(Step("update", key, "service"))
    steps += [Step("remove", key, "service") for key in there if key not in wanted["definitions"]]
    if not steps:  # such as a setting that no service reads
        steps.append(Step("update", wanted["project"], "stack"))
    return StackPlan(tuple(steps), prepare, bool(set(wanted["foundation"]) - set(there)))


def others_than_left(there: Mapping[str, Mapping[str, Any]], current: Mapping[str, Any]) -> list[str]:
    """The services that are not as the last deployment left them."""
    left = current.get("specs") or {}
    return [key for key, service in there.items() if key in left and service["spec"] != left[key]]


def to_prepare(
    wanted: Mapping[str, Any], seen: Mapping[str, Any], current: Mapping[str, Any]
) -> Iterable[Mapping[str, Any]]:
    """The jobs whose service was not prepared for its image yet, on the node that has the data.

    In force already, the image counts as prepared for: a later release did that where a person returned to this one.
    """
    done = current.get("prepared") or {}
    in_force = current.get("digest") == wanted["digest"]

    def counts(key: str) -> str:
        return key.rpartition("-")[2] if in_force else key

    return [
        job
        for job in wanted["jobs"]
        if counts(done.get(job["service"], "")) != counts(prepared_key(wanted, job["service"], seen))
    ]


def prepared_key(wanted: Mapping[str, Any], service: str, seen: Mapping[str, Any]) -> str:
    """What a service was prepared for: its image, and after a hyphen its commands and the node with the data."""
    commands = [job["command"] for job in wanted["jobs"] if job["service"] == service]
    where = [commands, data_nodes(wanted["data_label"], seen)]
    return "%s-%s" % (digest_of(wanted["images"].get(service, "")), digest_of(where))


def data_nodes(label: str, seen: Mapping[str, Any]) -> list[str]:
    """The nodes that have an environment's volumes, by their ids."""
    return sorted(node["id"] for node in seen["nodes"] if label and node["labels"].get(label) == "true")


def data_node(wanted: Mapping[str, Any], seen: Mapping[str, Any]) -> str:
    """The node that has an environment's volumes, by its id; empty where there is none."""
    return next(iter(data_nodes(wanted["data_label"], seen)), "")


def _made(wanted: Mapping[str, Any], seen: Mapping[str, Any]) -> Iterable[Step]:
    for kind in ("network", "config", "secret"):
        there = {one["name"] for one in seen["%ss" % kind]}
        for name in wanted["%ss" % kind]:
            if name not in there:
                yield Step("make", name, kind)


def unneeded(prefix: str, seen: Mapping[str, Any], needed: Iterable[str]) -> list[tuple[str, dict[str, Any]]]:
    """The environment's configs and secrets that no kept release needs, each with its kind. The releases themselves
    are not among them."""
    names = set(needed)
    found: list[tuple[str, dict[str, Any]]] = []
    for kind in ("config", "secret"):
        owned: Sequence[dict[str, Any]] = own(seen["%ss" % kind], prefix)
        found += [(kind, one) for one in owned if one["name"] not in names and RELEASE not in one["labels"]]
    return found
