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
from typing import Any, NamedTuple

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
                told = _FINDINGS[finding.rule]
                yield kind, finding.message, told.why, told.next(finding.fix)

    return check


#: What shows more, for findings whose advice names no command.
_DISKS = "df -h; df -i"
_USED = "docker stats --no-stream"
_NAMED = "docker ps --all --format '{{.Names}} {{.Labels}}'"
_LISTENING = "ss -ltnp"
_CERTIFICATES = "ansible-playbook aiia.bulkhead.certificates -l <environment>"
_VERIFY = "ansible-playbook aiia.bulkhead.verify -l <environment>"
_NGINX = "ansible-playbook aiia.bulkhead.logs -l <environment> -e bulkhead_service=nginx"
_LIMITS = "sysctl net.netfilter.nf_conntrack_count fs.file-nr"
_HERE = ""  # the finding's own advice has it


class _Told(NamedTuple):
    """A finding of another gate as the doctor tells it: under which check, why it matters, and what to type."""

    check: str
    why: str
    command: str

    def next(self, fix: str) -> str:
        """The command, and then how the finding is mended."""
        return f"{self.command}; {fix[:1].lower()}{fix[1:].rstrip('.')}" if self.command else fix


_FINDINGS = {
    "disk-full": _Told("disk", "a full disk stops the databases of every environment", _DISKS),
    "disk-filling": _Told("disk", "a full disk stops the databases of every environment", _DISKS),
    "overcommitted-machine": _Told(
        "memory limits", "the kernel kills the largest process when all use their limit", _USED
    ),
    "unlimited-swap": _Told("memory limits", "one environment's swapping slows every other", "swapon --show"),
    "kernel-limit": _Told("kernel limits", "every environment fails when they run out", _LIMITS),
    "foreign-name": _Told("container conflicts", "two projects fight for one name", _NAMED),
    "taken-port": _Told("container conflicts", "two programs cannot have one port", _LISTENING),
    "foreign-project": _Told("container conflicts", "two directories fight for one project", _NAMED),
    "zombie-project": _Told("container conflicts", "two projects run one directory's services", _NAMED),
    "unknown-service": _Told("container conflicts", "what nobody deployed nobody updates", _NAMED),
    "out-of-memory": _Told("out of memory", "the application loses the request or the task that it was at", _USED),
    "memory-full": _Told("Redis memory", "writes are refused, or keys vanish early", _USED),
    "not-saved": _Told("Redis memory", "what it holds is lost when it stops", _DISKS),
    "own-domain-elsewhere": _Told("domain routing", "visitors reach something else", _LISTENING),
    "own-domain-unanswered": _Told("domain routing", "visitors reach nothing", _NGINX),
    "absent-front-door": _Told("domain routing", "no domain behind it is answered", _HERE),
    "redirect-leaves-ports": _Told("domain routing", "visitors are led to another environment", _NGINX),
    "in-maintenance": _Told("domain routing", "every request gets the maintenance page", _HERE),
    "certificate-expiring": _Told("certificate", "browsers refuse an expired certificate", _VERIFY),
    "placeholder-certificate": _Told("certificate", "browsers refuse it", _VERIFY),
    "renewal-failed": _Told("certificate", "it is not renewed before it ends", _CERTIFICATES),
    "static-missing": _Told("static and media", "pages come without their styles and scripts", _NGINX),
    "uploads-in-container": _Told("static and media", "uploads are lost with the next release", _VERIFY),
    "collation-changed": _Told("database content", "indexes on texts may miss rows", _VERIFY),
    "setting-waits": _Told("database content", "the setting is not in force", _HERE),
    "missing-age": _Told("backup encryption", "no backup leaves the machine", _HERE),
}
#: Rules of low severity there that are faults for somebody who looks for one.
_FAULTS = ("out-of-memory", "memory-full", "not-saved", "static-missing", "renewal-failed")


def _named(check: str) -> Check:
    return _of_findings(*(rule for rule, told in _FINDINGS.items() if told.check == check))


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
