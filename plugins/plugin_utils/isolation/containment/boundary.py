# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The boundary of an environment: which names, paths, addresses and domains are its own."""

from __future__ import annotations

import ipaddress
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ..declared import adopted_volumes, declared_shares, own_sockets
from ..facts.ownership import inside
from ..model import Environment, Fleet
from ..naming import owns

#: Files of the machine that hold nothing of any environment; they may be mounted, read-only.
NEUTRAL_PATHS = (
    "/etc/localtime",
    "/etc/timezone",
    "/usr/share/zoneinfo",
    "/etc/ssl/certs",
    "/usr/share/ca-certificates",
)

#: Below it, certbot keeps one directory for each certificate, named like its first domain (and a number).
_CERTIFICATES = re.compile(r"/etc/letsencrypt/(?:live|archive)/([^/]+?)(?:-\d{4})?(?:/[^/]+)?\Z")

#: Addresses that engines hand out by themselves, or that belong to the machine or its cloud.
_RESERVED = tuple(
    ipaddress.ip_network(network)
    for network in ("127.0.0.0/8", "169.254.0.0/16", "172.17.0.0/16", "224.0.0.0/4", "::1/128", "fe80::/10", "ff00::/8")
)
#: A container's own names for itself.
_LOOPBACK = frozenset(("localhost", "127.0.0.1", "::1"))
#: The private ranges of RFC 1918, RFC 6598 and RFC 4193.
_PRIVATE = tuple(
    ipaddress.ip_network(network)
    for network in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
)
#: The shortest prefix of an environment's subnet, by version: what the engine itself gives to a network, and a site.
_WIDEST = {4: 16, 6: 48}


@dataclass(frozen=True)
class Boundary:
    """What an environment owns, and what it shares on purpose: the names by kind of its ``bulkhead_shared``."""

    prefix: str
    directory: str
    domains: tuple[str, ...] = ()
    shared: Mapping[str, frozenset[str]] = field(default_factory=dict)
    services: frozenset[str] = frozenset()
    aliases: frozenset[str] = frozenset()
    #: Domains of other environments that lie below own ones.
    ceded: frozenset[str] = frozenset()
    #: The volumes that were there before the environment, and that it takes over under their names.
    adopted: frozenset[str] = frozenset()
    #: The directory of its sockets for the machine's front door; empty where it is not behind that.
    sockets: str = ""

    @cached_property
    def hosts(self) -> frozenset[str]:
        """The names by which the environment's containers reach each other and themselves."""
        return self.services | self.aliases | _LOOPBACK

    def shares(self, kind: str, name: str) -> bool:
        """Whether the environment declares that it shares this on purpose."""
        return name in self.shared.get(kind, frozenset())

    def takes_over(self, kind: str, name: str) -> bool:
        """Whether the environment declares that this was there before, and is now its own."""
        return kind == "volume" and name in self.adopted

    def owns_name(self, name: str) -> bool:
        """Whether a name begins with the prefix, at a token's border."""
        return owns(self.prefix, name)

    def owns_domain(self, host: str) -> bool:
        """Whether a host name is one of the environment's domains, or below one."""
        labels = host.lower().rstrip(".").split(".")
        above = (".".join(labels[start:]) for start in range(len(labels)))
        nearest = next((name for name in above if name in self.domains or name in self.ceded), "")
        return bool(nearest) and nearest not in self.ceded

    def outside_path(self, path: str, read_only: bool = True) -> str:
        """Say why a path of the machine is not the environment's own; empty if it is."""
        if not path.startswith("/"):
            return f"{path} is not an absolute path of the machine"
        clean = posixpath.normpath(path)
        if (self.directory and inside(clean, posixpath.normpath(self.directory))) or self.shares("path", clean):
            return ""
        if self._is_neutral(clean):
            return "" if read_only else f"{clean} belongs to the machine, and the mount can be written"
        return f"{clean} is not below {self.directory or 'the directory of the environment'}"

    def _is_neutral(self, path: str) -> bool:
        certificate = _CERTIFICATES.match(path)
        return any(inside(path, place) for place in NEUTRAL_PATHS) or bool(
            certificate and self.owns_domain(certificate[1])
        )


def domains_below(fleet: Fleet) -> dict[str, set[str]]:
    """For each environment, the domains of others that lie below one of its own: staging's below production's."""
    owners = {
        domain.lower(): environment.prefix for environment in fleet.environments for domain in environment.domains
    }
    found: dict[str, set[str]] = {}
    for domain, prefix in owners.items():
        rest = domain.partition(".")[2]
        while rest:
            owner = owners.get(rest, prefix)
            if owner != prefix:
                found.setdefault(owner, set()).add(domain)
            rest = rest.partition(".")[2]
    return found


def boundary_of(environment: Environment) -> Boundary:
    """The boundary of an environment, from its declaration alone: without what it has ceded."""
    shared: dict[str, set[str]] = {}
    for kind, name in declared_shares(environment):
        shared.setdefault(kind, set()).add(name)
    return Boundary(
        prefix=environment.prefix,
        directory=environment.directory,
        domains=tuple(domain.lower() for domain in environment.domains),
        shared={kind: frozenset(names) for kind, names in shared.items()},
        adopted=frozenset(adopted_volumes(environment).values()),
        sockets=own_sockets(environment),
        services=frozenset(name for _project, name, _service in environment.services()),
        aliases=frozenset(
            str(alias)
            for _project, _name, service in environment.services()
            for attachment in (service.get("networks") or {}).values()
            for alias in (attachment or {}).get("aliases") or ()
        ),
    )


def outside_subnet(text: Any) -> str:
    """Say why a subnet may not be an environment's own; empty if it may."""
    try:
        subnet = ipaddress.ip_network(str(text), strict=False)
    except ValueError:
        return f"{text} is not a subnet"
    if any(_overlap(subnet, reserved) for reserved in _RESERVED):
        return f"{subnet} contains addresses of the machine, its engine or its cloud"
    if not any(_within(subnet, private) for private in _PRIVATE):
        return f"{subnet} contains public addresses, which containers of the machine could then not reach"
    widest = next(network for network in _PRIVATE if _within(subnet, network))
    if subnet.prefixlen < _WIDEST[subnet.version] or subnet == widest:
        return (
            f"{subnet} takes so many private addresses that the machine and its other networks could not reach theirs"
        )
    return ""


def _overlap(one: Any, other: Any) -> bool:
    return bool(one.version == other.version and one.overlaps(other))


def _within(one: Any, other: Any) -> bool:
    return bool(one.version == other.version and one.subnet_of(other))
