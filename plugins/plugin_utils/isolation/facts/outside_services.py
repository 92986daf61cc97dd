# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Servers outside of the fleet that keep an application's data by name: search, messages, caches, time series.

Each kind is known by the settings and URLs that name its servers, and by the settings whose values keep two users of
one server apart: an index, a topic, a key's prefix.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from ..model import Environment, Fleet, Setting, Where
from ..readers.endpoints import host_and_port
from ..readers.frameworks import BUCKET, BUCKET_PREFIX, INDEX, kind_of
from .server_owner import resolver


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of server: the words by which settings and URLs name it, its port, and what tells its users apart."""

    words: str
    port: int
    #: The last words of the settings whose values keep its users apart.
    apart: str
    schemes: str = ""

    def names_server(self, key: str, scheme: str) -> bool:
        """Whether a setting of this name, or a URL with this scheme, says where such a server is."""
        keyed = re.fullmatch(rf"(?:\w+_)?(?:{self.words}){_SERVER}", key, re.IGNORECASE)
        return bool(keyed or (scheme and self.schemes and re.fullmatch(self.schemes, scheme)))

    def names_own(self, key: str) -> bool:
        """Whether the value of a setting of this name keeps one user of such a server apart from others."""
        named = rf"(?:\w+_)?(?:{self.words})_(?:\w+_)?(?:{self.apart})(?:_NAME|_ID|_PREFIX)?"
        return bool(re.fullmatch(named, key, re.IGNORECASE))


_SERVER = (
    r"_(?:BROKERS?|BROKER_LIST|BROKER_URL|BOOTSTRAP_SERVERS?|HOSTS?|SERVERS?|URLS?|URI|NODES?|ENDPOINT|ADDR(?:ESS)?)"
)
_SEARCHED = "INDEX|COLLECTION|PREFIX"
_SENT = "TOPICS?|SUBJECTS?|GROUP|CONSUMER_GROUP|STREAM|QUEUE|CLIENT|PREFIX|NAMESPACE|TENANT"

SEARCH = (
    Kind("ELASTIC(?:SEARCH)?|ES", 9200, _SEARCHED),
    Kind("OPENSEARCH", 9200, _SEARCHED),
    Kind("MEILI(?:SEARCH)?", 7700, _SEARCHED),
    Kind("TYPESENSE", 8108, _SEARCHED),
    Kind("SOLR", 8983, _SEARCHED),
    Kind("QDRANT", 6333, _SEARCHED),
    Kind("WEAVIATE", 8080, _SEARCHED),
    Kind("MILVUS", 19530, _SEARCHED),
    Kind("CHROMA", 8000, _SEARCHED),
)
MESSAGES = (
    Kind("KAFKA|REDPANDA", 9092, _SENT, "kafka"),
    Kind("PULSAR", 6650, _SENT, r"pulsar(?:\+ssl)?"),
    Kind("NATS", 4222, _SENT, "nats|tls"),
    Kind("MQTT|MOSQUITTO", 1883, _SENT, "mqtts?"),
    Kind("TEMPORAL", 7233, "NAMESPACE|TASK_QUEUE"),
)
STORES = (
    Kind("MEMCACHED?", 11211, "PREFIX|KEY_PREFIX", "memcached?"),
    Kind("INFLUX(?:DB)?", 8086, "BUCKET|DATABASE|DB"),
    Kind("CASSANDRA|SCYLLA", 9042, "KEYSPACE", "cassandra"),
    Kind("NEO4J", 7687, "DATABASE|DB", r"(?:bolt|neo4j)(?:\+s(?:sc)?)?"),
    Kind("COUCH(?:DB)?", 5984, "DATABASE|DB", "couchdb"),
    Kind("ARANGO(?:DB)?", 8529, "DATABASE|DB"),
    Kind("SUPABASE", 443, "SCHEMA"),
    Kind("CLOUDINARY", 443, "FOLDER|PREFIX", "cloudinary"),
    Kind("CLICKHOUSE", 8123, "DATABASE|DB", r"clickhouse(?:\+\w+)?"),
)


@lru_cache(maxsize=65536)
def _named(key: str, scheme: str) -> tuple[Kind, ...]:
    """The kinds of server that a setting's name or its URL's scheme means. Cached, as a fleet repeats its settings."""
    return tuple(kind for kind in (*SEARCH, *MESSAGES, *STORES) if kind.names_server(key, scheme))


@lru_cache(maxsize=65536)
def names_resource(key: str) -> bool:
    """Whether a setting of this name says what an environment calls its part of a server that others use too."""
    return kind_of(key) in (BUCKET, BUCKET_PREFIX, INDEX) or any(
        kind.names_own(key) for kind in (*SEARCH, *MESSAGES, *STORES)
    )


_LOCAL = re.compile(r"localhost|127\..*|::1|0\.0\.0\.0|", re.IGNORECASE)


def shared_services(fleet: Fleet, kinds: tuple[Kind, ...]) -> Iterator[tuple[str, Mapping[str, Where], bool]]:
    """Yield the servers outside of the fleet that several environments use: what it is called, by whom and where, and
    whether names keep each apart from all others."""
    found: dict[str, dict[str, tuple[str, Where]]] = {}
    for environment in fleet.environments:
        for setting, kind in _servers(environment, kinds):
            own = " ".join(sorted(name.text for name in environment.settings if name.text and kind.names_own(name.key)))
            for identity in _outside(fleet, environment, setting, kind.port):
                found.setdefault(identity, {}).setdefault(environment.prefix, (own, setting.where))
    told: set[tuple[str, ...]] = set()
    for identity, uses in found.items():
        places = tuple(f"{prefix} {where}" for prefix, (_own, where) in uses.items())
        if len(uses) > 1 and places not in told:
            told.add(places)  # a cluster has several servers
            names = [own for own, _where in uses.values()]
            apart = "" not in names and len(set(names)) == len(names)
            yield identity, {prefix: where for prefix, (_own, where) in uses.items()}, apart


def _servers(environment: Environment, kinds: tuple[Kind, ...]) -> Iterator[tuple[Setting, Kind]]:
    """The settings that name servers of these kinds."""
    return ((setting, kind) for setting, kind in environment.derived(_every_server) if kind in kinds)


def _every_server(environment: Environment) -> Iterator[tuple[Setting, Kind]]:
    for setting in environment.settings:
        text = setting.text
        scheme = text.partition("://")[0].lower() if "://" in text else ""
        named = _named(setting.key, scheme) if text else ()
        yield from ((setting, kind) for kind in named)


def _outside(fleet: Fleet, environment: Environment, setting: Setting, port: int) -> Iterator[str]:
    """The servers that a setting names, without the environment's own and those of others of the fleet."""
    for authority in _authorities(setting.text):
        host, number = host_and_port(authority, port)
        server = resolver(fleet).resolve(environment, setting.service, host, number)
        if not server.owner and not _LOCAL.fullmatch(host):
            yield server.identity


def _authorities(text: str) -> list[str]:
    """The hosts and ports in a setting: one URL, or a list of URLs or hosts."""
    items = (item.strip("'\"") for item in re.split(r"[\s,;]+", text.strip("[]'\" ")))
    return [re.split(r"[/?]", item.partition("://")[2] or item)[0].rpartition("@")[2] for item in items if item]
