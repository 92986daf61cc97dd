# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the declaration of services to one Compose project.

The default stack and ``bulkhead_services`` are mappings of Compose service definitions. A service may carry two keys
that are ours: ``service_name`` (its key in the Compose file) and ``x-bulkhead`` (what it brings along: files, settings
for the application's ``.env``, secrets). Both are taken out before the file is written.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from ipaddress import ip_address
from typing import Any

from ...module_utils.docker.labels import APPLICATION, ENVIRONMENT, INPUT, PREFIX, RELEASE
from ...module_utils.release.service import DeclaredService
from ..isolation import naming
from ..isolation.facts.service_kinds import replicas_of
from .backup_parts import backup_parts, check_names
from .guarded_ports import allowed_port
from .tuning import fit_to_limits, settings_of

#: Keys of a service definition that are ours and not Compose's.
OURS = ("service_name", "x-bulkhead")


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


@dataclass(frozen=True)
class StackService(DeclaredService):
    """A service of a stack, with the files, ``settings`` and ``secrets`` that it brings along.

    ``private`` secrets are kept out of ``.env``. ``manage`` is the service's own management command, such as
    ``python3 manage.py``. ``question`` is a read-only command whose output verification judges, as its kind says.
    ``backup`` are the parts of it that are backed up, each with the ``name`` that its file has. ``host`` is its name on
    the environment's network, however many containers it has.
    """

    brings: tuple[StackFile, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    private: tuple[str, ...] = ()
    application: bool = False
    question_kind: str = ""
    question: tuple[str, ...] = ()
    backup: tuple[Mapping[str, Any], ...] = ()
    manage: tuple[str, ...] = ()
    host: str = ""


@dataclass(frozen=True, slots=True)
class Stack:
    """A whole stack: the Compose mapping, and the services with what is not Compose's."""

    compose: dict[str, Any]
    services: tuple[StackService, ...]

    @property
    def uses_application_image(self) -> bool:
        """Whether any service runs the image that is built from the source."""
        return any(service.application for service in self.services)


def merge(base: Any, over: Any) -> Any:
    """Merge deeply: mappings merge, null removes a key, everything else (lists too) replaces."""
    if not (isinstance(base, Mapping) and isinstance(over, Mapping)):
        return _copied(over)
    merged = dict(base)
    for key, value in over.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def _copied(value: Any) -> Any:
    """A copy of what YAML can hold, so that no two stacks have a list or mapping in common."""
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value


def build_stack(
    stack: Mapping[str, Any], services: Mapping[str, Any], *, prefix: str, project: str, environment: str
) -> Stack:
    """Make the Compose project of an environment.

    ``stack`` is the default stack with the keys ``common`` (what every service gets), ``application`` (what a service
    without an image of its own gets), ``services`` and ``networks``. ``services`` is ``bulkhead_services``.

    Raises ``ValueError`` with a message for the user when a definition has a shape that Compose cannot mean.
    """
    wanted = merge(stack["services"], services)
    for name, definition in wanted.items():
        if not isinstance(definition, Mapping):
            raise ValueError(
                f"bulkhead_services.{name} is {type(definition).__name__}; it must be a mapping of Compose's service "
                "keys (image, command, environment …), or null to leave the service out"
            )
    _check_started(wanted)
    keys = {name: str(definition.get("service_name") or name) for name, definition in wanted.items()}
    compose_services: dict[str, Any] = {}
    described: list[StackService] = []
    volumes: dict[str, Any] = {}
    for name, definition in wanted.items():
        application = not definition.get("image")
        complete = _complete(stack, services, name, application)
        extra = complete.get("x-bulkhead") or {}
        complete = {key: value for key, value in complete.items() if key not in OURS}
        fit_to_limits(name, complete, extra, services.get(name) or {})
        replicas = replicas_of(complete)
        host = naming.container_name(prefix, name)
        if replicas == 1:
            host = str(complete.setdefault("container_name", host))
        elif extra.get("rolling"):
            _give_alias(complete, host)
        _check_prepare(name, extra)
        _rename_references(complete, keys)
        volumes.update(_named_volumes(complete, prefix, environment))
        if keys[name] in compose_services:
            raise ValueError(f"two services of bulkhead_services have the service_name {keys[name]!r}")
        compose_services[keys[name]] = complete
        described.append(
            StackService(
                name=name,
                key=keys[name],
                container=str(complete.get("container_name") or f"{naming.project_name(prefix)}-{keys[name]}"),
                image=str(complete.get("image", "")),
                brings=tuple(StackFile(**file) for file in extra.get("files", ())),
                settings=settings_of(complete, extra),
                secrets=tuple(extra.get("secrets", ())),
                private=tuple(extra.get("private", ())),
                on_change=tuple(map(str, extra.get("on_change", ()))),
                validate=tuple(map(str, extra.get("validate", ()))),
                application=application,
                question_kind=str((extra.get("question") or {}).get("kind", "")),
                question=tuple((extra.get("question") or {}).get("command", ())),
                backup=backup_parts(name, extra.get("backup")),
                manage=tuple(map(str, extra.get("manage") or ())),
                # Old and new cannot both have one port of the machine.
                rolling=bool(extra.get("rolling")) and not complete.get("ports"),
                prepare=tuple(tuple(map(str, command)) for command in extra.get("prepare") or ()),
                prepare_status=tuple(map(str, extra.get("prepare_status") or ())),
                replicas=replicas,
                host=host,
            )
        )
    check_names(part for service in described for part in service.backup)
    compose: dict[str, Any] = {
        "name": naming.project_name(prefix),
        "services": compose_services,
        "networks": _networks(stack.get("networks") or {}, prefix, labels(project, environment, prefix)),
    }
    if volumes:
        for volume in volumes.values():
            volume["labels"] = labels(project, environment, prefix)
        compose["volumes"] = volumes
    for key, service in compose_services.items():
        own = {**labels(project, environment, prefix), INPUT: _digest(service), RELEASE: release_of(key)}
        service["labels"] = merge(_as_mapping(service.get("labels")), own)
    return Stack(compose, tuple(described))


def definitions(stack: Mapping[str, Any], services: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The complete definition of each service, by its name in ``bulkhead_services``. For arguments see
    :func:`build_stack`; what is not a mapping is left out."""
    wanted = merge(stack["services"], services)
    return {
        name: _complete(stack, services, name, not definition.get("image"))
        for name, definition in wanted.items()
        if isinstance(definition, Mapping)
    }


def _complete(stack: Mapping[str, Any], services: Mapping[str, Any], name: str, application: bool) -> dict[str, Any]:
    """A service's definition over what it is based on."""
    layers = [stack["common"], stack["application"]] if application else [stack["common"]]
    complete: dict[str, Any] = {}
    # Not the merged definition: a null removes what comes from `common` as well.
    for layer in (*layers, stack["services"].get(name) or {}, services.get(name) or {}):
        complete = merge(complete, layer)
    return complete


def _give_alias(service: dict[str, Any], alias: str) -> None:
    """Let several containers be found under the one name that a single one would have: nginx asks for that."""
    networks = service.get("networks") or ["default"]
    found = dict.fromkeys(networks) if isinstance(networks, list) else dict(networks)
    if "default" in found and not service.get("network_mode"):
        own = dict(found["default"] or {})
        found["default"] = {**own, "aliases": list(dict.fromkeys([*(own.get("aliases") or ()), alias]))}
        service["networks"] = found


def _check_started(services: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise ValueError with all services that Compose would never start."""
    found = [(name, what) for name, definition in services.items() for what in _keeps_away(definition)]
    if found:
        said = ", ".join(f"bulkhead_services.{name} has {what}" for name, what in found)
        nulls = ", ".join(f"{name}: null" for name in dict.fromkeys(name for name, _what in found))
        raise ValueError(
            f"{said}: Compose would start no container of it, and each deployment would wait for one. Take that "
            f"away, or leave the service out with null (bulkhead_services: {{{nulls}}})"
        )


def _keeps_away(definition: Mapping[str, Any]) -> Iterator[str]:
    """What in a service's definition keeps Compose from starting it."""
    if definition.get("profiles"):
        yield "profiles"
    if str(definition.get("scale", "")) == "0":
        yield "scale: 0"
    deploy = definition.get("deploy")
    if isinstance(deploy, Mapping) and str(deploy.get("replicas", "")) == "0":
        yield "deploy.replicas: 0"


def _check_prepare(name: str, extra: Mapping[str, Any]) -> None:
    """Raise ValueError if ``prepare`` is not a list of commands."""
    commands = extra.get("prepare") or ()
    if not isinstance(commands, (list, tuple)) or not all(
        isinstance(command, list) and command for command in commands
    ):
        raise ValueError(f"bulkhead_services.{name}: x-bulkhead.prepare is a list of commands, each a list of words")


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


def _named_volumes(service: Mapping[str, Any], prefix: str, environment: str) -> dict[str, Any]:
    """The named volumes that a service mounts, each with its name on the machine."""
    sources = filter(None, map(named_volume, service.get("volumes") or ()))
    return {source: {"name": naming.volume_name(prefix, environment, source)} for source in sources}


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
            if low.isdigit():
                yield key, protocol, address, int(low), int(high or low)


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
