# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The secrets of an environment as fingerprints, so that they can be compared but not revealed.

A fingerprint is a hash with a random key of this run. It only shows whether two values are equal, and is useless to
anyone who reads it in a report.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ..model import SEAL, Environment, Sealed, Where
from .endpoints import Use, part_of

_RUN = secrets.token_bytes(32)

#: What a secret is for, worst first: how bad it is to share it. A value with several uses is judged by the worst.
SIGNING, JWT, ENCRYPTION, DATABASE, MAIL, OTHER = "signing", "jwt", "encryption", "database", "mail", "other"
CLASSES = (SIGNING, JWT, ENCRYPTION, DATABASE, MAIL, OTHER)

_SIGNING = re.compile(r"(?:(?:DJANGO|FLASK|APP|APPLICATION)_)?SECRET_KEY(?:_BASE|_FALLBACKS?|S|_OLD|_\d+)?\Z|APP_KEY\Z")
_JWT = re.compile(r"JWT|SIGNING_KEY|TOKEN_SECRET")
_ENCRYPTION = re.compile(r"ENCRYPT|FERNET|CRYPTO|CIPHER|SALT_KEY")
_SECRET_WORDS = frozenset(
    (
        "PASS",
        "PASSWD",
        "PASSWORD",
        "PASSWORDS",
        "PASSPHRASE",
        "PWD",
        "SECRET",
        "SECRETS",
        "TOKEN",
        "TOKENS",
        "KEY",
        "KEYS",
        "APIKEY",
        "DSN",
        "CREDENTIAL",
        "CREDENTIALS",
        "PRIVATE",
        "SALT",
    )
)
#: With one of these words, the name looks like a secret's, but the value is public.
_OPEN_WORDS = frozenset(("PUBLIC", "PUBLISHABLE", "JWKS", "VERIFYING", "SENTRY", "PRIMARY"))
_OPEN_ENDINGS = frozenset(
    (
        "PREFIX",
        "SUFFIX",
        "NAME",
        "NAMES",
        "ID",
        "IDS",
        "FILE",
        "PATH",
        "DIR",
        "URL",
        "URI",
        "HEADER",
        "ALGORITHM",
        "ALGORITHMS",
        "LIFETIME",
        "EXPIRY",
        "EXPIRES",
        "EXPIRATION",
        "TTL",
        "TIMEOUT",
        "AGE",
        "LENGTH",
        "MIN",
        "MAX",
        "COUNT",
        "ENABLED",
        "BACKEND",
        "CLASS",
        "AUDIENCE",
        "ISSUER",
        "TYPE",
        "REGION",
        "VERSION",
        "VALIDATORS",
        "HASHERS",
        "ROTATION",
        "ROTATE",
        "FORMAT",
        "METHOD",
        "HINT",
        "USER",
        "USERNAME",
        "REQUIRED",
        "SERVER",
        "PROTOCOL",
        "HOST",
        "PORT",
        "DOMAIN",
        "INTERVAL",
        "SECONDS",
        "MINUTES",
        "HOURS",
        "DAYS",
    )
)
_HARMLESS_VALUE = re.compile(
    r"(?:true|false|yes|no|on|off|none|null|\d{1,3}|/[\w./-]*|pk_\w+|\w{2}_test_\w+"
    r"|-----BEGIN (?:PUBLIC KEY|RSA PUBLIC KEY|CERTIFICATE).*)\Z",
    re.IGNORECASE | re.DOTALL,
)
#: A value that says itself that it is none. As a key or password of one's own, it would still work.
_PLACEHOLDER = re.compile(
    r"\bplaceholder\b|\bchange[-_ ]?(?:me|this|it)\b|\breplace[-_ ]?(?:me|this|with)|\byour[-_ ]|\bdummy\b|\btodo\b"
    r"|\bfixme\b|\binsert[-_ ]|\bx{4,}\b|\bnot[-_ ]?(?:set|used|needed)\b|\bfill[-_ ]|\A<.*>\Z|\.\.\.",
    re.IGNORECASE,
)
_SEVERAL = re.compile(r"[\s,\[\]\"']+")

#: The variable with the fingerprints that an environment's people commit: salted digests, comparable without secrets.
RECORD = "bulkhead_fingerprints"


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret of an environment: its name, use and fingerprint. Sealed values have no fingerprint."""

    owner: str
    key: str
    use: str
    fingerprint: str
    where: Where


def fingerprint(value: str) -> str:
    """A keyed hash of a value, comparable within this run only."""
    return hashlib.blake2b(value.encode("utf-8", "surrogatepass"), key=_RUN, digest_size=16).hexdigest()


def is_placeholder(value: str) -> bool:
    """Whether a value says itself that it is none."""
    return bool(_PLACEHOLDER.search(value))


def recorded(variable: Any) -> Mapping[str, str]:
    """The fingerprints that are recorded in a value of :data:`RECORD`, by the secrets' names, each with its salt.

    Equal ones are equal secrets. What is sealed or of another shape records nothing.
    """
    found = variable.get("secrets") if isinstance(variable, Mapping) else None
    if not isinstance(found, Mapping):
        return {}
    how = f"{variable.get('scheme')}${salt_of(variable)}"
    return {str(name): f"{how}${digest}" for name, digest in found.items() if isinstance(digest, str) and digest}


def salt_of(variable: Any) -> str:
    """The salt of a value of :data:`RECORD`; empty where it has none."""
    salt = variable.get("salt") if isinstance(variable, Mapping) else ""
    return salt if isinstance(salt, str) else ""


@lru_cache(maxsize=65536)
def use_of(key: str) -> str:
    """The use of a secret with this name, one of :data:`CLASSES`; empty if the name is not a secret's."""
    name = key.upper().replace("-", "_").replace(".", "_")
    words = name.split("_")
    if _SIGNING.match(name):
        return SIGNING
    if words[-1] in _OPEN_ENDINGS or not _OPEN_WORDS.isdisjoint(words) or _SECRET_WORDS.isdisjoint(words):
        return ""
    if _JWT.search(name):
        return JWT
    if _ENCRYPTION.search(name):
        return ENCRYPTION
    part = part_of(key)
    if part and part[2] == "password":
        return {"database": DATABASE, "mail": MAIL}.get(part[0], OTHER)
    return OTHER


def secrets_of(environment: Environment, uses: tuple[Use, ...]) -> tuple[Secret, ...]:
    """Every readable secret of an environment, each name and value once. ``uses`` are its endpoints."""
    found: dict[tuple[str, str], Secret] = {}
    for key, value, where, declared in values_of(environment):
        use = use_of(key) or (OTHER if declared else "")
        if use and isinstance(value, str):
            for text in _several(key, value):
                if use in (OTHER, MAIL) and _PLACEHOLDER.search(text):
                    continue  # no service elsewhere accepts it
                _add(found, Secret(environment.prefix, key, use, fingerprint(text), where))
    for named in uses:
        password = named.endpoint.password
        if password and SEAL not in password and not _HARMLESS_VALUE.match(password) and part_of(named.key) is None:
            use = {"database": DATABASE, "mail": MAIL}.get(named.endpoint.family, OTHER)
            if "SENTRY" not in named.key.upper():
                _add(found, Secret(environment.prefix, named.key, use, fingerprint(password), named.where))
    return tuple(found.values())


def sealed_of(environment: Environment) -> tuple[str, ...]:
    """The names of sealed values, each of which may be or contain a secret."""
    return tuple(dict.fromkeys(key for key, value, _where, _declared in values_of(environment) if _is_sealed(value)))


def _add(found: dict[tuple[str, str], Secret], secret: Secret) -> None:
    found.setdefault((secret.key, secret.fingerprint), secret)


def values_of(environment: Environment) -> Iterator[tuple[str, str | Sealed | None, Where, bool]]:
    """Yield name, value, place, and whether the user declared it a secret."""
    for setting in environment.settings:
        yield setting.key, setting.value, setting.where, setting.secret
    declared = environment.variables.get("bulkhead_secrets")
    origin = environment.origin("bulkhead_secrets")
    if isinstance(declared, Sealed):
        yield "bulkhead_secrets", declared, origin, True
    elif isinstance(declared, Mapping):
        for key, value in declared.items():
            place = Where(origin.file, origin.line, f"bulkhead_secrets.{key}")
            yield str(key), value if isinstance(value, (str, Sealed)) else None, place, True


def _is_sealed(value: str | Sealed | None) -> bool:
    return isinstance(value, Sealed) or (value is not None and SEAL in value)


def _several(key: str, value: str) -> Iterator[str]:
    """Yield the secrets in a value: several for ``SECRET_KEY_FALLBACKS``, none if the value is harmless."""
    parts = _SEVERAL.split(value) if "FALLBACK" in key.upper() or key.upper().endswith("KEYS") else [value]
    for part in parts:
        text = part.strip()
        if text and "://" not in text and SEAL not in text and not _HARMLESS_VALUE.match(text):
            yield text
