# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The servers that an environment uses, from URLs, connection strings and settings such as ``DB_HOST``.

:mod:`..facts.server_owner` finds out whose servers they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import parse_qsl, unquote

from ..hosts import as_read, canonical_host
from ..model import Environment, Setting, Where
from ..numbers import number_of


def _by_word(**kinds: str) -> dict[str, str]:
    return {word: kind for kind, words in kinds.items() for word in words.split()}


#: The family of server for each word of a URL's scheme, which is split at ``+``.
_SCHEMES = _by_word(
    database="postgres postgresql postgis pgsql psql timescale cockroachdb mysql mysql2 mariadb mongodb mssql oracle "
    "sqlserver",
    redis="redis rediss valkey valkeys sentinel unix",
    amqp="amqp amqps pyamqp",
    web="http https ws wss",
    mail="smtp smtps submission",
    bucket="s3",
)

_PORTS = {
    "database": 5432,
    "redis": 6379,
    "amqp": 5672,
    "mail": 25,
    "mysql": 3306,
    "mysql2": 3306,
    "mariadb": 3306,
    "mongodb": 27017,
    "mssql": 1433,
    "oracle": 1521,
    "sqlserver": 1433,
    "sentinel": 26379,
    "amqps": 5671,
    "http": 80,
    "ws": 80,
    "https": 443,
    "wss": 443,
    "smtps": 465,
    "submission": 587,
}

#: The family of server for words in a setting's name, such as ``REPLICA_DB_HOST`` or ``PGHOST``.
_WORDS = _by_word(
    database="DB DATABASE DATABASES POSTGRES POSTGRESQL PG PGSQL PGBOUNCER SQL MYSQL MARIADB MONGO MONGODB RDS",
    redis="REDIS VALKEY",
    amqp="AMQP RABBITMQ RABBIT",
    mail="EMAIL MAIL SMTP",
)

_PARTS = _by_word(
    host="HOST HOSTNAME HOSTS SERVER SERVERS ADDR ADDRESS SENTINELS NODES",
    port="PORT",
    name="NAME DBNAME DATABASE DB VHOST",
    user="USER USERNAME",
    password="PASSWORD PASS PASSWD",
)

_PART = re.compile(rf"(.+?)_?({'|'.join(sorted(_PARTS, key=len, reverse=True))})\Z")
_URL = re.compile(r"[a-z][a-z0-9+.-]{0,31}://[^\s\"'`<>{}\[\]|;\\]+(?:\[[0-9a-f:.]+\][^\s\"'`<>{}|;\\]*)?", re.I)
_NO_HOST = re.compile(r"@|\A\d{1,7}\Z")
_NEXT_URL = re.compile(r",(?=[a-z][a-z0-9+.-]*://)", re.I)
_KEYWORD = re.compile(r"(?:^|\s)(host|hostaddr|port|dbname|user|password|options)\s*=\s*('[^']*'|\S+)")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server (``hosts`` with ports) and what is used on it: ``name`` is a database, Redis number, vhost or path."""

    family: str
    hosts: tuple[tuple[str, int], ...]
    name: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    options: Mapping[str, str] = field(default_factory=dict, hash=False, repr=False)
    scheme: str = ""


@dataclass(frozen=True, slots=True)
class Use:
    """An endpoint, and the setting that names it. ``service`` is empty if every service may read the setting."""

    owner: str
    service: str
    key: str
    endpoint: Endpoint
    where: Where


def family_of_scheme(scheme: str) -> str:
    """The family of server of a URL's scheme, or the empty string."""
    return next((_SCHEMES[word] for word in scheme.lower().split("+") if word in _SCHEMES), "")


def parse(text: str) -> Endpoint | None:
    """The endpoint of a URL or libpq connection string, or ``None`` for any other text."""
    text = text.strip().removeprefix("jdbc:")
    if "://" in text:
        return _parse_url(text)
    if "host" in text and "=" in text:
        return _parse_keywords(text)
    return None


def find(text: str) -> Iterator[Endpoint]:
    """Yield every endpoint in a text, which may list several URLs."""
    if "://" in text:
        for match in _URL.finditer(text):
            for url in _NEXT_URL.split(match.group()):
                endpoint = _parse_url(url)
                if endpoint:
                    yield endpoint
    elif "host" in text and "=" in text:
        endpoint = _parse_keywords(text)
        if endpoint:
            yield endpoint


def _parse_url(url: str) -> Endpoint | None:
    scheme, _unused, rest = url.partition("://")
    scheme = scheme.lower()
    family = family_of_scheme(scheme)
    if not family:
        return None
    authority, path, query = _split(rest)
    account, _unused, hosts = authority.rpartition("@")
    user, _unused, password = account.partition(":")
    options = dict(parse_qsl(query))
    words = scheme.split("+")
    default = next((_PORTS[word] for word in words if word in _PORTS), _PORTS.get(family, 0))
    if family == "redis" and ("unix" in words or "socket" in words):
        return Endpoint(family, ((path or "/", 0),), options.get("db", "0"), scheme=scheme, options=options)
    name = unquote(path.lstrip("/"))
    if family == "redis":
        name = options.get("db") or name.rpartition("/")[2] or "0"
    return Endpoint(
        family=family,
        hosts=_hosts(options.get("host") or hosts, default),
        name=name or ("/" if family == "amqp" else options.get("dbname", "")),
        user=unquote(user or options.get("user", "")),
        password=unquote(password or options.get("password", "")),
        options=options,
        scheme=scheme,
    )


def _split(rest: str) -> tuple[str, str, str]:
    """Split what follows ``://`` into authority, path and query."""
    rest = rest.partition("#")[0] if "@" not in rest.partition("#")[2] else rest
    before, _unused, query = rest.partition("?")
    authority, slash, path = before.partition("/")
    return authority, slash + path, query


def _hosts(text: str, port: int) -> tuple[tuple[str, int], ...]:
    return tuple(host_and_port(item, port) for item in text.split(",") if item.strip()) or (("", port),)


def host_and_port(text: str, port: int = 0) -> tuple[str, int]:
    """Split ``host``, ``host:port``, ``[::1]:port`` or ``%2Fvar%2Frun``; ``port`` is the default."""
    text = unquote(text.strip())
    if text.startswith("["):
        host, _unused, tail = text[1:].partition("]")
        tail = tail.lstrip(":")
    elif text.count(":") == 1:
        host, _unused, tail = text.partition(":")
    else:
        host, tail = text, ""
    return canonical_host(host), number_of(tail) if tail.isdecimal() else port


def _parse_keywords(text: str) -> Endpoint | None:
    keywords = {key: value.strip("'") for key, value in _KEYWORD.findall(text)}
    host = keywords.get("host") or keywords.get("hostaddr")
    if not host or len(keywords) < 2:
        return None
    port = number_of(keywords["port"]) if keywords.get("port", "").isdecimal() else 5432
    options = {"options": keywords["options"]} if "options" in keywords else {}
    return Endpoint(
        "database",
        _hosts(host, port),
        keywords.get("dbname", ""),
        keywords.get("user", ""),
        keywords.get("password", ""),
        options,
        "postgresql",
    )


def uses(environment: Environment) -> tuple[Use, ...]:
    """Every server that an environment's settings and commands name, once for each setting."""
    by_service: dict[str, dict[str, Setting]] = {}
    for setting in environment.settings:
        by_service.setdefault(setting.service, {})[setting.key] = setting
    # Services first, since a name is resolved on a service's networks. What .env repeats is left out.
    distinct: dict[tuple[str, str, Endpoint], Use] = {}
    seen: set[tuple[str, Endpoint]] = set()
    for service in sorted(by_service, key=lambda name: not name):
        settings = by_service[service]
        complete = {**by_service.get("", {}), **settings}
        for use in (*_urls(environment, service, settings), *_discrete(environment, service, complete)):
            if service or (use.key, use.endpoint) not in seen:
                distinct.setdefault((service, use.key, use.endpoint), use)
                seen.add((use.key, use.endpoint))
    for use in _commands(environment):
        distinct.setdefault((use.service, use.key, use.endpoint), use)
    return tuple(distinct.values())


def _urls(environment: Environment, service: str, settings: Mapping[str, Setting]) -> Iterator[Use]:
    for key, setting in settings.items():
        text = setting.text if "://" in setting.text else as_read(setting.text)
        for endpoint in find(text):
            yield Use(environment.prefix, service, key, endpoint, setting.where)


def _discrete(environment: Environment, service: str, settings: Mapping[str, Setting]) -> Iterator[Use]:
    groups: dict[tuple[str, str], dict[str, Setting]] = {}
    for key, setting in settings.items():
        named = part_of(key)
        # MAIL_FROM_ADDRESS is a person's address, not a server's.
        # DB_NODES may be their number.
        is_no_host = named is not None and named[2] == "host" and _NO_HOST.search(setting.text)
        if named and setting.text and "://" not in setting.text and not is_no_host:
            groups.setdefault(named[:2], {})[named[2]] = setting
    for (family, group), parts in groups.items():
        if "host" not in parts or all(setting.service != service for setting in parts.values()):
            continue
        known = {**_around(groups, family, group), **parts}
        host = known["host"]
        port = known["port"].text if "port" in known else ""
        endpoint = Endpoint(
            family,
            _hosts(host.text, number_of(port) if port.isdecimal() else _PORTS[family]),
            known["name"].text if "name" in known else ("0" if family == "redis" else ""),
            known["user"].text if "user" in known else "",
            known["password"].text if "password" in known else "",
        )
        yield Use(environment.prefix, service, host.key, endpoint, host.where)


@lru_cache(maxsize=65536)
def part_of(key: str) -> tuple[str, str, str] | None:
    """Split a setting's name into family, group and part: ``REPLICA_DB_HOST`` is database, REPLICA_DB, host."""
    match = _PART.match(key.upper())
    if not match:
        return None
    words = match.group(1).split("_")
    families = {_WORDS[word] for word in words if word in _WORDS}
    if "redis" in families:
        families = {"redis"}
    return (families.pop(), match.group(1), _PARTS[match.group(2)]) if len(families) == 1 else None


def _around(groups: Mapping[tuple[str, str], Mapping[str, Setting]], family: str, group: str) -> dict[str, Setting]:
    """Defaults for a group's parts, from its extensions (``EMAIL_HOST_USER``) or the family's shortest group."""
    related = sorted((name for kind, name in groups if kind == family), key=len)
    parts = dict(groups[family, related[0]])
    for name in related:
        if name.startswith(f"{group}_") and "port" not in groups[family, name]:
            parts.update({part: setting for part, setting in groups[family, name].items() if part != "host"})
    parts.pop("host", None)
    return parts


def _commands(environment: Environment) -> Iterator[Use]:
    """Yield the URLs in services' commands, such as ``celery --broker redis://…``."""
    for project, name, service in environment.services():
        for item in ("command", "entrypoint"):
            line = words(service.get(item))
            if "://" in line:
                for endpoint in find(line):
                    yield Use(environment.prefix, name, item, endpoint, project.where("services", name, item))


def words(command: object) -> str:
    """A service's command as one line, whether it is a string or a list."""
    if isinstance(command, str):
        return command
    return " ".join(map(str, command)) if isinstance(command, Iterable) else ""
