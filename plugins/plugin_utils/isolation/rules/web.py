# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Domains and nginx: which environment answers for a host name, and where it passes the request."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from ..facts.domains import (
    domains,
    instances,
    is_usual,
    neighbours,
    of_machine,
    outsiders_reach_nginx,
    own_servers,
    safe_expression,
)
from ..facts.server_owner import Server
from ..facts.servers import upstreams
from ..model import Directive, Environment, Fleet, Reference, Severity, Where
from ..readers.nginx.meaning import Listen, ServerBlock, all_directives, is_pattern
from ..wording import listing
from . import Hit, Judgement, rule


@rule("answers-unknown-hosts", "WB-01", "WB-02", severity=Severity.HIGH)
def answers_unknown_hosts(fleet: Fleet) -> Judgement:
    """An nginx answers host names that it does not know, and so those of other environments."""
    for environment in fleet.environments:
        others = [
            other
            for other in neighbours(fleet, environment)
            if not (of_machine(environment) and of_machine(fleet.by_prefix[other]))
        ]
        open_sockets = list(_open_sockets(environment)) if others and outsiders_reach_nginx(environment) else []
        if open_sockets:
            ports = listing(str(listen.port) for listen, _server in open_sockets)
            usual = is_usual(environment) or not (environment.http_port or environment.https_port)
            known = any(not _APEX.fullmatch(name) for other in others for name in domains(fleet).of.get(other, ()))
            yield Hit(
                (environment.prefix, *others),
                f"unknown host names on port {ports} of the nginx of {environment.prefix}",
                f"The nginx of {environment.prefix} has no default server that refuses on "
                f"port{'s' if ' and ' in ports else ''} {ports}: its first server answers every host name, so a "
                f"request for {listing(others)} on the same machine that arrives there is served by "
                f"{environment.prefix}.",
                "Add 'server { listen 80 default_server; return 444; }', and for TLS 'server { listen 443 ssl "
                "default_server; ssl_reject_handshake on; }', with the ports that this nginx listens on.",
                tuple(server.where for _listen, server in open_sockets),
                environment.machine,
                severity=None if environment.variables or known else Severity.LOW,
                hazards=("WB-01",) if usual else ("WB-02",),
            )


def _open_sockets(environment: Environment) -> Iterator[tuple[Listen, ServerBlock]]:
    """The sockets whose default server answers."""
    sockets: dict[tuple[str, int], tuple[Listen, ServerBlock]] = {}
    for server in own_servers(environment):
        for listen in server.listens:
            if listen.address.startswith(("127.", "[::1]", "localhost")):
                continue  # only reachable inside the container
            # The IPv6 twin of a socket has its own default server, but no one refuses on one and answers on the other.
            known = sockets.get((listen.address, listen.port))
            if known is None or (listen.default and not known[0].default):
                sockets[listen.address, listen.port] = (listen, server)
    return ((listen, server) for listen, server in sockets.values() if not server.rejects())


@rule("server-name-pattern", "WB-03", severity=Severity.HIGH)
def server_name_pattern(fleet: Fleet) -> Judgement:
    """A wildcard or regular expression in server_name takes the domain of another environment."""
    known = domains(fleet)
    for environment in fleet.environments:
        for server in own_servers(environment):
            if server.rejects():
                continue
            for name in filter(is_pattern, server.names):
                found = known.by_name_pattern(name, environment.prefix)
                taken = [item for item in found if item[0] not in known.of[environment.prefix]]
                if taken:
                    yield Hit(
                        (environment.prefix, *(owner for _domain, owner in taken)),
                        f"server_name {name}",
                        f"server_name {name} of {environment.prefix} also matches "
                        f"{listing(f'{domain} of {owner}' for domain, owner in taken)}: {environment.prefix} serves "
                        "such requests when they arrive here.",
                        "Write the names out, one by one, and leave wildcards to a default server that refuses.",
                        (server.names_where,),
                        environment.machine,
                    )


@rule("untried-server-name", "WB-03", severity=Severity.LOW)
def untried_server_name(fleet: Fleet) -> Judgement:
    """A regular expression in server_name was not tried against the domains of others."""
    known = domains(fleet)
    for environment in fleet.environments:
        if not any(names for owner, names in known.of.items() if owner != environment.prefix):
            continue
        for server in own_servers(environment):
            for name in server.names if not server.rejects() else ():
                if name.startswith("~") and safe_expression(name[1:]) is None:
                    yield Hit(
                        (environment.prefix,),
                        f"server_name {name}",
                        f"server_name {name} of {environment.prefix} is a regular expression that could run for very "
                        "long, or that only nginx understands. It was not tried: whether it matches the domain of "
                        "another environment is not known.",
                        "Write the names out, one by one, or without nested repetition and back-references.",
                        (server.names_where,),
                        environment.machine,
                    )


@rule("duplicate-server-name", "WB-04", severity=Severity.HIGH)
def duplicate_server_name(fleet: Fleet) -> Judgement:
    """Two environments give one nginx a server of the same name on the same port."""
    for instance, members in instances(fleet).items():
        found: dict[tuple[str, str, int], dict[str, Where]] = {}
        for environment, _directives in members if len(members) > 1 else ():
            for server in own_servers(environment):
                for listen in server.listens:
                    for name in server.names:
                        if name not in ("_", ""):
                            key = (name, listen.address, listen.port)
                            found.setdefault(key, {}).setdefault(environment.prefix, server.names_where)
        for (name, _address, port), places in found.items():
            if len(places) > 1:
                files = sorted(posixpath.basename(where.file) for where in places.values())
                yield Hit(
                    tuple(places),
                    f"server_name {name} on port {port} of {instance}",
                    f"{listing(places)} both have a server {name} on port {port} in {instance}. nginx only warns "
                    f"('conflicting server name … ignored') and serves the file that comes first by name, {files[0]}.",
                    f"Let only one environment answer for {name}.",
                    tuple(places.values()),
                )


#: Directives of ``http`` whose names must be unique among all files of an nginx, and how to find the name.
_GLOBAL_NAMES = {
    "upstream": re.compile(r"^(\S+)"),
    "limit_req_zone": re.compile(r"\bzone=([^:\s]+)"),
    "limit_conn_zone": re.compile(r"\bzone=([^:\s]+)"),
    "proxy_cache_path": re.compile(r"\bkeys_zone=([^:\s]+)"),
    "fastcgi_cache_path": re.compile(r"\bkeys_zone=([^:\s]+)"),
    "log_format": re.compile(r"^(\S+)"),
    "map": re.compile(r"(\$\S+)$"),
}


@rule("shared-nginx-names", "WB-05", severity=Severity.HIGH)
def shared_nginx_names(fleet: Fleet) -> Judgement:
    """Two environments give one nginx the same upstream, zone, log format or default server."""
    for instance, members in instances(fleet).items():
        found: dict[tuple[str, str], dict[str, Where]] = {}
        for environment, directives in members if len(members) > 1 else ():
            for kind, name, where in _global_names(environment, directives):
                found.setdefault((kind, name), {}).setdefault(environment.prefix, where)
        for (kind, name), places in found.items():
            if len(places) > 1:
                yield Hit(
                    tuple(places),
                    f"{kind} {name} of {instance}",
                    f"{listing(places)} define the same {kind}, {name}, in {instance}. nginx refuses the second "
                    "('duplicate', 'already bound'): the file of one environment keeps the other from reloading, and "
                    "from starting after a reboot.",
                    f"Begin the name with the environment's prefix: {next(iter(places), '')}_{name.lstrip('$')}. A "
                    "default server belongs to the machine, not to an environment.",
                    tuple(places.values()),
                )


def _global_names(environment: Environment, directives: list[Directive]) -> Iterator[tuple[str, str, Where]]:
    for item in all_directives(directives):
        pattern = _GLOBAL_NAMES.get(item.name)
        match = pattern.search(" ".join(item.args)) if pattern else None
        if match:
            yield item.name, match[1], item.where
    for server in own_servers(environment):
        for listen in server.listens:
            if listen.default:
                yield "default server", f"{listen.address or '*'}:{listen.port}", listen.where


@rule("static-foreign-upstream", "WB-06", severity=Severity.HIGH)
def static_foreign_upstream(fleet: Fleet) -> Judgement:
    """An nginx can only start while another environment's container exists."""
    for environment, reference, server in _foreign_upstreams(fleet):
        host, owner = str(reference.attributes["host"]), server.owner
        if reference.attributes["static"] and not _is_address(host):
            yield Hit(
                (environment.prefix, owner),
                f"upstream {host}",
                f"The nginx of {environment.prefix} resolves {host} of {owner} when it starts. While {owner} is "
                f"down, it says 'host not found in upstream' and neither starts nor reloads: {environment.prefix} is "
                "down too.",
                "Let each environment's own nginx serve its own domains. If this one must forward requests to "
                f"{owner}, put the name into a variable and set a resolver: 'resolver 127.0.0.11 valid=5s; set "
                f"$other http://{host}; proxy_pass $other;'.",
                (reference.where,),
                environment.machine,
            )


@rule("foreign-upstream", "WB-07", "PT-09", severity=Severity.CRITICAL)
def foreign_upstream(fleet: Fleet) -> Judgement:
    """An nginx sends the requests for its own domains to another environment."""
    known = domains(fleet)
    for environment, reference, server in _foreign_upstreams(fleet):
        owner, names = server.owner, reference.attributes["server_names"]
        if names and all(name in known.of.get(owner, ()) for name in names):
            continue  # it passes on what belongs to the other environment
        yield Hit(
            (environment.prefix, owner),
            f"upstream {reference.target}",
            f"The nginx of {environment.prefix} sends requests to {owner}, by {server.how}: what users of "
            f"{environment.prefix} write is written into the data of {owner}.",
            f"Point it at the service of {environment.prefix} on its own network, by the service's name.",
            (reference.where,),
            environment.machine,
        )


def _foreign_upstreams(fleet: Fleet) -> Iterator[tuple[Environment, Reference, Server]]:
    """Yield upstreams that belong to another environment."""
    for environment, reference, server in fleet.derived(upstreams):
        if server.owner not in ("", environment.prefix):
            yield environment, reference, server


def _is_address(host: str) -> bool:
    return bool(re.fullmatch(r"[\d.]+|[0-9a-f:]*:[0-9a-f:]*|localhost", host))


@rule("parent-domain", "WB-11", severity=Severity.LOW)
def parent_domain(fleet: Fleet) -> Judgement:
    """The domain of one environment lies below that of another."""
    known = domains(fleet)
    for environment in fleet.environments:
        for domain in known.of[environment.prefix]:
            below = [item for item in known.covered(domain, environment.prefix) if item[0] != domain]
            if below:
                sibling = _sibling(domain, below[0][0])
                yield Hit(
                    (environment.prefix, *(owner for _domain, owner in below)),
                    f"domain {domain}",
                    f"The domain {domain} of {environment.prefix} is above "
                    f"{listing(f'{name} of {owner}' for name, owner in below)}: its cookies with a domain, its HSTS "
                    "with includeSubDomains and its wildcards reach there too.",
                    f"Set cookies of both without a domain. A sibling domain ({sibling}) would rule all of this out.",
                    (environment.origin("bulkhead_domains"),),
                )


def _sibling(domain: str, below: str) -> str:
    """A name beside a domain instead of below it: eduaiia-staging.com for staging.eduaiia.com."""
    label, _dot, rest = domain.partition(".")
    own = below.removesuffix(f".{domain}").replace(".", "-")
    return f"{label}-{own}{'.' if rest else ''}{rest}"


_APEX = re.compile(r"(?:www\.)?example\.(?:com|net|org)|localhost|(?:www\.)?your-?domain\.\w+")
#: Domains that stand for one that is filled in later.
_PLACEHOLDER = re.compile(r"(?:\A|\.)(?:example\.(?:com|net|org)|example|localhost|invalid|your-?domain\.\w+)\Z")


@rule("shared-domain", "WB-12", "WB-04", severity=Severity.HIGH)
def shared_domain(fleet: Fleet) -> Judgement:
    """Two environments answer for the same host name."""
    owners: dict[str, list[str]] = {}
    for prefix, names in domains(fleet).of.items():
        for name in names:
            owners.setdefault(name, []).append(prefix)
    for claims in fleet.claims("domain").items():
        (_scope, name), found = claims
        if not is_pattern(name):
            owners[name] = list(dict.fromkeys((*owners.get(name, ()), *(claim.owner for claim in found))))
    for name, prefixes in owners.items():
        # In strangers' files such a name is filled in later; what Bulkhead deploys answers for it.
        deployed = any(fleet.by_prefix[prefix].variables for prefix in prefixes if prefix in fleet.by_prefix)
        if len(prefixes) > 1 and (deployed or not _PLACEHOLDER.search(name)):
            places = [claim.where for claim in fleet.claims("domain").get(("world", name), ())]
            yield Hit(
                tuple(prefixes),
                f"domain {name}",
                f"{listing(prefixes)} answer for the same host name, {name}. Cookies ignore ports, so a session of "
                "one overwrites that of the other, and a port or DNS decides which of them a user reaches.",
                f"Give each environment its own host name, and leave {name} to one.",
                tuple(places) or tuple(fleet.by_prefix[prefix].origin("bulkhead_domains") for prefix in prefixes),
            )


_WILDCARD_RECORD = re.compile(
    r"^\s*(\*(?:\.[\w.-]+)?)\s+(?:\d+\w?\s+)?(?:IN\s+)?(?:\d+\w?\s+)?(A|AAAA|CNAME|ALIAS)\s+(\S+)",
    re.IGNORECASE | re.MULTILINE,
)


@rule("dns-wildcard", "WB-18", severity=Severity.MEDIUM)
def dns_wildcard(fleet: Fleet) -> Judgement:
    """A zone file answers for every name, so that a missing record leads to another environment."""
    known = domains(fleet)
    for environment in fleet.environments:
        for document in environment.documents:
            name = posixpath.basename(document.path)
            if not (name.endswith((".zone", ".db")) or name.startswith("db.") or "zones/" in document.path):
                continue
            for match in _WILDCARD_RECORD.finditer(document.text):
                zone = match[1].partition(".")[2].rstrip(".") or _zone_of(name)
                others = known.covered(zone, environment.prefix)
                if others:
                    line = document.text.count("\n", 0, match.start(1)) + 1
                    yield Hit(
                        (environment.prefix, *(owner for _domain, owner in others)),
                        f"record *.{zone}",
                        f"The record {match[1]} answers for every name below {zone}: when the record of "
                        f"{others[0][0]} of {others[0][1]} is missing or mistyped, its visitors reach "
                        f"{environment.prefix}, and tests seem to pass.",
                        "Write one record for each host name, and no '*'.",
                        (Where(document.path, line),),
                    )


def _zone_of(name: str) -> str:
    return re.sub(r"^db\.|\.(?:zone|db)$", "", name)
