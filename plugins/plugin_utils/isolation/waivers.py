# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Waivers: findings that are accepted on purpose, from ``bulkhead_waivers`` of each environment.

A waiver names the rule and resource of a finding, the reason, and the last day on which it is valid. Every environment
that a finding names must accept it, since the finding affects each of them; ``group_vars/all`` accepts for all.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import chain
from typing import Any

from .live_rules import LIVE_RULES
from .model import Environment, Finding, Fleet, Severity, Where
from .wording import in_words, listing, number

VARIABLE = "bulkhead_waivers"

#: The rules of this file. They cannot be waived.
EXPIRED, UNUSED, MALFORMED, INCOMPLETE = "expired-waiver", "unused-waiver", "malformed-waiver", "incomplete-waiver"
SUMMARIES = {
    EXPIRED: "A waiver has expired.",
    UNUSED: "A waiver matches no finding.",
    MALFORMED: "A waiver is not valid.",
    INCOMPLETE: "A finding is accepted by only some of the environments that it names.",
}

_KEYS = ("rule", "resource", "reason", "until")


@dataclass(frozen=True, slots=True)
class Waiver:
    """One accepted finding of one environment."""

    environment: str
    rule: str
    resource: str
    reason: str
    until: date
    where: Where


def apply(
    fleet: Fleet,
    findings: Iterable[Finding],
    today: date,
    given: Mapping[str, Sequence[tuple[Any, Where]]] | None = None,
    live: bool = False,
    *,
    known: Collection[str],
) -> list[Finding]:
    """Mark the accepted findings as waived, and add a finding for each waiver that is wrong.

    ``given`` are lists of waivers by prefix, with their places, where they do not come from the variables. ``live``
    says that the findings are those of a machine: a waiver is missed there only if its rule is one that only a machine
    can break, and on paper only if it is not. ``known`` are the ids of the rules on paper, from which
    one is proposed for a name that is misspelt.
    """
    waivers: list[Waiver] = []
    result: list[Finding] = []
    for environment in fleet.environments:
        own = [(environment.variables.get(VARIABLE), environment.origin(VARIABLE))]
        lists = own if given is None else given.get(environment.prefix, ())
        for item in chain.from_iterable(_read(environment, value, where) for value, where in lists):
            if isinstance(item, Waiver):
                waivers.append(item)
            else:
                result.append(item)
    valid = {(waiver.environment, waiver.rule, waiver.resource): waiver for waiver in waivers if waiver.until >= today}
    used: set[tuple[str, str, str]] = set()
    partial: list[Finding] = []
    for finding in findings:
        keys = [(prefix, finding.rule, finding.resource) for prefix in finding.environments]
        accepting = [key for key in keys if key in valid]
        used.update(accepting)
        if accepting and len(accepting) == len(keys):
            finding = replace(finding, waived="; ".join(dict.fromkeys(valid[key].reason for key in accepting)))
        elif accepting:
            partial.append(_incomplete(finding, [valid[key] for key in accepting]))
        result.append(finding)
    result += partial
    for same in _together(waivers):
        if same[0].until < today:
            result.append(_expired(same, today))
        elif (same[0].rule in LIVE_RULES) is live and not any(
            (waiver.environment, waiver.rule, waiver.resource) in used for waiver in same
        ):
            result.append(_unused(same, {*known, *LIVE_RULES}))
    return result


def _together(waivers: Iterable[Waiver]) -> Iterable[list[Waiver]]:
    """Group equal waivers of several environments: they were written once, for all of them."""
    same: dict[tuple[str, str, str, date], list[Waiver]] = {}
    for waiver in waivers:
        same.setdefault((waiver.rule, waiver.resource, waiver.reason, waiver.until), []).append(waiver)
    return same.values()


def _read(environment: Environment, given: Any, where: Where) -> Iterator[Waiver | Finding]:
    """Yield the waivers of an environment, and a finding for each item that is not a valid waiver."""
    if given is None:
        return
    variable = where.item or VARIABLE
    if not isinstance(given, Sequence) or isinstance(given, (str, bytes)):
        yield _malformed(environment, where, variable, f"must be a list, but is {in_words(given)}")
        return
    for index, item in enumerate(given):
        name = f"{variable}[{index}]"
        place = Where(where.file, where.line, name)
        fault = _fault(item)
        if fault:
            yield _malformed(environment, place, name, fault)
        else:
            until = _day(item["until"])
            reason, resource = str(item["reason"]).strip(), str(item["resource"])
            yield Waiver(environment.prefix, str(item["rule"]), resource, reason, until or date.min, place)


def _fault(item: Any) -> str:
    """What is wrong with an item of the list, as a predicate; empty if it is a valid waiver."""
    if not isinstance(item, Mapping):
        return f"must be a mapping of {', '.join(_KEYS)}, but is {in_words(item)}"
    missing = [key for key in _KEYS if not str(item.get(key) or "").strip()]
    if missing:
        return f"lacks {' and '.join(missing)}"
    unknown = sorted(set(map(str, item)) - set(_KEYS))
    if unknown:
        return f"has unknown keys: {', '.join(unknown)}"
    if _day(item["until"]) is None:
        return f"has until: {str(item['until'])!r}, which is not a date such as 2026-12-31"
    if item["rule"] in SUMMARIES:
        return f"is for {item['rule']}, which cannot be waived"
    return ""


def _day(value: Any) -> date | None:
    """A date, as YAML parses it or as text; None if it is neither."""
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(str(value).strip())
    except ValueError:
        return None


def _malformed(environment: Environment, where: Where, name: str, fault: str) -> Finding:
    return Finding(
        rule=MALFORMED,
        severity=Severity.MEDIUM,
        environments=(environment.prefix,),
        machine=environment.machine,
        resource=name,
        message=f"{name} of {environment.prefix} {fault}. It is ignored.",
        fix="Write {rule: ..., resource: ..., reason: ..., until: 2026-12-31}, with rule and resource as reported.",
        where=(where,),
    )


def _expired(waivers: Sequence[Waiver], today: date) -> Finding:
    waiver = waivers[0]
    days = (today - waiver.until).days
    return Finding(
        rule=EXPIRED,
        severity=Severity.MEDIUM,
        environments=_environments(waivers),
        resource=waiver.resource,
        message=f"The waiver of {listing(_environments(waivers))} for {waiver.rule} on {waiver.resource} expired on "
        f"{waiver.until}, {number(days, 'day')} ago, so the finding counts again. Its reason was: {waiver.reason}",
        fix="Fix the finding and remove the waiver, or extend it if its reason is still valid.",
        where=tuple(dict.fromkeys(waiver.where for waiver in waivers)),
    )


def _unused(waivers: Sequence[Waiver], known: Collection[str]) -> Finding:
    waiver = waivers[0]
    near = difflib.get_close_matches(waiver.rule, known, n=1)
    hint = f" Did you mean {near[0]}?" if near and waiver.rule not in known else ""
    return Finding(
        rule=UNUSED,
        severity=Severity.LOW,
        environments=_environments(waivers),
        resource=waiver.resource,
        message=f"The waiver of {listing(_environments(waivers))} for {waiver.rule} on {waiver.resource} matches no "
        f"finding. It would hide the finding if it came back.{hint}",
        fix="Remove the waiver, or write rule and resource as the report shows them.",
        where=tuple(dict.fromkeys(waiver.where for waiver in waivers)),
    )


def _environments(waivers: Sequence[Waiver]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(waiver.environment for waiver in waivers))


def _incomplete(finding: Finding, waivers: Sequence[Waiver]) -> Finding:
    accepting = [waiver.environment for waiver in waivers]
    others = [prefix for prefix in finding.environments if prefix not in accepting]
    return Finding(
        rule=INCOMPLETE,
        severity=Severity.LOW,
        environments=finding.environments,
        machine=finding.machine,
        resource=finding.resource,
        message=f"{finding.rule} on {finding.resource} is accepted by {listing(accepting)}, but not by "
        f"{listing(others)}. It counts until every environment that it names accepts it.",
        fix=f"Add the same waiver to {listing(others)}, or set it once in group_vars/all.",
        where=tuple(waiver.where for waiver in waivers),
    )
