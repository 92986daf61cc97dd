# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nothing that was proved holds a variable of Compose: each is filled in from .env before, or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.labels import INPUT
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.model import Declaration
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.compose.interpolation import (
    Interpolator,
)
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.release.render import Release, Renderer
from hypothesis import given
from hypothesis import strategies as st
from unit.fleets import declarations, environment, only, read, write

SETTINGS = {"DATA_DIR": "/srv/prod/app/data", "LEVEL": "info", "PRICE": "5$each", "EMPTY": ""}


def made(directory: Path, service: Any, **more: Any) -> tuple[Declaration, Any]:
    """An environment with a service of its own, and the Compose file that would be shipped."""
    variables = environment(
        "prod", bulkhead_env=SETTINGS, bulkhead_services={"web": {"image": "x:1", **service}}, **more
    )
    inventory = read(write(directory / "inventory", {"production": variables}))
    declaration = declarations(inventory)["production"]
    release = Renderer(inventory.loader).render(declaration)
    assert isinstance(release, Release)
    return declaration, yaml.safe_load(release.file(release.compose_file).content)


def arrives(text: str) -> str:
    """What a container gets of a text, with nothing in its environment."""
    interpolator = Interpolator(lambda _name: None)
    found = interpolator.substitute(text)
    assert not interpolator.uses, "the shipped file still holds a variable"
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${DATA_DIR}/media", "/srv/prod/app/data/media"),
        ("$LEVEL", "info"),
        ("${MISSING:-${LEVEL}}", "info"),
        ("${EMPTY:-a}${EMPTY-b}${LEVEL:+c}${MISSING+d}", "ac"),
        ("5$$each-day", "5$each-day"),
        ("${PRICE}-day", "5$each-day"),
        ("costs 5$ and 6$-", "costs 5$ and 6$-"),
        ("$$$$", "$$"),
        ("plain", "plain"),
    ],
)
def test_a_variable_is_filled_in_before_the_proof(tmp_path: Path, text: str, expected: str) -> None:
    declaration, compose = made(tmp_path, {"environment": {"A": text}, "command": ["run", text]})
    assert declaration.problems == []
    web = compose["services"]["web"]
    assert arrives(web["environment"]["A"]) == expected
    assert [arrives(word) for word in web["command"]] == ["run", expected]


@pytest.mark.parametrize(
    ("text", "said", "fix"),
    [
        ("5$each-day", "contains $each, and .env has no each", "write '$$' for a dollar ($$each)"),
        ("${MISSING}", "contains $MISSING", "add MISSING to bulkhead_env"),
        ("${MISSING:?say where}", "required variable MISSING is missing a value: say where", "set the variable"),
        ("${", "contains an invalid variable", "write '$$'"),
        ("${DB_PASSWORD}", "contains DB_PASSWORD, which is secret", "x-bulkhead.files"),
        ("$POSTGRES_PASSWORD", "contains POSTGRES_PASSWORD, which is secret", "x-bulkhead.files"),
        ("${REDIS_URL}", "contains REDIS_URL, which is secret", "x-bulkhead.files"),
    ],
)
def test_a_variable_that_cannot_be_filled_in(tmp_path: Path, text: str, said: str, fix: str) -> None:
    declaration, compose = made(tmp_path, {"environment": {"A": "1", "B": text}})
    found = only(declaration.problems)
    assert (found.rule, found.resource) == ("compose-variable", "bulkhead_services.web.environment")
    assert said in found.message and fix in found.fix
    assert "of-prod" not in str(compose) and "of-prod" not in str(found)


def test_variables_of_networks_and_volumes(tmp_path: Path) -> None:
    more = {"volumes": {"media": {"driver_opts": {"type": "none", "o": "bind", "device": "${DATA_DIR}/media"}}}}
    declaration, compose = made(tmp_path, {"volumes": ["media:/media"]}, bulkhead_compose=more)
    assert declaration.problems == []
    assert compose["volumes"]["media"]["driver_opts"]["device"] == "/srv/prod/app/data/media"
    _declaration, compose = made(tmp_path / "notes", {}, bulkhead_compose={"x-a": "$LEVEL", "x-b": ["5$$each"]})
    assert (compose["x-a"], compose["x-b"]) == ("info", ["5$$each"])
    wrong = {"networks": {"default": {"driver_opts": {"com.docker.network.driver.mtu": "${MTU}"}}}}
    found = only(made(tmp_path / "wrong", {}, bulkhead_compose=wrong)[0].problems)
    assert found.resource == "bulkhead_compose.networks.default" and "$MTU" in found.message


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ({"LEVEL": None, "A": "1"}, {"LEVEL": "info", "A": "1"}),
        ({"MISSING": None, "A": "1"}, {"A": "1"}),
        ({"PRICE": None}, {"PRICE": "5$$each"}),
        (["LEVEL", "A=1", "MISSING"], ["LEVEL=info", "A=1"]),
    ],
)
def test_a_name_without_a_value_comes_from_env(tmp_path: Path, given_: Any, expected: Any) -> None:
    declaration, compose = made(tmp_path, {"environment": given_})
    assert declaration.problems == []
    assert compose["services"]["web"]["environment"] == expected


@pytest.mark.parametrize("given_", [{"DB_PASSWORD": None}, ["DB_PASSWORD"]])
def test_a_secret_without_a_value(tmp_path: Path, given_: Any) -> None:
    found = only(made(tmp_path, {"environment": given_})[0].problems)
    assert "contains DB_PASSWORD, which is secret" in found.message


def test_the_input_label_follows_what_is_filled_in(tmp_path: Path) -> None:
    service = {"environment": {"A": "${LEVEL}"}}
    one = made(tmp_path / "one", service)[1]
    again = made(tmp_path / "again", service)[1]
    other = made(tmp_path / "other", service, bulkhead_env_shared={"UNUSED": "x"})[1]
    label = one["services"]["web"]["labels"][INPUT]
    assert label == again["services"]["web"]["labels"][INPUT] == other["services"]["web"]["labels"][INPUT]
    plain = made(tmp_path / "plain", {"environment": {"A": "info"}})[1]
    changed = made(tmp_path / "changed", {"environment": {"A": "${LEVEL}x"}})[1]
    assert plain["services"]["web"]["labels"][INPUT] == label != changed["services"]["web"]["labels"][INPUT]


def test_what_is_made_of_a_variable_is_judged(tmp_path: Path) -> None:
    """Mounts, names and images of a service are those that Compose would have made."""
    service = {"volumes": ["${DATA_DIR}/media:/media"], "container_name": "app_prod_${LEVEL}", "image": "x:$LEVEL"}
    declaration, compose = made(tmp_path / "good", service)
    assert declaration.problems == []
    web = compose["services"]["web"]
    assert (web["volumes"], web["image"]) == (["/srv/prod/app/data/media:/media"], "x:info")
    assert (web["container_name"], compose["volumes"].keys()) == ("app_prod_info", {"storage", "pgdata", "redis_data"})
    hidden = {"configs": {"more": {"file": "${CODE}/more.conf"}}}
    env = {**SETTINGS, "CODE": "/srv/prod/app/code"}
    found = made(tmp_path / "checkout", {}, bulkhead_env_shared=env, bulkhead_compose=hidden)[0].problems
    assert [problem.rule for problem in found] == ["unproved-file"]


@given(st.text(alphabet="ab${}:-_ \n", max_size=20))
def test_every_text_is_filled_in_or_refused(text: str) -> None:
    from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.errors import ReaderError
    from ansible_collections.aiia.bulkhead.plugins.plugin_utils.release.variables import Filler

    filler = Filler({"a": "1$a", "b": "${a}"}, frozenset())
    try:
        shipped = filler.value(text)
    except ReaderError:
        return
    arrives(shipped)
