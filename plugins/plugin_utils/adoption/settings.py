# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The settings of the application: which of them Bulkhead gives, which are secret, and which are just settings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ..declaration.settings import setting_problem
from ..isolation.readers.fingerprints import SIGNING, use_of
from ..isolation.redaction import redact
from ..secrets.fingerprints import STRONG, bits
from ..secrets.generate import generate, kind_of
from .model import Container, Handmade

#: What Bulkhead gives every application of the default stack under this name.
_GIVEN = frozenset({"ENVIRONMENT", "PORT", "COMPOSE_PROJECT_NAME"})
_LISTS = frozenset({"ALLOWED_HOSTS", "CSRF_TRUSTED_ORIGINS"})
_DATABASE = re.compile(r"(?:\A|_)(?:DB|DATABASE|PG|POSTGRES|POSTGRESQL|SQL)(?:_|\Z)|\APG[A-Z]+\Z")
_REDIS = re.compile(r"(?:\A|_)(?:REDIS|VALKEY)(?:_|\Z)")
_PASSWORDS = ("DB_PASSWORD", "POSTGRES_PASSWORD", "REDIS_PASSWORD")


@dataclass
class AppSettings:
    """What goes where: ``plain`` into bulkhead_env, ``secret`` into the vault, ``names`` into bulkhead_env_names.

    ``made`` are the secrets that are new, because the old value is not known here or can be guessed.
    """

    plain: dict[str, str] = field(default_factory=dict)
    secret: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    made: list[str] = field(default_factory=list)
    database: str = ""
    user: str = ""

    def call(self, ours: str, theirs: str) -> bool:
        """Note the application's name for a setting of ours. Returns whether it is the only one."""
        return self.names.setdefault(ours, theirs) == theirs


def settings_of(own: Handmade, application: Container | None, django: bool) -> AppSettings:
    """The settings of the environment's application, sorted out. What cannot be kept is said to ``own``."""
    found = AppSettings()
    server, redis = own.part("postgresql"), own.part("redis")
    pooler = own.part("pgbouncer")
    database_hosts = {host for container in (server, pooler) if container for host in container.hosts}
    redis_hosts = redis.hosts if redis else set()
    for name, value in sorted((application.own_settings if application else {}).items()):
        problem = setting_problem(name, value)
        given = _given(found, name, value, database_hosts, redis_hosts)
        if given == "twice":
            own.say(
                f"{name} of {own.prefix} names a server of the environment once more. It was not taken over, because "
                "the server's password is another one under Bulkhead: set it in bulkhead_env from the settings that "
                "docs/application.md lists."
            )
        elif given or name in _GIVEN or (django and name in _LISTS):
            continue
        elif problem:
            own.say(f"The setting {name} of {own.prefix} cannot be kept: {problem}.")
        elif use_of(name) == SIGNING and django and "SECRET_KEY" not in found.names:
            found.call("SECRET_KEY", name)
            found.secret["SECRET_KEY"] = value
        elif use_of(name) or _has_password(value) or redact(value) != value:
            found.secret[name] = value
        else:
            found.plain[name] = value
    found.names = {ours: theirs for ours, theirs in found.names.items() if ours != theirs or ours == "DATABASE_URL"}
    _passwords(found, server, redis, django)
    return found


def _given(found: AppSettings, name: str, value: str, database_hosts: set[str], redis_hosts: set[str]) -> str:
    """Take a setting that Bulkhead gives. Returns what it is, ``twice`` for a second one, empty for any other."""
    host = _host(value)
    ours = ""
    if value in database_hosts:
        ours = "DB_HOST"
    elif value in redis_hosts:
        ours = "REDIS_HOST"
    elif host in database_hosts and value.startswith(("postgres", "psql")):
        ours = "DATABASE_URL"
        parts = urlsplit(value)
        found.database, found.user = parts.path.strip("/"), parts.username or ""
        found.secret.setdefault("DB_PASSWORD", parts.password or "")
    elif host in redis_hosts:
        ours = "REDIS_URL"
        found.secret.setdefault("REDIS_PASSWORD", urlsplit(value).password or "")
    elif database_hosts and _DATABASE.search(name.upper()):
        ours = _part(name.upper(), "DB")
    elif redis_hosts and _REDIS.search(name.upper()):
        ours = {"DB_PORT": "REDIS_PORT", "DB_PASSWORD": "REDIS_PASSWORD"}.get(_part(name.upper(), "DB"), "")
    if not ours:
        return ""
    if ours == "DB_NAME":
        found.database = value
    elif ours == "DB_USER":
        found.user = value
    elif ours in ("DB_PASSWORD", "REDIS_PASSWORD"):
        found.secret[ours] = value
    return ours if found.call(ours, name) else "twice"


def _part(name: str, family: str) -> str:
    words = name.replace("PG", "PG_", 1).split("_") if name.startswith("PG") and "_" not in name else name.split("_")
    for part, ends in (
        ("PASSWORD", ("PASSWORD", "PASS", "PASSWD", "PWD")),
        ("USER", ("USER", "USERNAME")),
        ("PORT", ("PORT",)),
        ("NAME", ("NAME", "DB", "DATABASE")),
    ):
        if words[-1] in ends and len(words) > 1:
            return f"{family}_{part}"
    return ""


def _passwords(found: AppSettings, server: Container | None, redis: Container | None, django: bool) -> None:
    """The passwords that the stack needs: those of now if nobody can guess them, else new ones.

    The deployment sets them in the servers itself, so a new one needs nothing else.
    """
    needed = []
    if server:
        found.secret.setdefault("POSTGRES_PASSWORD", server.seen["settings"].get("POSTGRES_PASSWORD", ""))
        found.secret.setdefault("DB_PASSWORD", "")
        needed += ["POSTGRES_PASSWORD", "DB_PASSWORD"]
    if redis:
        found.secret.setdefault("REDIS_PASSWORD", "")
        needed.append("REDIS_PASSWORD")
    if django:
        found.secret.setdefault("SECRET_KEY", "")
        needed.append("SECRET_KEY")
    for name in needed:
        value = found.secret[name]
        # One password for the administrator and the application is two under Bulkhead.
        same = name == "DB_PASSWORD" and value == found.secret.get("POSTGRES_PASSWORD")
        weak = bits(value) < STRONG and name in _PASSWORDS
        if not value or same or weak:
            found.secret[name] = generate(name, kind_of(name))[name]
            found.made.append(name)


def is_django(container: Container | None) -> bool:
    """Whether an application is one of Django, by its settings, its commands and its name."""
    if container is None:
        return False
    words = " ".join([container.service, *container.seen["command"], *container.seen["entrypoint"]])
    settings: Mapping[str, str] = container.seen["settings"]
    return "DJANGO_SETTINGS_MODULE" in settings or bool(re.search(r"django|manage\.py|[a-z]\.wsgi|[a-z]\.asgi", words))


def _host(value: str) -> str:
    try:
        return urlsplit(value).hostname or "" if "://" in value else ""
    except ValueError:
        return ""


def _has_password(value: str) -> bool:
    try:
        return "://" in value and bool(urlsplit(value).password)
    except ValueError:
        return True
