# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Database scripts: what an environment's SQL and commands do to others' servers and containers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from ..facts.compose_calls import commands, docker_calls
from ..facts.ownership import owner_of_name
from ..facts.server_owner import resolver
from ..facts.servers import of_family, shared
from ..model import Environment, Fleet, Reference, Severity, Where
from ..naming import owns
from ..readers.sql import Statement, read_sql
from ..wording import listing
from . import Hit, Judgement, rule

_CREATE_DATABASE = re.compile(r"CREATE DATABASE \"?([\w-]+)", re.IGNORECASE)
_REVOKE = re.compile(r"REVOKE\b.*\b(?:CONNECT|ALL)\b.*ON DATABASE (.+?) FROM\b.*\bPUBLIC\b", re.IGNORECASE)
_POWERFUL_ROLE = re.compile(
    r"(?:CREATE|ALTER) (?:ROLE|USER) \"?([\w-]+)\"?.*\b(?<!NO)(CREATEROLE|SUPERUSER)\b", re.IGNORECASE
)
_OF_ROLE = re.compile(r"(?:DROP (?:ROLE|USER|OWNED BY)|REASSIGN OWNED BY)(?: IF EXISTS)? \"?([\w-]+)", re.IGNORECASE)
_BACKENDS = re.compile(r"pg_(?:terminate|cancel)_backend", re.IGNORECASE)
_SCOPED = re.compile(r"\b(?:datname|usename)\b", re.IGNORECASE)
_MIGRATES = re.compile(r"\b(?:migrate|loaddata|flush|alembic\s+(?:up|down)grade|db\s+upgrade|db:migrate)\b")


#: The most other environments that a finding names.
_NAMED = 5


@rule("public-connect", "DB-02", severity=Severity.HIGH)
def public_connect(fleet: Fleet) -> Judgement:
    """A database on a server that others use is open to every role."""
    for environment, others in _sharing(fleet):
        script = list(statements(environment))
        revoked = {
            name.strip(' "')
            for statement in script
            for hit in _REVOKE.findall(statement.text)
            for name in hit.split(",")
        }
        for statement in script:
            match = _CREATE_DATABASE.match(statement.text)
            if match and match[1] not in revoked:
                yield Hit(
                    (environment.prefix, *others),
                    match[1],
                    f"{environment.prefix} creates the database {match[1]} on a server shared with {listing(others)} "
                    "and leaves it open to PUBLIC: every role there may connect, read the catalogue and fill the disk "
                    "with temporary tables.",
                    f"Add REVOKE CONNECT, TEMPORARY ON DATABASE {match[1]} FROM PUBLIC.",
                    (statement.where,),
                )


@rule("role-over-roles", "DB-04", severity=Severity.HIGH)
def role_over_roles(fleet: Fleet) -> Judgement:
    """A role of an environment may change the roles of others on the same server."""
    for environment, others in _sharing(fleet):
        for role, power, where in _powerful_roles(environment):
            yield Hit(
                (environment.prefix, *others),
                role,
                f"{environment.prefix} gives the role {role} {power} on a server shared with {listing(others)}: it can "
                "set the passwords of their roles and log in as them.",
                f"Remove {power} from {role}. Tests that create databases need only CREATEDB, on a server of their "
                "own.",
                (where,),
            )


@rule("cluster-wide-sql", "DB-12", severity=Severity.CRITICAL)
def cluster_wide_sql(fleet: Fleet) -> Judgement:
    """A script acts on a whole database server that other environments use too."""
    for environment, others in _sharing(fleet):
        for text, where in _cluster_wide(environment):
            yield Hit(
                (environment.prefix, *others),
                text,
                f"{environment.prefix} runs `{text}` on a server shared with {listing(others)}: it acts on their "
                "roles, settings and connections too.",
                f"Limit it to what is {environment.prefix}'s own (WHERE datname = '{environment.prefix}', pg_dump of "
                f"one database), or give {environment.prefix} its own server.",
                (where,),
            )


@rule("foreign-migration", "DB-14", severity=Severity.CRITICAL)
def foreign_migration(fleet: Fleet) -> Judgement:
    """A migration runs in another environment's container."""
    for environment in fleet.environments:
        for call, reference in docker_calls(environment):
            text = _line(reference)
            if call.verb[-1:] in (("exec",), ("run",)) and _MIGRATES.search(text):
                owner = _owner_of_call(fleet, environment, call.project if call.compose else call.arguments[:1])
                if owner:
                    yield Hit(
                        (environment.prefix, owner),
                        text,
                        f"{environment.prefix} runs `{text}` when it is deployed: that migrates {owner}'s database "
                        f"in {owner}'s container, and not its own.",
                        f"Run it in {environment.prefix}'s own service: docker compose -p {environment.prefix} exec -T "
                        "SERVICE …",
                        (reference.where,),
                    )


def statements(environment: Environment) -> Iterator[Statement]:
    """Yield the SQL of an environment: its scripts, and what it passes to ``psql -c``."""
    for document in environment.documents:
        if document.kind == "sql":
            yield from document.data or ()
    for reference in commands(environment):
        argv: Sequence[str] = reference.attributes.get("argv") or ()
        if any(word.rpartition("/")[2] == "psql" for word in argv):
            for flag, text in pairwise(argv):
                if flag in ("-c", "--command"):
                    for statement in read_sql(text, reference.where.file):
                        yield Statement(statement.text, reference.where)


def _sharing(fleet: Fleet) -> Iterator[tuple[Environment, tuple[str, ...]]]:
    """Yield environments with a database on a shared server, with the first few others that use it."""
    told: set[str] = set()
    for _unused, uses in shared(of_family(fleet, "database")):
        prefixes = list(dict.fromkeys(use.owner for use in uses))
        for prefix in prefixes:
            if prefix not in told:
                told.add(prefix)
                yield fleet.by_prefix[prefix], tuple(name for name in prefixes[:_NAMED] if name != prefix)


def _powerful_roles(environment: Environment) -> Iterator[tuple[str, str, Where]]:
    for statement in statements(environment):
        match = _POWERFUL_ROLE.match(statement.text)
        if match:
            yield match[1], match[2].upper(), statement.where
    for reference in commands(environment):
        argv: Sequence[str] = reference.attributes.get("argv") or ()
        if "createuser" in argv:
            flags = {word for word in argv if word.startswith("-")}
            for power, names in (("SUPERUSER", {"-s", "--superuser"}), ("CREATEROLE", {"-r", "--createrole"})):
                if flags & names:
                    yield argv[-1], power, reference.where


def _cluster_wide(environment: Environment) -> Iterator[tuple[str, Where]]:
    for statement in statements(environment):
        role = _OF_ROLE.match(statement.text)
        if (
            statement.text.upper().startswith("ALTER SYSTEM")
            or (role and not owns(environment.prefix, role[1]))
            or (_BACKENDS.search(statement.text) and not _SCOPED.search(statement.text))
            or re.match(r"\\c(?:onnect)? template1\b", statement.text)
        ):
            yield statement.text, statement.where
    for reference in commands(environment):
        text = _line(reference)
        dumped = re.search(r"\bpg_dumpall\b.*\s(?:--clean|-c)\b", text)
        dropped = re.search(r"\bdropuser\s+(?:-\S+\s+)*([\w-]+)", text)
        template = re.search(r"\bpsql\b.*\btemplate1\b", text)
        if dumped or template or (dropped and not owns(environment.prefix, dropped[1])):
            yield text, reference.where


def _line(reference: Reference) -> str:
    return " ".join(map(str, reference.attributes.get("argv") or ()))


def _owner_of_call(fleet: Fleet, environment: Environment, names: str | Sequence[str]) -> str:
    """The other environment whose project or container a call affects."""
    for name in [names] if isinstance(names, str) else names:
        found = resolver(fleet).container_owners(name) or tuple(filter(None, (owner_of_name(fleet, name),)))
        if found and environment.prefix not in found:
            return found[0]
    return ""
