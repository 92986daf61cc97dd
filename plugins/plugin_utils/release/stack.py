# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the definitions of an environment's services to one Compose project."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from ipaddress import ip_address
from typing import Any

from ...module_utils.docker.labels import APPLICATION, ENVIRONMENT, INPUT, PREFIX, RELEASE
from ...module_utils.release.service import DeclaredService
from ..declaration.guarded_ports import allowed_port
from ..isolation import naming
from ..isolation.facts.service_kinds import replicas_of
from ..isolation.numbers import number_of
from .backup_parts import backup_parts, check_names
from .definitions import Definition, merge


@dataclass(frozen=True, slots=True)
class StackFile:
    """A file that a service brings along: its path below the environment's directory, and where its text is from."""

    path: str
    template: str = ""
    content: str = ""
    source: str = ""
    secret: bool = False
    #: Whether its service reads it only when it starts, although it has a command for changed files.
    restart: bool = False
    #: Whether it holds the lines of the release before, too, until every container has those of the new one.
    overlap: bool = False


@dataclass(frozen=True)
class StackService(DeclaredService):
    """A service of a stack, with the files that it brings along.

    ``manage`` is the service's own management command, such as
    ``python3 manage.py``. ``question`` is a read-only command whose output verification judges, as its kind says.
    ``backup`` are the parts of it that are backed up, each with the ``name`` that its file has. ``host`` is its name on
    the environment's network, however many containers it has.
    """

    brings: tuple[StackFile, ...] = ()
    application: bool = False
    question_kind: str = ""
    question: tuple[str, ...] = ()
    backup: tuple[Mapping[str, Any], ...] = ()
    manage: tuple[str, ...] = ()
    host: str = ""
    #: Whether it has the sockets to which the machine's front door sends requests, or of a stack the ports for relays.
    edge: bool = False


@dataclass(frozen=True, slots=True)
class Stack:
    """A whole stack: the Compose mapping, and the services with what is not Compose's.

    Where ``swarm`` names a swarm, the mapping is that of its stack file, ``notes`` are what people have to know,
    ``waits`` are the services for which each would wait with Compose, and ``relays`` says that one has the sockets of
    its nodes' front doors.
    """

    compose: dict[str, Any]
    services: tuple[StackService, ...]
    swarm: str = ""
    notes: tuple[str, ...] = ()
    waits: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    relays: bool = False

    @property
    def uses_application_image(self) -> bool:
        """Whether any service runs the image that is built from the source."""
        return any(service.application for service in self.services)


def build_stack(
    definitions: Sequence[Definition],
    networks: Mapping[str, Any],
    *,
    prefix: str,
    project: str,
    environment: str,
    adopted: Mapping[str, str] | None = None,
) -> Stack:
    """Make the Compose project of an environment, from its services and the networks beside the default one.

    ``adopted`` are volumes that were there before (``bulkhead_adopted_volumes``): they keep their names, and Compose
    neither makes nor removes them.
    Raises ``ValueError`` with a message for the user when a definition has a shape that Compose cannot mean.
    """
    keys = {definition.name: definition.key for definition in definitions}
    compose_services: dict[str, Any] = {}
    described: list[StackService] = []
    volumes: dict[str, Any] = {}
    for definition in definitions:
        complete = dict(definition.compose)
        replicas = replicas_of(complete)
        host = naming.container_name(prefix, definition.name)
        if replicas == 1:
            host = str(complete.setdefault("container_name", host))
        elif definition.extra.get("rolling"):
            _give_alias(complete, host)
        _rename_references(complete, keys)
        volumes.update(_named_volumes(complete, prefix, environment, adopted or {}))
        compose_services[definition.key] = complete
        described.append(_described(definition, complete, prefix, host, replicas))
    check_names(part for service in described for part in service.backup)
    compose: dict[str, Any] = {
        "name": naming.project_name(prefix),
        "services": compose_services,
        "networks": _networks(networks, prefix, labels(project, environment, prefix)),
    }
    if volumes:
        for volume in volumes.values():
            if not volume.get("external"):
                volume["labels"] = labels(project, environment, prefix)
        compose["volumes"] = volumes
    for key, service in compose_services.items():
        own = {**labels(project, environment, prefix), INPUT: _digest(service), RELEASE: release_of(key)}
        service["labels"] = merge(_as_mapping(service.get("labels")), own)
    return Stack(compose, tuple(described))


def _described(
    definition: Definition, complete: Mapping[str, Any], prefix: str, host: str, replicas: int
) -> StackService:
    extra = definition.extra
    return StackService(
        name=definition.name,
        key=definition.key,
        container=str(complete.get("container_name") or f"{naming.project_name(prefix)}-{definition.key}"),
        image=str(complete.get("image", "")),
        brings=tuple(StackFile(**file) for file in extra.get("files") or ()),
        on_change=tuple(map(str, extra.get("on_change") or ())),
        retire=tuple(map(str, extra.get("retire") or ())),
        validate=tuple(map(str, extra.get("validate") or ())),
        application=definition.application,
        question_kind=str((extra.get("question") or {}).get("kind", "")),
        question=tuple((extra.get("question") or {}).get("command", ())),
        backup=backup_parts(definition.name, extra.get("backup")),
        manage=tuple(map(str, extra.get("manage") or ())),
        # Old and new cannot both have one port of the machine.
        rolling=bool(extra.get("rolling")) and not complete.get("ports"),
        prepare=tuple(tuple(map(str, command)) for command in extra.get("prepare") or ()),
        prepare_status=tuple(map(str, extra.get("prepare_status") or ())),
        replicas=replicas,
        host=host,
        edge=extra.get("edge") is True,
    )


def _give_alias(service: dict[str, Any], alias: str) -> None:
    """Let several containers be found under the one name that a single one would have: nginx asks for that."""
    networks = service.get("networks") or ["default"]
    found = dict.fromkeys(networks) if isinstance(networks, list) else dict(networks)
    if "default" in found and not service.get("network_mode"):
        own = dict(found["default"] or {})
        found["default"] = {**own, "aliases": list(dict.fromkeys([*(own.get("aliases") or ()), alias]))}
        service["networks"] = found


def _networks(more: Mapping[str, Any], prefix: str, own: Mapping[str, str]) -> dict[str, Any]:
    """The environment's network as the guide names it, and those that the default stack has beside it."""
    found: dict[str, Any] = {"default": {"name": naming.network_name(prefix), "labels": dict(own)}}
    for key, definition in more.items():
        found[key] = {"name": naming.network_name(prefix, key), **definition, "labels": dict(own)}
    return found


def _digest(service: Mapping[str, Any]) -> str:
    """What a service was rendered from, in sixteen digits."""
    return sha256(json.dumps(service, sort_keys=True, default=str).encode()).hexdigest()[:16]


def release_of(key: str) -> str:
    """What stands for the release that a service's containers are made for, until the machine says which that is."""
    return f"<release of {key}>"


def labels(project: str, environment: str, prefix: str) -> dict[str, str]:
    """The labels that everything of an environment carries, by which it is known exactly."""
    return {
        APPLICATION: project,
        ENVIRONMENT: environment,
        PREFIX: prefix,
    }


def _as_mapping(value: Any) -> dict[str, Any]:
    """Compose takes labels as a mapping or as a list of ``key=value``."""
    if isinstance(value, list):
        return {key: text for key, _unused, text in (str(item).partition("=") for item in value)}
    return dict(value or {})


def _rename_references(service: dict[str, Any], keys: Mapping[str, str]) -> None:
    """Speak of other services by their Compose keys, and forget dependencies on services that were left out."""
    depends = service.get("depends_on")
    if isinstance(depends, list):
        depends = {name: {"condition": "service_started"} for name in depends}
    if isinstance(depends, Mapping):
        kept = {keys[name]: how for name, how in depends.items() if name in keys}
        service["depends_on"] = kept
        if not kept:
            del service["depends_on"]
    for key in ("network_mode", "pid", "ipc"):
        kind, colon, name = str(service.get(key, "")).partition(":")
        if colon and kind == "service" and name in keys:
            service[key] = f"service:{keys[name]}"


def _named_volumes(
    service: Mapping[str, Any], prefix: str, environment: str, adopted: Mapping[str, str]
) -> dict[str, Any]:
    """The named volumes that a service mounts, each with its name on the machine."""
    sources = filter(None, map(named_volume, service.get("volumes") or ()))
    return {
        source: {"name": str(adopted[source]), "external": True}
        if source in adopted
        else {"name": naming.volume_name(prefix, environment, source)}
        for source in sources
    }


def named_volume(mount: Any) -> str:
    """The named volume that a mount of a service is of; empty where it is of something else."""
    if isinstance(mount, Mapping):
        return str(mount.get("source") or "") if mount.get("type") == "volume" else ""
    source, colon, _target = str(mount).partition(":")
    return source if colon and not source.startswith((".", "/", "~")) else ""


def published_ports(compose: Mapping[str, Any]) -> list[tuple[str, str, int]]:
    """What the services publish on the machine: (service key, address, port), for single ports and ranges."""
    return [
        (key, address, number)
        for key, _protocol, address, low, high in _published(compose)
        for number in range(low, high + 1)
    ]


def firewall_ports(compose: Mapping[str, Any], allowed: Iterable[str]) -> list[dict[str, str]]:
    """The ports of the machine that the guard leaves open to the environment's own containers: those that its services
    publish, and the ``allowed`` ones (see :func:`allowed_port`). Loopback is out of a container's reach anyway."""
    found = [
        {"protocol": protocol, "address": address, "ports": f"{low}:{high}" if high > low else str(low)}
        for _key, protocol, address, low, high in _published(compose)
        if not _is_loopback(address)
    ]
    found += [allowed_port(str(entry)) for entry in allowed]
    return [ports for number, ports in enumerate(found) if ports not in found[:number]]


def _published(compose: Mapping[str, Any]) -> Iterator[tuple[str, str, str, int, int]]:
    """(service key, protocol, address, first port, last port) of everything that is published under a fixed port."""
    for key, service in compose["services"].items():
        for port in service.get("ports") or ():
            if isinstance(port, Mapping):
                address, published = str(port.get("host_ip") or ""), str(port.get("published") or "")
                protocol = str(port.get("protocol") or "tcp")
            else:
                text, _unused, protocol = str(port).partition("/")
                address, _unused, published = text.rpartition(":")[0].rpartition(":")
                address, protocol = address.strip("[]"), protocol or "tcp"
            low, _unused, high = published.partition("-")
            if low.isdecimal():
                yield key, protocol, address, number_of(low), number_of(high or low)


def _is_loopback(address: str) -> bool:
    try:
        return bool(address) and ip_address(address).is_loopback
    except ValueError:
        return False


def mounted_directories(service: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The bind mounts of a service whose source is below the environment's directory: (source, target)."""
    found: list[tuple[str, str]] = []
    for mount in service.get("volumes") or ():
        if isinstance(mount, Mapping):
            bound = mount.get("type") == "bind"
            source, target = str(mount.get("source") or "") if bound else "", str(mount.get("target") or "")
        else:
            source, target = [*str(mount).split(":"), ""][:2]
        if source.startswith("./"):
            found.append((posixpath.normpath(source), target))
    return found


def own_names(compose: Mapping[str, Any], kind: str) -> list[str]:
    """The names on the machine of the networks or volumes that a project makes; external ones are not."""
    found = (compose.get(kind) or {}).items()
    return [
        str((definition or {}).get("name") or f"{compose['name']}_{key}")
        for key, definition in found
        if not (definition or {}).get("external")
    ]
