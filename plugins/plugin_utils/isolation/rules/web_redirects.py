# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ports in redirects and links: an environment on 8443 must never send its users to 443."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from ..facts.domains import domains, neighbours, own_servers, owner_of_port
from ..model import Directive, Environment, Fleet, Severity, Where
from ..readers.frameworks import FORWARDED_HOST, FORWARDED_PORT, switched_on
from ..readers.nginx.meaning import PASSES, ServerBlock, all_directives
from . import Hit, Judgement, rule

_USUAL = {"https": 443, "http": 80}
_TARGET = re.compile(r"^(https?)://(\$\{?\w+\}?|[A-Za-z0-9.-]+)(:[\w${}]+)?(?=[/$?]|$)")


def _victim(fleet: Fleet, environment: Environment, port: int) -> str:
    """The other environment that a URL without a port leads to: the one on that port, else a neighbour whose ports are
    unknown."""
    owner = owner_of_port(fleet, environment, port)
    if owner:
        return "" if owner == environment.prefix else owner
    unknown = (
        prefix
        for prefix in neighbours(fleet, environment)
        if not (fleet.by_prefix[prefix].http_port or fleet.by_prefix[prefix].https_port)
    )
    return next(unknown, "")


def _is_own(domains_of: Sequence[str], host: str) -> bool:
    """Whether a host name may be an environment's: one of its domains or below one. An empty one is that of the
    request, and of an environment without domains any may be."""
    return not (host and domains_of) or any(host == domain or host.endswith(f".{domain}") for domain in domains_of)


def _published(environment: Environment, scheme: str) -> int | None:
    return environment.https_port if scheme == "https" else environment.http_port


@rule("redirect-drops-port", "WB-08", severity=Severity.HIGH)
def redirect_drops_port(fleet: Fleet) -> Judgement:
    """A redirect leaves the port out, so that users land on the environment that has the usual port."""
    known = domains(fleet)
    for environment in fleet.environments:
        if not (environment.http_port or environment.https_port):
            continue
        for scheme, host, port, target, where in _redirects(environment):
            foreign = [
                item for item in known.exactly(host, environment.prefix) if host not in known.of[environment.prefix]
            ]
            usual = _USUAL[scheme]
            if foreign:
                victim = foreign[0][1]
            elif port or _published(environment, scheme) == usual or not _is_own(known.of[environment.prefix], host):
                continue
            else:
                victim = _victim(fleet, environment, usual)
            if victim:
                own = _published(environment, scheme)
                yield Hit(
                    (environment.prefix, victim),
                    f"redirect to {target}",
                    f"{environment.prefix} redirects to {target}, which is port {usual} of that host and belongs to "
                    f"{victim}: users of {environment.prefix} end up in {victim} without noticing.",
                    f"Keep the published port: 'return 301 {scheme}://$host:{own or '<port>'}$request_uri;'.",
                    (where,),
                    environment.machine,
                )


def _redirects(environment: Environment) -> Iterator[tuple[str, str, str, str, Where]]:
    """Yield absolute redirects: (scheme, host, port with colon, target, where)."""
    for server in own_servers(environment):
        for item in all_directives((server.directive,)):
            target = ""
            if item.name == "return" and item.args:
                target = item.args[-1] if len(item.args) == 1 or re.fullmatch(r"30[12378]", item.args[0]) else ""
            elif item.name == "rewrite" and len(item.args) > 1:
                target = item.args[1]
            elif item.name == "error_page" and item.args:
                target = item.args[-1]
            match = _TARGET.match(target)
            if match and (match[2].strip("${}") in ("host", "server_name") or not match[2].startswith("$")):
                host = match[2] if not match[2].startswith("$") else ""
                if not host or "." in host:
                    yield match[1], host.lower(), match[3] or "", target, item.where


@rule("own-redirect-drops-port", "WB-08", severity=Severity.MEDIUM)
def own_redirect_drops_port(fleet: Fleet) -> Judgement:
    """nginx's own redirects (a directory without its slash) name the port inside of the container."""
    for environment in fleet.environments:
        off = any(item.name == "absolute_redirect" and item.args == ("off",) for item in environment.directives)
        if off or not (environment.http_port or environment.https_port):
            continue
        for server in own_servers(environment):
            scheme = "https" if any(listen.tls for listen in server.listens) else "http"
            published, usual = _published(environment, scheme), _USUAL[scheme]
            inside = {listen.port for listen in server.listens}
            directory = next(_directories_served(server), None)
            if directory is None or published in (None, usual) or published in inside or usual not in inside:
                continue
            victim = _victim(fleet, environment, usual)
            if victim:
                yield Hit(
                    (environment.prefix, victim),
                    f"location {' '.join(directory.args)}",
                    f"The nginx of {environment.prefix} listens on {usual} inside the container and is published on "
                    f"{published}. It redirects a request for a directory without the last slash to port {usual}, "
                    f"which belongs to {victim}.",
                    "Add 'absolute_redirect off;' to the server: nginx then redirects without naming host or port.",
                    (directory.where,),
                    environment.machine,
                )


def _directories_served(server: ServerBlock) -> Iterator[Directive]:
    """Locations for which nginx itself adds the slash."""
    for item in all_directives((server.directive,)):
        if item.name == "location" and item.args and item.args[-1].endswith("/") and item.args[-1] != "/":
            inner = {child.name for child in item.block or ()}
            if "/.well-known/" in item.args[-1]:
                continue  # asked for by machines, and with its slash
            if item.args[0] not in ("~", "~*", "=") and inner & {"alias", "root", *PASSES}:
                yield item


@rule("host-without-port", "WB-09", severity=Severity.HIGH)
def host_without_port(fleet: Fleet) -> Judgement:
    """The application is told a host without its port, and makes links that lead to another environment."""
    for environment in fleet.environments:
        scheme = "https" if environment.https_port else "http"
        published, usual = _published(environment, scheme), _USUAL[scheme]
        if published in (None, usual):
            continue
        victim = _victim(fleet, environment, usual)
        own = domains(fleet).of[environment.prefix]
        places = [where for headers, where in _passes(environment) if _loses_port(environment, own, headers, published)]
        if places and victim:
            yield Hit(
                (environment.prefix, victim),
                f"Host header of {environment.prefix}",
                f"The nginx of {environment.prefix} passes on 'Host $host', which has no port. The application then "
                f"makes absolute links (mails, OAuth callbacks, pagination) to port {usual}, which belongs to "
                f"{victim}, and its CSRF check refuses the real origin on port {published}.",
                "Pass on what the browser sent: 'proxy_set_header Host $http_host;'.",
                tuple(places),
                environment.machine,
            )


def _loses_port(
    environment: Environment, own: Sequence[str], headers: Mapping[str, str], published: int | None
) -> bool:
    host = headers.get("host", "")
    if not re.fullmatch(r"\$\{?(?:host|server_name)\}?|[A-Za-z0-9.-]+", host):
        return False
    if not host.startswith("$") and not _is_own(own, host.lower()):
        return False  # the request goes to another site
    port = headers.get("x-forwarded-port", "")
    if port == str(published) and switched_on(environment, FORWARDED_PORT):
        return False
    forwarded = headers.get("x-forwarded-host", "")
    return not ((forwarded == "$http_host" or ":" in forwarded) and switched_on(environment, FORWARDED_HOST))


def _passes(environment: Environment) -> Iterator[tuple[dict[str, str], Where]]:
    """Yield each ``proxy_pass`` with its headers in force and where Host is set; setting one drops inherited ones."""
    for server in own_servers(environment):
        outer = _headers(environment.nginx) or [
            item for top in environment.nginx if top.name == "http" for item in _headers(top.block or ())
        ]
        yield from _inherit(server.directive, outer)


def _inherit(item: Directive, inherited: list[Directive]) -> Iterator[tuple[dict[str, str], Where]]:
    block = item.block or ()
    in_force = _headers(block) or inherited
    if any(child.name == "proxy_pass" for child in block):
        hosts = [child.where for child in in_force if child.args[0].lower() == "host"]
        yield {child.args[0].lower(): child.args[1] for child in in_force}, hosts[-1] if hosts else item.where
    for child in block:
        if child.block is not None:
            yield from _inherit(child, in_force)


def _headers(block: tuple[Directive, ...]) -> list[Directive]:
    return [child for child in block if child.name == "proxy_set_header" and len(child.args) == 2]
