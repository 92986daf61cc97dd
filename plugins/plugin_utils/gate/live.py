# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The live gate as actions use it: lock and look, judge, verify, end."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from functools import cached_property
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError

from ..declaration.model import Declaration
from ..isolation.live.drift import differences
from ..isolation.live.preflight import accepted, preflight, standing
from ..isolation.live.registered import as_released
from ..isolation.model import Environment, Finding, Fleet, Severity
from ..isolation.report.text import arrange, stops, text
from ..isolation.rules import judge
from .ending import Ending
from .machine_calls import MachineCalls
from .notify import Notifications
from .plan import Gate, surroundings
from .proof import Surroundings, read_proof
from .session import Note, Session, begun, now
from .verification import Verification, counts

#: Findings that a deployment reports although they do not stop it.
_TOLD = (
    "drift",
    "damaged-registry",
    "rebuilt-registry",
    "unregistered-environment",
    "moved-checkout",
    "foreign-mount",
    "in-maintenance",
    "disk-filling",
    "unlimited-swap",
)


class LiveGate:
    """The gate of one environment on its machine."""

    def __init__(self, action: Any, task_vars: dict[str, Any], gate: Gate, declaration: Declaration) -> None:
        self._action = action
        self._task_vars = task_vars
        self.gate = gate
        self.declaration = declaration
        self.values = declaration.values

    @cached_property
    def around(self) -> Surroundings:
        """The environment as declared, and its neighbours in the inventory."""
        return surroundings(self.gate, self.declaration)

    @cached_property
    def machine(self) -> MachineCalls:
        """The calls to the machine."""
        return MachineCalls(self._action, self._task_vars, self.values, self.around)

    @cached_property
    def ending(self) -> Ending:
        """How a job ends."""
        step = str(self._action._task.action.rpartition(".")[2])
        check_mode = bool(self._action._task.check_mode)
        path = self.values["bulkhead_receipt"]
        return Ending(self.machine, self.around, path, step, check_mode, self.notifications)

    @cached_property
    def notifications(self) -> Notifications:
        """Who is told of what this run does."""
        return Notifications(self.declaration.prefix, self.values, bool(self._action._task.check_mode))

    @property
    def environment(self) -> Environment:
        """The environment as the rules see it; after a rollback, with the claims of the release in force."""
        session = begun(self.declaration.prefix)
        if session and session.released:
            return as_released(self.around.environment, session.released)
        return self.around.environment

    def ensure(self, judge: bool = True) -> Session:
        """Return the session of this run. If no earlier step began one: lock, look and judge now.

        Raises AnsibleActionFail with the findings that stop a deployment. Without ``judge`` they stop nothing, for jobs
        that touch only what carries the environment's own labels.
        """
        session = begun(self.declaration.prefix)
        if session is not None:
            return session
        release = self.gate.render(self.declaration)
        session = Session(self.declaration.prefix, uuid.uuid4().hex, now(), digest=release.digest if release else "")
        session.permissions = self.declaration.permissions
        self.machine.take_lock(session)
        with self.during(session, refusing=True):
            self._apply_plan(session)
            findings = self._accepted(self.judged(session))
            if judge:
                self._refuse(findings, "refused on the machine, and nothing was changed")
            session.notes += [Note(finding.message, finding.rule) for finding in findings if finding.rule in _TOLD]
            session.save()
        return session

    def judged(self, session: Session) -> list[Finding]:
        """What stands in the way on the machine."""
        return preflight(self.environment, self.around.read, session.observation)

    def standing(self, observation: Mapping[str, Any]) -> list[Finding]:
        """What stands in the way of a release, whichever was in force before."""
        return standing(self.environment, self.around.read, observation)

    def drift(self, observation: Mapping[str, Any]) -> list[dict[str, Any]]:
        """How the machine differs from what was deployed."""
        return differences(self.environment, observation)

    def _apply_plan(self, session: Session) -> None:
        """Note the plan that this run applies, and refuse one that is older than what was deployed since."""
        approval = read_proof().approved.get(self.declaration.group)
        if not approval:
            return
        entry = session.observation["registry"].get(session.prefix) or {}
        deployed = str(entry.get("deployed") or "")
        if entry.get("plan") != approval.digest and deployed > approval.made:
            raise AnsibleActionFail(
                f"{session.prefix}: the plan was made at {approval.made}, and another deployment or a rollback ended "
                f"at {deployed}: the plan knows nothing of it. Make the plan anew, have it approved, and deploy with "
                "that one. Nothing was changed"
            )
        session.plan = approval.digest
        session.notes.append(Note(str(approval)))

    def judge_release(self, session: Session, entry: Mapping[str, Any]) -> None:
        """Judge the claims of a kept release against the environments of the inventory and of the machine.

        Raises AnsibleActionFail where it would touch one of them.
        """
        session.released = dict(entry)
        session.save()
        fleet = Fleet((self.environment, *self.around.neighbours))
        shared = [finding for finding in judge(fleet) if len(finding.environments) > 1]
        on_paper = [finding for finding in shared if session.prefix in finding.environments]
        on_machine = self.standing(session.observation)
        findings = self._accepted([*on_paper, *on_machine])
        self._refuse(findings, "the release cannot return beside the environments of today, and nothing was changed")

    def verify(self) -> tuple[dict[str, Any], list[Finding]]:
        """Probe the environment and judge the answers. Returns the module's answer and the findings."""
        session = begun(self.declaration.prefix)
        observation = session.observation if session else self.machine.observe()
        verification = Verification(self.environment, self.around, session, observation)
        probes = verification.probes(self.gate.render(self.declaration))
        answer = self.machine.probe(self.environment.compose[0].name, session, probes)
        findings = verification.findings(probes, answer)
        answer["drift"] = verification.drift(answer)
        answer["probed"] = counts(probes, answer)
        return answer, self._accepted(findings, complete=session is None)

    def stopping(self, findings: Sequence[Finding]) -> list[Finding]:
        """The findings that stop a run on this environment."""
        own = self.declaration
        # Where it is not lower than usual, what the others accept makes no difference, and need not be read.
        lenient = self.gate.declarations if own.fail_on > Severity.MEDIUM else ()
        return stops(findings, own.fail_on, own.prefix, {other.prefix: other.fail_on for other in lenient})

    @contextmanager
    def during(self, session: Session, result: dict[str, Any] | None = None, refusing: bool = False) -> Iterator[None]:
        """Run a step of a job. If it fails, the job ends: bystanders compared, a receipt left, the lock released.

        ``refusing`` says that nothing has been tried yet.
        """
        try:
            yield
        except BaseException as error:
            if session.over:
                raise
            failed = self.ending.fail(session, {"msg": str(error)}, refusing)
            message = f"{error}{failed.pop('msg')}"
            if isinstance(error, AnsibleError) and any(failed.values()):
                raise AnsibleActionFail(message, result={**getattr(error, "result", {}), **failed}) from None
            raise
        if result and result.get("failed") and not session.over:
            failed = self.ending.fail(session, result, refusing)
            result.update({**failed, "msg": f"{result.get('msg')}{failed['msg']}"})
            for key in ("steps", "put_back") if "receipt" in failed else ():
                result.pop(key, None)  # the receipt has them, and callbacks would show them after it

    def _accepted(self, findings: Sequence[Finding], complete: bool = False) -> list[Finding]:
        return arrange(accepted(self.environment, findings, date.today(), complete))

    def _refuse(self, findings: list[Finding], why: str) -> None:
        stopping = self.stopping(findings)
        if stopping:
            raise AnsibleActionFail(f"{why}\n{text(findings, stopping=stopping)}")
