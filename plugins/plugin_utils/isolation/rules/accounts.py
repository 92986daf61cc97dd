# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""External accounts: buckets, mail, payments, search indices and monitoring that environments must not share."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from ..declared import declared_shares
from ..facts.outside_services import MESSAGES, SEARCH, STORES, shared_services
from ..facts.production import is_production
from ..facts.server_owner import resolver
from ..facts.servers import Placed, of_family
from ..model import Claim, Environment, Fleet, Severity, Where
from ..readers import fingerprints
from ..readers.endpoints import host_and_port
from ..readers.fingerprints import fingerprint, values_of
from ..wording import listing
from . import Hit, Judgement, owners, places, rule
from .secrets import shared_values

#: Mail servers and backends that deliver nothing.
_CATCHERS = re.compile(r"mailpit|mailhog|maildev|mailtrap|sandbox|smtp4dev|localhost|127\.0\.0\.1", re.IGNORECASE)
_SILENT_BACKENDS = re.compile(r"console|locmem|filebased|dummy|log\b|array|null", re.IGNORECASE)
_GENERIC_USERS = frozenset({"apikey", "api", "resend", "smtp", "postmark"})
_LIVE_KEY = re.compile(r"\b(?:[sr]k_live_|rzp_live_|live_sk_|live_[A-Za-z0-9]{24,}|sq0csp-|access_token\$production\$)")
_LIVE_MODE = re.compile(
    r"(?:PAYPAL|STRIPE|BRAINTREE|ADYEN|SQUARE|KLARNA|MOLLIE|RAZORPAY|PAYMENTS?)\w*_(?:MODE|ENV|ENVIRONMENT|LIVE|LIVE_MODE)\Z",
    re.IGNORECASE,
)
_LIVE = frozenset({"live", "production", "prod", "true", "1", "yes"})
#: How a monitoring service distinguishes environments: by account, and by a name within it, with its default.
_IDENTITIES = (
    ("SENTRY_DSN", "SENTRY_ENVIRONMENT", "production"),
    ("OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES", ""),
    ("DD_SERVICE", "DD_ENV", ""),
    ("NEW_RELIC_APP_NAME", "NEW_RELIC_ENVIRONMENT", ""),
)
#: Settings that say whose account of a cloud is used.
_CLOUD_ACCOUNTS = ("AWS_ACCOUNT_ID", "GOOGLE_CLOUD_PROJECT", "GCP_PROJECT", "GCP_PROJECT_ID", "AWS_ACCESS_KEY_ID")
_STEM = re.compile(r"_?(?:INDEX|COLLECTION|NAMESPACE|ASSISTANT|VECTOR_STORE|PROJECT)(?:_NAME|_ID)?\Z", re.IGNORECASE)


@rule("shared-bucket", "SE-07", severity=Severity.CRITICAL)
def shared_bucket(fleet: Fleet) -> Judgement:
    """Two environments keep their files in one place of a bucket."""
    buckets: dict[str, dict[str, list[Claim]]] = {}
    for (_unused, key), claims in fleet.claims("bucket").items():
        prefix = str(claims[0].attributes.get("prefix", ""))
        bucket = key[: len(key) - len(prefix)].rstrip("/")
        buckets.setdefault(bucket, {}).setdefault(prefix, []).extend(claims)
    for bucket, by_prefix in buckets.items():
        everyone = [claim for claims in by_prefix.values() for claim in claims]
        named = ("bucket", str(everyone[0].attributes["bucket"]))
        if len(owners(everyone)) < 2 or all(
            named in declared_shares(fleet.by_prefix[prefix]) for prefix in owners(everyone)
        ):
            continue
        name = bucket.lstrip("/")
        clashes = list(_overlapping(by_prefix))
        for prefix, group in clashes:
            place = f"{name}/{prefix}".rstrip("/")
            yield Hit(
                owners(group),
                place,
                f"{listing(owners(group))} keep their files in the same place, {place}: each overwrites the other's "
                "uploads, and a lifecycle rule or 'sync --delete' of one deletes the other's files.",
                "Give each environment its own bucket, with credentials for that bucket only.",
                places(group),
            )
        if not clashes:
            yield Hit(
                owners(everyone),
                name,
                f"{listing(owners(everyone))} share the bucket {name}, each below its own prefix: only the bucket's "
                "access rules, which no file here shows, keep them apart.",
                "Limit each environment's credentials to its prefix, or give each its own bucket.",
                places(everyone),
                severity=Severity.LOW,
            )


@rule("shared-mail-account", "SE-08", severity=Severity.HIGH)
def shared_mail_account(fleet: Fleet) -> Judgement:
    """An environment that is not production sends real mail through production's account."""
    by_server: dict[str, list[Placed]] = {}
    for use in of_family(fleet, "mail"):
        if not use.server.owner and _sends(fleet.by_prefix[use.owner], use):
            by_server.setdefault(use.server.identity, []).append(use)
    told: list[set[str]] = []
    for identity, uses in by_server.items():
        for user, group in _by_user(uses):
            told.append({use.owner for use in group})
            yield _mail(group, f"{identity} as {user}" if user else identity, None if user else Severity.LOW)
    for secrets in fleet.derived(shared_values).get(fingerprints.MAIL, ()):
        prefixes = tuple(dict.fromkeys(secret.owner for secret in secrets))
        if not any(set(prefixes) <= known for known in told):
            keys = listing(secret.key for secret in secrets)
            yield Hit(
                prefixes,
                keys,
                f"{listing(prefixes)} send mail with the same password ({keys}): a test on a restored database "
                "writes to real customers, and the provider holds what one sends against the other.",
                "Outside production, send to mailpit or the console, or use a separate account.",
                tuple(secret.where for secret in secrets),
            )


@rule("live-payments", "SE-10", severity=Severity.CRITICAL)
def live_payments(fleet: Fleet) -> Judgement:
    """An environment that is not production moves real money."""
    for environment in fleet.environments:
        if is_production(environment):
            continue
        found: dict[str, Where] = {}
        for key, value, where, _unused in values_of(environment):
            if isinstance(value, str) and _is_live(key, value):
                found.setdefault(key, where)
        for key, where in found.items():
            yield Hit(
                (environment.prefix,),
                key,
                f"{environment.prefix} is not production, but its {key} is for live payments: a test there charges "
                "real customers, and the provider's webhooks reach production.",
                "Use the provider's test keys and test mode (sk_test_…).",
                (where,),
            )


@rule("shared-index", "SE-11", severity=Severity.HIGH)
def shared_index(fleet: Fleet) -> Judgement:
    """Two environments write to one index, collection or project of a service elsewhere."""
    for _unused, name, claims in fleet.collisions("index"):
        key, _unused, value = name.partition(":")
        stem = _STEM.sub("", key)
        outside = [claim for claim in claims if not _runs_itself(fleet, fleet.by_prefix[claim.owner], stem)]
        accounts = {_account(fleet.by_prefix[claim.owner], stem) for claim in outside}
        if len(outside) > 1:
            apart = len(accounts) > 1
            yield Hit(
                owners(outside),
                f"{key}={value}",
                f"{listing(owners(outside))} have the same {key} ({value}): each finds, changes and deletes what the "
                f"other keeps there{', unless their different keys belong to different accounts' if apart else ''}.",
                f"Give each environment one of its own, and set {key} to it.",
                places(outside),
                severity=Severity.LOW if apart else None,
            )
    yield from _search_servers(fleet)


def _search_servers(fleet: Fleet) -> Iterator[Hit]:
    """Yield search servers outside of the fleet that several environments use, and whose indices do not differ."""
    for identity, uses, apart in shared_services(fleet, SEARCH):
        yield Hit(
            tuple(uses),
            identity,
            f"{listing(uses)} use the same search server, {identity}: what one indexes, deletes or rebuilds "
            "changes what the other finds.",
            "Give each environment its own server, or index names that begin with its prefix and a key limited to "
            "them.",
            tuple(uses.values()),
            severity=Severity.LOW if apart else None,
        )


@rule("shared-service", "SE-11", "RC-01", "RC-06", severity=Severity.HIGH)
def shared_service(fleet: Fleet) -> Judgement:
    """Two environments use one message broker, cache or other store elsewhere, and no name keeps them apart."""
    for identity, uses, apart in shared_services(fleet, (*MESSAGES, *STORES)):
        yield Hit(
            tuple(uses),
            identity,
            f"{listing(uses)} use the same server, {identity}"
            + (
                ", under different names: only its access rules, which no file here shows, keep them apart."
                if apart
                else ", and no topic, group, prefix or database of theirs differs: each gets the other's messages, or "
                "finds and replaces what the other keeps there."
            ),
            "Give each environment its own server, or set names that begin with its prefix (KAFKA_GROUP_ID, "
            "MQTT_TOPIC_PREFIX, MEMCACHED_KEY_PREFIX).",
            tuple(uses.values()),
            severity=Severity.LOW if apart else None,
        )


@rule("shared-identity", "SE-09", severity=Severity.LOW)
def shared_identity(fleet: Fleet) -> Judgement:
    """Errors and metrics of two environments are reported as those of one."""
    known: dict[tuple[str, str, str], dict[str, Where]] = {}
    for environment in fleet.environments:
        settings = {setting.key: setting for setting in environment.settings if setting.text}
        for account, name, default in _IDENTITIES:
            if account in settings:
                called = settings[name].text if name in settings else default
                key = (account, fingerprint(settings[account].text), called)
                known.setdefault(key, {})[environment.prefix] = settings[account].where
    for (account, _unused, called), prefixes in known.items():
        if len(prefixes) > 1:
            yield Hit(
                tuple(prefixes),
                f"{account} {called}".strip(),
                f"{listing(prefixes)} report to the same {account} as {called or 'the same service'}: nobody can "
                "tell which environment a report came from.",
                "Set SENTRY_ENVIRONMENT (DD_ENV, deployment.environment) to each environment's own name.",
                tuple(prefixes.values()),
            )


def _overlapping(by_prefix: Mapping[str, Sequence[Claim]]) -> Iterator[tuple[str, Sequence[Claim]]]:
    """Yield the bucket prefixes that several environments have, each with the claims on it and within it."""
    outer = None
    within: list[Claim] = []
    for prefix in sorted(by_prefix, key=lambda text: f"{text}/" if text else ""):
        if outer is not None and (not outer or f"{prefix}/".startswith(f"{outer}/")):
            within += by_prefix[prefix]
            continue
        if outer is not None and len(owners(within)) > 1:
            yield outer, within
        outer, within = prefix, list(by_prefix[prefix])
    if outer is not None and len(owners(within)) > 1:
        yield outer, within


def _sends(environment: Environment, each: Placed) -> bool:
    """Whether mail is really delivered: neither the backend nor the server keeps it."""
    if _CATCHERS.search(each.server.identity):
        return False
    backends = (setting for setting in environment.settings if setting.key.upper().endswith(("MAIL_BACKEND", "MAILER")))
    return not any(_SILENT_BACKENDS.search(backend.text) for backend in backends)


def _by_user(uses: Sequence[Placed]) -> Iterator[tuple[str, Sequence[Placed]]]:
    """Yield the uses of each shared account; if there is none, all uses of the server with an empty name."""
    groups: dict[tuple[str, str], list[Placed]] = {}
    for use in uses:
        user, password = use.use.endpoint.user, use.use.endpoint.password
        # If the user is always "apikey", the password identifies the account.
        account = fingerprint(password) if user in _GENERIC_USERS else ""
        if user and (password or user not in _GENERIC_USERS):
            groups.setdefault((user, account), []).append(use)
    same = [(user, group) for (user, _unused), group in groups.items() if len({use.owner for use in group}) > 1]
    yield from same
    if not same and len({use.owner for use in uses}) > 1:
        yield "", uses


def _mail(group: Sequence[Placed], account: str, severity: Severity | None) -> Hit:
    prefixes = tuple(dict.fromkeys(use.owner for use in group))
    return Hit(
        prefixes,
        account,
        f"{listing(prefixes)} send mail through {account}: a test on a restored database writes to real customers, "
        "and the provider holds what one sends against the other.",
        "Outside production, send to mailpit or the console, or use a separate account that delivers to the team only.",
        tuple(use.use.where for use in group),
        severity=severity,
    )


def _is_live(key: str, value: str) -> bool:
    return bool(_LIVE_KEY.search(value)) or (bool(_LIVE_MODE.match(key)) and value.strip().lower() in _LIVE)


def _runs_itself(fleet: Fleet, environment: Environment, stem: str) -> bool:
    """Whether the service behind an index is one of the environment's own containers."""
    for setting in environment.settings:
        if setting.text and setting.key.upper() in (f"{stem}_HOST", f"{stem}_URL", f"{stem}_ENDPOINT", f"{stem}_HOSTS"):
            host, port = host_and_port(setting.text.partition("://")[2].partition("/")[0] or setting.text)
            if resolver(fleet).resolve(environment, setting.service, host, port).owner == environment.prefix:
                return True
    return False


def _account(environment: Environment, stem: str) -> str:
    """What identifies an account: the fingerprint of its key. A sealed key equals no other."""
    for key, value, _where, _declared in values_of(environment):
        if key.upper().startswith(f"{stem}_") and key.upper().endswith(("API_KEY", "TOKEN", "_KEY")):
            return fingerprint(value) if isinstance(value, str) else f"sealed {environment.prefix}"
    known = {key.upper(): value for key, value, _where, _declared in values_of(environment)}
    cloud = next((known[key] for key in _CLOUD_ACCOUNTS if key in known), "")
    return fingerprint(cloud) if isinstance(cloud, str) else f"sealed {environment.prefix}"
