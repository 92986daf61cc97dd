# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names of another environment in what this one runs, and host names that a framework refuses."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from ..facts.code_lines import code_lines
from ..facts.effects import printed_lines
from ..facts.names_in_text import TokenIndex
from ..facts.outside_services import names_resource
from ..facts.ownership import sharers
from ..facts.service_kinds import texts, words_of
from ..model import ComposeProject, Directive, Environment, Fleet, Severity, Where
from ..wording import number
from . import Hit, Judgement, rule

#: Keys of a service, and kinds of documents, that run or control something; elsewhere a name is only a name.
_RUN = frozenset({"command", "entrypoint", "healthcheck", "post_start", "pre_stop"})
_TOLD = frozenset({"container_name", "hostname", "domainname", "extra_hosts", "external_links"})
#: Keys whose texts are searched apart, or have a rule of their own.
_ELSEWHERE = frozenset({"env_file", "environment", "labels", "networks"})
#: In files that others wrote, where only collisions count, these have rules of their own too.
_ELSEWHERE_TOO = _ELSEWHERE | {"image", "volumes"}
_ACTING = frozenset({"shell", "cron", "systemd", "workflow", "ansible", "sql", "pgbouncer", "redis", "logrotate"})


@rule("foreign-name", "NM-04", "OP-08", "OP-13", severity=Severity.CRITICAL)
def foreign_name(fleet: Fleet) -> Judgement:
    """What an environment runs or is told carries a name or directory of another."""
    index = fleet.derived(TokenIndex)
    for environment in fleet.environments:
        found = list(texts_of(environment))
        deployed = bool(environment.variables)
        # Most environments contain no foreign name, so check all texts at once first.
        if index.are_free([text for _runs, text, _place in found], environment.prefix):
            continue
        hits: dict[tuple[str, str, bool, bool], list[Where]] = {}
        told: set[tuple[str, str]] = set()
        for runs, text, place in found:
            for owner, token, position in index.owners_in(text, environment.prefix):
                where = place if isinstance(place, Where) else _nearest(place, token)
                asked = runs and text[:position].endswith("://")
                if not (
                    is_own_kind(token)
                    or (asked and not own_loopback(place, token))
                    or (deployed and is_told(place, token))
                ):
                    continue
                if (owner, str(where)) in told or owner in sharers(fleet, where):
                    continue
                told.add((owner, str(where)))
                hits.setdefault((owner, token, runs, asked), []).append(where)
        for (owner, token, runs, asked), places in hits.items():
            more = f" and {number(len(places) - 1, 'more place')}" if len(places) > 1 else ""
            yield Hit(
                (environment.prefix, owner),
                token,
                f"{environment.prefix} names {token if token == owner else f'{token} of {owner}'} in "
                f"{places[0]}{more}: " + ("running it acts on" if runs else "whatever reads it reaches") + f" {owner}.",
                f"Write {environment.prefix}'s own name for it. If it is meant, such as a restore from {owner}, "
                "waive it with a reason.",
                tuple(places),
                environment.machine if fleet.by_prefix[owner].machine == environment.machine else "",
                severity=None if runs and not asked else Severity.HIGH,
            )


@rule("underscore-host", "NM-08", severity=Severity.MEDIUM)
def underscore_host(fleet: Fleet) -> Judgement:
    """A request asks for a host name with an underscore: Django answers 400, whatever ALLOWED_HOSTS says."""
    for environment in fleet.environments:
        for host, where in underscored(environment):
            yield Hit(
                (environment.prefix,),
                f"host {host}",
                f"{environment.prefix} sends a request to the host name {host}. Django refuses names with '_', so "
                "the check fails, and a repair by way of the machine's port may ask another environment.",
                f"Use the service's name ({host.partition('_')[2].rpartition('_')[2] or 'web'}) without underscores, "
                "or send a Host header with the environment's own domain; in nginx 'proxy_set_header Host $host;'.",
                (where,),
                environment.machine,
                severity=None if environment.variables or _speaks_django(environment) else Severity.LOW,
            )


def _speaks_django(environment: Environment) -> bool:
    """Whether an environment's files name Django."""
    return any("DJANGO" in setting.key.upper() for setting in environment.settings) or any(
        re.search(r"django|manage\.py", " ".join((name, *texts(service))), re.IGNORECASE)
        for _project, name, service in environment.services()
    )


#: The place of a text. In a Compose file the project and the path, as most places are never needed.
_Place = (
    Where
    | tuple[ComposeProject, str, str]
    | tuple[ComposeProject, str, str, str]
    | tuple[ComposeProject, str, str, str, str]
)


def texts_of(environment: Environment) -> Iterator[tuple[bool, str, _Place]]:
    """Yield texts that may contain a name: (whether it is run, text, where). Networks, volumes and images have rules of
    their own."""
    deployed = bool(environment.variables)
    for project, name, service in environment.services():
        acting, others = _keys_of(tuple(service), deployed)
        for key in acting:
            if service[key]:
                yield key in _RUN, " ".join(texts(service[key])), (project, "services", name, key)
        for entry, text in (service.get("environment") or {}).items():
            if isinstance(text, str):
                yield False, _searched(entry, text), (project, "services", name, "environment", entry)
        for entry, text in (service.get("labels") or {}).items():
            # An agent reads the names of labels as well.
            yield False, f"{entry} {text}", (project, "services", name, "labels", entry)
        for network, attachment in (service.get("networks") or {}).items():
            said = attachment if deployed or not attachment else attachment.get("aliases")
            if said:
                yield False, " ".join(texts(said)), (project, "services", name, "networks", network)
        # All other keys: one without a rule of its own can carry a name as well.
        for key in others:
            if service[key]:
                yield False, " ".join(texts(service[key])), (project, "services", name, key)
    for project in environment.compose:
        for section in ("networks", "volumes", "secrets", "configs"):
            for name, resource in getattr(project, section).items():
                rest = {key: value for key, value in (resource or {}).items() if key != "name"}
                if rest:
                    yield False, " ".join(texts(rest)), (project, section, name)
    for setting in environment.settings:
        if not setting.service:
            yield False, _searched(setting.key, setting.text), setting.where
    for directive in environment.directives:
        if directive.args:
            yield False, " ".join(directive.args), directive.where
    for document in environment.documents:
        acts = document.kind in _ACTING
        shown = printed_lines(document) if acts else ()
        for where, line in code_lines(document):
            if where.line not in shown:
                yield acts, line, where


@lru_cache(maxsize=1 << 12)  # the services of a fleet have few sets of keys
def _keys_of(keys: tuple[str, ...], deployed: bool) -> tuple[Sequence[str], Sequence[str]]:
    """The keys of a service that run or tell something, and all others without a rule of their own."""
    given = dict.fromkeys(keys).keys()
    others = given - _RUN - _TOLD - (_ELSEWHERE if deployed else _ELSEWHERE_TOO)
    return (*(_RUN & given), *(_TOLD & given)), tuple(others)


def _searched(key: str, text: str) -> str:
    """The text of a setting. Topics, subjects and places in a bucket have their words between dots and slashes."""
    return re.sub(r"[./:]+", "_", text).strip("_") if text and names_resource(key) else text


def _nearest(place: tuple[Any, ...], token: str) -> Where:
    """The place of the key that says a token, as deep as it stands."""
    project, *path = place
    value: Any = getattr(project, path[0])
    for part in path[1:]:
        value = value[int(part) if isinstance(value, (list, tuple)) else part]
    while isinstance(value, (Mapping, list, tuple)):
        items = value.items() if isinstance(value, Mapping) else enumerate(value)
        key, below = next(((key, item) for key, item in items if token in " ".join(texts([item]))), ("", None))
        if below is None:
            break
        path.append(str(key))
        value = below
    found: Where = project.where(*path)
    return found


def is_own_kind(token: str) -> bool:
    """Whether a token counts: names and directories always, domains and ports only if a command requests them by URL.
    Settings with domains and ports have their own rules."""
    return token.startswith("/") or not re.search(r"[.:]", token)


#: Of an environment that Bulkhead deploys: keys under which a domain of another environment is never its own business.
_TOLD_DOMAINS = _TOLD | {"labels", "configs", "secrets", "domainname", "dns_search", "networks"}


def is_told(place: _Place, token: str) -> bool:
    """Whether a domain counts: an agent, a resolver or a file is told that it belongs here."""
    return not isinstance(place, Where) and bool(_TOLD_DOMAINS & {*place[1:4:2]}) and not re.search(r":\d+\Z", token)


_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]", "0.0.0.0"})


def own_loopback(place: _Place, token: str) -> bool:
    """Whether an address is a container's own loopback, such as in a health check of port 8000, even if another
    environment publishes that port on the machine."""
    if isinstance(place, Where):
        return token.rpartition(":")[0] in _LOOPBACK  # what a script asks on its machine has a rule of its own
    project, _section, name = place[:3]
    return token.rpartition(":")[0] in _LOOPBACK and project.services[name].get("network_mode") != "host"


_URL = re.compile(r"https?://([A-Za-z0-9.-]*_[\w.-]*)")
_HOST_GIVEN = re.compile(r"-H\s*[\"']?host:|--header[= ][\"']?host:|['\"]host['\"]\s*:", re.IGNORECASE)

#: Servers that accept any host name.
_TOLERANT = frozenset(
    {"nginx", "redis", "minio", "elasticsearch", "opensearch", "rabbitmq", "traefik", "caddy", "qdrant", "prometheus",
     "grafana", "flower", "mailpit", "mailhog", "keycloak", "clickhouse", "meilisearch", "typesense"}
)  # fmt: skip


def underscored(environment: Environment) -> Iterator[tuple[str, Where]]:
    """Yield requests whose Host header would contain an underscore."""
    kinds: Mapping[str, frozenset[str]] = {}
    for project, name, service in environment.services():
        for key in ("healthcheck", "command", "entrypoint"):
            value = service.get(key)
            text = " ".join(texts(value.get("test") if key == "healthcheck" and isinstance(value, Mapping) else value))
            if "_" in text and "://" in text and not _HOST_GIVEN.search(text):
                for host in _URL.findall(text):
                    kinds = kinds or server_kinds(environment)
                    if not kinds.get(host.lower(), frozenset()) & _TOLERANT:
                        yield host, project.where("services", name, key)
    proxied = (item.args[0] for item in environment.directives if item.name == "proxy_pass" and item.args)
    for top in environment.nginx if any(map(_URL.match, proxied)) else ():
        for host, where in passed_on(top, ()):
            kinds = kinds or server_kinds(environment)
            if not kinds.get(host.lower(), frozenset()) & _TOLERANT:
                yield host, where


def passed_on(directive: Directive, inherited: tuple[str, ...]) -> Iterator[tuple[str, Where]]:
    """Yield upstreams with an underscore that nginx passes as Host. A level with any proxy_set_header inherits none."""
    if directive.block is None:
        return
    own = tuple(child.args[0].lower() for child in directive.find("proxy_set_header") if child.args)
    headers = own or inherited
    for child in directive.block:
        if child.name == "proxy_pass" and child.args and "host" not in headers:
            found = _URL.match(child.args[0])
            if found:
                yield found[1], child.where
        yield from passed_on(child, headers)


def server_kinds(environment: Environment) -> Mapping[str, frozenset[str]]:
    """The words of the image that answers to a name on the environment's networks."""
    found: dict[str, frozenset[str]] = {}
    for _unused, name, service in environment.services():
        words = words_of(name, service)
        found[name.lower()] = words
        if service.get("container_name"):
            found[str(service["container_name"]).lower()] = words
    return found
