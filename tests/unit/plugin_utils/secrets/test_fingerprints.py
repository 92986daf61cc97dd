# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fingerprints are slow, salted and of strong values only; what is weak is said by name."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

import pytest
import yaml
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Severity
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.readers.fingerprints import recorded
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.secrets.audit import weaknesses
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.secrets.fingerprints import (
    STRONG,
    bits,
    digest,
    fingerprints,
    is_salt,
    new_salt,
    record,
    written,
)

SALT = "00112233445566778899aabbccddeeff"
STRONGER = "Zx9-k3mQ_7vB2nL5tR8wY1cF4gH6jD0s"


def test_the_digest_is_that_of_scrypt() -> None:
    """A change of salt, cost or length would make every committed fingerprint stale."""
    assert digest(STRONGER, SALT) == "84d3e953da07859da32aa110c33ed1a5"
    assert digest(STRONGER, new_salt()) != digest(STRONGER, SALT) != digest(STRONGER + "x", SALT)


@pytest.mark.parametrize(
    "value",
    ["changeme", "hunter2hunter2", "a secret key of production", "a" * 60, "1234567890" * 5,
     "abcdefghijklmnopqrstuvwxyz" * 2,
     "correct horse battery staple", "20251224", "4111111111111111", "abcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabc",
     ""],
)  # fmt: skip
def test_what_can_be_guessed_has_none(value: str) -> None:
    assert bits(value) < STRONG
    assert fingerprints({"A": value}, SALT) == {}


def test_what_nobody_guesses_has_one() -> None:
    for _round in range(200):
        for value in (secrets.token_hex(16), secrets.token_urlsafe(24), secrets.token_hex(32)):
            assert bits(value) >= STRONG, value


def test_each_is_that_of_its_value() -> None:
    """Each keeps its name and its place."""
    values = {f"NAME_{number}": secrets.token_urlsafe(24) for number in range(9)}
    found = fingerprints(values, SALT)
    assert [*found.items()] == [(name, digest(value, SALT)) for name, value in values.items()]


def test_public_keys_and_addresses_have_none() -> None:
    values = {"JWT_PUBLIC_KEY": STRONGER, "SENTRY_DSN": f"https://{STRONGER}@sentry.example.com/1", "TOKEN": STRONGER}
    assert list(fingerprints(values, SALT)) == ["TOKEN"]


def test_the_file_is_a_variable_that_ansible_loads() -> None:
    made = fingerprints({"B": STRONGER, "A": STRONGER[::-1]}, SALT)
    text = written(made, SALT)
    assert yaml.safe_load(text) == {"bulkhead_fingerprints": record(made, SALT)}
    assert text.startswith("#") and STRONGER not in text and is_salt(SALT)
    assert yaml.safe_load(written({}, SALT))["bulkhead_fingerprints"]["secrets"] == {}
    assert list(recorded(record(made, SALT))) == ["A", "B"]


@pytest.mark.parametrize("shape", [None, "text", [], {}, {"secrets": []}, {"secrets": {"A": 5}}])
def test_a_record_of_another_shape_records_nothing(shape: object) -> None:
    assert recorded(shape) == {}


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({"A": STRONGER}, []),
        ({"A": "changeme"}, ["placeholder-secret"]),
        ({"A": "CHANGE-ME"}, ["placeholder-secret"]),
        ({"A": "django-insecure-abc123"}, ["placeholder-secret"]),
        ({"A": "<your-key-here>"}, ["placeholder-secret"]),
        ({"A": "..."}, ["weak-secret"]),
        ({"A": "x" * 1000}, ["weak-secret"]),
        ({"A": "hunter22"}, ["weak-secret"]),
        ({"SMTP_USER": "mailer"}, []),
        ({"A": STRONGER, "B": STRONGER}, ["reused-secret"]),
        ({"A": ""}, []),
        ({"STRIPE": "sk_test_4eC39HqLyjWDarjtT1zdp7dcXk29"}, ["test-key"]),
    ],
)
def test_weaknesses(values: Mapping[str, str], found: list[str]) -> None:
    weak = list(weaknesses(values, (), protected=True))
    assert [each.rule for each in weak] == found
    for each in weak:
        assert each.name in values and not any(value and value in each.message + each.fix for value in values.values())


def test_what_the_environment_is_called_is_no_secret() -> None:
    """As in many a guide: user, database and password have one name. Elsewhere than in a password it is right."""
    values = {"DB_PASSWORD": "aiia", "SENTRY_ENVIRONMENT": "aiia", "DB_USER": "aiia", "REDIS_PASSWORD": "aiia_x"}
    found = [(each.rule, each.name) for each in weaknesses(values, names=["aiia", "aiia_staging"])]
    assert [name for rule, name in found if rule == "placeholder-secret"] == ["DB_PASSWORD"]


def test_placeholders_stop_a_deployment_and_weak_ones_are_advice() -> None:
    levels = {each.rule: each.severity for each in weaknesses({"A": "changeme", "B": "short", "C": STRONGER}, ["C"])}
    assert levels == {
        "placeholder-secret": Severity.HIGH,
        "weak-secret": Severity.LOW,
        "plain-secret": Severity.LOW,
    }


def test_a_test_key_is_right_where_no_money_is_real() -> None:
    assert list(weaknesses({"STRIPE": "sk_test_4eC39HqLyjWDarjtT1zdp7dcXk29"})) == []
