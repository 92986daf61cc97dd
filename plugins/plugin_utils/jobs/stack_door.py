# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run does at the front doors of a swarm's nodes, so that they lead to a stack, or do not any more."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible.errors import AnsibleActionFail

from ...module_utils.core.steps import Step, as_dicts
from ...module_utils.edge.routes import Route
from ..gate.machine_calls import why_failed
from ..gate.stack_route import in_place, stack_route
from ..gate.step import EnvironmentStep
from ..isolation.live.stack_doors import DoorChanges, door_changes, door_label
from .stack_module import ask_node


@dataclass(frozen=True)
class StackDoors:
    """The front doors of one stack's nodes. Where nothing has to change, no node is asked. ``states`` are the nodes as
    the manager has them."""

    step: EnvironmentStep
    route: Route | None
    changes: DoorChanges
    states: Sequence[Mapping[str, Any]]

    @property
    def nodes(self) -> list[dict[str, Any]]:
        """The nodes with the labels that they are to have: relays will run there."""
        label, changes = door_label(self.step.declaration.prefix), self.changes.labels
        return [
            {**state, "labels": {**state["labels"], label: str(changes[state["id"]]).lower()}}
            if state["id"] in changes
            else {**state}
            for state in self.states
        ]

    def foreseen(self) -> list[dict[str, Any]]:
        """What :meth:`around` will do beside the update."""
        prefix = self.step.declaration.prefix
        steps = [*self._labels(True)]
        if self.route:
            domains = ", ".join(sorted(self.route.domains))
            steps += [Step("publish", domains, "route", detail=f"on {host}") for host in self.changes.lead]
        steps += [Step("withdraw", prefix, "route", detail=f"on {host}") for host in self.changes.leave]
        return as_dicts([*steps, *self._labels(False)])

    def around(self, update: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Have the doors ready, update the stack, and have them lead to it. Returns the answer of the update, with all
        steps.

        Raises AnsibleActionFail where a door would not take the route: then nothing was updated.
        """
        if self.step._task.check_mode:
            answer = update()
            steps = [*(answer.get("steps") or ()), *self.foreseen()]
            return {**answer, "changed": bool(steps), "steps": steps}
        ready = self.make_ready()
        answer = update()
        steps = [*ready, *(answer.get("steps") or ())]
        if answer.get("failed"):
            return {**answer, "steps": steps}
        try:
            for step in self.lead():
                steps.append(step)
        except AnsibleActionFail as error:
            why = f"{error.message}. The release is in force; deploy again to go on here"
            return {**answer, **_detail(error), "failed": True, "msg": why, "steps": steps}
        return {**answer, "changed": bool(steps), "steps": steps}

    def make_ready(self) -> list[dict[str, Any]]:
        """Before the stack is updated: see that the doors would take the route, and let relays start on their nodes.

        Raises AnsibleActionFail where one would not.
        """
        try:
            for host in self.changes.lead:
                self._ask(host, "ready", self._given)
        except AnsibleActionFail as error:
            raise AnsibleActionFail(f"{error.message}. Nothing was updated", result=_detail(error)) from None
        return self._label(True)

    def lead(self) -> Iterator[dict[str, Any]]:
        """Have the doors lead to the stack, and all others not any more. Yields each step once it is taken.

        Raises AnsibleActionFail where a door does not follow.
        """
        for host in self.changes.lead:
            yield from _on(host, self._ask(host, "lead", self._given))
        for host in self.changes.leave:
            yield from _on(host, self._ask(host, "leave", {}))
        yield from self._label(False)

    def _labels(self, wanted: bool) -> Iterator[Step]:
        verb, label = "label" if wanted else "unlabel", door_label(self.step.declaration.prefix)
        hostnames = {state["id"]: str(state["hostname"]) for state in self.states}
        for identity, has in self.changes.labels.items():
            if has is wanted:
                yield Step(verb, label, "label", detail=hostnames[identity])

    def _label(self, wanted: bool) -> list[dict[str, Any]]:
        nodes = {identity: has for identity, has in self.changes.labels.items() if has is wanted}
        given = {"label": door_label(self.step.declaration.prefix), "nodes": nodes}
        return self._ask(self.step.all_nodes.manager, "label", given) if nodes else []

    @property
    def _given(self) -> dict[str, Any]:
        """What a node has to know of the route."""
        route = self.route
        return {"domains": route.domains, "connections": route.connections, "rate": route.rate} if route else {}

    def _ask(self, host: str, job: str, given: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Have a node do a job; returns its steps. Raises AnsibleActionFail where it does not."""
        answer = ask_node(self.step, host, job, given)
        if answer.get("failed"):
            raise AnsibleActionFail(
                f"{self.step.declaration.prefix}: {host}: {why_failed(answer).rstrip('.')}",
                result={"detail": answer.get("detail", "")},
            )
        steps: list[dict[str, Any]] = answer["steps"]
        return steps


def _detail(error: AnsibleActionFail) -> dict[str, Any]:
    """What a node said beside its error."""
    return {"detail": (error.result or {}).get("detail", "")}


def _on(host: str, steps: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Steps that say on which node they were taken."""
    return [{**step, "detail": f"on {host}"} for step in steps]


def stack_doors(step: EnvironmentStep, gone: bool = False) -> StackDoors:
    """The front doors of a stack's nodes as this run found them; no door is to lead to one that is ``gone``."""
    environment, seen = step.live.environment, step.session.observation
    route = None if gone else stack_route(environment)
    changes = door_changes(environment.prefix, in_place(route), seen, step.declaration.values["bulkhead_edge_nodes"])
    return StackDoors(step, route, changes, seen["stack"]["nodes"])
