# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Load a dump into a new database beside the one in use, ready to be swapped in. Runs on the targets.

Only the administrator can connect to the new database until then.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterable

from ..core.meanwhile import watching
from ..docker.engine import EngineError
from .decryption import StoredFile
from .postgresql import STAMP, PostgreSQLServer, identifier, literal

#: PostgreSQL's limit on the length of a name, in bytes.
_LONGEST = 63

#: The comment that marks a role as temporary: it exists only while a dump that mentions it is loaded.
_TEMPORARY = "made by Bulkhead for a restore"

#: Settings whose values are lists: each item is quoted by itself.
_LISTS = ("search_path", "temp_tablespaces", "session_preload_libraries", "local_preload_libraries")

_ITEM = re.compile(r'"((?:[^"]|"")*)"|([^\s,"][^\s,]*)')

_ROLE = """DO $bulkhead$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = %s) THEN
CREATE ROLE %s NOLOGIN;
COMMENT ON ROLE %s IS %s;
END IF; END $bulkhead$;
"""


def stamp_now() -> str:
    """The current time, as used in names."""
    return time.strftime("%Y%m%d%H%M%S", time.gmtime())


def sibling_name(database: str, what: str, stamp: str) -> str:
    """The name of a database that a restore keeps beside the one in use: ``aiia_prod_before_20260725031500``."""
    name = "%s_%s_%s" % (database, what, stamp)
    if len(name.encode()) <= _LONGEST:
        return name
    # The digest keeps two databases with long names apart.
    return "bulkhead_%s_%s_%s" % (hashlib.sha256(database.encode()).hexdigest()[:12], what, stamp)


def is_sibling(name: str, database: str, what: str) -> bool:
    """Whether ``name`` is a database that a restore keeps beside ``database``."""
    stamp = name[-14:]
    return bool(re.match(r"\d{14}\Z", stamp)) and name == sibling_name(database, what, stamp)


def _temporary_role(name: str) -> str:
    """SQL that creates a role unless it exists."""
    return _ROLE % (literal(name), identifier(name), identifier(name), literal(_TEMPORARY))


def temporary_roles(server: PostgreSQLServer) -> list[str]:
    """The roles that restores created and that still exist."""
    sql = "SELECT rolname FROM pg_roles WHERE shobj_description(oid, 'pg_authid') = %s;" % literal(_TEMPORARY)
    return [role for (role,) in server.query("postgres", sql)]


def _items(value: str) -> str:
    """A list in a setting, as SQL. The application's own role decides what stands there."""
    items = [literal(quoted.replace('""', '"') or plain) for quoted, plain in _ITEM.findall(value)]
    return ", ".join(items) or "''"


class StagedDatabase:
    """A restored database, and the one in use on the same server that it replaces."""

    def __init__(self, server: PostgreSQLServer, database: str, stamp: str) -> None:
        self.server = server
        self.database = database
        self.staged_name = sibling_name(database, "restore", stamp)
        self.previous_name = sibling_name(database, "before", stamp)

    def _admin(self, sql: str) -> list[list[str]]:
        return self.server.query("postgres", sql)

    def create(self, roles: Iterable[str]) -> None:
        """Create the new database with the properties of the one in use, and those ``roles`` that do not exist."""
        name = literal(self.database)
        ((encoding, collate, ctype, provider, locale, rules, tablespace, limit),) = self._admin(
            "SELECT pg_encoding_to_char(encoding), datcollate, datctype, to_jsonb(d)->>'datlocprovider',"
            " coalesce(to_jsonb(d)->>'datlocale', to_jsonb(d)->>'daticulocale'), to_jsonb(d)->>'daticurules',"
            " spcname, datconnlimit FROM pg_database d JOIN pg_tablespace t ON t.oid = dattablespace"
            " WHERE datname = %s;" % name
        )
        like = "ENCODING %s LC_COLLATE %s LC_CTYPE %s" % (literal(encoding), literal(collate), literal(ctype))
        if provider == "i":
            like += " LOCALE_PROVIDER icu ICU_LOCALE %s" % literal(locale)
            like += " ICU_RULES %s" % literal(rules) if rules else ""
        elif provider == "b":
            like += " LOCALE_PROVIDER builtin BUILTIN_LOCALE %s" % literal(locale)
        self._admin(
            "CREATE DATABASE %s TEMPLATE template0 %s TABLESPACE %s CONNECTION LIMIT %s;\n"
            "REVOKE ALL ON DATABASE %s FROM PUBLIC;\n"
            % (identifier(self.staged_name), like, identifier(tablespace), limit, identifier(self.staged_name))
            + "".join(_temporary_role(role) for role in sorted(set(roles)))
        )

    def fill(self, dump: StoredFile) -> None:
        """Load a dump."""
        self.server.load(dump, self.staged_name)

    def check(self, rows: dict[str, int]) -> None:
        """Compare each table's number of rows with the dump's. Raises EngineError if they differ."""
        tables = sorted(rows)
        with watching(lambda: "counting the rows of %s" % self.staged_name):
            counts = self.server.query(
                self.staged_name,
                "".join("SELECT %d, count(*) FROM ONLY %s;\n" % numbered for numbered in enumerate(tables)),
            )
        restored = {tables[int(number)]: int(count) for number, count in counts}
        differing = [table for table in tables if restored.get(table) != rows[table] and not self._of_extension(table)]
        if differing:
            shown = ", ".join(
                "%s has %s rows instead of %d" % (table, restored.get(table), rows[table]) for table in differing[:5]
            )
            raise EngineError("the restored data differs from the backup: %s" % shown)

    def _of_extension(self, table: str) -> bool:
        """Whether a table belongs to an extension. A dump has only the rows that the user added to it."""
        sql = "SELECT 1 FROM pg_depend WHERE objid = to_regclass(%s) AND deptype = 'e';" % literal(table)
        return bool(self.server.query(self.staged_name, sql))

    def sanitise(self, script: str, part: str) -> None:
        """Run the user's script in the new database, in one transaction."""
        with watching(lambda: "running bulkhead_restore_sanitise in %s" % self.staged_name):
            self.server.script(self.staged_name, script, part)

    def wiring(self, questions: Iterable[dict[str, str]]) -> list[str]:
        """List what in the new database still points at the environment that it came from."""
        pointers = []
        for question in questions:
            table = question.get("table")
            if table and not self.server.value(self.staged_name, "SELECT to_regclass(%s);" % literal(table)):
                continue
            names = [row[0] for row in self.server.query(self.staged_name, "%s;" % question["query"])]
            if names:
                pointers.append("%s (%s)" % (question["what"], ", ".join(names[:5])))
        return pointers

    def settle(self, user: str, prefix: str) -> None:
        """Give the new database to the application, with the settings and rights of the one in use."""
        new = identifier(self.staged_name)
        for role in temporary_roles(self.server):
            name = identifier(role)
            self.server.query(
                self.staged_name,
                "REASSIGN OWNED BY %s TO %s; DROP OWNED BY %s; DROP ROLE %s;" % (name, identifier(user), name, name),
            )
        statements = ["ALTER DATABASE %s OWNER TO %s" % (new, identifier(user))]
        statements += ["ALTER DATABASE %s %s" % (new, setting) for setting in self._settings()]
        statements += ["ALTER DATABASE %s SET %s TO %s" % (new, STAMP, literal(prefix))]
        statements += [
            "GRANT %s ON DATABASE %s TO %s" % (right, new, identifier(role)) for right, role in self._rights()
        ]
        statements += ["REVOKE ALL ON DATABASE %s FROM PUBLIC" % new]
        self._admin(";\n".join(statements) + ";")

    def _settings(self) -> list[str]:
        """The settings of the database in use for all roles, as ``ALTER DATABASE`` takes them."""
        rows = self._admin(
            "SELECT split_part(s, '=', 1), substr(s, strpos(s, '=') + 1) FROM pg_db_role_setting, unnest(setconfig) s"
            " WHERE setrole = 0 AND setdatabase = (SELECT oid FROM pg_database WHERE datname = %s);"
            % literal(self.database)
        )
        return [
            "SET %s TO %s" % (identifier(name), _items(value) if name in _LISTS else literal(value))
            for name, value in rows
            if name != STAMP
        ]

    def _rights(self) -> list[list[str]]:
        """The (right, role) pairs granted on the database in use, without its owner's and PUBLIC's."""
        return self._admin(
            "SELECT privilege_type, rolname FROM pg_database d, aclexplode(datacl) a JOIN pg_roles r ON r.oid = grantee"
            " WHERE datname = %s AND grantee <> datdba;" % literal(self.database)
        )

    def drop_older(self) -> list[str]:
        """Drop the databases that earlier restores kept. Returns their names."""
        older = [
            name
            for name in self.server.databases()
            if is_sibling(name, self.database, "before") and name != self.previous_name
        ]

        for name in older:
            self._admin("DROP DATABASE %s WITH (FORCE);" % identifier(name))
        return older
