# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The declaration of one environment: its resolved variables, and their problems."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..isolation.model import SEAL, Finding, Severity, Where
from .variables import SETTINGS

#: The rules on values that are wrong, and can be rendered nevertheless.
_RENDERED = frozenset({"invalid-setting", "unquoted-value", "wildcard-domain"})


@dataclass(frozen=True, slots=True)
class StackNode:
    """A host of an environment on a swarm: its machine, and how that is reached; empty where that is not known."""

    machine: str
    address: str


@dataclass
class Declaration:
    """One environment with its resolved ``bulkhead_`` variables.

    ``problems`` are findings on them, ``lacking`` those that matter only where this environment is deployed.
    ``available`` is what templates may use: all inventory variables of the host, overlaid with the resolved values.
    ``locked`` are vault files that were not opened. ``sealed`` are the variables, or keys of them, that are not read
    here, each with what it would need. ``inert`` says that the environment was read without effects and secrets.
    ``permissions`` are those that ``-e`` gives this run. ``address`` is how its machine is reached; empty if unknown.
    ``nodes`` are, of an environment on a swarm, the machine and the address of each host.
    """

    group: str
    hosts: tuple[str, ...]
    values: dict[str, Any]
    available: MutableMapping[str, Any]
    origins: dict[str, Where]
    locked: tuple[str, ...] = ()
    sealed: dict[str, str] = field(default_factory=dict)
    inert: bool = False
    problems: list[Finding] = field(default_factory=list)
    lacking: list[Finding] = field(default_factory=list)
    permissions: dict[str, Any] = field(default_factory=dict)
    address: str = ""
    nodes: dict[str, StackNode] = field(default_factory=dict)

    @property
    def prefix(self) -> str:
        """The environment's prefix, or its group's name while it has none."""
        prefix = str(self.values.get("bulkhead_prefix") or self.group)
        return self.group if SEAL in prefix else prefix

    @property
    def first_locked(self) -> str:
        """A vault file that was not opened, if there is any."""
        return self.locked[0] if self.locked else ""

    @property
    def fail_on(self) -> Severity:
        """The lowest severity of a finding that stops a run; the lowest of all where the inventory's cannot be read."""
        try:
            return Severity.parse(str(self.values["bulkhead_fail_on"] or ""))
        except ValueError:
            return Severity.LOW

    @property
    def is_protected(self) -> bool:
        """Whether the environment is protected. It counts as such where its variable cannot be read."""
        unread = any(problem.resource == "bulkhead_protected" for problem in self.problems)
        return unread or bool(self.values["bulkhead_protected"])

    @property
    def usable(self) -> bool:
        """Whether it can be rendered. A value that harms nothing there does not prevent it: the rest is judged too."""
        faults = (problem for problem in self.problems if problem.severity >= Severity.HIGH)
        return all(
            fault.rule in _RENDERED or (fault.rule == "template-error" and fault.resource.partition(".")[0] in SETTINGS)
            for fault in faults
        )

    def can_judge(self, name: str) -> bool:
        """Whether a variable's value can be judged: it is read here, and nothing is known to be wrong with it."""
        return name not in self.sealed and all(problem.resource != name for problem in self.problems)

    def problem(
        self,
        rule: str,
        variable: str,
        message: str,
        fix: str,
        severity: Severity = Severity.HIGH,
        resource: str = "",
    ) -> None:
        """Note a problem of a variable, or of the part of it that ``resource`` names."""
        finding = self._finding(rule, resource or variable, message, fix, severity, variable)
        unresolved = any(
            problem.rule == "template-error" and problem.resource == finding.resource for problem in self.problems
        )
        # What could not be resolved is empty, which is no problem of its own.
        if not unresolved and finding not in self.problems:
            self.problems.append(finding)

    def seal(self, name: str, why: str) -> None:
        """Note a variable, a key of one, or a template that is sealed here: no deployment can do without it."""
        self.sealed[name] = why
        itself = why.startswith(f"{name} (")
        self.lacks(
            "sealed-value",
            name,
            f"{name} cannot be {f'decrypted {why[len(name) + 1 :]}' if itself else f'read: it needs {why}'}",
            "give this run the vault password for it (--vault-id <id>@<file>), or write the value anew",
        )

    def lacks(self, rule: str, variable: str, message: str, fix: str) -> None:
        """Note what only a deployment of this environment needs, such as its secrets."""
        finding = self._finding(rule, variable, message, fix, Severity.HIGH, variable.partition(".")[0])
        if finding not in self.lacking:
            self.lacking.append(finding)

    def _finding(self, rule: str, resource: str, message: str, fix: str, severity: Severity, variable: str) -> Finding:
        where = self.origins.get(resource) or replace(self.origins.get(variable) or Where(), item=resource)
        return Finding(rule, severity, (self.prefix,), resource, message, fix, (where,))
