# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Endpoints: URLs, connection strings and settings that name a server."""

from __future__ import annotations

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import (
    SEALED,
    ComposeProject,
    Environment,
    Setting,
    Where,
)
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.claims_endpoints import claims_endpoints
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.endpoints import (
    find,
    host_and_port,
    parse,
    part_of,
    uses,
)
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "family", "hosts", "name", "user", "password"),
    [
        ("postgres://aiia:pw@db:5433/aiia", "database", (("db", 5433),), "aiia", "aiia", "pw"),
        (
            "postgresql+psycopg://aiia@DB.Example.com/aiia?sslmode=require",
            "database",
            (("db.example.com", 5432),),
            "aiia",
            "aiia",
            "",
        ),
        ("db+postgresql://u:p@h/results", "database", (("h", 5432),), "results", "u", "p"),
        (
            "jdbc:postgresql://h1:5432,h2:5433/aiia?user=app",
            "database",
            (("h1", 5432), ("h2", 5433)),
            "aiia",
            "app",
            "",
        ),
        ("postgres://u:p%40ss@[fd00::1]:5432/aiia", "database", (("fd00::1", 5432),), "aiia", "u", "p@ss"),
        ("postgres://u@%2Fvar%2Frun%2Fpostgresql/aiia", "database", (("/var/run/postgresql", 5432),), "aiia", "u", ""),
        ("host=db port=6432 dbname=aiia user=app password='p w'", "database", (("db", 6432),), "aiia", "app", "p w"),
        ("mysql://root@db/shop", "database", (("db", 3306),), "shop", "root", ""),
        ("redis://:pw@redis", "redis", (("redis", 6379),), "0", "", "pw"),
        ("rediss://redis:6380/2", "redis", (("redis", 6380),), "2", "", ""),
        ("redis://redis?db=4", "redis", (("redis", 6379),), "4", "", ""),
        ("unix:///run/redis/redis.sock?db=1", "redis", (("/run/redis/redis.sock", 0),), "1", "", ""),
        ("amqp://u:p@mq", "amqp", (("mq", 5672),), "/", "u", "p"),
        ("amqps://mq/prod", "amqp", (("mq", 5671),), "prod", "", ""),
        ("https://eduaiia.com/login?next=/a#b", "web", (("eduaiia.com", 443),), "login", "", ""),
        ("smtp+tls://u:p@mail:587", "mail", (("mail", 587),), "", "u", "p"),
    ],
)
def test_parse(text: str, family: str, hosts: tuple[tuple[str, int], ...], name: str, user: str, password: str) -> None:
    """Each form that people write."""
    endpoint = parse(text)
    assert endpoint is not None
    assert (endpoint.family, endpoint.hosts, endpoint.name) == (family, hosts, name)
    assert (endpoint.user, endpoint.password) == (user, password)


def test_the_password_is_not_shown() -> None:
    """An endpoint in a traceback or log shows no password."""
    assert "hunter2" not in repr(parse("postgres://aiia:hunter2@db/aiia"))


@pytest.mark.parametrize("text", ["", "aiia", "ftp://h/x", "a host name = none", "://", "localhost", "host=x"])
def test_no_endpoint(text: str) -> None:
    """What names no server."""
    assert parse(text) is None


@given(st.text(max_size=200))
def test_never_raises(text: str) -> None:
    """Any text is read, whatever it holds."""
    for candidate in (text, f"postgres://{text}", f"redis://{text}", f"host={text} dbname={text}"):
        parse(candidate)
        list(find(candidate))


def test_find_several() -> None:
    """A value may list several URLs."""
    assert [endpoint.hosts[0][0] for endpoint in find("redis://a:1/0;redis://b:2/0")] == ["a", "b"]
    assert [endpoint.hosts[0][0] for endpoint in find("https://a.com,https://b.com")] == ["a.com", "b.com"]
    assert [endpoint.hosts[0][0] for endpoint in find("['https://a.com', \"wss://b.com/ws\"]")] == ["a.com", "b.com"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("db", ("db", 1)), ("DB:2", ("db", 2)), ("[::1]:3", ("::1", 3)), ("fd00::1", ("fd00::1", 1)), ("db:x", ("db", 1))],
)
def test_host_and_port(text: str, expected: tuple[str, int]) -> None:
    """Hosts with and without a port."""
    assert host_and_port(text, 1) == expected


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("DB_HOST", ("database", "DB", "host")),
        ("PGHOST", ("database", "PG", "host")),
        ("REPLICA_DB_HOST", ("database", "REPLICA_DB", "host")),
        ("POSTGRES_DB", ("database", "POSTGRES", "name")),
        ("REDIS_DB", ("redis", "REDIS", "name")),
        ("EMAIL_HOST_PASSWORD", ("mail", "EMAIL_HOST", "password")),
        ("ALLOWED_HOSTS", None),
        ("HOST", None),
        ("DEBUG", None),
    ],
)
def test_part_of(key: str, expected: tuple[str, str, str] | None) -> None:
    """What a setting's name says."""
    assert part_of(key) == expected


def _environment(*settings: Setting) -> Environment:
    project = ComposeProject("aiia", "aiia", {"web": {"command": ["celery", "-b", "redis://broker/3"]}, "db": {}})
    return Environment(prefix="aiia_prod", compose=(project,), settings=settings)


def _setting(key: str, value: object, service: str = "") -> Setting:
    return Setting(key, value, Where(".env", 1, key), service)


def test_settings_that_belong_together() -> None:
    """Host, port, name and user are gathered; a replica takes over what it does not say."""
    environment = _environment(
        _setting("DB_HOST", "db"),
        _setting("DB_NAME", "aiia"),
        _setting("DB_USER", "app"),
        _setting("REPLICA_DB_HOST", "replica:6432"),
        _setting("EMAIL_HOST", "mail"),
        _setting("EMAIL_HOST_USER", "sender"),
    )
    found = {use.key: use.endpoint for use in uses(environment)}
    assert (found["DB_HOST"].name, found["DB_HOST"].user) == ("aiia", "app")
    assert (found["REPLICA_DB_HOST"].hosts, found["REPLICA_DB_HOST"].name) == ((("replica", 6432),), "aiia")
    assert found["EMAIL_HOST"].user == "sender"
    assert found["command"].name == "3"


def test_a_service_completes_the_file() -> None:
    """A service that sets only the host uses the name that .env sets; the same setting twice is one use."""
    environment = _environment(
        _setting("DB_NAME", "aiia"),
        _setting("DB_HOST", "elsewhere", "web"),
        _setting("URL", "redis://r/1"),
        _setting("URL", "redis://r/1", "web"),
    )
    found = [(use.service, use.key, use.endpoint.name) for use in uses(environment)]
    assert ("web", "DB_HOST", "aiia") in found
    assert found.count(("web", "URL", "1")) == 1
    assert ("", "URL", "1") not in found


def test_sealed_settings_are_no_endpoints() -> None:
    """What cannot be read names nothing, and does not fail."""
    environment = _environment(_setting("DATABASE_URL", SEALED), _setting("DB_HOST", SEALED), _setting("X", None))
    assert [use.key for use in uses(environment)] == ["command"]


def test_claims() -> None:
    """An own server is claimed by its service, another by its host; names are cut as PostgreSQL cuts them."""
    environment = _environment(_setting("DATABASE_URL", f"postgres://app@db/{'x' * 70}"), _setting("U", "redis://r/2"))
    claims, references = claims_endpoints(environment)
    assert {(claim.namespace, claim.scope, claim.key) for claim in claims} >= {
        ("database-server", "localhost", "aiia_prod/db"),
        ("database", "aiia_prod/db", "x" * 63),
        ("database-role", "aiia_prod/db", "app"),
        ("redis-server", "world", "r:6379"),
        ("redis-db", "r:6379", "2"),
    }
    assert {(reference.kind, reference.target) for reference in references} == {
        ("database", "db"),
        ("redis", "r"),
        ("redis", "broker"),
    }
