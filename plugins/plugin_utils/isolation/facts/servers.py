# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The servers that a fleet's environments use, and their owners, computed once per fleet."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..model import Document, Environment, Fleet, Reference
from ..readers.endpoints import Use, find, uses
from ..readers.pgbouncer import PgbouncerConfig
from .code_lines import code_lines
from .server_owner import Server, resolver
from .service_kinds import front_service

_POOLERS = re.compile(r"pgbouncer|pgcat|odyssey|pgpool|supavisor")

#: The most poolers in a row that are followed.
_HOPS = 3


@dataclass(frozen=True, slots=True)
class Placed:
    """A use of a server. ``server`` is the endpoint's; ``home`` and ``database`` are where the data is, behind any
    pooler."""

    use: Use
    server: Server
    home: Server
    database: str

    @property
    def owner(self) -> str:
        """The environment that uses the server."""
        return self.use.owner


def fleet_uses(fleet: Fleet) -> Mapping[str, tuple[Use, ...]]:
    """All uses of servers, by the environment's prefix."""
    found: dict[str, tuple[Use, ...]] = {}
    for environment in fleet.environments:
        found[environment.prefix] = (*found.get(environment.prefix, ()), *environment.derived(uses))
    return found


def placed(fleet: Fleet) -> Mapping[str, Sequence[Placed]]:
    """All uses of servers with their owners, by family of server."""
    found: dict[str, list[Placed]] = {}
    by_prefix = fleet.derived(fleet_uses)
    for environment in fleet.by_prefix.values():
        for use in by_prefix[environment.prefix]:
            for server in _servers(fleet, environment, use):
                home, name = server, use.endpoint.name
                if use.endpoint.family == "database":
                    home, name = behind(fleet, server, name)
                found.setdefault(use.endpoint.family, []).append(Placed(use, server, home, name))
    return found


def of_family(fleet: Fleet, family: str) -> Sequence[Placed]:
    """The uses of one family of servers, ordered by environment."""
    return fleet.derived(placed).get(family, ())


def in_documents(fleet: Fleet, family: str) -> Sequence[Placed]:
    """The uses of servers by URLs in scripts, workflows and settings files. Files that several environments share are
    left out."""
    return [
        Placed(use, server, server, use.endpoint.name)
        for environment, document in fleet.derived(_own_documents)
        for use in _written(environment, document, family)
        for server in _servers(fleet, environment, use)
    ]


def _own_documents(fleet: Fleet) -> Iterator[tuple[Environment, Document]]:
    """The documents with a URL that one environment has for itself."""
    having: dict[tuple[str, int], set[str]] = {}
    for environment in fleet.environments:
        for document in environment.documents:
            having.setdefault((document.path, hash(document.text)), set()).add(environment.prefix)
    for environment in fleet.environments:
        for document in environment.documents:
            if "://" in document.text and len(having[document.path, hash(document.text)]) == 1:
                yield environment, document


def _written(environment: Environment, document: Document, family: str) -> Iterator[Use]:
    for where, line in code_lines(document, "://"):
        for endpoint in find(line):
            if endpoint.family == family:
                yield Use(environment.prefix, "", document.path, endpoint, where)


def shared(uses_: Sequence[Placed]) -> Iterator[tuple[str, Sequence[Placed]]]:
    """Yield the servers whose data several environments use: (identity, uses)."""
    by_home: dict[str, list[Placed]] = {}
    for use in uses_:
        by_home.setdefault(use.home.identity, []).append(use)
    for identity, group in by_home.items():
        if len({use.owner for use in group}) > 1:
            yield identity, group


def shared_outside(uses_: Sequence[Placed]) -> Iterator[tuple[str, Sequence[Placed]]]:
    """Yield those of :func:`shared` that no environment of the fleet runs; its own are judged as foreign."""
    return ((identity, group) for identity, group in shared(uses_) if not group[0].home.owner)


def upstreams(fleet: Fleet) -> Iterator[tuple[Environment, Reference, Server]]:
    """Yield where each nginx of the fleet passes requests, and whose server that is."""
    known = resolver(fleet)
    for reference in fleet.references("upstream"):
        environment = fleet.by_prefix.get(reference.owner)
        if environment is not None:
            host, port = str(reference.attributes["host"]), int(reference.attributes["port"] or 0)
            yield environment, reference, known.resolve(environment, front_service(environment), host, port)


def _servers(fleet: Fleet, environment: Environment, use: Use) -> Iterator[Server]:
    for host, port in use.endpoint.hosts:
        yield resolver(fleet).resolve(environment, use.service, host, port)


def behind(fleet: Fleet, server: Server, database: str = "") -> tuple[Server, str]:
    """The server that holds a database, and the database's name there, following poolers by their configuration."""
    for _unused in range(_HOPS):
        environment = fleet.by_prefix.get(server.owner)
        definition = service_of(environment, server.service)
        if environment is None or definition is None or not is_pooler(server.service, definition):
            break
        following = next(_upstreams(fleet, environment, server.service, database), None)
        if following is None or following[0].identity == server.identity:
            break
        server, database = following
    return server, database


def service_of(environment: Environment | None, name: str) -> Mapping[str, Any] | None:
    """The definition of a service in any of the environment's projects; ``None`` if there is none."""
    if environment is None:
        return None
    return next((service for _unused, key, service in environment.services() if key == name), None)


def is_pooler(name: str, definition: Mapping[str, Any]) -> bool:
    """Whether a service is a connection pooler."""
    image = str(definition.get("image") or name)
    return bool(_POOLERS.search(image))


def _upstreams(fleet: Fleet, environment: Environment, pooler: str, database: str) -> Iterator[tuple[Server, str]]:
    entries = [entry for config in pgbouncers(environment) for entry in config.databases if entry.host]
    for entry in sorted(entries, key=lambda entry: entry.name != database):
        if entry.name in (database, "*"):
            yield resolver(fleet).resolve(environment, pooler, entry.host, entry.port), entry.database or database
    for use in fleet.derived(fleet_uses)[environment.prefix]:
        if use.service == pooler and use.endpoint.family == "database":
            for server in _servers(fleet, environment, use):
                yield server, database


def pgbouncers(environment: Environment) -> Iterator[PgbouncerConfig]:
    """The pgbouncer files of an environment."""
    for document in environment.documents:
        if isinstance(document.data, PgbouncerConfig):
            yield document.data
