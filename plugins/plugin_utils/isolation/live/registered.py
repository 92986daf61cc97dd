# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Environments that live on the machine and are not in the inventory: registered ones, and strangers.

They become environments with claims, so that the ordinary rules judge them together with the one being deployed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from ....module_utils.docker.labels import PREFIX, PROJECT, WORKING_DIRECTORY
from ..facts.service_kinds import replicas_of, runs_once
from ..model import Claim, Environment, Where

#: Attributes of claims that rules read and that survive the way through JSON.
_PLAIN = (str, int, bool, float, type(None))


def entry_claims(environment: Environment) -> list[dict[str, Any]]:
    """The claims of an environment as the registry keeps them. Fingerprints of secrets stay out: their key is gone."""
    return [
        {
            "namespace": claim.namespace,
            "scope": claim.scope,
            "key": claim.key,
            "shareable": claim.shareable,
            "attributes": {name: value for name, value in claim.attributes.items() if isinstance(value, _PLAIN)},
        }
        for claim in environment.claims
        if claim.namespace != "secret"
    ]


def services_of(environment: Environment) -> Mapping[str, Mapping[str, Any]]:
    """What is kept of an environment's services: how many containers each has, and whether it ends by itself."""
    if environment.registered_services is not None:
        return environment.registered_services
    return {
        key: {"replicas": replicas_of(definition), "once": runs_once(definition)}
        for _project, key, definition in environment.services()
    }


def entry_of(environment: Environment) -> dict[str, Any]:
    """What is kept of an environment: who it is, what runs for it, and its claims."""
    return {
        "prefix": environment.prefix,
        "project": environment.project,
        "environment": environment.name,
        "group": environment.group,
        "machine": environment.machine,
        "directory": environment.directory,
        "domains": list(environment.domains),
        "http_port": environment.http_port,
        "https_port": environment.https_port,
        "services": dict(services_of(environment)),
        "claims": entry_claims(environment),
    }


def registered(observation: Mapping[str, Any], known: Collection[str], machine: str) -> Iterator[Environment]:
    """The environments that were deployed here, as their registry entries say, without the known ones."""
    for prefix, entry in sorted(observation["registry"].items()):
        if prefix not in known and "damaged" not in entry and is_there(entry, observation):
            yield environment_of(entry, machine)


def is_there(entry: Mapping[str, Any], observation: Mapping[str, Any]) -> bool:
    """Whether anything is left of a registered environment: a container, a network, a volume, or a file in force."""
    objects = (*observation["containers"], *observation["networks"], *observation["volumes"])
    return bool(observation["files"].get(str(entry.get("directory")))) or any(
        each["labels"].get(PREFIX) == entry["prefix"] for each in objects
    )


def environment_of(entry: Mapping[str, Any], machine: str = "") -> Environment:
    """An environment from what was kept of it. ``machine`` is what the reader calls the machine, if that differs."""
    prefix, there = str(entry["prefix"]), str(entry.get("machine") or "")
    machine = machine or there
    where = Where(item=f"registered on the machine by {entry['by']}" if entry.get("by") else "")
    claims = tuple(
        Claim(
            str(claim["namespace"]),
            machine if claim["scope"] == there else str(claim["scope"]),
            str(claim["key"]),
            prefix,
            where,
            bool(claim.get("shareable")),
            dict(claim.get("attributes") or {}),
        )
        for claim in entry.get("claims") or ()
    )
    return Environment(
        prefix=prefix,
        name=str(entry.get("environment") or ""),
        project=str(entry.get("project") or ""),
        group=str(entry.get("group") or ""),
        machine=machine,
        directory=str(entry.get("directory") or ""),
        domains=tuple(entry.get("domains") or ()),
        http_port=entry.get("http_port"),
        https_port=entry.get("https_port"),
        claims=claims,
        # What was registered before services were kept says nothing of them.
        registered_services=entry.get("services") or {},
    )


def as_released(environment: Environment, entry: Mapping[str, Any]) -> Environment:
    """An environment with what was registered of it when one of its releases was deployed."""
    kept = environment_of(entry, environment.machine)
    return replace(
        environment,
        claims=kept.claims,
        domains=kept.domains,
        http_port=kept.http_port,
        https_port=kept.https_port,
        registered_services=kept.registered_services,
    )


def strangers(observation: Mapping[str, Any], known: Collection[str], machine: str) -> Iterator[Environment]:
    """Compose projects that nobody registered, called by their project or prefix, with their directories and subnets.

    Their names, ports and mounts are compared one by one (``ownership``), which tells more than a claim could.
    """
    claims: dict[str, list[Claim]] = {}
    directories: dict[str, str] = {}
    for container in observation["containers"]:
        owner = container["labels"].get(PREFIX) or container["labels"].get(PROJECT) or ""
        if owner and owner not in known and container["labels"].get(WORKING_DIRECTORY):
            directories.setdefault(owner, container["labels"][WORKING_DIRECTORY])
    for network in observation["networks"]:
        # A network that is nobody's is no environment: its name (host, none) is a word that stands in many files.
        owner = network["labels"].get(PREFIX) or network["labels"].get(PROJECT) or f"network {network['name']}"
        if owner not in known and any(network["subnets"]):
            where = Where(item=f"seen on the machine (network {network['name']})")
            claims.setdefault(owner, []).extend(
                Claim("subnet", machine, subnet, owner, where, False, {"network": network["name"]})
                for subnet in network["subnets"]
                if subnet
            )
    for owner in sorted({*claims, *directories}):
        found, directory = claims.get(owner, []), directories.get(owner, "")
        if directory:
            where = Where(item="seen on the machine (the project's directory)")
            found.append(Claim("path", machine, directory, owner, where, False, {"kind": "directory"}))
        yield Environment(prefix=owner, machine=machine, directory=directory, claims=tuple(found))
