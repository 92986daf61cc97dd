# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Containment: whatever an environment's stack says stays inside, or is refused, known hazard or not.

Only environments that Bulkhead deploys are judged. Files of others have no such discipline: there a collision counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..containment.boundary import boundary_of, domains_below
from ..containment.classes import Class
from ..containment.settings import outside_settings
from ..containment.walk import outside
from ..declared import declared_shares
from ..facts.names_in_text import TokenIndex
from ..model import Environment, Fleet, Severity, Where
from ..wording import listing
from . import Hit, Judgement, rule

#: Keys whose names are domains.
_DOMAINS = frozenset({"dns_search", "domainname", "hostname", "server_name"})


@rule("outside-name", severity=Severity.HIGH)
def outside_name(fleet: Fleet) -> Judgement:
    """A name that others could take or use does not begin with the environment's prefix."""
    for found in outside_values(fleet, Class.NAME):
        prefix = found.environment.prefix
        if found.is_domain:
            fix = f"Use one of {prefix}'s domains (bulkhead_domains), or a name without a dot."
        else:
            fix = (
                f"Begin it with {prefix}_. If it is shared on purpose, list it in bulkhead_shared of every "
                "environment that uses it."
            )
        yield found.hit(
            fleet,
            f"{found.problem}. All environments on {found.environment.machine} share such names: another that uses "
            "this one shares it or takes it over.",
            fix,
        )


@rule("outside-reach", severity=Severity.HIGH)
def outside_reach(fleet: Fleet) -> Judgement:
    """A key reaches outside of the environment."""
    for found in outside_values(fleet, *(kind for kind in Class if kind not in (Class.NAME, Class.IGNORED))):
        yield found.hit(
            fleet,
            f"{found.environment.prefix} reaches outside itself with {found.key} in {found.place}: {found.problem}.",
            "Remove it, or stay within what docs/containment.md allows. To accept it, waive it with a reason.",
        )


@rule("unclassified-key", severity=Severity.HIGH)
def unclassified_key(fleet: Fleet) -> Judgement:
    """A key has no class: what it reaches is unknown."""
    for found in outside_values(fleet, None):
        yield found.hit(
            fleet,
            f"{found.problem}, so what {found.key} of {found.environment.prefix} reaches is unknown.",
            "Remove it, or waive it with a reason. If it is a real option of the program, please report it.",
        )


@rule("ignored-by-swarm", "SW-07", severity=Severity.HIGH)
def ignored_by_swarm(fleet: Fleet) -> Judgement:
    """A stack says something that a swarm does not know, or ignores without a word."""
    for found in outside_values(fleet, Class.IGNORED):
        yield found.hit(
            fleet,
            f"{found.key} in {found.place} of {found.environment.prefix} has no effect on a swarm, or makes it refuse "
            "the whole file: what was meant to hold there does not.",
            f"{found.problem}.",
        )


@rule("one-sided-share", severity=Severity.MEDIUM)
def one_sided_share(fleet: Fleet) -> Judgement:
    """What bulkhead_shared names is shared on purpose only if every environment that uses it says so."""
    for (machine, kind, name), owners in fleet.derived(_declared_shares).items():
        if len(owners) == 1:
            yield Hit(
                tuple(owners),
                f"{kind} {name}",
                f"The {kind} {name} is declared as shared by {listing(owners)} only: on {machine} no other "
                "environment shares it, or one uses it without declaring it.",
                "List it, with a reason, in bulkhead_shared of every environment that uses it, or remove it from "
                f"{listing(owners)}.",
                tuple(fleet.by_prefix[owner].origin("bulkhead_shared") for owner in owners),
                machine,
            )


@dataclass(frozen=True, slots=True)
class _Outside:
    """A value that is not contained: under which key and where, and why."""

    environment: Environment
    kind: Class | None
    key: str
    place: str
    value: Any
    problem: str
    where: Where

    @property
    def is_domain(self) -> bool:
        """Whether the key takes a domain, and no name with a prefix."""
        return self.key in _DOMAINS

    def hit(self, fleet: Fleet, message: str, fix: str) -> Hit:
        """The finding, which names the environments whose names, paths or domains the value carries."""
        shown = _shown(self.value)
        prefix = self.environment.prefix
        owners = [owner for owner, *_token in fleet.derived(TokenIndex).owners_in(shown, prefix)]
        resource = self.key if self.kind is None else f"{self.key}: {shown}"
        return Hit((prefix, *owners), resource, message, fix, (self.where,), self.environment.machine)


def outside_values(fleet: Fleet, *kinds: Class | None) -> Iterator[_Outside]:
    """The values of these classes that are not contained; None stands for keys without a class."""
    return (found for found in fleet.derived(_found) if found.kind in kinds)


def _found(fleet: Fleet) -> list[_Outside]:
    """Every value of the fleet's stacks, and of the programs' settings, that is not contained."""
    found: list[_Outside] = []
    below = domains_below(fleet)
    for environment in fleet.environments:
        if not environment.variables:
            continue
        boundary = environment.derived(boundary_of)
        if environment.prefix in below:
            boundary = replace(boundary, ceded=frozenset(below[environment.prefix]))
        for project in environment.compose:
            found += [
                _Outside(
                    environment,
                    leaf.kind,
                    leaf.key,
                    ".".join(leaf.path[:2]),
                    leaf.value,
                    leaf.problem,
                    project.where(*leaf.path),
                )
                for leaf in outside(project, boundary)
            ]
        found += [
            _Outside(
                environment,
                judged.kind,
                setting.name,
                f"{setting.program}'s settings",
                setting.value,
                judged.problem,
                setting.where,
            )
            for setting, judged in outside_settings(environment, boundary)
        ]
    return found


def shared_on_purpose(fleet: Fleet) -> list[str]:
    """What several environments declare in ``bulkhead_shared``, with their prefixes."""
    return [
        f"{kind} {name} ({listing(owners)})"
        for (_machine, kind, name), owners in fleet.derived(_declared_shares).items()
        if len(owners) > 1
    ]


def _declared_shares(fleet: Fleet) -> dict[tuple[str, str, str], list[str]]:
    found: dict[tuple[str, str, str], list[str]] = {}
    for environment in fleet.environments:
        for kind, name in declared_shares(environment):
            found.setdefault((environment.machine, kind, name), []).append(environment.prefix)
    return found


def _shown(value: Any) -> str:
    return listing(f"{key}={item}" for key, item in value.items()) if isinstance(value, Mapping) else str(value)
