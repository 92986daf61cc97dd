# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Databases that change names: what they are called meanwhile, and what happens to one that is held."""

from __future__ import annotations

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils import replacement as module
from ansible_collections.aiia.bulkhead.plugins.module_utils.engine import EngineError
from ansible_collections.aiia.bulkhead.plugins.module_utils.postgresql import major
from ansible_collections.aiia.bulkhead.plugins.module_utils.replacement import Replacement, aside, is_aside

STAMP = "20260725031500"


class Server:
    """A server that refuses to rename for some times, with what it says then."""

    def __init__(self, refusals: int, said: str = "") -> None:
        self.refusals = refusals
        self.said = said
        self.statements: list[str] = []

    def query(self, database: str, sql: str) -> list[list[str]]:
        assert database == "postgres"
        self.statements.append(sql)
        if "RENAME" in sql and self.refusals:
            self.refusals -= 1
            raise EngineError("the database server said no", self.said)
        return []


def replacement(server: Server) -> Replacement:
    return Replacement(server, "aiia_prod", STAMP)


def test_a_held_database_is_tried_again() -> None:
    server = Server(2, 'ERROR:  database "aiia_prod" is being accessed by other users')
    replacement(server).switch()
    renames = [each for each in server.statements if "RENAME" in each]
    assert len(renames) == 3 and all("pg_terminate_backend" in each for each in renames)
    assert server.statements[-1] == f'ALTER DATABASE "aiia_prod_before_{STAMP}" ALLOW_CONNECTIONS false;'


@pytest.mark.parametrize("said", ["is being accessed by other users", "permission denied"])
def test_a_database_that_stays_held_serves_on(said: str) -> None:
    server = Server(99, said)
    with pytest.raises(EngineError, match="aiia_prod could not be replaced, and serves on") as caught:
        replacement(server).switch()
    assert caught.value.detail == said
    assert len(server.statements) == (module._ATTEMPTS if "accessed" in said else 1)
    assert not any("ALLOW_CONNECTIONS" in each for each in server.statements)


def test_both_names_change_in_one_statement() -> None:
    server = Server(0)
    replacement(server).switch()
    statement = server.statements[0]
    assert statement.startswith("DO ") and statement.count("RENAME TO") == 2
    assert f'"aiia_prod" RENAME TO "aiia_prod_before_{STAMP}"' in statement
    assert f'"aiia_prod_restore_{STAMP}" RENAME TO "aiia_prod"' in statement


def test_names_beside() -> None:
    name = aside("aiia_prod", "before", STAMP)
    assert name == f"aiia_prod_before_{STAMP}" and is_aside(name, "aiia_prod", "before")
    assert not is_aside(name, "aiia_prod", "restore") and not is_aside(name, "aiia", "before")
    assert not is_aside("aiia_prod_before_christmas_day", "aiia_prod", "before")
    long = aside("x" * 60, "before", STAMP)
    assert len(long) <= 63 and is_aside(long, "x" * 60, "before") and STAMP in long


def test_versions() -> None:
    assert [major(each) for each in ("17.5 (Debian 17.5-1)", "9.6.24", "18beta1", "")] == [17, 9, 18, 0]
