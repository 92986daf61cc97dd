# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a setting means to the framework that reads it: one table from its name to its kind.

Nothing else of the rules about web, pipeline and operations knows Django or any other framework. A framework is added
by adding lines to the table.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from urllib.parse import urlsplit

from ..model import WORLD, Claim, Environment, Reference, Setting

HOSTS = "hosts"
ORIGINS = "origins"
CORS_ORIGINS = "cors-origins"
CORS_PATTERNS = "cors-patterns"
CORS_ALL = "cors-all"
CORS_CREDENTIALS = "cors-credentials"
COOKIE_DOMAIN = "cookie-domain"
COOKIE_NAME = "cookie-name"
HSTS_SUBDOMAINS = "hsts-subdomains"
FORWARDED_PORT = "forwarded-port"
FORWARDED_HOST = "forwarded-host"
TRUSTED_PROXIES = "trusted-proxies"
PROXY_HEADER = "proxy-header"
BASE_URL = "base-url"
BUCKET = "bucket"
BUCKET_PREFIX = "bucket-prefix"
BUCKET_ENDPOINT = "bucket-endpoint"
INDEX = "index"

#: Setting names as regular expressions, the first that matches whole. Django's own names, those of its best known
#: packages, and what Flask, Rails, Laravel, Node and gunicorn call the same.
_TABLE: tuple[tuple[str, str], ...] = (
    (r"(?:DJANGO_)?ALLOWED_HOSTS?|TRUSTED_HOSTS?|RAILS_HOSTS|VIRTUAL_HOST|FORWARDED_ALLOW_HOSTS", HOSTS),
    (r"(?:DJANGO_)?CSRF_TRUSTED_ORIGINS?|TRUSTED_ORIGINS|SANCTUM_STATEFUL_DOMAINS", ORIGINS),
    (r"(?:DJANGO_)?CORS_(?:ALLOWED_ORIGINS?|ORIGIN_WHITELIST|ORIGINS?)|CORS_ALLOW_ORIGINS?", CORS_ORIGINS),
    (r"ALLOWED_ORIGINS?", CORS_ORIGINS),
    (r"(?:DJANGO_)?CORS_(?:ALLOWED_ORIGIN_REGEXE?S|ORIGIN_REGEX_WHITELIST|ALLOW_ORIGIN_REGEX)", CORS_PATTERNS),
    (r"(?:DJANGO_)?CORS_(?:ALLOW_ALL_ORIGINS|ORIGIN_ALLOW_ALL)", CORS_ALL),
    (r"(?:DJANGO_)?CORS_ALLOW_CREDENTIALS", CORS_CREDENTIALS),
    (r"(?:\w+_)?COOKIE_DOMAIN|SESSION_DOMAIN", COOKIE_DOMAIN),
    (r"(?:\w+_)?COOKIE_NAME|SESSION_COOKIE", COOKIE_NAME),
    (r"(?:DJANGO_)?(?:SECURE_)?HSTS_INCLUDE_SUBDOMAINS|(?:DJANGO_)?SECURE_HSTS_PRELOAD", HSTS_SUBDOMAINS),
    (r"(?:DJANGO_)?USE_X_FORWARDED_PORT", FORWARDED_PORT),
    (r"(?:DJANGO_)?USE_X_FORWARDED_HOST", FORWARDED_HOST),
    (r"FORWARDED_ALLOW_IPS|TRUSTED_PROX(?:Y|IES)(?:_IPS|_CIDRS?)?|(?:DJANGO_)?INTERNAL_IPS", TRUSTED_PROXIES),
    (r"(?:DJANGO_)?SECURE_PROXY_SSL_HEADER", PROXY_HEADER),
    (r"(?:\w+_)?(?:FRONTEND|BACKEND|SITE|BASE|APP|PUBLIC|CALLBACK|REDIRECT)_UR[LI]", BASE_URL),
    (r"(?:FRONTEND|BACKEND|SITE)_DOMAIN", BASE_URL),
    (r"(?:\w+_)?(?:BUCKET|BUCKET_NAME|CONTAINER_NAME)", BUCKET),
    (r"AWS_LOCATION|(?:\w+_)?BUCKET_PREFIX|S3_PREFIX|(?:\w+_)?STORAGE_PREFIX", BUCKET_PREFIX),
    (r"AWS_S3_ENDPOINT_URL|(?:\w+_)?S3_ENDPOINT(?:_URL)?|MINIO_ENDPOINT", BUCKET_ENDPOINT),
    (r"(?:\w+_)?(?:INDEX|INDEX_NAME|COLLECTION|COLLECTION_NAME|NAMESPACE_NAME)", INDEX),
    (r"(?:\w+_)?(?:ASSISTANT_ID|VECTOR_STORE(?:_ID)?)", INDEX),
    (r"(?:OPENAI|PINECONE|LANGSMITH|LANGCHAIN|ALGOLIA|FIREBASE|SUPABASE|VERTEX)_PROJECT(?:_ID|_NAME)?", INDEX),
)  # fmt: skip
_COMPILED = tuple((re.compile(pattern), kind) for pattern, kind in _TABLE)

_TRUE = frozenset(("1", "true", "yes", "on", "t", "y"))


@lru_cache(maxsize=65536)
def kind_of(key: str) -> str:
    """The kind of a setting by its name; empty for a setting that means nothing to us."""
    name = key.upper()
    return next((kind for pattern, kind in _COMPILED if pattern.fullmatch(name)), "")


def is_true(text: str) -> bool:
    """Whether a value switches something on."""
    return text.strip().strip("'\"").lower() in _TRUE


def items(text: str) -> list[str]:
    """The members of a list as people write one in a setting: JSON, Python's brackets, commas, spaces."""
    text = text.strip()
    if text.startswith("["):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = text.strip("[]").split(",")
        return [str(item).strip().strip("'\"") for item in found if str(item).strip()]
    if text.startswith("("):
        text = text.strip("()")
    return [item.strip("'\"") for item in re.split(r"[,;\s]+", text) if item.strip("'\"")]


def patterns(text: str) -> list[str]:
    """The members of a list of regular expressions: they may hold commas and brackets themselves."""
    text = text.strip()
    if text.startswith("["):
        try:
            return [str(item) for item in json.loads(text)]
        except (ValueError, RecursionError):
            return [hit[0] or hit[1] for hit in re.findall(r"r?(?:\"([^\"]*)\"|'([^']*)')", text)]
    return [item for item in re.split(r",(?=\s*\^)|\s+", text) if item.strip()]


def settings_of(environment: Environment, *kinds: str) -> Iterator[Setting]:
    """The settings of some kinds whose values can be read, each key and value once."""
    seen: set[tuple[str, str]] = set()
    for setting in environment.settings:
        if setting.text and kind_of(setting.key) in kinds and (setting.key, setting.text) not in seen:
            seen.add((setting.key, setting.text))
            yield setting


def switched_on(environment: Environment, kind: str) -> bool:
    """Whether a switch of that kind is on."""
    return any(is_true(setting.text) for setting in settings_of(environment, kind))


def cookie_scope(text: str) -> str:
    """The domain that a cookie's ``Domain`` covers; the leading dot means nothing any more."""
    return text.strip().strip("'\"").lstrip(".").lower().rstrip(".")


def claims_settings(
    settings: Iterable[Setting],
    *,
    owner: str,
    machine: str,
    services: Mapping[str, str] | Collection[str] = (),
    fingerprint: Callable[[str], str] | None = None,
) -> tuple[list[Claim], list[Reference]]:
    """The cookies, buckets and indices that settings claim, and the URLs that they point at.

    ``services`` are the names that an environment answers to itself: a bucket on its own server is its own. Servers
    of databases and brokers are found by ``readers.endpoints``, secrets by ``readers.fingerprints``; ``fingerprint``,
    where it is given, makes a claim of every setting that its owner declared secret.
    """
    del machine  # all of these are the world's
    settings = [setting for setting in settings if setting.text]
    claims: dict[tuple[str, str], Claim] = {}
    references: dict[tuple[str, str], Reference] = {}
    by_service: dict[str, dict[str, Setting]] = {}
    for setting in settings:
        kind = kind_of(setting.key)
        by_service.setdefault(setting.service, {})[kind] = setting
        claim = None
        if kind == COOKIE_DOMAIN and cookie_scope(setting.text):
            scope = cookie_scope(setting.text)
            claim = Claim(
                "cookie", WORLD, f"{scope}/{setting.key.upper()}", owner, setting.where, False, {"domain": scope}
            )
        elif kind == INDEX:
            claim = Claim("index", WORLD, f"{setting.key.upper()}:{setting.text}", owner, setting.where)
        elif setting.secret and fingerprint is not None:
            claim = Claim("secret", WORLD, fingerprint(setting.text), owner, setting.where, False, {"key": setting.key})
        if claim is not None:
            claims.setdefault((claim.namespace, claim.key), claim)
        for part in items(setting.text) if re.match(r"\s*https?://", setting.text) else ():
            host = _host(part)
            if host:
                references.setdefault(
                    (setting.key, part),
                    Reference("url", part, owner, setting.where, {"host": host, "key": setting.key, "kind": kind}),
                )
    for found in by_service.values():
        bucket = _bucket(found, owner, services)
        if bucket is not None:
            claims.setdefault((bucket.namespace, bucket.key), bucket)
    return list(claims.values()), list(references.values())


def _bucket(found: Mapping[str, Setting], owner: str, services: Collection[str]) -> Claim | None:
    bucket = found.get(BUCKET)
    if bucket is None:
        return None
    endpoint = _host(found[BUCKET_ENDPOINT].text) if BUCKET_ENDPOINT in found else ""
    if endpoint.partition(":")[0] in services:
        return None
    prefix = found[BUCKET_PREFIX].text.strip("/") if BUCKET_PREFIX in found else ""
    key = f"{endpoint}/{bucket.text}/{prefix}"
    return Claim("bucket", WORLD, key, owner, bucket.where, False, {"bucket": bucket.text, "prefix": prefix})


def _host(url: str) -> str:
    """``host`` or ``host:port`` of a URL, in lower case."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return ""
    host = (parts.hostname or "").lower()
    return f"{host}:{port}" if host and port else host
