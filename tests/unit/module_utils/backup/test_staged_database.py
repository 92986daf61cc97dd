# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Staged databases: their names, and which servers can read which dumps."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.postgresql import PostgreSQLServer, major
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.staged_database import (
    StagedDatabase,
    is_sibling,
    sibling_name,
)

STAMP = "20260725031500"


def test_names_beside() -> None:
    name = sibling_name("aiia_prod", "before", STAMP)
    assert name == f"aiia_prod_before_{STAMP}" and is_sibling(name, "aiia_prod", "before")
    assert not is_sibling(name, "aiia_prod", "restore") and not is_sibling(name, "aiia", "before")
    assert not is_sibling("aiia_prod_before_christmas_day", "aiia_prod", "before")


def test_names_beside_databases_with_long_names() -> None:
    """Two databases of a server never share a name, and each is recognised by its own."""
    one, other = "x" * 60, "x" * 59 + "y"
    for what in ("before", "restore"):
        name = sibling_name(one, what, STAMP)
        assert len(name) <= 63 and name.endswith(f"_{what}_{STAMP}") and is_sibling(name, one, what)
        assert name != sibling_name(other, what, STAMP) and not is_sibling(name, other, what)


def test_versions() -> None:
    assert [major(version) for version in ("17.5 (Debian 17.5-1)", "9.6.24", "18beta1", "")] == [17, 9, 18, 0]


@pytest.mark.parametrize(
    ("name", "value", "sql"),
    [
        ("search_path", "public, extra", "SET \"search_path\" TO 'public', 'extra'"),
        ("search_path", '"$user", "a ""b"", c"', "SET \"search_path\" TO '$user', 'a \"b\", c'"),
        ("search_path", "", "SET \"search_path\" TO ''"),
        ("search_path", '""', "SET \"search_path\" TO ''"),
        # What ALTER DATABASE … SET search_path FROM CURRENT keeps, and a role of the application may do.
        (
            "search_path",
            "x;ALTER/**/ROLE/**/y/**/SUPERUSER",
            "SET \"search_path\" TO 'x;ALTER/**/ROLE/**/y/**/SUPERUSER'",
        ),
        ("search_path", "it's", "SET \"search_path\" TO 'it''s'"),
        ("app.x; DROP ROLE y", "1", "SET \"app.x; DROP ROLE y\" TO '1'"),
        ("TimeZone", "UTC", "SET \"TimeZone\" TO 'UTC'"),
    ],
)
def test_settings_of_the_database_in_use_are_quoted(name: str, value: str, sql: str) -> None:
    class Server(PostgreSQLServer):
        def query(self, database: str, sql: str) -> list[list[str]]:
            return [["bulkhead.prefix", "aiia_prod"], [name, value]]

    nobody: Any = None
    assert StagedDatabase(Server(nobody, "", ""), "aiia_prod", STAMP)._settings() == [sql]
