# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The databases and brokers that an environment claims, and the endpoints that its settings point at.

This looks at one environment alone: a name of one of its own services is its own server, any other host is kept as
written. Rules ask :mod:`..facts.server_owner` whose it is.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..model import WORLD, Claim, Environment, Reference
from ..naming import truncate_identifier
from .endpoints import Use, uses

_SERVERS = {"database": "database-server", "redis": "redis-server"}


def claims_endpoints(environment: Environment) -> tuple[list[Claim], list[Reference]]:
    """The claims and references for each database and Redis in the environment's settings."""
    claims: dict[tuple[str, str, str], Claim] = {}
    references: dict[tuple[str, str, int, str], Reference] = {}
    own = _own_names(environment)
    for use in uses(environment):
        if use.endpoint.family in _SERVERS:
            for host, port in use.endpoint.hosts:
                for claim in _claims(use, environment.machine, own, host, port):
                    claims.setdefault((claim.namespace, claim.scope, claim.key), claim)
                attributes = {"host": host, "port": port, "name": use.endpoint.name, "user": use.endpoint.user}
                reference = Reference(use.endpoint.family, host, use.owner, use.where, attributes)
                references.setdefault((use.endpoint.family, host, port, use.endpoint.name), reference)
    return list(claims.values()), list(references.values())


def _claims(use: Use, machine: str, own: dict[str, str], host: str, port: int) -> Iterator[Claim]:
    endpoint = use.endpoint
    service = own.get(host)
    scope, identity = (machine, f"{use.owner}/{service}") if service else (WORLD, f"{host}:{port}")
    # A server elsewhere may be shared, but not a database on it.
    yield Claim(_SERVERS[endpoint.family], scope, identity, use.owner, use.where, shareable=not service)
    if endpoint.family == "redis":
        yield Claim("redis-db", identity, endpoint.name, use.owner, use.where)
    elif endpoint.name:
        yield Claim("database", identity, truncate_identifier(endpoint.name), use.owner, use.where)
    if endpoint.family == "database" and endpoint.user:
        yield Claim("database-role", identity, truncate_identifier(endpoint.user), use.owner, use.where)


def _own_names(environment: Environment) -> dict[str, str]:
    """Each name that one of the environment's own services answers to, mapped to the service."""
    names: dict[str, str] = {}
    for _unused, service, definition in environment.services():
        names[service.lower()] = service
        if definition.get("container_name"):
            names[str(definition["container_name"]).lower()] = service
        networks = definition.get("networks")
        for entry in networks.values() if isinstance(networks, dict) else ():
            for alias in (entry or {}).get("aliases") or ():
                names[str(alias).lower()] = service
    return names
