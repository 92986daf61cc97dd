# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each password of the database has a login of its own, and nothing logs in as the owner."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import SEAL
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.release.login import login_role
from unit.fleets import declared, environment, problems
from unit.plugin_utils.release.test_render import render, rendered, settings, texts

OWNER = "app_prod"
LOGIN = re.compile(rf"{OWNER}_[0-9a-f]{{4}}")


def secrets(**changed: str) -> dict[str, Any]:
    """The usual secrets, with other values for some."""
    return {"bulkhead_secrets": {**environment("prod")["bulkhead_secrets"], **changed}}


def test_the_login_follows_from_the_password_alone() -> None:
    first = login_role("", OWNER, "one")
    assert LOGIN.fullmatch(first) and first == login_role("", OWNER, "one")
    assert len({login_role("", OWNER, str(number)) for number in range(20)}) == 20
    assert login_role("", "aiia_staging", "one")[-4:] != first[-4:]
    assert login_role("chosen", OWNER, "one") == "chosen"


@pytest.mark.parametrize("password", ["", SEAL, f"a{SEAL}b"])
def test_nothing_is_made_of_a_sealed_password(password: str) -> None:
    assert login_role("", OWNER, password) == f"{OWNER}_0000"


def test_application_pooler_and_server_have_the_same_login(tmp_path: Path) -> None:
    release = rendered(tmp_path, **secrets(DB_PASSWORD='quo"ted word', POSTGRES_PASSWORD="admin's"))
    login, files = settings(release)["DB_USER"], texts(release)
    assert LOGIN.fullmatch(login)
    assert files[".bulkhead/private/pgbouncer/userlist.txt"] == f'"{login}" "quo""ted word"\n'
    assert files[".bulkhead/private/postgresql/secrets/logins"] == f"{login} quo\"ted word\napp admin's\n"
    other = rendered(tmp_path / "other", **secrets(DB_PASSWORD="another", POSTGRES_PASSWORD="admin's"))
    assert settings(other)["DB_USER"] not in (login, OWNER)
    script = ".bulkhead/private/postgresql/init/10-bulkhead.sh"
    assert texts(other)[script] == files[script], "the owner is the same, and the script has no password"


def test_one_login_for_an_application_that_knows_no_other(tmp_path: Path) -> None:
    url = {"bulkhead_env": {"DATABASE_URL": f"postgres://{OWNER}:x@pgbouncer/{OWNER}"}}
    release = rendered(tmp_path, bulkhead_database_login=OWNER, **url)
    assert settings(release)["DB_USER"] == OWNER


@pytest.mark.parametrize(
    ("variables", "where"),
    [
        ({"bulkhead_env": {"DATABASE_URL": f"postgres://{OWNER}:x@pgbouncer/x"}}, "bulkhead_env.DATABASE_URL"),
        ({"bulkhead_env_shared": {"URL": f"postgresql+psycopg://{OWNER}@pgbouncer"}}, "bulkhead_env_shared.URL"),
        ({"bulkhead_env": {"DB_USER": OWNER}}, "bulkhead_env.DB_USER"),
        ({"bulkhead_env": {"POSTGRES_USER": OWNER}}, "bulkhead_env.POSTGRES_USER"),
        (
            {"bulkhead_services": {"django": {"environment": {"PGUSER": OWNER}}}},
            "bulkhead_services.django.environment.PGUSER",
        ),
        (secrets(DATABASE_URL=f"postgres://{OWNER}:x@pgbouncer/x"), "bulkhead_secrets.DATABASE_URL"),
    ],
)
def test_who_logs_in_as_the_owner_is_refused(tmp_path: Path, variables: dict[str, Any], where: str) -> None:
    declaration = declared(tmp_path, **variables)
    render(declaration, tmp_path)
    assert ("owner-login", where) in problems(declaration)
    assert "bulkhead_database_login" in next(found.fix for found in declaration.problems if found.resource == where)


@pytest.mark.parametrize(
    "variables",
    [
        {"bulkhead_env": {"NAME": OWNER, "DB_NAME": OWNER, "URL": f"https://{OWNER}:x@example.com"}},
        {"bulkhead_env": {"DATABASE_URL": f"postgres://{OWNER}2:x@elsewhere.example.com/x"}},
        {"bulkhead_services": {"django": {"environment": {"POSTGRES_USER": "${DB_USER}"}}}},
        {"bulkhead_database_admin": OWNER},
        {
            "bulkhead_services": {"postgresql": None, "pgbouncer": None},
            "bulkhead_env": {"DB_HOST": "db.example.com", "DB_USER": OWNER},
        },
    ],
)
def test_who_does_not_is_let_be(tmp_path: Path, variables: dict[str, Any]) -> None:
    """The last one has a server that is not ours."""
    declaration = declared(tmp_path, **variables)
    render(declaration, tmp_path)
    assert not [problem for problem in problems(declaration) if problem[0] == "owner-login"]
