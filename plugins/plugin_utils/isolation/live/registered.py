# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Environments on the machine that the inventory does not have: registered ones and strangers.

They become environments with claims, so that the ordinary rules judge them together with the one being deployed.
"""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from ....module_utils.docker.labels import FRONT_DOOR, PREFIX, PROJECT, WORKING_DIRECTORY
from ..facts.capacity import reserved
from ..facts.service_kinds import replicas_of, runs_once
from ..model import Claim, Environment, Where
from ..naming import normalise_project

#: Types of claim attributes that the registry keeps: they survive JSON.
_PLAIN = (str, int, bool, float, type(None))


def entry_claims(environment: Environment) -> list[dict[str, Any]]:
    """The claims of an environment as the registry keeps them: without fingerprints of secrets, whose key is lost, and
    addresses, by which an inventory reaches the machine."""
    return [
        {
            "namespace": claim.namespace,
            "scope": claim.scope,
            "key": claim.key,
            "shareable": claim.shareable,
            "attributes": {name: value for name, value in claim.attributes.items() if isinstance(value, _PLAIN)},
        }
        for claim in environment.claims
        if claim.namespace not in ("secret", "address")
    ]


def services_of(environment: Environment) -> Mapping[str, Mapping[str, Any]]:
    """For each service: ``replicas``, its number of containers; ``once``, whether it exits when its work is done."""
    if environment.registered_services is not None:
        return environment.registered_services
    return {
        key: {"replicas": replicas_of(definition), "once": runs_once(definition)}
        for _project, key, definition in environment.services()
    }


def entry_of(environment: Environment) -> dict[str, Any]:
    """The registry's entry of an environment: its identity, services and claims."""
    kept = reserved(environment)
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
        **({"reserved": kept} if kept else {}),
    }


def registered(observation: Mapping[str, Any], known: Collection[str], machine: str) -> Iterator[Environment]:
    """The environments deployed on this machine, by their registry entries, except the ``known`` prefixes."""
    for prefix, entry in sorted(observation["registry"].items()):
        if prefix not in known and "damaged" not in entry and is_there(entry, observation):
            yield environment_of(entry, machine)


def elsewhere(observation: Mapping[str, Any], known: Collection[str], machine: str) -> Iterator[Environment]:
    """The environments that root has registered in other state directories of this machine, with what they have here.

    What is the world's, such as domains, is compared within one state directory, and so are words such as staging.
    """
    for prefix, entry in sorted(observation.get("elsewhere", {}).items()):
        if prefix not in known and "damaged" not in entry:
            found = environment_of(entry, machine)
            here = tuple(claim for claim in found.claims if claim.scope == machine)
            yield replace(found, name="", project="", group="", domains=(), claims=here)


def is_there(entry: Mapping[str, Any], observation: Mapping[str, Any]) -> bool:
    """Whether a registered environment still has a container, network, volume or deployed file."""
    objects = (*observation["containers"], *observation["networks"], *observation["volumes"])
    return bool(observation["files"].get(str(entry.get("directory")))) or any(
        item["labels"].get(PREFIX) == entry["prefix"] for item in objects
    )


def environment_of(entry: Mapping[str, Any], machine: str = "") -> Environment:
    """An environment from its registry entry; ``machine`` is this inventory's name of the machine, if it differs."""
    prefix, registered_machine = str(entry["prefix"]), str(entry.get("machine") or "")
    machine = machine or registered_machine
    where = Where(item=f"registered on the machine by {entry['by']}" if entry.get("by") else "")
    claims = tuple(
        Claim(
            str(claim["namespace"]),
            machine if claim["scope"] == registered_machine else str(claim["scope"]),
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
        # Entries written by older versions have no services.
        registered_services=entry.get("services") or {},
    )


def as_released(environment: Environment, entry: Mapping[str, Any]) -> Environment:
    """The environment with the claims, domains, ports and services registered with one of its earlier releases."""
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
    """Unregistered Compose projects as environments that claim their directories and subnets.

    Their names, ports and mounts are compared in :mod:`ownership`, whose findings are more precise.
    """
    claims: dict[str, list[Claim]] = {}
    directories: dict[str, str] = {}
    ours: set[str] = set()
    for container in observation["containers"]:
        owner = container["labels"].get(PREFIX) or container["labels"].get(PROJECT) or ""
        where = container["labels"].get(WORKING_DIRECTORY, "")
        ours |= {container["labels"].get(PREFIX, "")}
        if FRONT_DOOR in container["labels"]:
            continue  # the machine's own; it serves all
        # Our label counts without a directory too: the prefix alone may be one that must not be beside this one.
        if owner and owner not in known and (where or container["labels"].get(PREFIX)):
            directories[owner] = directories.get(owner) or where
    for network in observation["networks"]:
        # Not the bare name: that of an unlabelled network (host, none) is a word that occurs in many files.
        owner = network["labels"].get(PREFIX) or network["labels"].get(PROJECT) or f"network {network['name']}"
        if owner not in known and any(network["subnets"]):
            where = Where(item=f"seen on the machine (network {network['name']})")
            claims.setdefault(owner, []).extend(
                Claim("subnet", machine, subnet, owner, where, False, {"network": network["name"]})
                for subnet in network["subnets"]
                if subnet
            )
    for owner in sorted({*claims, *directories}):
        owned, directory = claims.get(owner, []), directories.get(owner, "")
        if directory:
            where = Where(item="seen on the machine (the project's directory)")
            owned.append(Claim("path", machine, directory, owner, where, False, {"kind": "directory"}))
        by_directory = owner not in ours and owner == normalise_project(posixpath.basename(directory))
        yield Environment(
            prefix=owner,
            machine=machine,
            directory=directory,
            claims=tuple(owned),
            named_by_directory=by_directory,
        )
