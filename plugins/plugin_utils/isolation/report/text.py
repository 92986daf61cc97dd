# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reports for the terminal and as JSON, and which findings stop a run.

The terminal shows the worst findings first, findings of one cause together, and a bounded number of them; JSON has
them all. SARIF and JUnit are in :mod:`formats`.
"""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..model import Finding, Severity, Where
from ..rules import page_of
from ..wording import UNPRINTABLE, advice, message, number, some

#: The hazard catalogue's groups in order: those that cause findings of others come first.
_GROUPS = ("CP", "NM", "NW", "VP", "PT", "WB", "DB", "RC", "SE", "IM", "HP", "AN", "CI", "OP")

#: The most findings that the terminal shows; the rest is counted.
SHOWN = 40

_COLOURS = {Severity.CRITICAL: "1;31", Severity.HIGH: "31", Severity.MEDIUM: "33", Severity.LOW: "36"}

_WORD = re.compile(r"[A-Za-z0-9_-]+")
_SEPARATOR = re.compile("[_-]")
_NUMBER = re.compile(r"\d+")

_UNPRINTABLE = re.compile(rf"[\t\n{UNPRINTABLE}]")


def arrange(findings: Iterable[Finding]) -> list[Finding]:
    """Sort the findings worst first and waived ones last, without duplicates; each speaks in sentences."""
    return sorted(dict.fromkeys(map(_spoken, findings)), key=_rank)


def _spoken(finding: Finding) -> Finding:
    said, fix = message(finding.message), advice(finding.fix)
    same = (said, fix) == (finding.message, finding.fix)
    return finding if same else replace(finding, message=said, fix=fix)


def _rank(finding: Finding) -> tuple[Any, ...]:
    hazard = min(map(_hazard_rank, finding.hazards), default=(len(_GROUPS), ""))
    return (
        bool(finding.waived),
        -finding.severity,
        hazard,
        finding.rule,
        finding.environments,
        finding.resource,
        finding.where,
        finding.message,
    )


def _hazard_rank(hazard: str) -> tuple[int, str]:
    group, _unused, number = hazard.partition("-")
    return (_GROUPS.index(group) if group in _GROUPS else len(_GROUPS), number)


def stops(
    findings: Iterable[Finding],
    fail_on: Severity | None,
    deploying: str | None = None,
    others: Mapping[str, Severity] | None = None,
) -> list[Finding]:
    """The findings that stop a run: not waived, and at least as severe as ``fail_on`` (none if that is ``None``).

    If one environment is being deployed (``deploying``), only findings that name it, or no environment, can stop it. It
    cannot accept for another what both are named in: there the threshold of the other counts too, which ``others`` have
    by prefix; it is medium where it is not known.
    """
    if fail_on is None:
        return []

    def threshold(finding: Finding) -> Severity:
        named = set(finding.environments) - {deploying} if deploying is not None else ()
        return min([fail_on, *((others or {}).get(prefix, Severity.MEDIUM) for prefix in named)])

    return [
        finding
        for finding in findings
        if finding.severity >= threshold(finding)
        and not finding.waived
        and (deploying is None or not finding.environments or deploying in finding.environments)
    ]


@dataclass(frozen=True, slots=True)
class FindingGroup:
    """Findings with one cause and fix: the same rule and texts, except for the names of environments and resources."""

    findings: tuple[Finding, ...]

    @property
    def first(self) -> Finding:
        """The finding that is shown in full."""
        return self.findings[0]

    @property
    def environments(self) -> tuple[str, ...]:
        """All environments, in the order of the findings."""
        return tuple(dict.fromkeys(name for finding in self.findings for name in finding.environments))

    @property
    def resources(self) -> tuple[str, ...]:
        """All resources."""
        return tuple(dict.fromkeys(finding.resource for finding in self.findings))

    @property
    def where(self) -> tuple[Where, ...]:
        """All places."""
        return tuple(dict.fromkeys(place for finding in self.findings for place in finding.where))


def fold(findings: Iterable[Finding]) -> list[FindingGroup]:
    """Group findings by cause and fix, in the order of each group's first finding."""
    findings = list(findings)
    names = _Names(findings)
    groups: dict[tuple[Any, ...], list[Finding]] = {}
    for finding in findings:
        texts = [finding.message, finding.fix]
        if finding.resource:
            texts = [part.replace(finding.resource, "\x00") for part in texts]
        texts = [names.taken_out(part) for part in texts]
        if finding.severity == Severity.LOW:
            # The same advice to each environment about its own ports is one group.
            texts = [_NUMBER.sub("\x02", part) for part in texts]
        groups.setdefault((finding.rule, finding.severity, finding.waived, *texts), []).append(finding)
    return [FindingGroup(tuple(group)) for group in groups.values()]


class _Names:
    """The names of environments, so that messages can be compared without them."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self._prefixes = {name for finding in findings for name in finding.environments}
        self._tails = {re.split("[_-]", prefix, maxsplit=1)[-1] for prefix in self._prefixes}

    def taken_out(self, message: str) -> str:
        """The message with \x01 for each environment in aiia_prod, aiia_prod_django or django_prod."""
        return _WORD.sub(self._word, message)

    def _word(self, match: re.Match[str]) -> str:
        word = match[0]
        if word in self._prefixes:
            return "\x01"
        parts = _SEPARATOR.split(word)
        return "_".join("\x01" if "_".join(parts[:end]) in self._prefixes or part in self._tails else part
                        for end, part in enumerate(parts, start=1))  # fmt: skip


def text(
    findings: Sequence[Finding], *, stopping: Sequence[Finding] = (), shown: int = SHOWN, width: int = 100,
    colour: bool = False,
) -> str:  # fmt: skip
    """The report for the terminal. ``stopping`` are the findings that stop the run, as :func:`stops` returns them."""
    groups = fold(arrange(findings))
    blocks = [_block(group, width, colour) for group in groups[:shown]]
    rest = [finding for group in groups[shown:] for finding in group.findings]
    if rest:
        blocks.append(f"Not shown: {_count(rest)}. A report file contains all of them.")
    return "\n\n".join([*blocks, summary(findings, stopping)])


def refusal(findings: Sequence[Finding]) -> str:
    """The report for the terminal if every finding stops the run."""
    return text(findings, stopping=findings)


def summary(findings: Sequence[Finding], stopping: Sequence[Finding] = ()) -> str:
    """One line: how many findings of each severity, and how many stop the run."""
    if not findings:
        return "No findings."
    waived = sum(bool(finding.waived) for finding in findings)
    accepted = f", {waived} waived" if waived else ""
    counted = _count([finding for finding in findings if not finding.waived])
    if not stopping:
        return f"{counted}{accepted}. Nothing stops the run."
    return f"{counted}{accepted}. {len(stopping)} stop{'s' if len(stopping) == 1 else ''} the run."


def _count(findings: Sequence[Finding]) -> str:
    counts = Counter(finding.severity for finding in findings)
    parts = [f"{counts[level]} {level.label}" for level in reversed(Severity) if counts[level]]
    return number(len(findings), "finding") + (f" ({', '.join(parts)})" if parts else "")


def _block(group: FindingGroup, width: int, colour: bool) -> str:
    """One group: severity and rule, environments, message, fix, places."""
    finding = group.first
    word = "waived" if finding.waived else finding.severity.label
    painted = f"\x1b[{_COLOURS[finding.severity]}m{word}\x1b[0m" if colour else word
    count = f"  {len(group.findings)} times" if len(group.findings) > 1 else ""
    head = f"{painted}{' ' * (10 - len(word))}{finding.rule}  {' '.join(finding.hazards)}".rstrip() + count
    machine = f" on {finding.machine}" if finding.machine and finding.machine not in finding.resource else ""
    rows = [
        ("", ": ".join(filter(None, (some(group.environments), f"{some(group.resources)}{machine}")))),
        ("", finding.message),
        ("fix", finding.fix),
        ("at", some(list(map(str, group.where)), "; ")),
        ("waived", finding.waived),
        ("page", page_of(finding.rule)),
    ]
    return "\n".join([head, *(_row(label, value, width) for label, value in rows if value)])


def _row(label: str, value: str, width: int) -> str:
    """A paragraph with its label in the margin."""
    return textwrap.fill(
        printable(value),
        width,
        initial_indent=f"{label:<10}",
        subsequent_indent=" " * 10,
        break_on_hyphens=False,
    )


def printable(value: str) -> str:
    """A text on one line, without characters that could manipulate a terminal."""
    return _UNPRINTABLE.sub(lambda match: " " if match[0] in "\t\r\n" else "\ufffd", value)


def as_json(environments: Iterable[str], findings: Iterable[Finding]) -> dict[str, Any]:
    """The JSON report of the public contract: the environments' prefixes, and every finding."""
    return {
        "environments": list(dict.fromkeys(environments)),
        "findings": [finding.as_dict() for finding in arrange(findings)],
    }
