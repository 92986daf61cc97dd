# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fingerprints: which values are compared, and what sealed ones leave open."""

from __future__ import annotations

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import (
    SEAL,
    SEALED,
    Environment,
    Fleet,
    Setting,
    Where,
)
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers import fingerprints
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.endpoints import uses
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.fingerprints import (
    fingerprint,
    sealed_of,
    secrets_of,
    use_of,
)
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.rules.secrets import (
    open_checks,
    shared_signing_key,
)


@pytest.mark.parametrize(
    ("key", "use"),
    [
        ("SECRET_KEY", fingerprints.SIGNING),
        ("DJANGO_SECRET_KEY", fingerprints.SIGNING),
        ("SECRET_KEY_FALLBACKS", fingerprints.SIGNING),
        ("STRIPE_SECRET_KEY", fingerprints.OTHER),
        ("SIMPLE_JWT_SIGNING_KEY", fingerprints.JWT),
        ("FIELD_ENCRYPTION_KEY", fingerprints.ENCRYPTION),
        ("POSTGRES_PASSWORD", fingerprints.DATABASE),
        ("DB_USER_PASSWORD", fingerprints.DATABASE),
        ("EMAIL_HOST_PASSWORD", fingerprints.MAIL),
        ("AWS_SECRET_ACCESS_KEY", fingerprints.OTHER),
        ("CACHE_REDIS_PASSWORD", fingerprints.OTHER),
        ("JWT_PUBLIC_KEY", ""),
        ("JWT_ALGORITHM", ""),
        ("AWS_ACCESS_KEY_ID", ""),
        ("KEY_PREFIX", ""),
        ("PASSWORD_RESET_TIMEOUT", ""),
        ("DB_PASSWORD_FILE", ""),
        ("KEYCLOAK_REALM", ""),
        ("SENTRY_DSN", ""),
        ("TZ", ""),
    ],
)
def test_use_of(key: str, use: str) -> None:
    """What a secret is for, by its name."""
    assert use_of(key) == use


def _environment(prefix: str = "aiia_prod", **values: object) -> Environment:
    settings = tuple(Setting(key, value, Where(".env", 1, key)) for key, value in values.items())
    return Environment(prefix=prefix, settings=settings)


def _keys(environment: Environment) -> set[str]:
    return {secret.key for secret in secrets_of(environment, uses(environment))}


def test_what_is_compared() -> None:
    """Secrets by name and inside of URLs; nothing that is public, empty, a path or a switch."""
    environment = _environment(
        API_TOKEN="abc123", DATABASE_URL="postgres://u:p4ss@db/x", SITE_URL="https://x.com", USE_TOKEN="true",
        TLS_KEY="/etc/key.pem", STRIPE_KEY="pk_live_1", TEST_KEY="sk_test_1", EMPTY_PASSWORD="", PASSED=None,
        KEY="-----BEGIN PUBLIC KEY-----\nx",
    )  # fmt: skip
    assert _keys(environment) == {"API_TOKEN", "DATABASE_URL"}


def test_declared_secrets_are_compared_whatever_their_name() -> None:
    """What the inventory holds as a secret is one."""
    environment = Environment(prefix="a", variables={"bulkhead_secrets": {"WEBHOOK": "w3bh00k", "LATER": SEALED}})
    assert _keys(environment) == {"WEBHOOK"}
    assert sealed_of(environment) == ("LATER",)


def test_fallbacks_are_one_by_one() -> None:
    """Each key of a list has a fingerprint of its own."""
    environment = _environment(SECRET_KEY_FALLBACKS='["old-1", "old-2"]')
    found = {secret.fingerprint for secret in secrets_of(environment, ())}
    assert found == {fingerprint("old-1"), fingerprint("old-2")}


def test_a_fingerprint_does_not_show_the_value() -> None:
    """It is keyed: the same value has another one in another run."""
    before = fingerprint("abc")
    assert before == fingerprint("abc") != fingerprint("abd")
    key, fingerprints._RUN = fingerprints._RUN, b"another run"
    try:
        assert fingerprint("abc") != before
    finally:
        fingerprints._RUN = key


def test_sealed_values_are_skipped_and_told() -> None:
    """Two sealed keys are not equal; the report says that they were not compared, in a URL as well."""
    prod = _environment("aiia_prod", SECRET_KEY=SEALED, REDIS_URL=f"redis://:{SEAL}@redis/0")
    staging = _environment("aiia_staging", SECRET_KEY=SEALED, REDIS_URL=f"redis://:{SEAL}@redis/0")
    fleet = Fleet((prod, staging, _environment("aiia_qa", SECRET_KEY="q")))
    assert list(shared_signing_key(fleet)) == []
    assert _keys(prod) == set()
    (told,) = open_checks(fleet)
    assert told.startswith("aiia_prod and aiia_staging: SECRET_KEY and REDIS_URL are sealed here")


def test_a_locked_vault_file_is_told() -> None:
    """A whole file that is locked is one open check."""
    fleet = Fleet((Environment(prefix="aiia_prod", variables={"bulkhead_secrets": SEALED}),))
    assert "bulkhead_secrets is sealed here" in open_checks(fleet)[0]
