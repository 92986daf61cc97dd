# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Put a dump into a new database beside the one in use, until the two change names. Runs on the targets.

Nobody but the administrator gets into the new database before it is in force.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterable

from ..docker.engine import EngineError
from .postgresql import STAMP, Server, identifier, literal

#: How many bytes a name may have in PostgreSQL.
_LONGEST = 63

#: By this comment a role is known that exists only while a dump is loaded that speaks of it.
_TEMPORARY = "made by Bulkhead for a restore"

#: Settings whose values are lists that stand as they are.
_LISTS = ("search_path", "temp_tablespaces", "session_preload_libraries", "local_preload_libraries")

_ROLE = """DO $bulkhead$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = %s) THEN
CREATE ROLE %s NOLOGIN;
COMMENT ON ROLE %s IS %s;
END IF; END $bulkhead$;
"""


def stamp_now() -> str:
    """The time as it stands in names."""
    return time.strftime("%Y%m%d%H%M%S", time.gmtime())


def aside(database: str, what: str, stamp: str) -> str:
    """What a database beside the one in use is called: ``aiia_prod_before_20260725031500``."""
    name = "%s_%s_%s" % (database, what, stamp)
    if len(name.encode()) <= _LONGEST:
        return name
    # Two databases with names that are too long are still two.
    return "bulkhead_%s_%s_%s" % (hashlib.sha256(database.encode()).hexdigest()[:12], what, stamp)


def is_aside(name: str, database: str, what: str) -> bool:
    """Whether a database was put beside this one by a restore."""
    stamp = name[-14:]
    return bool(re.match(r"\d{14}\Z", stamp)) and name == aside(database, what, stamp)


def _temporary_role(name: str) -> str:
    """The statement that makes a role where there is none of that name."""
    return _ROLE % (literal(name), identifier(name), identifier(name), literal(_TEMPORARY))


def temporary_roles(server: Server) -> list[str]:
    """The roles that were made for a restore, and are still there."""
    sql = "SELECT rolname FROM pg_roles WHERE shobj_description(oid, 'pg_authid') = %s;" % literal(_TEMPORARY)
    return [role for (role,) in server.query("postgres", sql)]


class Replacement:
    """A database that shall take the place of another of the same server."""

    def __init__(self, server: Server, database: str, stamp: str) -> None:
        self.server = server
        self.database = database
        self.new = aside(database, "restore", stamp)
        self.old = aside(database, "before", stamp)

    def _admin(self, sql: str) -> list[list[str]]:
        return self.server.query("postgres", sql)

    def create(self, roles: Iterable[str]) -> None:
        """Make the new database as the old one is, and the roles that the dump speaks of and that are not here."""
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
            % (identifier(self.new), like, identifier(tablespace), limit, identifier(self.new))
            + "".join(_temporary_role(role) for role in sorted(set(roles)))
        )

    def fill(self, path: str) -> None:
        """Load a dump."""
        self.server.load(path, self.new)

    def check(self, rows: dict[str, int]) -> None:
        """Compare the number of rows of each table with those of the dump. Raises EngineError where they differ."""
        tables = sorted(rows)
        counts = self.server.query(
            self.new, "".join("SELECT %d, count(*) FROM ONLY %s;\n" % each for each in enumerate(tables))
        )
        found = {tables[int(number)]: int(count) for number, count in counts}
        wrong = [table for table in tables if found.get(table) != rows[table] and not self._of_extension(table)]
        if wrong:
            shown = ", ".join("%s has %s rows and had %d" % (each, found.get(each), rows[each]) for each in wrong[:5])
            raise EngineError("what was restored is not what was backed up: %s" % shown)

    def _of_extension(self, table: str) -> bool:
        """Whether an extension made a table: of those, only what the user added is in a dump."""
        asked = "SELECT 1 FROM pg_depend WHERE objid = to_regclass(%s) AND deptype = 'e';" % literal(table)
        return bool(self.server.query(self.new, asked))

    def sanitise(self, script: str, part: str) -> None:
        """Run the user's script in the new database, whole or not at all."""
        self.server.script(self.new, script, part)

    def wiring(self, questions: Iterable[dict[str, str]]) -> list[str]:
        """What the new database holds that leads to the environment that it came from."""
        found = []
        for question in questions:
            table = question.get("table")
            if table and not self.server.value(self.new, "SELECT to_regclass(%s);" % literal(table)):
                continue
            names = [row[0] for row in self.server.query(self.new, "%s;" % question["query"])]
            if names:
                found.append("%s (%s)" % (question["what"], ", ".join(names[:5])))
        return found

    def settle(self, user: str, prefix: str) -> None:
        """Give the new database to the application, with the settings and rights of the old one."""
        new = identifier(self.new)
        for role in temporary_roles(self.server):
            name = identifier(role)
            self.server.query(
                self.new,
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
        """The settings of the old database for everybody, as ``ALTER DATABASE`` takes them."""
        rows = self._admin(
            "SELECT split_part(s, '=', 1), substr(s, strpos(s, '=') + 1) FROM pg_db_role_setting, unnest(setconfig) s"
            " WHERE setrole = 0 AND setdatabase = (SELECT oid FROM pg_database WHERE datname = %s);"
            % literal(self.database)
        )
        return [
            "SET %s TO %s" % (name, value if name in _LISTS and value else literal(value))
            for name, value in rows
            if name != STAMP
        ]

    def _rights(self) -> list[list[str]]:
        """The rights that roles other than everybody have on the old database."""
        return self._admin(
            "SELECT privilege_type, rolname FROM pg_database d, aclexplode(datacl) a JOIN pg_roles r ON r.oid = grantee"
            " WHERE datname = %s AND grantee <> datdba;" % literal(self.database)
        )

    def drop_older(self) -> list[str]:
        """Remove what earlier restores kept. Returns the names."""
        there = self.server.databases()
        older = [each for each in there if is_aside(each, self.database, "before") and each != self.old]
        for name in older:
            self._admin("DROP DATABASE %s WITH (FORCE);" % identifier(name))
        return older
