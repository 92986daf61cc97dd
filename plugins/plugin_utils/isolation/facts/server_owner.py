# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The owner of the server at a host and port, as seen from inside a service of an environment.

A host name may be an own service, an alias on a network shared with another environment, another environment's
container, or an address of the machine, whose published ports then decide. Anything else is a server outside the
fleet, identified by host and port.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..hosts import canonical_host
from ..model import ComposeProject, Environment, Fleet

#: Names and addresses by which a container reaches its machine.
_GATEWAYS = frozenset({"host.docker.internal", "gateway.docker.internal", "host-gateway", "172.17.0.1"})
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0", "ip6-localhost"})


@dataclass(frozen=True, slots=True)
class Server:
    """A server. ``owner`` is the prefix of the environment that runs it, empty outside the fleet; ``how`` describes for
    messages how it is reached."""

    identity: str
    owner: str = ""
    service: str = ""
    how: str = ""


def _lower(name: str) -> str:
    """A name in small letters; a name that already is so stays the same object, as a large fleet has many."""
    lowered = name.lower()
    return name if lowered == name else lowered


class Resolver:
    """An index of everything in a fleet that has a name, an address or a port."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._own: dict[str, dict[str, str]] = {}
        self._containers: dict[str, list[tuple[str, str]]] = {}
        self._members: dict[tuple[str, str, str], list[tuple[str, str]]] = {}
        self._ports: dict[tuple[str, str], list[tuple[str, str]]] = {}
        self._domains: dict[str, list[Environment]] = {}
        for environment in fleet.environments:
            self._learn(environment)
        for (machine, port), claims in fleet.claims("host-port").items():
            number = port.partition("/")[0]
            for claim in claims:
                publisher = (claim.owner, str(claim.attributes.get("service", "")))
                self._ports.setdefault((machine, number), []).append(publisher)

    def _learn(self, environment: Environment) -> None:
        own = self._own.setdefault(environment.prefix, {})
        for domain in environment.domains:
            self._domains.setdefault(domain.lower(), []).append(environment)
        for project, name, service in environment.services():
            here = (environment.prefix, name)
            own[_lower(name)] = name
            containers = [_lower(container) for container in container_names(project, name, service)]
            for container in containers:
                own.setdefault(container, name)
                self._containers.setdefault(container, []).append(here)
            for network, entry in _networks(service).items():
                real = str((project.networks.get(network) or {}).get("name") or network)
                aliases = map(_lower, map(str, entry.get("aliases") or ()))
                for alias in (_lower(name), *containers, *aliases):
                    self._members.setdefault((environment.machine, real, alias), []).append(here)
                    own.setdefault(alias, name)
                for address in (entry.get("ipv4_address"), entry.get("ipv6_address")):
                    if address:
                        self._members.setdefault((environment.machine, "", str(address)), []).append(here)

    def resolve(self, environment: Environment, service: str, host: str, port: int) -> Server:
        """The server at ``host:port``, as seen from ``service``, or from any service if that is empty."""
        host = canonical_host(host)
        callers = [
            (project, name, definition)
            for project, name, definition in environment.services()
            if name == service or not service
        ]
        for _project, _name, definition in callers:
            if definition.get("extra_hosts") or definition.get("external_links"):
                host = _written_by_hand(definition).get(host, host)
        if not host or host.startswith("/"):
            return Server(f"{environment.prefix}/{host or service}", environment.prefix, service, "its own socket")
        if _is_loopback(host):
            return self._loopback(environment, callers, service, port)
        own = self._own.get(environment.prefix, {}).get(host)
        if own is not None:
            return Server(f"{environment.prefix}/{own}", environment.prefix, own, f"its own service {own}")
        return (
            self._joined(environment, callers, host)
            or self._container(environment, host)
            or self._machine(environment, callers, host, port)
            or Server(f"{host}:{port}" if port else host, how=f"the server {host}")
        )

    def _loopback(self, environment: Environment, callers: Sequence[Any], service: str, port: int) -> Server:
        modes = {str(definition.get("network_mode") or "") for _project, _name, definition in callers}
        for mode in modes:
            if mode.startswith("container:"):
                server = self._container(environment, mode.partition(":")[2].lower())
                if server:
                    return server
        if "host" in modes or not callers:
            return self._published(environment, environment.machine, port) or Server(
                f"{environment.machine}:{port}", how=f"port {port} of the machine"
            )
        return Server(f"{environment.prefix}/{service}", environment.prefix, service, "its own loopback")

    def _joined(self, environment: Environment, callers: Sequence[Any], host: str) -> Server | None:
        for project, _unused, definition in callers:
            for network in _networks(definition):
                real = str((project.networks.get(network) or {}).get("name") or network)
                for owner, service in self._members.get((environment.machine, real, host), ()):
                    if owner != environment.prefix:
                        return Server(f"{owner}/{service}", owner, service, f"{host} on the network {real}")
        for owner, service in self._members.get((environment.machine, "", host), ()):
            return Server(f"{owner}/{service}", owner, service, f"the address {host} of its container")
        return None

    def _container(self, environment: Environment, host: str) -> Server | None:
        containers = self._containers.get(host, ())
        for owner, service in sorted(containers, key=lambda owned: owned[0] != environment.prefix):
            return Server(f"{owner}/{service}", owner, service, f"the container {host}")
        return None

    def _machine(self, environment: Environment, callers: Sequence[Any], host: str, port: int) -> Server | None:
        if host in _GATEWAYS or host in _gateways(callers):
            machine = environment.machine
        elif host in self._fleet.machines and environment in self._domains.get(host, (environment,)):
            machine = host
        elif host in self._domains:
            # It may be the machine's name as well; whose it is says more than where it leads.
            mine = self._domains[host]
            machine = mine[0].machine
            server = self._published(environment, machine, port)
            if server or environment in mine:
                return server
            owner = mine[0].prefix
            return Server(f"{host}:{port}", owner, "", f"the domain {host}")
        else:
            return None
        return self._published(environment, machine, port) or Server(
            f"{machine}:{port}", how=f"port {port} of {machine}"
        )

    def _published(self, environment: Environment, machine: str, port: int) -> Server | None:
        publishers = self._ports.get((machine, str(port)), ())
        for owner, service in sorted(publishers, key=lambda owned: owned[0] != environment.prefix):
            return Server(f"{owner}/{service or port}", owner, service, f"port {port} of {machine}, which it publishes")
        return None

    def domain_owners(self, host: str) -> tuple[str, ...]:
        """The environments that serve a domain."""
        return tuple(environment.prefix for environment in self._domains.get(host, ()))

    def port_owners(self, machine: str, port: int) -> tuple[str, ...]:
        """The environments that publish a port of a machine."""
        return tuple(owner for owner, _unused in self._ports.get((machine, str(port)), ()))

    def container_owners(self, name: str) -> tuple[str, ...]:
        """The environments that have a container with this name."""
        return tuple(dict.fromkeys(owner for owner, _unused in self._containers.get(name.lower(), ())))


def resolver(fleet: Fleet) -> Resolver:
    """The fleet's resolver."""
    return fleet.derived(Resolver)


def container_names(project: ComposeProject, name: str, service: Mapping[str, Any]) -> Iterator[str]:
    """Yield a service's container name: the declared one, else the first that Compose generates."""
    yield str(service.get("container_name") or f"{project.name}-{name}-1")


def _networks(service: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    if service.get("network_mode"):
        return {}
    networks = service.get("networks")
    if isinstance(networks, Mapping):
        return {name: entry or {} for name, entry in networks.items()}
    return {"default": {}}


def _written_by_hand(service: Mapping[str, Any]) -> dict[str, str]:
    """Names that ``extra_hosts`` and ``external_links`` define, with their addresses and containers."""
    names: dict[str, str] = {}
    hosts = service.get("extra_hosts") or ()
    lines = [f"{name}={address}" for name, address in hosts.items()] if isinstance(hosts, Mapping) else hosts
    for line in map(str, lines):
        name, separator, address = line.partition("=") if "=" in line else line.partition(":")
        if separator:
            names[name.strip().lower()] = address.strip().strip("[]").lower()
    for link in map(str, service.get("external_links") or ()):
        container, separator, alias = link.partition(":")
        if separator:
            names[alias.lower()] = container.lower()
    return names


def _is_loopback(host: str) -> bool:
    return host in _LOOPBACK or host.startswith("127.")


def _gateways(callers: Sequence[Any]) -> set[str]:
    """The machine's addresses on the callers' networks."""
    addresses = set()
    for project, _name, _definition in callers:
        for network in project.networks.values():
            for pool in ((network or {}).get("ipam") or {}).get("config") or ():
                gateway = pool.get("gateway") or _first_address(str(pool.get("subnet") or ""))
                if gateway:
                    addresses.add(str(gateway))
    return addresses


def _first_address(subnet: str) -> str:
    try:
        return str(next(ipaddress.ip_network(subnet, strict=False).hosts(), ""))
    except ValueError:
        return ""
