# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The live gate of an environment that is a stack, on all nodes of its swarm."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from ..declaration.model import Declaration
from ..isolation.live.probes import door_requests, judge_answers
from ..isolation.live.stack import stack_findings, unwell
from ..isolation.live.stack_doors import at_door, door_findings, doors_wanted, lost_routes
from ..isolation.model import Finding
from .live import LiveGate
from .plan import Gate
from .session import Session, begun
from .stack_calls import StackCalls
from .stack_nodes import StackNodes
from .stack_route import in_place, stack_route


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
        """Look at the swarm and its nodes once more, and judge them."""
        session = begun(self.declaration.prefix)
        after = self.machine.observe()
        findings = [*self.standing(after), *unwell(self.environment, after), *self._doors(after)]
        answer = {"observation": after, "drift": [], "probed": {}}
        return answer, self._accepted(findings, complete=session is None)

    def standing(self, observation: Mapping[str, Any]) -> list[Finding]:
        """What stands in the way on the swarm, whichever release was in force before."""
        machines = {host: node.machine for host, node in self.declaration.nodes.items()}
        moves = self.declaration.permissions.get("bulkhead_confirm") == self.declaration.prefix
        return [
            *stack_findings(self.environment, self.around.read, observation, machines, moves),
            *door_findings(self.environment, observation, self.values["bulkhead_edge_nodes"]),
        ]

    def _doors(self, observation: Mapping[str, Any]) -> list[Finding]:
        """How the front doors of the nodes lead to the stack, each asked in one call."""
        environment, named = self.environment, self.values["bulkhead_edge_nodes"]
        requests = door_requests(environment)
        findings = [*lost_routes(environment, in_place(stack_route(environment)), observation, named)]
        for host in doors_wanted(observation, named) if requests else ():
            answers = self.machine.answers_at(host, requests)
            judged = judge_answers(environment, self.around.neighbours, answers)
            findings += [at_door(host, finding) for finding in judged]
        return findings
