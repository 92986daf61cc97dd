# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Databases: each connection of an environment leads to its own server, database and role."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ..facts.server_owner import Server
from ..facts.servers import Placed, in_documents, of_family, service_of, shared, shared_outside
from ..model import Fleet, Severity
from ..naming import truncate_identifier
from ..wording import listing
from . import Hit, Judgement, rule

#: The administrator roles of common providers.
_ADMINISTRATORS = frozenset(
    ("postgres", "root", "admin", "sa", "rdsadmin", "doadmin", "avnadmin", "cloudsqlsuperuser", "azure_superuser")
)


@rule("foreign-database", "DB-01", severity=Severity.CRITICAL)
def foreign_database(fleet: Fleet) -> Judgement:
    """A connection leads to another environment's database server."""
    leading: dict[tuple[str, str], list[Placed]] = {}
    for use in (*of_family(fleet, "database"), *in_documents(fleet, "database")):
        if _foreign(use):
            leading.setdefault((use.owner, _foreign(use)), []).append(use)
    for (prefix, owner), uses in leading.items():
        keys = listing(use.use.key for use in uses)
        server = _foreign_server(uses[0])
        yield Hit(
            (prefix, owner),
            keys,
            f"{prefix} connects to a database server of {owner} ({server.how}) because of {keys}: it reads and "
            f"writes the data of {owner}.",
            f"Point {keys} at {prefix}'s own server, such as pgbouncer on its own network, with its own database and "
            "role.",
            tuple(use.use.where for use in uses),
        )


@rule("shared-database", "DB-01", "DB-10", severity=Severity.CRITICAL)
def shared_database(fleet: Fleet) -> Judgement:
    """Two environments use one database of a server that belongs to neither."""
    for identity, uses in shared_outside(of_family(fleet, "database")):
        for name, group in _by_owner_of(uses, lambda use: truncate_identifier(use.database)):
            written = list(dict.fromkeys(use.database for use in group))
            cut = f", because PostgreSQL cuts {listing(written)} to 63 bytes" if len(written) > 1 else ""
            yield Hit(
                _owners(group),
                f"{identity}/{name}",
                f"{listing(_owners(group))} use the same database, {name} on {identity}{cut}: each reads, migrates "
                "and deletes the other's rows.",
                "Give each environment its own server, or at least its own database and role. Names must differ in "
                "their first 63 bytes.",
                tuple(use.use.where for use in group),
                hazards=("DB-10", "DB-01") if cut else ("DB-01",),
            )


@rule("shared-database-role", "DB-05", "DB-03", severity=Severity.CRITICAL)
def shared_database_role(fleet: Fleet) -> Judgement:
    """Two environments log in to one server as one role."""
    for identity, uses in shared(of_family(fleet, "database")):
        for role, group in _by_owner_of(uses, lambda use: use.use.endpoint.user):
            yield Hit(
                _owners(group),
                f"{identity}: role {role}",
                f"{listing(_owners(group))} log in to {identity} as the same role, {role}: it owns the data of all "
                "of them, so no grant can keep them apart.",
                "Give each environment its own role, which owns only its own database.",
                tuple(use.use.where for use in group),
            )


@rule("superuser-role", "DB-03", severity=Severity.CRITICAL)
def superuser_role(fleet: Fleet) -> Judgement:
    """An application logs in as the administrator of a server that other environments use too."""
    by_home: dict[str, list[Placed]] = {}
    for use in of_family(fleet, "database"):
        by_home.setdefault(use.home.identity, []).append(use)
    for identity, uses in by_home.items():
        administrators = _administrators(fleet, uses[0].home)
        acting = [use for use in uses if use.use.endpoint.user in administrators and not _is_server_itself(use)]
        everyone = _owners(uses)
        if acting and len(everyone) > 1:
            yield Hit(
                everyone,
                f"{identity}: role {acting[0].use.endpoint.user}",
                f"{acting[0].use.endpoint.user}, the login of {listing(_owners(acting))} on {identity}, administers "
                f"that server, where {listing(everyone)} have their data: no grant can keep it out of the other's.",
                "Connect as a role that is not a superuser and owns only its own database.",
                tuple(use.use.where for use in acting),
            )
        elif acting:
            yield Hit(
                everyone,
                f"{identity}: role {acting[0].use.endpoint.user}",
                f"{everyone[0]} connects to its own server {identity} as the administrator, "
                f"{acting[0].use.endpoint.user}: a mistake in the application reaches every database there.",
                "Connect as a role that is not a superuser and owns only its own database.",
                tuple(use.use.where for use in acting),
                severity=Severity.LOW,
            )


@rule("shared-database-server", "DB-02", "DB-04", "DB-06", severity=Severity.LOW)
def shared_database_server(fleet: Fleet) -> Judgement:
    """Two environments' databases live on one server."""
    for identity, uses in shared_outside(of_family(fleet, "database")):
        if any(_by_owner_of(uses, lambda use: truncate_identifier(use.database))):
            continue
        yield Hit(
            _owners(uses),
            identity,
            f"{listing(_owners(uses))} have their databases on the same server, {identity}: they share its "
            "connections, memory and disk, and only grants, which no file here shows, keep them apart.",
            "Give each environment its own server. Otherwise REVOKE CONNECT, TEMPORARY … FROM PUBLIC, and set a "
            "CONNECTION LIMIT for each role.",
            tuple(use.use.where for use in uses),
        )


@rule("test-database", "DB-13", severity=Severity.MEDIUM)
def test_database(fleet: Fleet) -> Judgement:
    """An environment's database has the name that another one's test run creates and drops."""
    for identity, uses in shared(of_family(fleet, "database")):
        by_name = {use.database: use for use in uses if use.database}
        for name, item in by_name.items():
            victim = by_name.get(f"test_{name}")
            if victim and victim.owner != item.owner:
                yield Hit(
                    (victim.owner, item.owner),
                    f"{identity}/test_{name}",
                    f"The tests of {item.owner} create and drop test_{name} on {identity}, which is the database of "
                    f"{victim.owner}.",
                    f"Rename the database of {victim.owner}, or run the tests on a server of their own.",
                    (victim.use.where, item.use.where),
                )


def _foreign(each: Placed) -> str:
    """The other environment whose server a use leads to, directly or behind a pooler."""
    return next((server.owner for server in (each.server, each.home) if server.owner not in ("", each.owner)), "")


def _foreign_server(each: Placed) -> Server:
    return each.server if each.server.owner not in ("", each.owner) else each.home


def _by_owner_of(uses: Sequence[Placed], key: Callable[[Placed], str]) -> Iterator[tuple[str, Sequence[Placed]]]:
    """Group the uses of several environments by a key, leaving out the empty key."""
    groups: dict[str, list[Placed]] = {}
    for use in uses:
        groups.setdefault(key(use), []).append(use)
    for name, group in groups.items():
        if name and len(_owners(group)) > 1:
            yield name, group


def _owners(uses: Sequence[Placed]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(use.owner for use in uses))


def _is_server_itself(each: Placed) -> bool:
    """Whether the use is the server's own, such as its health check or initialisation."""
    return (each.owner, each.use.service) == (each.home.owner, each.home.service)


def _administrators(fleet: Fleet, server: Server) -> frozenset[str]:
    """The superuser roles of a server."""
    definition = service_of(fleet.by_prefix.get(server.owner), server.service)
    if definition is None:
        return _ADMINISTRATORS
    declared = (definition.get("environment") or {}).get("POSTGRES_USER")
    return frozenset({str(declared or "postgres")})
