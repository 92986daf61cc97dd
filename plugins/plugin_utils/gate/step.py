# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The base of actions that change an environment's machine: prove the fleet, take the lock, look, then act."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ...module_utils.core.masking import mask
from ...module_utils.core.steps import sentences
from ..declaration.command_line import identity
from ..declaration.model import Declaration
from ..declaration.swarm import is_swarm, of_swarm
from ..isolation.model import Severity
from ..isolation.report import text
from ..release.render import Release, secret_values
from .connection import require_declared_machine
from .live import LiveGate
from .machine_calls import call_module
from .plan import Gate, require_proof, require_same
from .session import Session, now
from .unread import shown_seals

if TYPE_CHECKING:
    from .stack_nodes import StackNodes


def as_foreseen(prefix: str, result: Mapping[str, Any], diff: bool) -> str:
    """What a step would do, for the screen; empty where it would do nothing, failed, or its diff shows it."""
    steps = [] if result.get("failed") or (diff and "diff" in result) else sentences(result.get("steps", []))
    return "\n".join([f"{prefix}: would do:", *(f"  {step}" for step in steps)]) if steps else ""


class EnvironmentAction(ActionBase):
    """An action on the machine of one environment: it knows the declaration, and reaches the declared machine only."""

    _supports_check_mode = True
    _supports_diff = True

    OPTIONS: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    #: Why the action does nothing with a stack of a swarm; empty where it works there.
    NOT_ON_SWARM: ClassVar[str] = "this does not work on a swarm yet"

    #: The nodes of an environment that is a stack; None on one machine.
    nodes: StackNodes | None = None

    gate: Gate
    declaration: Declaration
    task_vars: dict[str, Any]

    def begin(self, tmp: str | None, task_vars: dict[str, Any] | None) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return an empty result and the task's options.

        Raises AnsibleActionFail where the task would act elsewhere than on the environment's machine, or cannot on a
        swarm, and AnsibleActionSkip for a node for which another one's task acts.
        """
        self.task_vars = task_vars or {}
        result: dict[str, Any] = super().run(tmp, self.task_vars)
        _checked, given = self.validate_argument_spec(dict(self.OPTIONS))
        self.gate = Gate(self, self.task_vars)
        # Before any variable is read for a host that may be another one.
        renamed = identity(self.gate.extra_variables)
        if renamed:
            raise AnsibleActionFail(text.refusal(renamed))
        self.declaration = self.gate.declaration_of(self.task_vars["inventory_hostname"])
        findings = self.gate.extra_findings(self.declaration)
        if findings:
            raise AnsibleActionFail(text.refusal(findings))
        if is_swarm(self.declaration):
            self._meet_swarm(given)
        else:
            require_declared_machine(self, self.task_vars, self.declaration, self.gate.renderer.templates)
        return result, given

    def refuses_swarm(self, given: Mapping[str, Any]) -> str:
        """Why a task with these options does nothing with a stack; empty where it works."""
        return self.NOT_ON_SWARM

    def _meet_swarm(self, given: Mapping[str, Any]) -> None:
        """Find the manager that is asked; see :meth:`begin`."""
        from .stack_nodes import StackNodes  # only here: a deployment on one machine does without

        refused = self.refuses_swarm(given)
        if refused:
            raise AnsibleActionFail(f"{of_swarm(self.declaration, refused)}. Nothing was changed")
        self.nodes = StackNodes(self, self.task_vars, self.gate, self.declaration)
        self.nodes.require_turn()
        require_declared_machine(self, self.task_vars, self.declaration, self.gate.renderer.templates)
        self.nodes.choose()

    @property
    def all_nodes(self) -> StackNodes:
        """The nodes of a stack, for what is done with stacks alone. Raises TypeError on one machine."""
        if self.nodes is None:
            raise TypeError(f"{self.declaration.prefix} is no stack of a swarm")
        return self.nodes

    def live_gate(self) -> LiveGate:
        """The live gate of the environment, on its machine or on all nodes of its swarm."""
        if self.nodes is None:
            return LiveGate(self, self.task_vars, self.gate, self.declaration)
        from .stack_live import StackGate

        return StackGate(self, self.task_vars, self.gate, self.declaration, self.nodes)

    def call(self, name: str, arguments: Mapping[str, Any], hide: Callable[[str], str] | None = None) -> dict[str, Any]:
        """Call a module of this collection on the environment's machine, or on the manager of its swarm."""
        if self.nodes is not None:
            return self.nodes.call(self.nodes.manager, name, arguments, hide)
        return call_module(self, self.task_vars, name, arguments, hide)


class EnvironmentStep(EnvironmentAction):
    """One step on one environment. A subclass defines its :attr:`OPTIONS` and its work (:meth:`act`)."""

    #: Whether findings that stop a deployment refuse the step.
    JUDGES: ClassVar[bool] = True

    live: LiveGate
    session: Session

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Prove, lock, look and act. If it fails, bystanders are compared and the lock is released."""
        result, given = self.begin(tmp, task_vars)
        if self.only_reads(given):
            self.gate.bind(self.declaration)
            self.session = Session(self.declaration.prefix, "", now())
            result.update(self.act(given))
            return result
        require_proof(self.gate, self.declaration, self.ships(given) and not self._task.check_mode)
        self.live = self.live_gate()
        self.session = self.live.ensure(self.JUDGES)
        with self.live.during(self.session, result):
            require_same(self.session, self.gate.render(self.declaration))
            self.live.notifications.started(self.session, str(self._task.action.rpartition(".")[2]))
            result.update(self.act(given))
        if self._task.check_mode:
            foreseen = as_foreseen(self.declaration.prefix, result, self._task.diff)
            if foreseen:
                Display().display(foreseen)
        if not self.session.over and not result.get("failed"):
            self.session.changed += [] if self._task.check_mode else result.get("steps", [])
            self.session.save()
        return result

    def only_reads(self, given: Mapping[str, Any]) -> bool:
        """Whether a step with these options changes nothing, and so needs neither proof nor lock."""
        return False

    def ships(self, given: Mapping[str, Any]) -> bool:
        """Whether a step with these options brings what the inventory says to the machine, for which an environment may
        ask for a signed plan."""
        return False

    def act(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Do the step with its options. Returns the task's result; ``failed`` in it ends the run."""
        raise NotImplementedError

    def module(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Call a module of this collection on the machine."""
        self.session.steps.append(name)
        return self.call(name, {**self.common(), **arguments}, self._hider())

    def _hider(self) -> Callable[[str], str] | None:
        """What takes the environment's secrets out of a line that is shown meanwhile; None if they are not known."""
        release = self.gate.render(self.declaration)
        return (lambda line: str(mask(line, secret_values(release)))) if release else None

    def typed(self, name: str) -> str:
        """What ``-e`` sets a variable to; empty where only the inventory sets it."""
        return str(self.gate.inventory.extra_variables.get(name) or "")

    def confirm(self, what: str) -> None:
        """Demand the prefix as ``-e bulkhead_confirm`` before an irreversible step in a protected environment.

        Raises AnsibleActionFail where it is missing, or names another environment.
        """
        prefix = self.declaration.prefix
        typed = self.declaration.permissions.get("bulkhead_confirm")
        if typed is None and not self.declaration.values["bulkhead_protected"]:
            return
        if typed != prefix:
            self.session.steps.clear()  # nothing was tried yet: no receipt
            why = f"it says {typed}" if typed is not None else "it is protected (bulkhead_protected)"
            raise AnsibleActionFail(
                f"{prefix}: {what} needs the prefix typed out, and {why}: -e bulkhead_confirm={prefix}. "
                "Nothing was changed"
            )

    def common(self) -> dict[str, Any]:
        """The options of every module that works on an environment."""
        values = self.declaration.values
        return {
            "directory": values["bulkhead_directory"],
            "prefix": values["bulkhead_prefix"],
            "token": self.session.token,
            "state_directory": values["bulkhead_state_directory"],
            "owner": values["bulkhead_owner"],
            "docker_host": values["bulkhead_docker_host"],
        }

    def release(self, commit: str = "") -> Release:
        """What was proved, with the image of a commit. Raises AnsibleActionFail where something is missing or wrong."""
        release = self.gate.render(self.declaration, commit)
        faults = [problem for problem in self.declaration.problems if problem.severity >= Severity.HIGH]
        if release is None or self.declaration.lacking or faults:
            raise AnsibleActionFail(text.refusal([*faults, *self.declaration.lacking]))
        seals = list(shown_seals(self.declaration, release))
        if seals:
            raise AnsibleActionFail(text.refusal(seals))
        return release
