# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is made of the client's words where it got no certificate, and until when its authority is left alone."""

from __future__ import annotations

import json
from email.utils import formatdate

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.certificates.pem import CertificateError
from ansible_collections.aiia.bulkhead.plugins.module_utils.certificates.refusal import (
    Attempt,
    RateLimitError,
    refusal,
)

SETTINGS = {
    "authority": "https://ca.example.com/dir",
    "email": "ops@example.com",
    "state_directory": "/srv/state",
    "prefix": "aiia_prod",
}
NOW = 1_790_000_040.0  # a whole minute
HOUR = 3600.0


def attempt(said: str = "", log: str = "", late: bool = False, theirs: float | None = None) -> CertificateError:
    return refusal(Attempt(said, log, late, NOW, theirs), SETTINGS)


def answer(status: int, detail: str = "Service busy; retry later.", kind: str = "rateLimited", **headers: str) -> str:
    """A response in the client's log."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\n" for name, value in {"Server": "nginx", **headers}.items())
    problem = json.dumps({"type": f"urn:ietf:params:acme:error:{kind}", "detail": detail, "status": status})
    return f"2026-11-30 08:16:37,720:DEBUG:acme.client:Received response:\nHTTP {status}\n{lines}\n{problem}\n2026-"


@pytest.mark.parametrize(
    ("said", "explained"),
    [
        (
            "An unexpected error occurred:\ntoo many certificates (5) already issued for this exact set of domains in "
            "the last 168h0m0s: a.example.com, retry after 2026-12-01 10:00:00 UTC",
            "issues no more certificates for now (rate limit): too many certificates (5) already issued for this exact "
            "set of domains in the last 168h0m0s: a.example.com, retry after 2026-12-01 10:00:00 UTC. It is not "
            "asked again before 2026-09-21 15:14 UTC",
        ),
        ("urn:ietf:params:acme:error:rateLimited :: There were too many requests", "(rate limit): urn:ietf"),
        (
            "requests.exceptions.SSLError: HTTPSConnectionPool: Max retries exceeded (Caused by SSLError("
            "SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate is not yet valid')))",
            "itself is not valid, but this machine's clock says 2026-09-21 14:14 UTC: set the clock if that is wrong",
        ),
        (
            "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate",
            "itself is not trusted: name its CA in bulkhead_acme_ca_bundle",
        ),
        (
            "HTTPSConnectionPool(host='ca.example.com', port=443): Max retries exceeded with url: /dir (Caused by "
            "NewConnectionError: Connection refused)",
            "does not answer: check bulkhead_acme_directory",
        ),
        ("Temporary failure in name resolution", "does not answer: check bulkhead_acme_directory"),
        ("The ACME server believes ops@x is an invalid email address", "does not accept ops@example.com as a contact"),
        ("Account https://ca.example.com/my-account/7 not found.", "Remove /srv/state/certificates/aiia_prod/client/"),
        (
            "Certbot failed to authenticate some domains (authenticator: webroot). The Certificate Authority reported "
            "these problems:\n  Domain: a.example.com\n  Type:   connection\n  Detail: 1.2.3.4: Connection refused\n\n"
            "  Domain: b.example.com\n  Type:   unauthorized\n  Detail: Invalid response: 404\n\nHint: …",
            "did not get it: a.example.com: 1.2.3.4: Connection refused; b.example.com: Invalid response: 404. It asks",
        ),
        ("Segmentation fault", "the client got no certificate from https://ca.example.com/dir"),
    ],
)
def test_why_there_is_none(said: str, explained: str) -> None:
    assert explained in attempt(said).message


def test_a_client_that_took_too_long() -> None:
    assert "does not answer" in attempt(late=True).message


@pytest.mark.parametrize(
    ("theirs", "said"),
    [
        (NOW - 400 * 24 * HOUR, "400 days ahead of the authority's: set the clock"),
        (NOW + 3 * HOUR, "3 hours behind the authority's: set the clock"),
        (NOW + 80 * 60, "80 minutes behind the authority's: set the clock"),
        (NOW + 30, "and the authority's says the same. If the clock is right, whoever runs the authority has to renew"),
    ],
)
def test_how_far_the_clock_is_off(theirs: float, said: str) -> None:
    assert said in attempt("certificate verify failed: certificate has expired", theirs=theirs).message


@pytest.mark.parametrize(
    ("log", "seconds"),
    [
        (answer(429, Retry_After="7200"), 7200),
        (answer(429, Retry_After="7201"), 7260),
        (answer(429, kind="malformed", retry_after=formatdate(NOW + 600, usegmt=True)), 600),
        (answer(503, Retry_After="120"), 120),
        (answer(429, Retry_After="60") + answer(429, Retry_After="300"), 300),
        (answer(429), HOUR),
        (answer(429, Retry_After="soon"), HOUR),
        (answer(429, Retry_After="-5"), HOUR),
        (answer(429, Retry_After=formatdate(NOW - 600, usegmt=True)), 0),
        (answer(429, Retry_After="9" * 400), 7 * 24 * HOUR),
    ],
)
def test_until_when_an_authority_is_not_asked(log: str, seconds: float) -> None:
    found = attempt("An unexpected error occurred:\nService busy; retry later.", log)
    assert isinstance(found, RateLimitError) and found.until == NOW + seconds
    assert "(rate limit): Service busy; retry later. It is not asked again before 2026-09-2" in found.message


@pytest.mark.parametrize(
    ("said", "log"),
    [
        ("Internal error", answer(500, kind="serverInternal", Retry_After="60")),
        ("Gateway", "Received response:\nHTTP 503\nRetry-After: 60\n\n<html>maintenance</html>"),
        ("", "Received response:\nHTTP 200\nRetry-After: 3\n\n{}"),
        (
            "Domain: a.example.com\n  Type:   unauthorized\n  Detail: Invalid response: 429 Too Many Requests\n",
            "",
        ),
    ],
    ids=["its own error", "maintenance", "an order that is not ready", "the domain's own web server"],
)
def test_what_is_no_rate_limit(said: str, log: str) -> None:
    assert not isinstance(attempt(said, log), RateLimitError)


def test_an_authority_s_words_do_nothing_to_a_terminal() -> None:
    found = attempt("", answer(429, "\x1b[2J\x1b]0;owned\x07wait"))
    assert "wait" in found.message and found.message.isprintable()
    found = attempt("Domain: a.example.com\n  Type:   dns\n  Detail: \x1b[2Jno\n")
    assert "a.example.com: [2Jno" in found.message and found.message.isprintable()
