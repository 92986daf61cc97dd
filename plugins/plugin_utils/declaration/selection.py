# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which environments a run selects: the hosts of the play against what the inventory declares."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ..isolation.model import Finding, Severity, Where
from .inventory import Inventory, place, seal
from .variables import specification


def _finding(
    rule: str,
    environments: Sequence[str],
    resource: str,
    message: str,
    fix: str,
    *hazards: str,
    where: Where | None = None,
) -> Finding:
    return Finding(
        rule, Severity.CRITICAL, tuple(environments), resource, message, fix, (where,) if where else (), hazards=hazards
    )


def selection(
    hosts: Collection[str],
    limit: str | None,
    groups: Mapping[str, Collection[str]],
    allow_many: bool,
    protected: Collection[str] = (),
) -> tuple[list[str], list[Finding]]:
    """Return the environment groups that the hosts of a play belong to, and findings that refuse the selection.

    ``groups`` are the environment groups with their hosts, ``limit`` is ``-l``. Users type advice as it stands, so it
    names a group of ``protected`` only if there is no other. Covers AN-03, AN-04 and AN-05.
    """

    def advised(candidates: Collection[str]) -> str:
        return min(candidates, key=lambda group: (group in protected, group), default="<environment>")

    names = ", ".join(sorted(groups)[:6]) or "none"
    if not limit or not limit.strip():
        return [], [_no_limit(limit, names, advised(groups))]
    wanted = set(hosts)
    meant = [group for group, members in groups.items() if wanted & set(members)]
    findings = []
    stray = sorted(wanted - {host for members in groups.values() for host in members})
    if stray:
        findings.append(_stray(limit, names, stray))
    for group in meant:
        left = sorted(set(groups[group]) - wanted)
        if left:
            findings.append(_partial(limit, group, left))
    if len(meant) > 1 and not allow_many:
        findings.append(_several(limit, meant, advised(meant)))
    return meant, findings


def _no_limit(limit: str | None, names: str, advised: str) -> Finding:
    return _finding(
        "no-limit",
        (),
        "-l",
        f"{'-l is empty' if limit is not None else 'there is no -l'}, so this run would mean every environment of the "
        "inventory",
        f"name one environment: -l {advised} (the inventory declares: {names})",
        "AN-03",
        "AN-04",
    )


def _stray(limit: str, names: str, stray: Sequence[str]) -> Finding:
    return _finding(
        "not-an-environment",
        (),
        stray[0],
        f"-l {limit} selects {', '.join(stray[:4])}, which belongs to no environment",
        f"limit the run to one environment (the inventory declares: {names}), or set bulkhead_environment in a group "
        "of that host",
        "AN-05",
    )


def _partial(limit: str, group: str, left: Sequence[str]) -> Finding:
    return _finding(
        "partial-environment",
        (),
        group,
        f"-l {limit} selects only a part of {group}, without {', '.join(left[:4])}; an environment is deployed as a "
        "whole",
        f"limit the run to the whole environment: -l {group}",
        "AN-05",
    )


def _several(limit: str, meant: Sequence[str], advised: str) -> Finding:
    return _finding(
        "several-environments",
        (),
        limit,
        f"-l {limit} spans {len(meant)} environments: {', '.join(meant[:6])}",
        f"name one at a time: -l {advised} (or set bulkhead_allow_many: true if you mean all of them)",
        "AN-05",
    )


def membership(groups: Mapping[str, Collection[str]], ancestors: Mapping[str, Collection[str]]) -> list[Finding]:
    """Hosts in two environments, and environments inside others. Covers AN-01 and AN-25."""
    findings = []
    homes: dict[str, list[str]] = {}
    for group, members in groups.items():
        for host in members:
            homes.setdefault(host, []).append(group)
    nested = {group: sorted(set(above) & set(groups)) for group, above in ancestors.items()}
    for group, above in nested.items():
        if above:
            findings.append(
                _finding(
                    "nested-environment",
                    (group, above[0]),
                    group,
                    f"group {group} is inside group {above[0]}, and both declare an environment: -l {above[0]} would "
                    f"deploy {group} too, and variables of {above[0]} would apply to {group}",
                    f"make {group} and {above[0]} siblings, and put what they share into a group that declares no "
                    "environment",
                    "AN-25",
                )
            )
    for host, found in homes.items():
        if len(found) > 1 and not any(nested.get(group) for group in found):
            findings.append(
                _finding(
                    "host-in-two-environments",
                    found,
                    host,
                    f"host {host} is in the groups {' and '.join(found)}, which declare different environments; it "
                    "keeps the variables of only one of them, whatever -l says",
                    f"give each environment its own inventory host, such as {host}-{found[0]} and {host}-{found[1]} "
                    "with the same ansible_host",
                    "AN-01",
                )
            )
    return findings


def overrides(inventory: Inventory, groups: Mapping[str, Mapping[str, Any]]) -> list[Finding]:
    """Findings on host variables that contradict their environment's group. Covers AN-08 and AN-09."""
    findings: list[Finding] = []
    for group, own in groups.items():
        for host in inventory.hosts_of(group):
            said = inventory.declared_on_host(host)
            if said != own["bulkhead_environment"]:
                findings.append(
                    _finding(
                        "identity-overridden",
                        (group,),
                        host,
                        f"host {host} is in group {group}, whose bulkhead_environment is "
                        f"{own['bulkhead_environment']}, but its own variables say {said}",
                        f"remove bulkhead_environment from the variables of host {host} and of its other groups",
                        "AN-08",
                        "AN-09",
                        where=place(said, "bulkhead_environment"),
                    )
                )
    return findings


def rewritten(
    extra: Collection[str], running: Mapping[str, Any], declared: Mapping[str, Any], group: str
) -> list[Finding]:
    """Findings on variables that the play, a role or a task sets over the inventory's. Covers AN-12 and AN-13.

    They would have no effect, whatever their author expects. Those of ``extra`` are left out: ``-e`` has findings of
    its own.
    """
    return [
        _finding(
            "variable-rewritten",
            (group,),
            name,
            f"the play, a role or an earlier task sets {name}, which contradicts the inventory",
            f"remove {name} from vars:, vars_files, set_fact and role variables; only the inventory says what an "
            "environment is",
            "AN-12",
            "AN-13",
        )
        for name in specification()
        if name in running and name not in extra and seal(running[name]) != seal(declared.get(name))
    ]
