# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a setting means to the framework that reads it: a table of names and kinds.

No other part of the rules about web, pipeline and operations knows Django or any other framework. To support another,
add lines to the table.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
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

#: Names of settings as regular expressions, of which the first full match counts: those of Django and its best known
#: packages, and the equivalents of Flask, Rails, Laravel, Node and gunicorn.
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
    # A bucket of a rate limit is none of files.
    (r"(?!\w*(?:RATE|LEAKY|TOKEN|THROTTLE|LIMIT)_)(?:\w+_)?BUCKET(?:_NAME)?", BUCKET),
    (r"(?:\w+_)?(?:AZURE|BLOB|STORAGE|SWIFT|RACKSPACE)_(?:\w+_)?CONTAINER(?:_NAME)?", BUCKET),
    (r"AWS_LOCATION|(?:\w+_)?BUCKET_PREFIX|S3_PREFIX|(?:\w+_)?STORAGE_PREFIX", BUCKET_PREFIX),
    (r"AWS_S3_ENDPOINT_URL|(?:\w+_)?S3_ENDPOINT(?:_URL)?|MINIO_ENDPOINT", BUCKET_ENDPOINT),
    (r"(?:\w+_)?(?:INDEX|INDEX_NAME|COLLECTION|COLLECTION_NAME|NAMESPACE_NAME)", INDEX),
    (
        r"(?:\w+_)?(?:PUBSUB|KINESIS|DYNAMO(?:DB)?|FIRESTORE|EVENT_?HUBS?|SERVICE_?BUS|SNS)_(?:\w+_)?"
        r"(?:TOPIC|SUBSCRIPTION|STREAM|TABLE|DATABASE|QUEUE)(?:_NAME|_ID|_ARN)?",
        INDEX,
    ),
    (r"(?:\w+_)?(?:ASSISTANT_ID|VECTOR_STORE(?:_ID)?)", INDEX),
    (r"(?:OPENAI|PINECONE|LANGSMITH|LANGCHAIN|ALGOLIA|FIREBASE|SUPABASE|VERTEX)_PROJECT(?:_ID|_NAME)?", INDEX),
)  # fmt: skip
_COMPILED = tuple((re.compile(pattern), kind) for pattern, kind in _TABLE)

#: Settings whose value is the mode of a runtime or framework, whatever the environment is called.
_MODES = re.compile(
    r"(?:NODE|RAILS|RACK|MIX|BABEL|FLASK|NEXT|NUXT|SYMFONY|RUST|HUGO|JEKYLL|PUMA|SIDEKIQ|BUN|ELEVENTY|NITRO)_ENV"
    r"|(?:ASPNET|ASPNETCORE|DOTNET)_ENV(?:IRONMENT)?|(?:GIN|VITE|WEBPACK|BUILD|RUN|APP)_MODE|BUILD_(?:ENV|CONFIGURATION|TARGET)"
)

#: Settings that a front-end's build writes into its pages: no server sets its cookies by them.
_OF_PAGES = re.compile(
    r"(?:VITE|REACT_APP|VUE_APP|NG_APP|GATSBY|STORYBOOK|(?:NEXT|NUXT|EXPO|SNOWPACK)_PUBLIC)_\w*COOKIE_(?:DOMAIN|NAME)"
)

_TRUE = frozenset(("1", "true", "yes", "on", "t", "y"))


@lru_cache(maxsize=65536)
def kind_of(key: str) -> str:
    """The kind of a setting by its name; empty if it is unknown or no server reads it."""
    name = key.upper()
    if _OF_PAGES.fullmatch(name):
        return ""
    return next((kind for pattern, kind in _COMPILED if pattern.fullmatch(name)), "")


def is_mode(key: str) -> bool:
    """Whether a setting is the mode of a runtime: ``NODE_ENV=production`` is right in staging, too."""
    return _MODES.fullmatch(key.upper()) is not None


def is_true(text: str) -> bool:
    """Whether a value means true."""
    return text.strip().strip("'\"").lower() in _TRUE


def items(text: str) -> list[str]:
    """The members of a list in a setting: JSON, Python syntax, or separated by commas or spaces."""
    text = text.strip()
    if text.startswith("["):
        try:
            members = json.loads(text)
        except (ValueError, RecursionError):
            members = text.strip("[]").split(",")
        return [str(item).strip().strip("'\"") for item in members if str(item).strip()]
    if text.startswith("("):
        text = text.strip("()")
    return [item.strip("'\"") for item in re.split(r"[,;\s]+", text) if item.strip("'\"")]


def patterns(text: str) -> list[str]:
    """The members of a list of regular expressions, which may contain commas and brackets themselves."""
    text = text.strip()
    if text.startswith("["):
        try:
            return [str(item) for item in json.loads(text)]
        except (ValueError, RecursionError):
            return [hit[0] or hit[1] for hit in re.findall(r"r?(?:\"([^\"]*)\"|'([^']*)')", text)]
    return [item for item in re.split(r",(?=\s*\^)|\s+", text) if item.strip()]


def settings_of(environment: Environment, *kinds: str) -> Iterator[Setting]:
    """Yield the readable settings of these kinds, each key and value once."""
    return (setting for kind, setting in environment.derived(_known_settings) if kind in kinds)


def _known_settings(environment: Environment) -> Iterator[tuple[str, Setting]]:
    """Yield the readable settings whose kind is known, each key and value once."""
    seen: set[tuple[str, str]] = set()
    for setting in environment.settings:
        kind = kind_of(setting.key)
        if kind and setting.text and (setting.key, setting.text) not in seen:
            seen.add((setting.key, setting.text))
            yield kind, setting


def switched_on(environment: Environment, kind: str) -> bool:
    """Whether a setting of this kind is true."""
    return any(is_true(setting.text) for setting in settings_of(environment, kind))


def cookie_scope(text: str) -> str:
    """The domain of a cookie's ``Domain`` attribute; a leading dot is ignored (RFC 6265)."""
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

    ``services`` are the names of the environment's own services: a bucket on its own server is its own. With
    ``fingerprint``, each setting declared secret is claimed, too. Databases and brokers are read by
    ``readers.endpoints``, other secrets by ``readers.fingerprints``.
    """
    del machine  # all of these have worldwide scope
    settings = [setting for setting in settings if setting.text]
    claims: dict[tuple[str, str], Claim] = {}
    references: dict[tuple[str, str], Reference] = {}
    by_service: dict[str, list[Setting]] = {}
    for setting in settings:
        kind = kind_of(setting.key)
        by_service.setdefault(setting.service, []).append(setting)
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
    for of_service in by_service.values():
        for bucket in _buckets(of_service, owner, services):
            claims.setdefault((bucket.namespace, bucket.key), bucket)
    return list(claims.values()), list(references.values())


#: A place in an object store as tools write it.
_BUCKET_URL = re.compile(
    r"(?:s3a?|gs|gcs|az(?:ure)?|b2|r2|wasbs?|abfss?)://(?P<bucket>[\w.@-]+)(?:/(?P<prefix>\S*))?\Z"
)


def _buckets(settings: Sequence[Setting], owner: str, services: Collection[str]) -> Iterator[Claim]:
    """The buckets that the settings of a service name, but for those on a server of the environment's own."""
    by_kind = {kind_of(setting.key): setting.text for setting in settings}
    endpoint = _host(by_kind.get(BUCKET_ENDPOINT, ""))
    if endpoint.partition(":")[0] in services:
        return
    for setting in settings:
        url = _BUCKET_URL.match(setting.text.strip())
        if url:
            place = url["bucket"], (url["prefix"] or "").strip("/")
        elif kind_of(setting.key) == BUCKET and not setting.text.isdecimal():
            place = setting.text, by_kind.get(BUCKET_PREFIX, "").strip("/")
        else:
            continue
        attributes = {"bucket": place[0], "prefix": place[1]}
        yield Claim("bucket", WORLD, f"{endpoint}/{'/'.join(place)}", owner, setting.where, False, attributes)


def _host(url: str) -> str:
    """``host`` or ``host:port`` of a URL, in lower case."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return ""
    host = (parts.hostname or "").lower()
    return f"{host}:{port}" if host and port else host
