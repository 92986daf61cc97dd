# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates that end soon, while there is time to do something about it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..model import Environment, Finding, Severity, Where

#: The rules of the findings here. A verification shows them whatever their severity.
CERTIFICATE_RULES = ("certificate-expiring", "placeholder-certificate", "renewal-failed")

_DAY = 86400
#: The rest of its life, and of days, with which a certificate is reported, and with which that stops a run. Bulkhead
#: itself renews at a third.
_SOON, _SOON_DAYS = 1 / 4, 21
_NOW, _NOW_DAYS = 1 / 12, 3


def certificate_findings(environment: Environment, answer: Mapping[str, Any]) -> Iterator[Finding]:
    """What is to be said of the certificates with which the environment's own domains answered."""
    issued = environment.variables.get("bulkhead_acme") is True
    fix = (
        "see why its renewal fails, and run ansible-playbook aiia.bulkhead.certificates -l <environment>"
        if issued
        else "put a newer certificate in place and deploy, or let an authority issue it (bulkhead_acme)"
    )
    last = answer.get("renewal") or {}
    failed = issued and last.get("succeeded") is False
    said = str(last.get("message", "")).partition("\n")[0]
    met, lacking = set(), False
    for request in answer["answers"]:
        found = request.get("certificate")
        domain = request["host"]
        if request["kind"] != "own" or not found or domain in met:
            continue
        met.add(domain)
        left, life = float(found["left"]), float(found["life"])
        missing = [own for own in environment.domains if not _covers(found["names"], own)]
        if issued and (found["self_signed"] or missing):
            lacking = True
            what = "that no browser accepts" if found["self_signed"] else f"that is not for {', '.join(missing)}"
            message = (
                f"{domain} of {environment.prefix} answers with a certificate {what}{f': {said}' if failed else ''}"
            )
            yield _finding(environment, "placeholder-certificate", Severity.HIGH, domain, message, fix)
        elif left < min(life * _SOON, _SOON_DAYS * _DAY):
            urgent = Severity.MEDIUM if left < min(life * _NOW, _NOW_DAYS * _DAY) else Severity.LOW
            severity = Severity.HIGH if left <= 0 else urgent
            when = "ended on" if left <= 0 else f"ends in {_span(left)}, on"
            message = f"the certificate of {domain} of {environment.prefix} {when} {found['ends']}"
            yield _finding(environment, "certificate-expiring", severity, domain, message, fix)
    if failed and not lacking:
        message = f"the last renewal of the certificate of {environment.prefix} ({last.get('began')}) failed: {said}"
        yield _finding(environment, "renewal-failed", Severity.LOW, "bulkhead_acme", message, fix)


def _covers(names: Iterable[str], domain: str) -> bool:
    return bool({domain.lower(), f"*.{domain.lower().partition('.')[2]}"} & {*names})


def _span(seconds: float) -> str:
    days = int(seconds // _DAY)
    return f"{days} days" if days > 1 else f"{max(1, int(seconds // 3600))} h"


def _finding(environment: Environment, rule: str, severity: Severity, resource: str, message: str, fix: str) -> Finding:
    where = (Where(item="seen on the machine"),)
    return Finding(rule, severity, (environment.prefix,), resource, message, fix, where, environment.machine, ())
