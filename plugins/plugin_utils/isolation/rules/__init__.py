# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rules. Each module of this package judges one kind of shared resource.

A rule is a function with the decorator :func:`rule` that reads the whole fleet and yields findings. A new rule needs
only a function and a file of cases in ``tests/hazards/``.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from ..gc_pause import collector_paused
from ..model import Claim, Finding, Fleet, Severity, Where
from ..redaction import redact
from ..refusals import REFUSALS

#: Where the collection's documentation can be read without the collection.
_REPOSITORY = "https://github.com/aiia/bulkhead/blob/main"

#: What a rule function yields: a finding without the rule's identity, which :func:`judge` fills in.
Judgement = Iterable["Hit"]


@dataclass(frozen=True, slots=True)
class Hit:
    """One result of a rule. ``severity`` and ``hazards``, if given, replace the rule's own."""

    environments: tuple[str, ...]
    resource: str
    message: str
    fix: str
    where: tuple[Where, ...] = ()
    machine: str = ""
    severity: Severity | None = None
    hazards: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: its kebab-case id, the hazards that it covers, its severity, and its function.

    With ``of_machine``, it is about what an environment can do to the others of its machine: where there are none, it
    is advice.
    """

    id: str
    hazards: tuple[str, ...]
    severity: Severity
    judge: Callable[[Fleet], Judgement]
    summary: str
    of_machine: bool = False

    def findings(self, fleet: Fleet) -> Iterator[Finding]:
        """Apply the rule to a fleet."""
        for hit in self.judge(fleet):
            severity = self.severity if hit.severity is None else hit.severity
            yield Finding(
                rule=self.id,
                severity=Severity.LOW if self.of_machine and all_alone(fleet, hit.environments) else severity,
                environments=tuple(dict.fromkeys(hit.environments)),
                resource=redact(hit.resource),
                message=redact(hit.message),
                fix=redact(hit.fix),
                where=tuple(dict.fromkeys(hit.where)),
                machine=hit.machine,
                hazards=hit.hazards or self.hazards,
            )


_RULES: dict[str, Rule] = {}


def rule(
    rule_id: str, *hazards: str, severity: Severity, of_machine: bool = False
) -> Callable[[Callable[[Fleet], Judgement]], Callable[[Fleet], Judgement]]:
    """Register a function as a rule. The first line of its docstring is the rule's summary."""

    def register(function: Callable[[Fleet], Judgement]) -> Callable[[Fleet], Judgement]:
        if rule_id in _RULES:
            raise ValueError(f"two rules are called {rule_id!r}")
        summary = (function.__doc__ or "").strip().splitlines()
        if not summary:
            raise ValueError(f"rule {rule_id!r} has no docstring")
        _RULES[rule_id] = Rule(rule_id, hazards, severity, function, summary[0], of_machine)
        return function

    return register


def rules() -> dict[str, Rule]:
    """All rules by id, from every file of this package."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return dict(sorted(_RULES.items()))


def page_of(rule_id: str) -> str:
    """Where the collection's documentation explains a finding: the page of its rule, or its part of the page on what
    the gates say by themselves. Empty if neither knows it."""
    if rule_id in _RULES:
        return f"docs/rules/{rule_id}.md"
    return f"docs/refusals.md#{rule_id}" if rule_id in REFUSALS else ""


def address_of(rule_id: str) -> str:
    """Where that page can be read without the collection; empty if there is none."""
    page = page_of(rule_id)
    return f"{_REPOSITORY}/{page}" if page else ""


def all_alone(fleet: Fleet, prefixes: Iterable[str]) -> bool:
    """Whether each environment has a machine of its own, without others to reach.

    A machine that Bulkhead deploys to may have environments of other inventories, so there none counts as alone.
    """
    environments = [fleet.by_prefix[prefix] for prefix in prefixes if prefix in fleet.by_prefix]
    return len(fleet.machines) > 1 and all(
        len(fleet.machines[environment.machine]) == 1 and not environment.variables for environment in environments
    )


def worded(fleet: Fleet, prefixes: Iterable[str], deployed: str, otherwise: str) -> str:
    """The words for environments that Bulkhead deploys, whose variables they may name, or those for others' files."""
    return deployed if any(fleet.by_prefix[prefix].variables for prefix in prefixes) else otherwise


#: Something like ``map``: for the rules of each file, which often share what they derive of the fleet, their findings.
_Found = dict[str, list[Finding]]
Apply = Callable[[Callable[[list[Rule]], _Found], Sequence[list[Rule]]], Iterable[_Found]]


def judge(fleet: Fleet, apply: Apply = map) -> list[Finding]:
    """Apply every rule to a fleet, and add the readers' findings. The result is not sorted, folded or waived.

    ``apply`` is ``map``, or something like it that works on several processors: no rule knows of another's findings.
    """
    findings = [problem for environment in fleet.environments for problem in environment.problems]
    by_file: dict[str, list[Rule]] = {}
    for rule in rules().values():
        by_file.setdefault(rule.judge.__module__, []).append(rule)
    with collector_paused():
        found = apply(lambda of_one: {rule.id: list(rule.findings(fleet)) for rule in of_one}, [*by_file.values()])
        by_rule = {rule_id: of_rule for of_file in found for rule_id, of_rule in of_file.items()}
    return [*findings, *(finding for rule_id in rules() for finding in by_rule[rule_id])]


def owners(claims: Iterable[Claim]) -> tuple[str, ...]:
    """The environments that own these claims."""
    return tuple(dict.fromkeys(claim.owner for claim in claims))


def places(claims: Iterable[Claim]) -> tuple[Where, ...]:
    """The places of these claims."""
    return tuple(dict.fromkeys(claim.where for claim in claims))
