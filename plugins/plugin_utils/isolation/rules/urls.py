# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""URLs in settings: an environment's links, callbacks and requests lead to that environment."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby

from ..facts.server_owner import resolver
from ..facts.servers import of_family
from ..model import Environment, Fleet, Severity, Where
from ..readers.endpoints import host_and_port
from ..readers.frameworks import BASE_URL, CORS_ORIGINS, CORS_PATTERNS, HOSTS, ORIGINS, kind_of
from . import Hit, Judgement, rule

#: Whom an environment trusts is judged by the web rules.
_TRUST = frozenset({HOSTS, ORIGINS, CORS_ORIGINS, CORS_PATTERNS})
_BARE_HOST = re.compile(r"(?:\w+_)?(?:SITE|PUBLIC|APP|BASE|API)?_?(?:DOMAIN|HOSTNAME)(?:_NAME)?\Z", re.IGNORECASE)


@rule("foreign-url", "SE-12", severity=Severity.HIGH)
def foreign_url(fleet: Fleet) -> Judgement:
    """A URL in an environment's settings leads to another environment."""
    told = set()
    for prefix, key, host, port, where, service in _addresses(fleet):
        environment = fleet.by_prefix[prefix]
        owner, how = _owner(fleet, environment, service, host, port)
        if owner and (prefix, key, host, port) not in told:
            told.add((prefix, key, host, port))
            mine = owner in _port_thieves(fleet, environment, host, port)
            yield Hit(
                (prefix, owner),
                f"{key}: {host}:{port}",
                f"{key} of {prefix} leads to {owner}: {how}. Links in mails, redirects after a login and calls from "
                f"{prefix} end up there.",
                f"Use {prefix}'s own domain and port{_own_address(environment)}.",
                (where,),
                severity=Severity.MEDIUM if mine else None,
            )


def _addresses(fleet: Fleet) -> Iterator[tuple[str, str, str, int, Where, str]]:
    """Yield hosts and ports that settings name as web addresses: (environment, key, host, port, place, service)."""
    # One use for each of its servers follows the other, and each names all of them.
    for use, _places in groupby(placed.use for placed in of_family(fleet, "web")):
        if kind_of(use.key) not in _TRUST:
            for host, port in use.endpoint.hosts:
                yield use.owner, use.key, host, port, use.where, use.service
    for environment in fleet.environments:
        for setting in environment.settings:
            bare = kind_of(setting.key) == BASE_URL or (_BARE_HOST.match(setting.key) and not kind_of(setting.key))
            if bare and setting.text and "://" not in setting.text:
                host, port = host_and_port(setting.text.lstrip("/").partition("/")[0], environment.https_port or 443)
                yield environment.prefix, setting.key, host, port, setting.where, setting.service


def _owner(fleet: Fleet, environment: Environment, service: str, host: str, port: int) -> tuple[str, str]:
    """The other environment that answers at an address, and how it is reached."""
    index = resolver(fleet)
    serving = index.domain_owners(host)
    if environment.prefix in serving:
        thieves = _port_thieves(fleet, environment, host, port)
        how = f"port {port} of {environment.machine} is published by {thieves[0]}" if thieves else ""
        return (thieves[0], how) if thieves else ("", "")
    if serving:
        return serving[0], f"{host} is its domain"
    server = index.resolve(environment, service, host, port)
    return (server.owner, server.how) if server.owner not in ("", environment.prefix) else ("", "")


def _port_thieves(fleet: Fleet, environment: Environment, host: str, port: int) -> tuple[str, ...]:
    """The others that publish the port, if an environment's own domain is used with a port that is not its own."""
    index = resolver(fleet)
    if environment.prefix not in index.domain_owners(host):
        return ()
    publishing = index.port_owners(environment.machine, port)
    return () if environment.prefix in publishing else publishing


def _own_address(environment: Environment) -> str:
    if not environment.domains or not environment.https_port:
        return ""
    return f", https://{environment.domains[0]}:{environment.https_port}"
