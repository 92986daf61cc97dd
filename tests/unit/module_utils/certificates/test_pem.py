# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a certificate says, and when a web server should not serve with it."""

from __future__ import annotations

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.certificates.pem import (
    CertificateError,
    combined,
    fits,
    problems,
    read,
)
from unit.module_utils.certificates.issuer import DAY, NOW, Issuer

ISSUER = Issuer()
TEXT = ISSUER.text("a.example.com", "*.b.example.com")


def test_what_it_says() -> None:
    found = read(TEXT)
    assert found.names == ("a.example.com", "*.b.example.com") and not found.self_signed
    assert abs(found.ends - found.begins - 90 * DAY) <= 1


@pytest.mark.parametrize(
    ("domain", "covered"),
    [
        ("a.example.com", True),
        ("A.Example.com", True),
        ("x.b.example.com", True),
        ("b.example.com", False),
        ("y.x.b.example.com", False),
        ("c.example.com", False),
    ],
)
def test_which_domains_it_covers(domain: str, covered: bool) -> None:
    assert read(TEXT).covers(domain) is covered


def test_it_is_due_after_two_thirds_of_its_life() -> None:
    found = read(TEXT)
    assert not found.is_due(found.begins + 59.9 * DAY) and found.is_due(found.begins + 60.1 * DAY)
    short = read(ISSUER.text("a.example.com", begins=NOW, ends=NOW + 6 * DAY))
    assert not short.is_due(NOW + 3.9 * DAY) and short.is_due(NOW + 4.1 * DAY)


def test_a_good_one_has_no_problem() -> None:
    assert problems(TEXT, ["a.example.com", "x.b.example.com"], NOW) == []


def test_a_key_of_another_certificate() -> None:
    key, _chain = ISSUER.issue("a.example.com")
    _key, chain = ISSUER.issue("a.example.com")
    assert problems(key + chain, ["a.example.com"], NOW) == ["its key belongs to another certificate"]
    assert not fits(chain, key)


def test_a_chain_of_another_authority() -> None:
    key, chain = ISSUER.issue("a.example.com")
    leaf = chain[: -len(ISSUER.certificate)]
    other = Issuer("another authority").certificate
    assert problems(key + leaf + other, ["a.example.com"], NOW) == [
        "its chain is broken: no certificate in it vouches for the first one"
    ]
    assert problems(key + leaf, ["a.example.com"], NOW) == [], "a root that is not sent need not be"


def test_names_that_it_lacks() -> None:
    assert problems(TEXT, ["a.example.com", "c.example.com", "d.example.com"], NOW) == [
        "it is not for c.example.com, d.example.com"
    ]


@pytest.mark.parametrize("days", [-30, 400])
def test_a_wrong_clock(days: int) -> None:
    (said,) = problems(TEXT, ["a.example.com"], NOW + days * DAY)
    assert said.startswith("it is valid from ") and "this machine's clock says" in said and "set the clock" in said


@pytest.mark.parametrize(
    "text",
    [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"],
)
def test_what_is_none(text: bytes) -> None:
    with pytest.raises(CertificateError):
        read(text)


def test_a_key_and_a_chain_as_one_text() -> None:
    key, chain = ISSUER.issue("a.example.com")
    text = combined(b"comment\n" + key, b"comment\n" + chain)
    assert b"comment" not in text and problems(text, ["a.example.com"], NOW) == []
    for wrong in ((b"", chain), (key, b""), (key + key, chain)):
        with pytest.raises(CertificateError, match="left no certificate with its key"):
            combined(*wrong)
