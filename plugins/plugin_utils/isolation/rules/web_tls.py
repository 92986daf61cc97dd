# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates: a key shared by environments, and a certbot that acts for all of them."""

from __future__ import annotations

import posixpath
import re

from ..facts.certbot_calls import CertbotCall, certbot_calls
from ..facts.domains import domains, machine_path_of, neighbours, owner_of_port
from ..facts.ownership import foreign_owner_of_path, owners_of_path, sharers
from ..model import Environment, Fleet, Severity, Where
from ..wording import listing
from . import Hit, Judgement, rule

_LIVE = re.compile(r"^(.*/(?:live|archive)/[^/]+)/[^/]+$")


@rule("shared-certificate", "WB-14", severity=Severity.MEDIUM)
def shared_certificate(fleet: Fleet) -> Judgement:
    """Two environments serve with the same private key."""
    found: dict[tuple[str, str], dict[str, Where]] = {}
    for environment in fleet.environments:
        for item in environment.directives:
            if item.name in ("ssl_certificate", "ssl_certificate_key") and item.args and "$" not in item.args[0]:
                path = machine_path_of(environment, item.args[0])
                match = _LIVE.match(path)
                if path:
                    key = (environment.machine, match[1] if match else path)
                    found.setdefault(key, {}).setdefault(environment.prefix, item.where)
    for (machine, path), places in found.items():
        if len(places) > 1:
            yield Hit(
                tuple(places),
                f"certificate {path}",
                f"{listing(places)} serve with the same certificate and key, {path}. Whoever breaks into one has the "
                "key of the other, and behind one port browsers reuse a connection of the one for the other.",
                "Issue a certificate for each environment, with its own names only, and mount only that one.",
                tuple(places.values()),
                machine,
            )


@rule("acme-needs-port-80", "WB-15", severity=Severity.HIGH)
def acme_needs_port_80(fleet: Fleet) -> Judgement:
    """Certificates are to be proved over port 80, which is another environment's."""
    for environment in fleet.environments:
        holder = owner_of_port(fleet, environment, 80, outside=True)
        if environment.http_port in (80, None) or not holder or holder == environment.prefix:
            continue
        if environment.variables.get("bulkhead_acme") is True and not environment.variables.get(
            "bulkhead_trusted_proxies"
        ):
            yield Hit(
                (environment.prefix, holder),
                "bulkhead_acme",
                f"{environment.prefix} has its certificate issued (bulkhead_acme), and the authority always asks port "
                f"80, which is {holder}'s nginx: the proof fails.",
                "Reach both through port 80 of one front door, or bring a certificate (bulkhead_tls_certificate_path, "
                "bulkhead_tls_key_path).",
                (environment.origin("bulkhead_acme"),),
                environment.machine,
            )
        for call in certbot_calls(environment):
            if (
                call.by_http
                and call.verb in ("certonly", "run", "renew")
                and not _neutral_webroot(fleet, environment, call)
            ):
                yield Hit(
                    (environment.prefix, holder),
                    f"certbot {call.verb} of {environment.prefix}",
                    f"{environment.prefix} proves its certificate's names over HTTP, and the authority always asks "
                    f"port 80, where the nginx of {holder} answers: the proof fails, or certbot with --standalone "
                    f"needs {holder} stopped.",
                    "Use DNS-01 (--dns-…), or a webroot that belongs to no environment and that the nginx on port 80 "
                    "serves for every name.",
                    (call.where,),
                    environment.machine,
                )


def _neutral_webroot(fleet: Fleet, environment: Environment, call: CertbotCall) -> bool:
    root = call.value("-w", "--webroot-path")
    return root.startswith("/") and not owners_of_path(fleet, environment.machine, root)


@rule("shared-lineage", "WB-16", severity=Severity.HIGH)
def shared_lineage(fleet: Fleet) -> Judgement:
    """Two environments issue, extend or delete one certificate of the machine's certbot."""
    found: dict[tuple[str, str], dict[str, Where]] = {}
    for environment in fleet.environments:
        for call in certbot_calls(environment):
            if call.lineage and not call.own_store and call.verb in ("certonly", "run", "delete", "revoke", "renew"):
                directory = call.value("--config-dir") or "/etc/letsencrypt"
                key = (environment.machine, f"{directory}/live/{call.lineage}")
                found.setdefault(key, {}).setdefault(environment.prefix, call.where)
    for (machine, path), places in found.items():
        # One script for all of them renews one certificate for all of them.
        if len(places) > 1 and not any(set(places) <= sharers(fleet, where) for where in places.values()):
            yield Hit(
                tuple(places),
                f"certificate {posixpath.basename(path)}",
                f"{listing(places)} act on the same certificate, {path}: one changes its names under the other, or "
                "deletes it while the other's nginx still needs it.",
                "Give each environment its own certificate ('--cert-name') with its own names.",
                tuple(places.values()),
                machine,
            )


@rule("certbot-foreign-name", "WB-16", severity=Severity.HIGH)
def certbot_foreign_name(fleet: Fleet) -> Judgement:
    """certbot is told to act on a name of another environment."""
    known = domains(fleet)
    for environment in fleet.environments:
        own = known.of[environment.prefix]
        for call in certbot_calls(environment):
            names = dict.fromkeys((*call.domains, call.lineage))
            foreign = [
                item for name in names if name and name not in own for item in known.exactly(name, environment.prefix)
            ]
            if foreign and not {owner for _name, owner in foreign} <= sharers(fleet, call.where):
                yield Hit(
                    (environment.prefix, *(owner for _name, owner in foreign)),
                    f"certbot {call.verb} {foreign[0][0]}",
                    f"{environment.prefix} runs 'certbot {call.verb}' for "
                    f"{listing(f'{name} of {owner}' for name, owner in foreign)}: it rewrites, replaces or removes a "
                    "certificate that the other serves with.",
                    "Name the environment's own domains only, with its own '--cert-name'.",
                    (call.where,),
                    environment.machine,
                )


@rule("certbot-hook", "WB-16", severity=Severity.HIGH)
def certbot_hook(fleet: Fleet) -> Judgement:
    """A hook of certbot runs for the certificates of every environment."""
    for environment in fleet.environments:
        others = neighbours(fleet, environment)
        for document in environment.documents if others else ():
            if "renewal-hooks/" in document.path and "RENEWED_" not in document.text:
                yield _hook(environment, others, Where(document.path, 1), posixpath.basename(document.path))
        for call in certbot_calls(environment) if others else ():
            if call.verb == "renew" and not call.own_store and not call.value("--cert-name") and call.hooks:
                yield _hook(environment, others, call.where, call.hooks[0])


def _hook(environment: Environment, others: list[str], where: Where, what: str) -> Hit:
    return Hit(
        (environment.prefix, *others),
        f"hook {what}",
        f"The hook of {environment.prefix} runs whenever any certificate on the machine is renewed, those of "
        f"{listing(others)} included: it restarts what was not renewed, and leaves what it does not know on the old "
        "one.",
        "Let the hook check 'case \"$RENEWED_LINEAGE\" in */<own domain>) … ;; esac', or renew one certificate with "
        "'--cert-name' and its own '--deploy-hook'.",
        (where,),
        environment.machine,
    )


@rule("forced-renewal", "WB-17", severity=Severity.MEDIUM)
def forced_renewal(fleet: Fleet) -> Judgement:
    """Certificates are issued anew at every run, from a quota that another environment needs too."""
    known = domains(fleet)
    for environment in fleet.environments:
        for call in certbot_calls(environment):
            if call.for_trial or not call.has("--force-renewal", "--force-renew", "--renew-by-default"):
                continue
            parents = dict.fromkeys(".".join(name.split(".")[-2:]) for name in known.of[environment.prefix])
            others = dict.fromkeys(
                owner for parent in parents for _name, owner in known.covered(parent, environment.prefix)
            )
            if others:
                yield Hit(
                    (environment.prefix, *others),
                    f"certbot {call.verb} --force-renewal",
                    f"{environment.prefix} requests a certificate at every run. The authority counts by registered "
                    f"domain: once the quota of {next(iter(parents), '')} is used up, {listing(others)} cannot renew.",
                    "Use '--keep-until-expiring', and '--staging' for trials.",
                    (call.where,),
                )


@rule("certbot-foreign-webroot", "WB-15", severity=Severity.HIGH)
def certbot_foreign_webroot(fleet: Fleet) -> Judgement:
    """certbot writes into the directory of another environment."""
    for environment in fleet.environments:
        for call in certbot_calls(environment):
            root = call.value("-w", "--webroot-path")
            owner = foreign_owner_of_path(fleet, environment, root)
            if owner:
                yield Hit(
                    (environment.prefix, owner),
                    f"webroot {root}",
                    f"certbot of {environment.prefix} writes into {root} of {owner}: it changes files that {owner} "
                    "serves.",
                    "Use a webroot that belongs to no environment, or DNS-01.",
                    (call.where,),
                    environment.machine,
                )
