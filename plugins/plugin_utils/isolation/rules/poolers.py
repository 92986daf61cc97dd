# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Poolers: a pooler leads only to its environment's databases, and does not mix its sessions with others'."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from ..facts.ownership import owner_of_name
from ..facts.server_owner import Server, resolver
from ..facts.servers import Placed, behind, is_pooler, of_family, pgbouncers, service_of, shared
from ..facts.service_kinds import command_text
from ..model import Environment, Fleet, Severity, Where
from ..numbers import number_of
from ..wording import listing
from . import Hit, Judgement, rule
from .database_scripts import statements

#: PostgreSQL's default, and the number it reserves for administrators.
_MAX_CONNECTIONS, _RESERVED = 100, 3
_POOL_SIZES = re.compile(r"(?:\w+_)?(?:DEFAULT_POOL_SIZE|MAX_DB_CONNECTIONS|DB_POOL_SIZE|POOL_MAX)\Z", re.IGNORECASE)
_LIMIT = re.compile(r"\bmax_connections\s*=\s*'?(\d+)", re.IGNORECASE)
#: The most other environments that a finding names.
_NAMED = 5
_MIXING = ("transaction", "statement")


@rule("pooler-wildcard", "DB-07", severity=Severity.HIGH)
def pooler_wildcard(fleet: Fleet) -> Judgement:
    """A pooler passes on any database name to a server that has another environment's databases."""
    users = dict(shared(of_family(fleet, "database")))
    for environment in fleet.environments:
        for server, where in _wildcards(fleet, environment):
            sharing = (use.owner for use in users.get(server.identity, ()) if use.owner != environment.prefix)
            others = list(islice(sharing, _NAMED))
            if server.owner not in ("", environment.prefix):
                others.insert(0, server.owner)
            if others:
                yield Hit(
                    (environment.prefix, *dict.fromkeys(others)),
                    "[databases] *",
                    f"The pooler of {environment.prefix} forwards every database name to {server.identity}, which "
                    f"holds databases of {listing(others)}: a wrong DB_NAME reaches them.",
                    f"Replace * with the names of {environment.prefix}'s own databases.",
                    (where,),
                )


@rule("search-path-pooling", "DB-08", severity=Severity.CRITICAL)
def search_path_pooling(fleet: Fleet) -> Judgement:
    """Environments that are told apart by schema only share the sessions of a pooler."""
    for identity, uses in shared(of_family(fleet, "database")):
        by_database: dict[str, list[Placed]] = {}
        for use in uses:
            by_database.setdefault(use.database, []).append(use)
        for name, group in by_database.items():
            owners = tuple(dict.fromkeys(use.owner for use in group))
            mixing = [use for use in group if _names_schema(use) and _pool_mode(fleet.by_prefix[use.owner])]
            if len(owners) > 1 and mixing:
                yield Hit(
                    owners,
                    f"{identity}/{name}: search_path",
                    f"{listing(owners)} share the database {name}. {listing(use.use.key for use in mixing)} of "
                    f"{listing(use.owner for use in mixing)} selects a schema by search_path, but the pooler mixes "
                    "sessions: it drops the option, or returns a session with the other's schema.",
                    "Give each environment its own database. Otherwise give each its own role with ALTER ROLE … SET "
                    "search_path, and set no search_path in the connection.",
                    tuple(use.use.where for use in mixing),
                )


@rule("shared-pooler", "DB-09", severity=Severity.MEDIUM)
def shared_pooler(fleet: Fleet) -> Judgement:
    """One pooler serves two environments."""
    for environment in fleet.environments:
        for config in pgbouncers(environment):
            foreign = {entry.name: owner_of_name(fleet, entry.name) for entry in config.databases}
            foreign = {name: owner for name, owner in foreign.items() if owner not in ("", environment.prefix)}
            if foreign:
                where, *_others = (entry.where for entry in config.databases if entry.name in foreign)
                yield _one_pooler((environment.prefix, *dict.fromkeys(foreign.values())), listing(foreign), (where,))
    by_server: dict[str, list[Placed]] = {}
    for use in of_family(fleet, "database"):
        definition = service_of(fleet.by_prefix.get(use.server.owner), use.server.service)
        if is_pooler(use.server.service or use.server.identity, definition or {}):
            by_server.setdefault(use.server.identity, []).append(use)
    for identity, uses in by_server.items():
        owners = tuple(dict.fromkeys(use.owner for use in uses))
        if len(owners) > 1:
            yield _one_pooler(owners, identity, tuple(use.use.where for use in uses))


@rule("database-capacity", "DB-06", severity=Severity.HIGH)
def database_capacity(fleet: Fleet) -> Judgement:
    """The pools of several environments together want more connections than their server has."""
    for identity, uses in shared(of_family(fleet, "database")):
        owners = tuple(dict.fromkeys(use.owner for use in uses))
        sizes = {prefix: size for prefix in owners if (size := _pool_size(fleet.by_prefix[prefix]))}
        limit = _max_connections(fleet, uses[0].home, owners)
        wanted = sum(size for size, _unused in sizes.values())
        unlimited = [prefix for prefix in sizes if not _has_connection_limit(fleet.by_prefix[prefix])]
        if len(sizes) > 1 and unlimited and wanted > limit - _RESERVED:
            yield Hit(
                owners,
                f"{identity}: {wanted} of {limit} connections",
                f"The pools of {listing(sizes)} may open {wanted} connections to {identity}, which allows {limit}: "
                f"when {unlimited[-1]} is busy, the others are refused.",
                f"Lower the pools to {limit - _RESERVED} together, or set ALTER ROLE {unlimited[-1]} CONNECTION "
                "LIMIT n.",
                tuple(where for _unused, where in sizes.values()),
            )


def _one_pooler(owners: tuple[str, ...], resource: str, where: tuple[Where, ...]) -> Hit:
    return Hit(
        owners,
        resource,
        f"{listing(owners)} use the same pooler ({resource}): they share its client limit and its pools, and PAUSE, "
        "KILL or a restart for one stops the others.",
        "Give each environment its own pooler, which lists only its own databases.",
        where,
    )


def _wildcards(fleet: Fleet, environment: Environment) -> Iterator[tuple[Server, Where]]:
    """Yield where the wildcard entries of an environment's poolers lead."""
    for config in pgbouncers(environment):
        for entry in config.databases:
            if entry.name == "*":
                pooler = next(
                    (name for _unused, name, service in environment.services() if is_pooler(name, service)), ""
                )
                server = resolver(fleet).resolve(environment, pooler, entry.host, entry.port)
                yield behind(fleet, server)[0], entry.where
    for project, name, service in environment.services():
        settings: Mapping[str, object] = service.get("environment") or {}
        if is_pooler(name, service) and "*" in (settings.get("PGBOUNCER_DATABASE"), settings.get("DB_NAME")):
            own = Server(f"{environment.prefix}/{name}", environment.prefix, name)
            yield behind(fleet, own)[0], project.where("services", name, "environment")


def _pool_mode(environment: Environment) -> str:
    modes = [config.settings.get("pool_mode", "") for config in pgbouncers(environment)]
    modes += [setting.text for setting in environment.settings if setting.key.upper().endswith("POOL_MODE")]
    return next((mode for mode in modes if mode in _MIXING), "")


def _names_schema(each: Placed) -> bool:
    options = each.use.endpoint.options
    return "search_path" in options or "search_path" in options.get("options", "") or "currentSchema" in options


def _pool_size(environment: Environment) -> tuple[int, Where] | None:
    """The most connections that an environment's pools open, and where that is set."""
    for config in pgbouncers(environment):
        for name in ("max_db_connections", "default_pool_size"):
            if config.settings.get(name, "").isdecimal() and config.settings[name] != "0":
                each = number_of(config.settings[name]) * (max(1, len(config.databases)))
                return each, config.places[name]
    for setting in environment.settings:
        if _POOL_SIZES.match(setting.key) and setting.text.isdecimal():
            return number_of(setting.text), setting.where
    return None


def _max_connections(fleet: Fleet, server: Server, owners: Sequence[str]) -> int:
    definition = service_of(fleet.by_prefix.get(server.owner), server.service)
    texts = [command_text(definition)] if definition else []
    for prefix in owners:
        texts += [document.text for document in fleet.by_prefix[prefix].documents if "max_connections" in document.text]
    return next((number_of(match[1]) for match in map(_LIMIT.search, texts) if match), _MAX_CONNECTIONS)


def _has_connection_limit(environment: Environment) -> bool:
    return any(
        re.search(r"\bCONNECTION LIMIT [1-9]", statement.text, re.IGNORECASE) for statement in statements(environment)
    )
