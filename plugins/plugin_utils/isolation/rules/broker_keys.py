# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keys in Redis: caches, locks, channels and access rules that environments must not share."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import islice

from ..facts.compose_calls import commands
from ..facts.servers import Placed, of_family, shared
from ..model import Environment, Fleet, Severity, Where
from ..readers.redis import RedisConfig
from ..wording import listing
from . import Hit, Judgement, rule
from .broker import is_cache, is_channel, is_neutral

_KEY_PREFIX = re.compile(
    r"(?:\w*CACHES?\w*_|DJANGO_|REDIS_)?(?:KEY_PREFIX|CACHE_PREFIX|CACHE_VERSION)\Z", re.IGNORECASE
)
_CHANNEL_PREFIX = re.compile(r"\w*CHANNEL\w*PREFIX\Z", re.IGNORECASE)
_IN_JSON = re.compile(r"[\"']prefix[\"']\s*:\s*[\"']([^\"']+)[\"']")
_ACL_PATTERN = re.compile(r"(?:%\w+)?[~&](.+)\*\Z")

#: The default key prefix of channels_redis.
_DEFAULT_CHANNEL_PREFIX = "asgi"

#: The most other environments that a finding names.
_NAMED = 5


@rule("cache-clear", "RC-05", severity=Severity.CRITICAL)
def cache_clear(fleet: Fleet) -> Judgement:
    """Clearing a cache empties a database that holds more than this cache."""
    for place, uses in _databases(fleet):
        caches = [use for use in uses if is_cache(use.use.key)]
        queues = [use for use in uses if not is_cache(use.use.key) and not is_neutral(use.use.key)]
        owners = tuple(dict.fromkeys(use.owner for use in uses))
        if not caches or (len(owners) == 1 and not queues):
            continue
        beside = f"what {listing(owners)} keep there" if len(owners) > 1 else queues[0].use.key
        yield Hit(
            owners,
            f"{place}: cache",
            f"The cache of {listing(cache.owner for cache in caches)} shares {place} with {beside}: cache.clear() "
            "runs FLUSHDB, which ignores KEY_PREFIX and deletes queues and sessions too.",
            "Give each cache its own server, or at least a database number that nothing else uses.",
            tuple(use.use.where for use in (*caches, *queues)),
            severity=None if len(owners) > 1 else Severity.MEDIUM,
        )


@rule("shared-cache-keys", "RC-06", "RC-13", severity=Severity.HIGH)
def shared_cache_keys(fleet: Fleet) -> Judgement:
    """Two environments read each other's cached sessions and hold each other's locks."""
    for place, uses in _databases(fleet):
        by_prefix: dict[tuple[str, ...], list[Placed]] = {}
        for use in uses:
            if is_cache(use.use.key) or is_neutral(use.use.key):
                by_prefix.setdefault(_cache_prefix(fleet.by_prefix[use.owner]), []).append(use)
        for words, group in by_prefix.items():
            owners = tuple(dict.fromkeys(use.owner for use in group))
            if len(owners) > 1:
                yield Hit(
                    owners,
                    f"{place}: keys",
                    f"{listing(owners)} keep their keys in {place} with "
                    f"{f'the same prefix ({listing(words)})' if words else 'no prefix'}: each reads and overwrites "
                    "the other's sessions, permissions and locks.",
                    "Give each environment its own server, or at least set KEY_PREFIX to its prefix.",
                    tuple(use.use.where for use in group),
                )


@rule("shared-channels", "RC-04", "RC-07", severity=Severity.HIGH)
def shared_channels(fleet: Fleet) -> Judgement:
    """Messages to the clients of one environment reach the clients of another."""
    for identity, uses in shared(of_family(fleet, "redis")):
        # Pub/sub ignores database numbers; the other layers do not.
        groups: dict[tuple[str, str], list[Placed]] = {}
        for use in uses:
            if is_channel(use.use.key):
                environment = fleet.by_prefix[use.owner]
                database = "" if _uses_pubsub(environment) else use.use.endpoint.name
                groups.setdefault((database, _channel_prefix(environment)), []).append(use)
        for (database, prefix), group in groups.items():
            owners = tuple(dict.fromkeys(use.owner for use in group))
            if len(owners) > 1:
                place = f"{identity}/{database}" if database else f"{identity} (pub/sub, all databases)"
                yield Hit(
                    owners,
                    f"{place}: channels {prefix}",
                    f"The channel layers of {listing(owners)} use {place} with the same prefix, {prefix}: a message "
                    "for a browser of one is delivered to browsers of the other.",
                    "Give each environment its own server, or at least its own prefix in CHANNEL_LAYERS.",
                    tuple(use.use.where for use in group),
                )


@rule("redis-acl-pattern", "RC-08", severity=Severity.HIGH)
def redis_acl_pattern(fleet: Fleet) -> Judgement:
    """An access rule of Redis opens the keys of another environment whose name begins alike."""
    prefixes = sorted(fleet.by_prefix)
    for environment in fleet.environments:
        for pattern, head, where in _acl_patterns(environment):
            others = [name for name in islice(_beginning(prefixes, head), _NAMED) if name != environment.prefix]
            if others and head:
                yield Hit(
                    (environment.prefix, *others),
                    pattern,
                    f"The access rule {pattern} of {environment.prefix} also opens the keys of {listing(others)}.",
                    f"End the prefix with a character that no name contains: ~{environment.prefix}:*.",
                    (where,),
                )


def _databases(fleet: Fleet) -> Iterator[tuple[str, Sequence[Placed]]]:
    """Yield every Redis database with its uses."""
    found: dict[tuple[str, str], list[Placed]] = {}
    for use in of_family(fleet, "redis"):
        found.setdefault((use.server.identity, use.use.endpoint.name), []).append(use)
    for (identity, name), uses in found.items():
        yield f"{identity}/{name}", uses


def _cache_prefix(environment: Environment) -> tuple[str, ...]:
    return tuple(
        sorted({setting.text for setting in environment.settings if _KEY_PREFIX.match(setting.key) and setting.text})
    )


def _channel_prefix(environment: Environment) -> str:
    for setting in environment.settings:
        if is_channel(setting.key):
            match = _IN_JSON.search(setting.text)
            if match or (_CHANNEL_PREFIX.match(setting.key) and setting.text):
                return match[1] if match else setting.text
    return _DEFAULT_CHANNEL_PREFIX


def _uses_pubsub(environment: Environment) -> bool:
    return any("pubsub" in setting.text.lower() for setting in environment.settings if is_channel(setting.key))


def _acl_patterns(environment: Environment) -> Iterator[tuple[str, str, Where]]:
    """Yield key and channel patterns that end with ``*``: (pattern, the part before ``*``, place)."""
    words: list[tuple[str, Where]] = []
    for document in environment.documents:
        if isinstance(document.data, RedisConfig):
            words += [(word, directive.where) for directive in document.data.all("user") for word in directive.args]
    for reference in commands(environment):
        argv = [str(word) for word in reference.attributes.get("argv") or ()]
        if "setuser" in (word.lower() for word in argv):
            words += [(word, reference.where) for word in argv]
    for word, where in words:
        match = _ACL_PATTERN.match(word)
        if match:
            yield word, match[1], where


def _beginning(names: Sequence[str], head: str) -> Iterator[str]:
    """Yield the names in a sorted list that begin with ``head``."""
    for index in range(bisect_left(names, head), len(names)):
        if not names[index].startswith(head):
            return
        yield names[index]
