# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The live gate of an environment that is a stack, on all nodes of its swarm."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from ..declaration.model import Declaration
from ..isolation.live.stack import stack_findings, unwell
from ..isolation.live.stack_doors import door_findings, lost_routes
from ..isolation.model import Finding
from .live import LiveGate
from .plan import Gate
from .session import Session, begun
from .stack_calls import StackCalls
from .stack_nodes import StackNodes
from .stack_route import in_place, stack_route
from .stack_verification import StackVerification, counts


class StackGate(LiveGate):
    """The gate of one stack."""

    def __init__(
        self, action: Any, task_vars: dict[str, Any], gate: Gate, declaration: Declaration, nodes: StackNodes
    ) -> None:
        super().__init__(action, task_vars, gate, declaration)
        self.nodes = nodes

    @cached_property
    def machine(self) -> StackCalls:
        """The calls to the nodes."""
        return StackCalls(self.nodes, self.values, self.around, self._action)

    def judged(self, session: Session) -> list[Finding]:
        """What stands in the way on the swarm."""
        return self.standing(session.observation)

    def drift(self, observation: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Nothing: the plan of a stack says what was changed by hand."""
        return []

    def verify(self) -> tuple[dict[str, Any], list[Finding]]:
        """Probe the stack from its tasks, look at the swarm and its nodes once more, and judge all of it."""
        session, environment = begun(self.declaration.prefix), self.environment
        before = session.observation if session else self.machine.observe()
        look = self.nodes.look() if session else before["stack"]
        verification = StackVerification(environment, self.around, session, before, look, self._machines)
        probes = verification.probes(self.gate.render(self.declaration))
        after, answers = self.machine.probe_nodes(environment.compose[0].name, session, probes)
        findings = [
            *verification.findings(probes, answers, after),
            *self.standing(after),
            *unwell(environment, after),
            *lost_routes(environment, in_place(stack_route(environment)), after, self.values["bulkhead_edge_nodes"]),
        ]
        answer = {"observation": after, "drift": [], "probed": counts(probes, answers)}
        return answer, self._accepted(findings, complete=session is None)

    def standing(self, observation: Mapping[str, Any]) -> list[Finding]:
        """What stands in the way on the swarm, whichever release was in force before."""
        moves = self.declaration.permissions.get("bulkhead_confirm") == self.declaration.prefix
        return [
            *stack_findings(self.environment, self.around.read, observation, self._machines, moves),
            *door_findings(self.environment, observation, self.values["bulkhead_edge_nodes"]),
        ]

    @property
    def _machines(self) -> dict[str, str]:
        """The names of the nodes' machines by their hosts."""
        return {host: node.machine for host, node in self.declaration.nodes.items()}
