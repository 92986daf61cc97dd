# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Query, dump and restore a PostgreSQL server with the programs in its container. Runs on the targets.

The container's own ``pg_dump`` and ``pg_restore`` always fit the server's version. They connect as the administrator
through the socket in the container, so no password is needed or exposed.
"""

from __future__ import annotations

import csv
import io
import json
import re
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any, BinaryIO

from ..core.errors import last_lines
from ..core.process import CHUNK
from ..docker.engine import Engine, EngineError
from .decryption import StoredFile

#: The setting of a database that names its environment. Every dump carries it.
STAMP = "bulkhead.prefix"

_STAMPED = re.compile(rb'ALTER DATABASE .* SET "?bulkhead\.prefix"? TO \'([^\']*)\';')
_COPY = re.compile(rb'COPY ((?:"(?:[^"]|"")+"|[^".(\s]+)\.(?:"(?:[^"]|"")+"|[^".(\s]+)) .*FROM stdin;\n')
_LISTED = {
    "database": re.compile(r"^;\s+dbname: (.*)$"),
    "server": re.compile(r"^;\s+Dumped from database version: (\S+)"),
}


#: Bytes of a listing in which its facts stand, and how many tables a dump may have: the program in the container may
#: print without end, and what is kept of that takes the machine's memory.
_HEAD, _MOST_TABLES = 64 << 10, 1_000_000


class ArchiveError(EngineError):
    """A dump is damaged or incomplete."""


def identifier(name: str) -> str:
    """Quote a name for SQL."""
    return '"%s"' % name.replace('"', '""')


def literal(text: str) -> str:
    """Quote a string for SQL."""
    escaped = text.replace("'", "''")
    return " E'%s'" % escaped.replace("\\", "\\\\") if "\\" in escaped else "'%s'" % escaped


def major(version: str) -> int:
    """The major version, which decides which dumps a server can read: 17 for ``17.5 (Debian …)``; 0 if unknown."""
    digits = re.match(r"\d+", version)
    return int(digits.group()) if digits else 0


def rows_of(script: IO[bytes]) -> dict[str, int]:
    """Count the rows of each table in the data script that ``pg_restore`` writes. Raises ArchiveError."""
    rows: dict[str, int] = {}
    table = ""
    fresh = True  # at the start of a line: a row may be longer than one read
    while True:
        line = script.readline(CHUNK)
        if not line:
            break
        if not table:
            copies = _COPY.match(line) if fresh else None
            if copies:
                table = copies.group(1).decode("utf-8", "surrogateescape")
                rows.setdefault(table, 0)
                if len(rows) > _MOST_TABLES:
                    raise ArchiveError("the dump has more than %d tables" % _MOST_TABLES)
        elif fresh and line == b"\\.\n":
            table = ""
        else:
            rows[table] += line.endswith(b"\n")
        fresh = line.endswith(b"\n")
    if table:
        raise ArchiveError("the data of table %s is cut off" % table)
    return rows


class PostgreSQLServer:
    """The server in one container. ``limit`` is the time limit for one program, in seconds; 0 is none."""

    def __init__(self, engine: Engine, container: str, admin: str, limit: int = 0) -> None:
        self.engine = engine
        self.container = container
        self.admin = admin
        self.limit = limit
        #: Whether the server warned that its image sorts texts otherwise than the one that made a database.
        self.aged = False

    def query(self, database: str, sql: str) -> list[list[str]]:
        """Run SQL and return the rows. Raises EngineError, with the server's message as its detail."""
        code, output, errors = self.engine.docker(
            "exec", "--interactive", self.container, "psql", "--username", self.admin, "--dbname", database,
            "--no-psqlrc", "--no-password", "--quiet", "--csv", "--tuples-only", "--set", "ON_ERROR_STOP=1",
            "--set", "VERBOSITY=terse",
            data=sql,
        )  # fmt: skip
        self.aged |= "collation version mismatch" in errors
        if code != 0:
            raise EngineError("the database server reported an error", last_lines(errors or output))
        # Not splitlines(): it takes characters for the end of a line that are part of a name or a value.
        return list(csv.reader(io.StringIO(output, newline="")))

    def script(self, database: str, text: str, part: str) -> None:
        """Run the user's script in one transaction, and discard its output.

        The script can read the database's name in backups, ``part``, as the variable ``bulkhead_part``. Raises
        StreamError if it fails or exceeds the limit; then the server may still run it until the database is dropped.
        """
        self.engine.stream(
            "bulkhead_restore_sanitise",
            "exec", "--interactive", self.container, "psql", "--username", self.admin, "--dbname", database,
            "--no-psqlrc", "--no-password", "--quiet", "--single-transaction", "--set", "ON_ERROR_STOP=1",
            "--set", "VERBOSITY=terse", "--set", "bulkhead_part=%s" % part, "--output=/dev/null", "--file=-",
            write=lambda stream: stream.write(text.encode()), limit=self.limit,
        )  # fmt: skip

    def free(self) -> int | None:
        """Free bytes on the disk of the server's data; None if the image has no ``df``."""
        directory = self.value("postgres", "SHOW data_directory;")
        code, output, _errors = self.engine.docker("exec", self.container, "df", "-Pk", directory)
        fields = output.splitlines()[-1].split() if code == 0 and output.strip() else []
        return int(fields[3]) * 1024 if len(fields) > 3 and fields[3].isdigit() else None

    def value(self, database: str, sql: str) -> str:
        """The first value that a query returns; empty if it returns none."""
        rows = self.query(database, sql)
        return rows[0][0] if rows and rows[0] else ""

    def databases(self) -> list[str]:
        """The names of the server's databases."""
        return [name for (name,) in self.query("postgres", "SELECT datname FROM pg_database ORDER BY 1;")]

    def describe(self, database: str) -> dict[str, Any]:
        """A database's ``size`` and number of ``tables``, its ``stamp``, the ``roles`` it mentions, and the ``server``
        version."""
        name = literal(database)
        ((version, size, stamp, tables, roles),) = self.query(
            database,
            "SELECT current_setting('server_version'), pg_database_size(%s), coalesce(current_setting(%s, true), ''),"
            " (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind IN ('r', 'p')"
            " AND nspname !~ '^pg_' AND nspname <> 'information_schema'),"
            " (SELECT coalesce(json_agg(DISTINCT rolname), '[]') FROM pg_shdepend JOIN pg_roles r ON r.oid = refobjid"
            " WHERE refclassid = 'pg_authid'::regclass AND dbid = (SELECT oid FROM pg_database WHERE datname = %s));"
            % (name, literal(STAMP), name),
        )
        return {
            "server": version,
            "size": int(size),
            "stamp": stamp,
            "tables": int(tables),
            "roles": sorted(json.loads(roles)),
        }

    def dump(self, database: str, target: BinaryIO) -> None:
        """Dump a database in PostgreSQL's custom format."""
        self.engine.stream(
            "pg_dump of %s" % database,
            "exec", self.container, "pg_dump", "--username", self.admin, "--dbname", database, "--no-password",
            "--format=custom", "--lock-wait-timeout=60s",
            target=target, limit=self.limit,
        )  # fmt: skip

    def read_back(self, file: StoredFile) -> dict[str, Any]:
        """Read a dump to its end. Returns its :meth:`head`, and the number of ``rows`` of each table.

        Raises ArchiveError or StreamError if it is damaged, or newer than this server.
        """
        with ThreadPoolExecutor(1) as pool:  # the two read the file side by side
            head = pool.submit(self.head, file, "reading back")
            rows = self._restore(file, "reading back", "--data-only", "--file=-", read=rows_of)
            return dict(head.result(), rows=rows)

    def head(self, file: StoredFile, doing: str = "reading") -> dict[str, str]:
        """The ``database`` of a dump, the version of the ``server`` that wrote it, and its environment's ``stamp``."""
        create = ("--create", "--schema-only", "--file=-")
        with ThreadPoolExecutor(1) as pool:
            stamp = pool.submit(self._restore, file, doing, *create, read=_stamp_of)
            listing: str = self._restore(file, doing, "--list", read=_beginning)
            head = {"database": "", "server": "", "stamp": stamp.result()}
        for line in listing.splitlines():
            for key, pattern in _LISTED.items():
                match = pattern.match(line)
                if match and not head[key]:
                    head[key] = match.group(1)
        return head

    def _restore(self, file: StoredFile, doing: str, *options: str, **streams: Any) -> Any:
        with file.opened(doing) as source:
            return self.engine.stream(
                "pg_restore of %s" % file.path,
                "exec", "--interactive", self.container, "pg_restore", *options,
                source=source, limit=self.limit, **streams,
            )  # fmt: skip

    def load(self, file: StoredFile, database: str) -> None:
        """Load a dump into an empty database, completely or not at all."""
        self._restore(
            file, "loading", "--username", self.admin, "--dbname", database, "--no-password", "--exit-on-error",
            "--single-transaction",
        )  # fmt: skip


def _beginning(output: IO[bytes]) -> str:
    """The first lines of a text, which is read to its end."""
    text = output.read(_HEAD)
    while output.read(CHUNK):
        pass
    return text.decode("utf-8", "replace")


def _stamp_of(script: IO[bytes]) -> str:
    """The environment's prefix that a dump's script sets; empty if it sets none. Reads the script to its end."""
    stamp = ""
    for line in iter(lambda: script.readline(CHUNK), b""):
        match = _STAMPED.match(line) if not stamp else None
        if match:
            stamp = match.group(1).decode("utf-8", "replace")
    return stamp
