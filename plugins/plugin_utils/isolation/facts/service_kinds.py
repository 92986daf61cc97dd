# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kind of a service, by its image, key and ports."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from ..model import Environment
from ..numbers import number_of

_WORDS = re.compile(r"[a-z]+")

#: Servers that are meant to be public.
FRONT = frozenset({"nginx", "traefik", "caddy", "haproxy", "httpd", "apache", "envoy", "openresty", "angie"})

#: Servers that keep data or relay it.
DATA = frozenset(
    {
        "postgres", "postgresql", "postgis", "timescaledb", "pgvector", "pgbouncer", "pgcat", "mysql", "mariadb",
        "mongo", "mongodb", "redis", "valkey", "keydb", "memcached", "rabbitmq", "kafka", "nats", "zookeeper",
        "elasticsearch", "opensearch", "clickhouse", "cassandra", "minio", "etcd", "qdrant", "weaviate", "milvus",
    }
)  # fmt: skip

#: The ports of such servers and of their consoles.
DATA_PORTS = frozenset(
    {5432, 6432, 3306, 27017, 6379, 26379, 11211, 5672, 15672, 9092, 2181, 9200, 8123, 9042, 5555, 6333, 2379}
)


def words_of(name: str, service: Mapping[str, Any]) -> frozenset[str]:
    """The words of a service's key and of the last part of its image."""
    return _words(name, str(service.get("image") or ""))


@lru_cache(maxsize=16384)
def _words(name: str, image: str) -> frozenset[str]:
    image = image.partition("@")[0].rpartition("/")[2].partition(":")[0]
    return frozenset(_WORDS.findall(f"{name} {image}".lower()))


def is_front_door(name: str, service: Mapping[str, Any]) -> bool:
    """Whether a service is a web server or proxy that is meant to be published."""
    return bool(words_of(name, service) & FRONT)


def front_service(environment: Environment) -> str:
    """The first service that is a front door, such as nginx; empty if none is."""
    return next((name for _unused, name, service in environment.services() if is_front_door(name, service)), "")


def is_data_service(name: str, service: Mapping[str, Any], port: Mapping[str, Any] | None = None) -> bool:
    """Whether a service keeps or relays data, by its name and image or by ``port``."""
    if port is not None and port.get("target") in DATA_PORTS:
        return True
    return bool(words_of(name, service) & DATA) and not is_front_door(name, service)


def texts(value: Any) -> list[str]:
    """All strings in a canonical value, without the keys of mappings."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, (list, tuple)):
        items: Iterable[Any] = value
    elif isinstance(value, (dict, Mapping)):  # asked last: what is neither takes longest
        items = value.values()
    else:
        return []
    found: list[str] = []
    for item in items:
        if isinstance(item, str):
            found.append(item)
        elif item:
            found += texts(item)
    return found


def command_text(service: Mapping[str, Any]) -> str:
    """A service's entrypoint, command and health check as one text."""
    health = service.get("healthcheck") or {}
    return " ".join(texts([service.get("entrypoint"), service.get("command"), health.get("test")]))


def replicas_of(service: Mapping[str, Any]) -> int:
    """The number of a service's containers, by ``deploy.replicas`` or ``scale``."""
    count = (service.get("deploy") or {}).get("replicas", service.get("scale"))
    return number_of(str(count)) if str(count or "").isdecimal() else 1


def restart_policy(definition: Mapping[str, Any]) -> str:
    """The restart policy that Compose sets: ``deploy.restart_policy`` if given, else ``restart``. Empty if there is
    neither, which means ``no`` to the engine."""
    policy = (definition.get("deploy") or {}).get("restart_policy")
    said = definition.get("restart") if policy is None else policy.get("condition")
    name = str(said or "").partition(":")[0]
    return {"none": "no", "any": "always"}.get(name, name)


def runs_once(definition: Mapping[str, Any]) -> bool:
    """Whether a service exits when its work is done, so that a container that exited with 0 is fine.

    That holds for the policy ``no``. Without a policy or with ``on-failure``, a service that has a health check or
    ports is taken for a server.
    """
    policy = restart_policy(definition)
    asked = any(definition.get(key) for key in ("healthcheck", "ports", "expose"))
    return policy == "no" or (policy in ("", "on-failure") and not asked)
