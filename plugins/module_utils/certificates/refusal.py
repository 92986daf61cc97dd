# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why the client got no certificate, and what to do about it. Runs on the targets."""

from __future__ import annotations

import json
import re
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from ..core.words import printable
from .pem import CertificateError, clocks, moment
from .store import Store

#: Seconds for which an authority is not asked again that did not say for how long, and the longest that is believed:
#: no authority has a longer limit, and a wrong word must not end a certificate.
_UNSAID, _LONGEST = 3600, 7 * 86400

_UNREACHABLE = re.compile(
    r"NewConnectionError|Max retries exceeded|ConnectTimeout|ReadTimeout|Connection refused|Connection reset"
    r"|Name or service not known|Temporary failure in name resolution|Failed to resolve|RemoteDisconnected"
)
_UNTRUSTED = re.compile(r"CERTIFICATE_VERIFY_FAILED|certificate verify failed", re.IGNORECASE)
_OUT_OF_DATE = re.compile(r"certificate (?:is not yet valid|has expired)", re.IGNORECASE)
_LIMITED = re.compile(r"rateLimited|too many|rate limit", re.IGNORECASE)
_CONTACT = re.compile(r"invalidContact|unsupportedContact|invalid email|contact (?:email|domain)", re.IGNORECASE)
_FORGOTTEN = re.compile(r"accountDoesNotExist|Account \S+ not found|[Nn]o such account")
_FAILED = re.compile(r"^\s*Domain:\s*(\S+)\s*^\s*Type:\s*(\S+)\s*^\s*Detail:\s*(.+)$", re.MULTILINE)

#: An error in the client's log: the status of the response, its headers, and its problem document.
_ERROR = re.compile(r"Received response:\nHTTP ([45]\d\d)\n((?:[\w-]+: .*\n)*)\n?(\{[^}]*\})?")
_RETRY_AFTER = re.compile(r"^Retry-After: *(.+?) *$", re.IGNORECASE | re.MULTILINE)


class RateLimitError(CertificateError):
    """The authority issues no more certificates for now, and is not to be asked again ``until`` then."""

    def __init__(self, message: str, until: float, detail: str = "") -> None:
        super().__init__(message, detail)
        self.until = until


class Attempt(NamedTuple):
    """How the client's attempt to get a certificate ended."""

    #: What it printed, and what it wrote into its log.
    said: str
    log: str
    #: Whether it had to be stopped.
    late: bool
    #: When that was, and what the authority's clock said then, if that is known.
    now: float
    their_clock: float | None = None


def is_out_of_date(said: str) -> bool:
    """Whether the client found the authority's own certificate not valid yet, or no longer."""
    return bool(_OUT_OF_DATE.search(said))


def refusal(attempt: Attempt, settings: dict[str, Any], detail: str = "") -> CertificateError:
    """The error for an attempt that brought no certificate; ``detail`` are the client's last lines."""
    limit = _limit(attempt, settings["authority"])
    if limit:
        return RateLimitError(*limit, detail)
    return CertificateError(_why(attempt, settings), detail)


def _why(attempt: Attempt, settings: dict[str, Any]) -> str:
    """Why there is no certificate, in words."""
    said, authority = printable(attempt.said), settings["authority"]
    if is_out_of_date(said):
        return (
            "the certificate of the authority %s itself is not valid, but %s. If the clock is right, whoever runs the "
            "authority has to renew its certificate" % (authority, clocks(attempt.now, attempt.their_clock))
        )
    if _UNTRUSTED.search(said):
        return "the certificate of the authority %s itself is not trusted: name its CA in bulkhead_acme_ca_bundle" % (
            authority
        )
    if _CONTACT.search(said):
        return "the authority %s does not accept %s as a contact: set bulkhead_acme_email to an address of yours" % (
            authority,
            settings["email"],
        )
    if _FORGOTTEN.search(said):
        return (
            "the authority %s does not know the account of this environment any more. Remove %s on the machine: the "
            "next attempt opens another one"
            % (authority, Store(settings["prefix"], settings["state_directory"]).accounts)
        )
    failed = ["%s: %s" % (domain, detail.strip()) for domain, _type, detail in _FAILED.findall(said)]
    if failed:
        return (
            "the authority %s asked for a proof and did not get it: %s. It asks http://<domain>/.well-known/ on port "
            "80: find out what answers there" % (authority, "; ".join(failed))
        )
    if attempt.late or _UNREACHABLE.search(said):
        return (
            "the authority %s does not answer: check bulkhead_acme_directory, and whether containers of this "
            "environment reach it (bulkhead_firewall_allow, where it is on this machine)" % authority
        )
    return "the client got no certificate from %s" % authority


def _limit(attempt: Attempt, authority: str) -> tuple[str, float] | None:
    """The rate limit that an attempt met, in words, and until when it lasts. The client's log has the answer; what it
    printed may not say so."""
    said = printable(attempt.said)
    failed = _FAILED.findall(said)
    if failed and not any("rateLimited" in kind for _domain, kind, _detail in failed):
        return None  # a domain's own web server may say "Too Many Requests"
    answers = [found for found in _ERROR.findall(attempt.log) if found[0] == "429" or "error:rateLimited" in found[2]]
    line = next((line.strip() for line in said.splitlines() if _LIMITED.search(line)), "")
    if not answers and not line:
        return None
    _status, headers, problem = answers[-1] if answers else ("", "", "")
    until = _whole_minute(attempt.now + min(max(_patience(headers, attempt.now), 0), _LONGEST))
    return (
        "the authority %s issues no more certificates for now (rate limit): %s. It is not asked again before %s"
        % (authority, (_detail(problem) or line or "it does not say why").rstrip("."), moment(until)),
        until,
    )


def _patience(headers: str, now: float) -> float:
    """The seconds that ``Retry-After`` asks for: a number of them, or a date (RFC 9110, 10.2.3)."""
    found = _RETRY_AFTER.search(headers)
    value = found[1] if found else ""
    try:
        return int(value) if value.isdigit() else parsedate_to_datetime(value).timestamp() - now
    except (TypeError, ValueError, OverflowError):
        return _UNSAID


def _detail(text: str) -> str:
    """What a problem document (RFC 8555, 6.7) says; empty where the text is none."""
    try:
        problem = json.loads(text)
    except ValueError:
        return ""
    return printable(str(problem.get("detail", ""))).strip() if isinstance(problem, dict) else ""


def _whole_minute(seconds: float) -> float:
    """The end of a minute, so that a time without seconds is not too early."""
    return -(-seconds // 60) * 60
