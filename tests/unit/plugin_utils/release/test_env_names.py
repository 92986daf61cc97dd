# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An application's own names for settings, without a secret written twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.model import Declaration
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import SEAL
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.release.render import Release, Renderer
from unit.fleets import SECRETS, declarations, declared, problems, read, write


def rendered(directory: Path, names: dict[str, Any], **more: Any) -> tuple[Declaration, dict[str, tuple[str, bool]]]:
    """The declaration, and each setting's value and whether it is secret."""
    declaration = declared(directory, bulkhead_env_names=names, **more)
    release = Renderer(read(directory / "inventory").loader).render(declaration)
    assert isinstance(release, Release)
    return declaration, {line.key: (line.value, line.secret) for line in release.settings}


def test_other_names(tmp_path: Path) -> None:
    """The value has the new name alone, and stays secret."""
    given = {"SECRET_KEY": "DJANGO_SECRET_KEY", "REDIS_URL": "REDIS_URI"}
    declaration, settings = rendered(tmp_path, given)
    assert problems(declaration) == []
    assert settings["DJANGO_SECRET_KEY"] == (SECRETS["SECRET_KEY"].format("prod"), True)
    assert settings["REDIS_URI"][0].startswith("redis://:") and settings["REDIS_URI"][1]
    assert not {"SECRET_KEY", "REDIS_URL"} & set(settings)
    assert "DATABASE_URL" not in settings


def test_one_url_for_the_database(tmp_path: Path) -> None:
    """Put together where it is asked for, with every special character of the password encoded."""
    words = {name: value.format("prod") for name, value in SECRETS.items()}
    words["DB_PASSWORD"] = "p@ss/w?rd:#%"
    _declaration, settings = rendered(tmp_path, {"DATABASE_URL": "DB_URL"}, bulkhead_secrets=words)
    login = settings["DB_USER"][0]
    assert settings["DB_URL"] == (f"postgresql://{login}:p%40ss%2Fw%3Frd%3A%23%25@pgbouncer:6432/app_prod", True)


def test_sealed_values_stay_sealed(tmp_path: Path) -> None:
    """In the plan of another environment the URL is a seal as a whole."""
    groups = {"production": {"bulkhead_environment": "prod", "bulkhead_env_names": {"DATABASE_URL": "DATABASE_URL"}}}
    inventory = read(write(tmp_path, groups))
    (declaration,) = declarations(inventory, opened=False).values()
    release = Renderer(inventory.loader).render(declaration, inert=True)
    assert release is not None
    assert [line.value for line in release.settings if line.key == "DATABASE_URL"] == [SEAL]


@pytest.mark.parametrize(
    ("names", "rule", "says"),
    [
        ({"SECRET_KEY": "DB_NAME"}, "setting-twice", "both DB_NAME and SECRET_KEY are called DB_NAME"),
        ({"SECRET_KEY": "X", "REDIS_URL": "X"}, "setting-twice", "are called X"),
        ({"REDIS_URI": "X"}, "unknown-setting", "has no REDIS_URI. Did you mean REDIS_URL?"),
        ({"QQ": "X"}, "unknown-setting", "There are: ALLOWED_HOSTS"),
        ({"SECRET_KEY": "MY-KEY"}, "invalid-setting", "MY-KEY cannot be set"),
        ({"SECRET_KEY": ["A"]}, "invalid-setting", "cannot be set"),
        ({"SECRET_KEY": "COMPOSE_FILE"}, "invalid-setting", "COMPOSE_FILE cannot be set"),
    ],
)
def test_names_that_cannot_be(tmp_path: Path, names: dict[str, Any], rule: str, says: str) -> None:
    declaration, _settings = rendered(tmp_path, names)
    assert [(found.rule, says in found.message) for found in declaration.problems] == [(rule, True)]
