# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What browsers carry from one environment to another: cookies and HSTS."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..facts.domains import domains
from ..model import Environment, Fleet, Severity, Where
from ..readers.frameworks import COOKIE_DOMAIN, HSTS_SUBDOMAINS, cookie_scope, is_true, settings_of
from ..wording import listing
from . import Hit, Judgement, rule

_COOKIE_DOMAIN = re.compile(r";\s*domain=([^;\s\"']+)", re.IGNORECASE)


@rule("cookie-domain", "WB-10", "WB-11", severity=Severity.CRITICAL)
def cookie_domain(fleet: Fleet) -> Judgement:
    """A cookie's domain covers the host of another environment."""
    known = domains(fleet)
    for environment in fleet.environments:
        for scope, source, where in _cookie_domains(environment):
            covered = known.covered(scope, environment.prefix)
            if covered:
                hosts = listing(f"{domain} of {owner}" for domain, owner in covered)
                yield Hit(
                    (environment.prefix, *(owner for _domain, owner in covered)),
                    f"cookies for {scope}",
                    f"{source} of {environment.prefix} makes browsers send its cookies to {hosts} too: sessions of "
                    f"{environment.prefix} reach the servers and logs of the other, and a cookie of the same name "
                    "overwrites or shadows the other's, which logs people out, or in as another user.",
                    f"Leave {source.split()[0]} unset: the cookie then belongs only to the host that set it.",
                    (where,),
                )


def _cookie_domains(environment: Environment) -> Iterator[tuple[str, str, Where]]:
    """Yield every domain set for cookies: (domain, what sets it, where)."""
    for setting in settings_of(environment, COOKIE_DOMAIN):
        scope = cookie_scope(setting.text)
        if scope and scope not in ("none", "null"):
            yield scope, f"{setting.key} = {setting.text}", setting.where
    for item in environment.directives:
        if item.name == "proxy_cookie_domain" and len(item.args) == 2 and "$" not in item.args[1]:
            yield cookie_scope(item.args[1]), "proxy_cookie_domain", item.where
        elif item.name == "userid_domain" and item.args[:1] and item.args[0] != "none":
            yield cookie_scope(item.args[0]), "userid_domain", item.where
        elif item.name == "add_header" and item.args[:1] and item.args[0].lower() == "set-cookie":
            match = _COOKIE_DOMAIN.search(" ".join(item.args[1:]))
            if match:
                yield cookie_scope(match[1]), "add_header Set-Cookie", item.where


@rule("hsts-subdomains", "WB-13", severity=Severity.MEDIUM)
def hsts_subdomains(fleet: Fleet) -> Judgement:
    """HSTS with includeSubDomains forces HTTPS on an environment that offers none."""
    known = domains(fleet)
    for environment in fleet.environments:
        places = list(_hsts(environment))
        if not places:
            continue
        harmed = {}
        for domain in known.of[environment.prefix]:
            for name, owner in known.covered(domain, environment.prefix):
                if name != domain and not _offers_https(fleet.by_prefix[owner]):
                    harmed[name] = owner
        if harmed:
            yield Hit(
                (environment.prefix, *harmed.values()),
                f"HSTS of {environment.prefix}",
                f"{environment.prefix} sends HSTS with includeSubDomains: browsers that have seen it use TLS on "
                f"every port of {listing(f'{name} of {owner}' for name, owner in harmed.items())}, which offers "
                "plain HTTP only, so visitors of the one cannot reach the other.",
                "Offer HTTPS there on its own port and redirect its HTTP port to it, or send HSTS without "
                "includeSubDomains.",
                tuple(places),
            )


def _hsts(environment: Environment) -> Iterator[Where]:
    for setting in settings_of(environment, HSTS_SUBDOMAINS):
        if is_true(setting.text):
            yield setting.where
    for item in environment.directives:
        header = item.args[0].lower() if item.name == "add_header" and item.args else ""
        if header == "strict-transport-security" and "includesubdomains" in " ".join(item.args[1:]).lower():
            yield item.where


def _offers_https(environment: Environment) -> bool:
    if environment.https_port:
        return True
    return any(item.name == "listen" and {"ssl", "quic"} & set(item.args[1:]) for item in environment.directives)
