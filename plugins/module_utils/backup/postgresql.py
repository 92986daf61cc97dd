# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A PostgreSQL server in its container: asked, dumped and read back through its own programs. Runs on the targets.

The server's own ``pg_dump`` and ``pg_restore`` always fit its version. They connect as the server's administrator
through the socket in the container, so no password is needed and none can be seen.
"""

from __future__ import annotations

import csv
import re
from typing import IO, Any, BinaryIO

from ..core.errors import last_lines
from ..core.process import CHUNK
from ..docker.engine import Engine, EngineError

#: The setting of a database that names its environment. Every dump carries it.
STAMP = "bulkhead.prefix"

_STAMPED = re.compile(rb'ALTER DATABASE .* SET "?bulkhead\.prefix"? TO \'([^\']*)\';')
_COPY = re.compile(rb'COPY ((?:"(?:[^"]|"")+"|[^".(\s]+)\.(?:"(?:[^"]|"")+"|[^".(\s]+)) .*FROM stdin;\n')
_LISTED = {
    "database": re.compile(r"^;\s+dbname: (.*)$"),
    "server": re.compile(r"^;\s+Dumped from database version: (\S+)"),
}


class ArchiveError(EngineError):
    """A dump that cannot be read to its end."""


def identifier(name: str) -> str:
    """A name as SQL writes it."""
    return '"%s"' % name.replace('"', '""')


def literal(text: str) -> str:
    """A text as SQL writes it."""
    escaped = text.replace("'", "''")
    return " E'%s'" % escaped.replace("\\", "\\\\") if "\\" in escaped else "'%s'" % escaped


def major(version: str) -> int:
    """The part of a server's version that says which archives it can read: 17 of ``17.5 (Debian …)``."""
    digits = re.match(r"\d+", version)
    return int(digits.group()) if digits else 0


def rows_of(script: IO[bytes]) -> dict[str, int]:
    """How many rows each table has in the data that ``pg_restore`` writes as a script. Raises ArchiveError."""
    found: dict[str, int] = {}
    table = ""
    fresh = True  # at the beginning of a line: a row may be longer than what is read at once
    while True:
        line = script.readline(CHUNK)
        if not line:
            break
        if not table:
            copies = _COPY.match(line) if fresh else None
            if copies:
                table = copies.group(1).decode("utf-8", "surrogateescape")
                found.setdefault(table, 0)
        elif fresh and line == b"\\.\n":
            table = ""
        else:
            found[table] += line.endswith(b"\n")
        fresh = line.endswith(b"\n")
    if table:
        raise ArchiveError("the data of table %s has no end" % table)
    return found


class Server:
    """The server in one container. ``limit`` is how many seconds one program may take."""

    def __init__(self, engine: Engine, container: str, admin: str, limit: int = 0) -> None:
        self.engine = engine
        self.container = container
        self.admin = admin
        self.limit = limit

    def query(self, database: str, sql: str) -> list[list[str]]:
        """Ask a database. Raises EngineError with what the server says against it."""
        code, output, errors = self.engine.docker(
            "exec", "--interactive", self.container, "psql", "--username", self.admin, "--dbname", database,
            "--no-psqlrc", "--no-password", "--quiet", "--csv", "--tuples-only", "--set", "ON_ERROR_STOP=1",
            "--set", "VERBOSITY=terse",
            data=sql,
        )  # fmt: skip
        if code != 0:
            raise EngineError("the database server said no", last_lines(errors or output))
        return list(csv.reader(output.splitlines()))

    def script(self, database: str, text: str, part: str) -> None:
        """Run a script of the user's in one transaction. What it selects is not kept, and its data is not shown.

        ``part`` is what the database is called in backups, which the script has as its variable ``bulkhead_part``.
        Raises StreamError when it fails or does not end; what goes on in the server ends with its database.
        """
        self.engine.stream(
            "bulkhead_restore_sanitise",
            "exec", "--interactive", self.container, "psql", "--username", self.admin, "--dbname", database,
            "--no-psqlrc", "--no-password", "--quiet", "--single-transaction", "--set", "ON_ERROR_STOP=1",
            "--set", "VERBOSITY=terse", "--set", "bulkhead_part=%s" % part, "--output=/dev/null", "--file=-",
            write=lambda stream: stream.write(text.encode()), limit=self.limit,
        )  # fmt: skip

    def free(self) -> int | None:
        """Free bytes on the disk of the server's data; None where the image has nothing to tell by."""
        directory = self.value("postgres", "SHOW data_directory;")
        code, output, _errors = self.engine.docker("exec", self.container, "df", "-Pk", directory)
        fields = output.splitlines()[-1].split() if code == 0 and output.strip() else []
        return int(fields[3]) * 1024 if len(fields) > 3 and fields[3].isdigit() else None

    def value(self, database: str, sql: str) -> str:
        """The one answer to a question; empty where there is none."""
        rows = self.query(database, sql)
        return rows[0][0] if rows and rows[0] else ""

    def databases(self) -> list[str]:
        """All databases of the server."""
        return [each for (each,) in self.query("postgres", "SELECT datname FROM pg_database ORDER BY 1;")]

    def describe(self, database: str) -> dict[str, Any]:
        """Version and size of a database, who it says it is, its tables, and the roles that it speaks of."""
        name = literal(database)
        ((version, size, stamp, tables),) = self.query(
            database,
            "SELECT current_setting('server_version'), pg_database_size(%s), coalesce(current_setting(%s, true), ''),"
            " (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind IN ('r', 'p')"
            " AND nspname !~ '^pg_' AND nspname <> 'information_schema');" % (name, literal(STAMP)),
        )
        roles = self.query(
            database,
            "SELECT DISTINCT rolname FROM pg_shdepend JOIN pg_roles r ON r.oid = refobjid"
            " WHERE refclassid = 'pg_authid'::regclass AND dbid = (SELECT oid FROM pg_database WHERE datname = %s)"
            " ORDER BY 1;" % name,
        )
        return {
            "server": version,
            "size": int(size),
            "stamp": stamp,
            "tables": int(tables),
            "roles": [role for (role,) in roles],
        }

    def dump(self, database: str, target: BinaryIO) -> None:
        """Write a database in PostgreSQL's custom format."""
        self.engine.stream(
            "pg_dump of %s" % database,
            "exec", self.container, "pg_dump", "--username", self.admin, "--dbname", database, "--no-password",
            "--format=custom", "--lock-wait-timeout=60s",
            target=target, limit=self.limit,
        )  # fmt: skip

    def read_back(self, path: str) -> dict[str, Any]:
        """Read a dump to its end: what its head says, and the rows of each table.

        Raises ArchiveError or StreamError where it is damaged, or newer than this server.
        """
        return dict(self.head(path), rows=self._restore(path, "--data-only", "--file=-", read=rows_of))

    def head(self, path: str) -> dict[str, str]:
        """Which database a dump is of, by which server it was made, and which environment it names."""
        listing = self._restore(path, "--list", read=lambda output: output.read().decode("utf-8", "replace"))
        found = {"database": "", "server": ""}
        for line in listing.splitlines():
            for key, pattern in _LISTED.items():
                match = pattern.match(line)
                if match and not found[key]:
                    found[key] = match.group(1)
        found["stamp"] = self._restore(path, "--create", "--schema-only", "--file=-", read=_stamp_of)
        return found

    def _restore(self, path: str, *options: str, **streams: Any) -> Any:
        with open(path, "rb") as source:
            return self.engine.stream(
                "pg_restore of %s" % path,
                "exec", "--interactive", self.container, "pg_restore", *options,
                source=source, limit=self.limit, **streams,
            )  # fmt: skip

    def load(self, path: str, database: str) -> None:
        """Fill an empty database from a dump: everything, or an error."""
        self._restore(
            path, "--username", self.admin, "--dbname", database, "--no-password", "--exit-on-error",
            "--single-transaction",
        )  # fmt: skip


def _stamp_of(script: IO[bytes]) -> str:
    """The environment that a dump's database names, from its script."""
    found = ""
    for line in script:
        match = _STAMPED.match(line) if not found else None
        if match:
            found = match.group(1).decode("utf-8", "replace")
    return found
