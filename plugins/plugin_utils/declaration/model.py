# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From an inventory's variables to a checked declaration of one environment: every value templated and of its type."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from ..isolation.model import Finding, Severity, Where


@dataclass
class Declaration:
    """One environment with its resolved ``bulkhead_`` variables, and what is wrong with them.

    ``lacking`` is what only a deployment of this environment needs and is not here. ``available`` is what templates
    may use: all inventory variables of the host, and the resolved values over them.
    """

    group: str
    hosts: tuple[str, ...]
    values: dict[str, Any]
    available: dict[str, Any]
    origins: dict[str, Where]
    locked: tuple[str, ...] = ()
    problems: list[Finding] = field(default_factory=list)
    lacking: list[Finding] = field(default_factory=list)

    @property
    def prefix(self) -> str:
        """The environment's prefix; its group's name as long as it has none."""
        return str(self.values.get("bulkhead_prefix") or self.group)

    @property
    def usable(self) -> bool:
        """Whether it can be rendered. A bad setting is left out of that, so that the rest is judged too."""
        faults = (problem for problem in self.problems if problem.rule != "invalid-setting")
        return not any(problem.severity >= Severity.HIGH for problem in faults)

    def problem(
        self,
        rule: str,
        variable: str,
        message: str,
        fix: str,
        severity: Severity = Severity.HIGH,
        resource: str = "",
    ) -> None:
        """Note what is wrong with a variable, or with a part of it that ``resource`` names."""
        self.problems.append(self._finding(rule, resource or variable, message, fix, severity, variable))

    def lacks(self, rule: str, variable: str, message: str, fix: str) -> None:
        """Note what only a deployment of this very environment needs: secrets, which nobody else has to hold."""
        finding = self._finding(rule, variable, message, fix, Severity.HIGH, variable.partition(".")[0])
        if finding not in self.lacking:
            self.lacking.append(finding)

    def _finding(self, rule: str, resource: str, message: str, fix: str, severity: Severity, variable: str) -> Finding:
        where = self.origins.get(resource) or replace(self.origins.get(variable) or Where(), item=resource)
        return Finding(rule, severity, (self.prefix,), resource, message, fix, (where,))
