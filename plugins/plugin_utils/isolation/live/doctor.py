# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The doctor: what is wrong with an environment, the likeliest cause first, from what was seen of its machine.

A check is a function from a :class:`Look` to results. The order of :data:`CHECKS` is that of causes: a full disk stops
the database, which stops the application, which leaves the domain unanswered. A check that crashes is its own result.
What other gates judge already is not judged again: their findings come under the check that :data:`_FINDINGS` names.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from ..model import Environment, Finding, Severity
from . import doctor_checks as checks
from .certificates import certificate_findings
from .look import FAULT, HINT, UNKNOWN, Check, Look, Result, Said
from .preflight import preflight
from .probes import Probes, judge_probes


def _of_findings(*names: str) -> Check:
    """A check that says what other gates found under these rules."""

    def check(look: Look) -> Iterator[Said]:
        for finding in look.findings:
            if finding.rule in names:
                kind = FAULT if finding.severity >= Severity.MEDIUM or finding.rule in _FAULTS else HINT
                yield kind, finding.message, _FINDINGS[finding.rule][1], finding.fix

    return check


#: Rules of other gates: the check under which they come, and why they matter.
_FINDINGS = {
    "disk-full": ("disk", "a full disk stops the databases of every environment"),
    "disk-filling": ("disk", "a full disk stops the databases of every environment"),
    "overcommitted-machine": ("memory limits", "the kernel kills the largest process when all use their limit"),
    "unlimited-swap": ("memory limits", "one environment's swapping slows every other"),
    "kernel-limit": ("kernel limits", "every environment fails when they run out"),
    "foreign-name": ("container conflicts", "two projects fight for one name"),
    "taken-port": ("container conflicts", "two programs cannot have one port"),
    "foreign-project": ("container conflicts", "two directories fight for one project"),
    "zombie-project": ("container conflicts", "two projects run one directory's services"),
    "unknown-service": ("container conflicts", "what nobody deployed nobody updates"),
    "out-of-memory": ("out of memory", "the application loses the request or the task that it was at"),
    "memory-full": ("Redis memory", "writes are refused, or keys vanish early"),
    "not-saved": ("Redis memory", "what it holds is lost when it stops"),
    "own-domain-elsewhere": ("domain routing", "visitors reach something else"),
    "own-domain-unanswered": ("domain routing", "visitors reach nothing"),
    "absent-front-door": ("domain routing", "no domain behind it is answered"),
    "redirect-leaves-ports": ("domain routing", "visitors are led to another environment"),
    "in-maintenance": ("domain routing", "every request gets the maintenance page"),
    "certificate-expiring": ("certificate", "browsers refuse an expired certificate"),
    "placeholder-certificate": ("certificate", "browsers refuse it"),
    "renewal-failed": ("certificate", "it is not renewed before it ends"),
    "static-missing": ("static and media", "pages come without their styles and scripts"),
    "uploads-in-container": ("static and media", "uploads are lost with the next release"),
    "collation-changed": ("database content", "indexes on texts may miss rows"),
    "setting-waits": ("database content", "the setting is not in force"),
    "missing-age": ("backup encryption", "no backup leaves the machine"),
}
#: Rules of low severity there that are faults for somebody who looks for one.
_FAULTS = ("out-of-memory", "memory-full", "not-saved", "static-missing", "renewal-failed")


def _named(check: str) -> Check:
    return _of_findings(*(rule for rule, (name, _why) in _FINDINGS.items() if name == check))


#: The checks in the order of causes.
CHECKS: tuple[tuple[str, Check], ...] = (
    ("clock", checks.clock),
    ("engine and Compose", checks.versions),
    ("disk", _named("disk")),
    ("memory and swap", checks.memory),
    ("memory limits", _named("memory limits")),
    ("kernel limits", _named("kernel limits")),
    ("container conflicts", _named("container conflicts")),
    ("leftovers", checks.leftovers),
    ("database connection", checks.database),
    ("Redis", checks.redis),
    ("Redis memory", _named("Redis memory")),
    ("out of memory", _named("out of memory")),
    ("queue workers", checks.workers),
    ("web server", checks.web_server),
    ("restarts", checks.restarting),
    ("health", checks.health),
    ("certificate", _named("certificate")),
    ("DNS", checks.names),
    ("domain routing", _named("domain routing")),
    ("static and media", _named("static and media")),
    ("database content", _named("database content")),
    ("backup encryption", _named("backup encryption")),
    ("backups", checks.backups),
    ("timers", checks.timers),
    ("drift", checks.drifted),
)


def diagnose(look: Look) -> list[Result]:
    """All results on one environment: faults first, then hints, then what could not be checked, each by cause."""
    found: list[Result] = []
    findings: list[Finding] = []
    for name, judge in _JUDGES:
        try:
            findings += judge(look)
        except Exception as error:
            found.append(_crashed(name, look, error))
    look = replace(look, findings=findings)
    for name, check in CHECKS:
        try:
            found += [
                Result(name, kind, look.prefix, *(_anonymous(text, look.environment) for text in texts))
                for kind, *texts in check(look)
            ]
        except Exception as error:
            found.append(_crashed(name, look, error))
    found += [
        Result(name, UNKNOWN, look.prefix, _anonymous(why, look.environment), "this look failed", _VERIFY)
        for name, why in sorted((look.examined.get("failed") or {}).items())
    ]
    order = (FAULT, HINT, UNKNOWN)
    return sorted(dict.fromkeys(found), key=lambda result: order.index(result.kind))


_VERIFY = "ansible-playbook aiia.bulkhead.verify -l <environment>"


def _crashed(name: str, look: Look, error: Exception) -> Result:
    why = "this is a fault of the check, which says nothing about the environment"
    return Result(name, UNKNOWN, look.prefix, f"the check ended with {type(error).__name__}", why, _VERIFY)


def _probed(look: Look) -> list[Finding]:
    answer = {
        "observation": look.observation,
        "inside": [],
        "answers": look.own.get("answers") or [],
        "replies": look.own.get("replies") or [],
        "renewal": {},
    }
    services = look.entry.get("services") or {}
    probed = judge_probes(look.environment, (), Probes(), answer, services)
    return [*probed, *certificate_findings(look.environment, answer)]


#: What other gates judge. Nothing of it is judged here once more.
_JUDGES: tuple[tuple[str, Callable[[Look], Iterable[Finding]]], ...] = (
    ("machine", lambda look: preflight(look.environment, look.known, look.observation)),
    ("probes", _probed),
)


def _anonymous(text: str, environment: Environment) -> str:
    """A text without what says whose it is: domains, addresses, and users' names."""
    for domain in sorted(environment.domains, key=len, reverse=True):
        text = text.replace(domain, "<domain>")
    text = re.sub(r"\b[\w.+-]+@[\w.-]+", "<user>", text)
    text = re.sub(r"/home/[^/\s]+", "/home/<user>", text)
    return re.sub(r"\b(?!127\.)(?:\d{1,3}\.){3}\d{1,3}\b", "<address>", text)


#: Results of one check on one environment that the screen shows.
_SHOWN = 3


def as_text(found: Mapping[str, Sequence[Result]], lost: Mapping[str, str]) -> str:
    """For people: faults and hints apart, each with what was seen, why it matters, and what to type."""
    lines: list[str] = []
    everything = [result for results in found.values() for result in results]
    for kind, title in ((FAULT, "faults, the likeliest cause first"), (HINT, "hints"), (UNKNOWN, "not checked")):
        told = [result for result in everything if result.kind == kind]
        lines += [f"{title}:"] if told else []
        count: Counter[tuple[str, str]] = Counter()
        for each in told:
            count[each.environment, each.check] += 1
            if count[each.environment, each.check] > _SHOWN:
                continue
            lines += [f"  {each.environment}: {each.check}: {each.saw}", f"      why   {each.why}"]
            lines += [f"      next  {each.next}"]
        lines += [
            f"  {prefix}: {check}: {number - _SHOWN} more of the kind (bulkhead_format=json has all)"
            for (prefix, check), number in count.items()
            if number > _SHOWN
        ]
    lines += [f"{prefix}: unreachable: {why}" for prefix, why in lost.items()]
    return "\n".join([*lines, closing(found, lost)])


def closing(found: Mapping[str, Sequence[Result]], lost: Mapping[str, str]) -> str:
    """One sentence about all of it."""
    faults = [result for results in found.values() for result in results if result.kind == FAULT]
    away = f" {len(lost)} could not be reached." if lost else ""
    if not faults:
        return f"{len(found)} examined with {len(CHECKS)} checks: no fault was found.{away}"
    first = faults[0]
    return f"{len(faults)} fault{'s' * (len(faults) > 1)}: begin with {first.check} of {first.environment}.{away}"


def as_dict(found: Mapping[str, Sequence[Result]], lost: Mapping[str, str]) -> dict[str, Any]:
    """For programs."""
    results = [asdict(result) for results in found.values() for result in results]
    return {"results": results, "unreachable": dict(lost), "summary": closing(found, lost)}
