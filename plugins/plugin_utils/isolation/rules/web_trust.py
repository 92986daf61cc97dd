# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whom an application trusts: host names, origins, proxies, and what a cache serves to whom."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from itertools import islice

from ....module_utils.core.addresses import is_everybody
from ..declared import is_routed
from ..facts.domains import domains, instances, machine_path_of, neighbours, origins, safe_expression
from ..facts.service_kinds import is_front_door
from ..model import Environment, Fleet, Setting, Severity, Where
from ..readers.frameworks import (
    CORS_ALL,
    CORS_ORIGINS,
    CORS_PATTERNS,
    HOSTS,
    ORIGINS,
    PROXY_HEADER,
    TRUSTED_PROXIES,
    is_true,
    items,
    patterns,
    settings_of,
)
from ..wording import listing
from . import Hit, Judgement, rule

_ORIGIN = re.compile(r"^(?:(?P<scheme>[a-z]+)://)?(?P<host>[^:/]+)(?::(?P<port>\d+))?/?$", re.IGNORECASE)
#: What an expression matches that should end at the domain but does not.
_STRANGER = ".evil.example"


@rule("foreign-allowed-host", "WB-19", "WB-02", severity=Severity.MEDIUM)
def foreign_allowed_host(fleet: Fleet) -> Judgement:
    """The application accepts requests for the host name of another environment."""
    known = domains(fleet)
    for environment in fleet.environments:
        own = known.of[environment.prefix]
        for setting in settings_of(environment, HOSTS):
            for host in items(setting.text):
                found = [item for item in _accepted(fleet, environment, host) if item[0] not in own]
                if found:
                    yield Hit(
                        (environment.prefix, *(owner for _domain, owner in found)),
                        f"{setting.key} {host}",
                        f"'{host}' in {setting.key} of {environment.prefix} makes it answer for "
                        f"{listing(f'{domain} of {owner}' for domain, owner in found)} too: a request that arrives "
                        "here by mistake is served instead of refused, with wrong links and poisoned caches.",
                        f"List the environment's own host names only: {', '.join(own) or 'its domains'}.",
                        (setting.where,),
                    )


def _accepted(fleet: Fleet, environment: Environment, host: str) -> list[tuple[str, str]]:
    """Others' domains that Django's ``validate_host`` accepts for an entry."""
    known = domains(fleet)
    host = host.lower()
    if host == "*":
        return [
            (domain, other) for other in neighbours(fleet, environment) for domain in islice(known.of.get(other, ()), 1)
        ]
    if host.startswith("."):
        return known.covered(host[1:], environment.prefix)
    return known.exactly(host.partition(":")[0], environment.prefix)


@rule("foreign-trusted-origin", "WB-20", severity=Severity.HIGH)
def foreign_trusted_origin(fleet: Fleet) -> Judgement:
    """Forms posted from another environment's pages are trusted."""
    for environment in fleet.environments:
        for setting in settings_of(environment, ORIGINS):
            for entry in items(setting.text):
                found = list(_covered_origins(fleet, environment, entry))
                if found:
                    yield _trust(environment, setting, entry, found, "accepts forms posted from")


@rule("foreign-cors-origin", "WB-21", severity=Severity.HIGH)
def foreign_cors_origin(fleet: Fleet) -> Judgement:
    """Scripts of another environment's pages may read this environment's answers."""
    for environment in fleet.environments:
        for setting in settings_of(environment, CORS_ORIGINS, CORS_PATTERNS, CORS_ALL):
            for entry, found in _cors(fleet, environment, setting):
                if found:
                    yield _trust(environment, setting, entry, found, "opens its answers to scripts from")


def _cors(fleet: Fleet, environment: Environment, setting: Setting) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    everyone = [
        (origins(fleet.by_prefix[other], domain)[0], other)
        for other in neighbours(fleet, environment)
        for domain in islice(domains(fleet).of.get(other, ()), 1)
    ]
    key = setting.key.upper()
    if key.endswith(("ALLOW_ALL_ORIGINS", "ORIGIN_ALLOW_ALL")):
        yield setting.text, everyone if is_true(setting.text) else []
    elif "REGEX" in key:
        for entry in patterns(setting.text):
            yield entry, _by_expression(fleet, environment, entry)
    else:
        for entry in items(setting.text):
            yield entry, everyone if entry == "*" else list(_covered_origins(fleet, environment, entry))


def _by_expression(fleet: Fleet, environment: Environment, expression: str) -> list[tuple[str, str]]:
    """Others' origins that an expression matches, and a stranger's that it matches because it has no end anchor."""
    compiled = safe_expression(expression)
    if compiled is None:
        return []
    known = domains(fleet)
    own = known.of[environment.prefix]
    labels = {".".join(domain.split(".")[-2:]) for domain in own}
    near = dict.fromkeys(item for label in labels for item in known.covered(label, environment.prefix))
    near |= dict.fromkeys(
        (domain, other) for other in neighbours(fleet, environment) for domain in known.of.get(other, ())
    )
    found = [
        (origin, owner)
        for domain, owner in islice(near, 64)
        if domain not in own
        for origin in origins(fleet.by_prefix[owner], domain)
        if compiled.match(origin)
    ]
    if not found:
        probes = (f"https://{domain}{_STRANGER}" for domain in own)
        found = [(probe, "a stranger") for probe in islice(probes, 4) if compiled.match(probe)]
    return found


def _covered_origins(fleet: Fleet, environment: Environment, entry: str) -> Iterator[tuple[str, str]]:
    """Others' origins that an entry matches: scheme and port count, ``*.`` stands for any host below."""
    match = _ORIGIN.match(entry)
    if match is None:
        return
    known, host = domains(fleet), match["host"].lower()
    if host.startswith(("*.", ".")):
        scope = host.lstrip("*.")
        found = [item for item in known.covered(scope, environment.prefix) if item[0] != scope or host[0] == "."]
    else:
        found = known.exactly(host, environment.prefix)
    for domain, owner in found:
        if domain in known.of[environment.prefix]:
            continue
        for origin in origins(fleet.by_prefix[owner], domain):
            other = _ORIGIN.match(origin)
            assert_scheme = match["scheme"] or (other["scheme"] if other else "")
            if other and (other["scheme"], other["port"]) == (assert_scheme.lower(), match["port"]):
                yield origin, owner
                break


def _trust(environment: Environment, setting: Setting, entry: str, found: list[tuple[str, str]], what: str) -> Hit:
    who = listing(f"{origin} of {owner}" for origin, owner in found)
    return Hit(
        (environment.prefix, *(owner for _origin, owner in found if owner != "a stranger")),
        f"{setting.key} {entry}",
        f"'{entry}' in {setting.key} of {environment.prefix} {what} {who}: one flaw in those pages is a flaw here, "
        "with the user's session.",
        "List only the environment's own origins, in full and with the port. A regular expression needs '^', '$' and "
        "'\\.'.",
        (setting.where,),
    )


@rule("proxy-cache", "WB-22", severity=Severity.HIGH)
def proxy_cache(fleet: Fleet) -> Judgement:
    """Two environments keep answers in one cache, or under keys that do not say whose they are."""
    homes: dict[tuple[str, str], dict[str, Where]] = {}
    for environment in fleet.environments:
        for item in environment.directives:
            if item.name in ("proxy_cache_path", "fastcgi_cache_path") and item.args:
                path = machine_path_of(environment, item.args[0])
                if path:
                    homes.setdefault((environment.machine, path), {}).setdefault(environment.prefix, item.where)
            elif item.name == "proxy_cache_key" and not re.search(
                r"\$\{?(?:host|http_host|proxy_host|server_name|ssl_server_name)\b", " ".join(item.args)
            ):
                others = neighbours(fleet, environment)
                if others:
                    yield Hit(
                        (environment.prefix, *others),
                        f"proxy_cache_key {' '.join(item.args)}",
                        f"The cache key of {environment.prefix} does not contain the host: an answer cached for "
                        f"{environment.prefix} is also given to requests for {listing(others)} that arrive here, or "
                        "that share the cache or a CDN.",
                        "Use '$scheme$http_host$request_uri', or remove proxy_cache_key.",
                        (item.where,),
                        environment.machine,
                        severity=None if _shares_nginx(fleet, environment) else Severity.MEDIUM,
                    )
    for (machine, path), places in homes.items():
        if len(places) > 1:
            yield Hit(
                tuple(places),
                f"cache {path}",
                f"{listing(places)} cache in the same directory, {path}: users of one get answers of the other, and "
                "each cache manager deletes what the other still counts on.",
                "Give each environment its own cache directory, ideally inside its container.",
                tuple(places.values()),
                machine,
            )


def _shares_nginx(fleet: Fleet, environment: Environment) -> bool:
    return any(
        len(members) > 1 and any(member.prefix == environment.prefix for member, _unused in members)
        for members in fleet.derived(_shared_instances)
    )


def _shared_instances(fleet: Fleet) -> list[list[tuple[Environment, object]]]:
    return [list(members) for members in instances(fleet).values() if len(members) > 1]


#: Where engines have their containers, and the shortest prefix that names a proxy's own network there. The engine
#: uses 10.0.0.0/8 only where it is configured to, and a network of a cloud has a /16.
_CONTAINERS = tuple(
    (ipaddress.ip_network(pool), limit)
    for pool, limit in (("172.16.0.0/12", 20), ("192.168.0.0/16", 20), ("10.0.0.0/8", 16), ("fc00::/7", 56))
)


@rule("trusted-proxy-range", "WB-23", "NW-06", severity=Severity.MEDIUM)
def trusted_proxy_range(fleet: Fleet) -> Judgement:
    """Whole ranges of Docker's addresses are trusted as proxies, the containers of others among them."""
    for environment in fleet.environments:
        others = neighbours(fleet, environment)
        published = _published_services(environment)
        if not others:
            continue
        for text, what, where, service in _trusted(environment):
            if _too_wide(text) and (service in published if service else published):
                yield Hit(
                    (environment.prefix, *others),
                    f"{what} {text}",
                    f"{environment.prefix} believes X-Forwarded-For and X-Forwarded-Proto from {text}, and publishes "
                    f"a port. Containers of {listing(others)} reach that port from such an address and can pose as "
                    "any client, and as HTTPS.",
                    "Trust the exact address or subnet of the environment's own proxy, and nothing wider.",
                    (where,),
                    environment.machine,
                )
        for setting in settings_of(environment, PROXY_HEADER):
            bare = [name for name in published if name and name == setting.service]
            if bare:
                yield Hit(
                    (environment.prefix, *others),
                    f"{setting.key} of {bare[0]}",
                    f"{bare[0]} of {environment.prefix} believes the header of {setting.key} and is itself "
                    f"published: whoever reaches its port past the proxy, {listing(others)} included, can claim that "
                    "a request came over HTTPS.",
                    f"Do not publish {bare[0]}: let only its own nginx reach it.",
                    (setting.where,),
                    environment.machine,
                )


def _trusted(environment: Environment) -> Iterator[tuple[str, str, Where, str]]:
    """Yield trusted ranges: (range, what trusts it, where, service or empty for nginx)."""
    for item in environment.directives:
        if item.name == "set_real_ip_from" and item.args:
            yield item.args[0], "set_real_ip_from", item.where, ""
    for setting in settings_of(environment, TRUSTED_PROXIES):
        for text in items(setting.text):
            if setting.service:
                yield text, setting.key, setting.where, setting.service


def _published_services(environment: Environment) -> set[str]:
    """The services with published ports; for nginx, whose job is to publish ports, the empty name."""
    found = {name for _unused, name, service in environment.services() if service.get("ports")}
    front = {name for _unused, name, service in environment.services() if is_front_door(name, service)}
    # Behind a machine's front door the ports are the door's.
    ports = not is_routed(environment) and (environment.http_port or environment.https_port)
    return (found - front) | ({""} if found & front or ports else set())


def _too_wide(text: str) -> bool:
    if text == "*":
        return True
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    if is_everybody(network):
        return True
    limit = next(
        (limit for pool, limit in _CONTAINERS if network.version == pool.version and network.overlaps(pool)), 0
    )
    return network.prefixlen < limit
