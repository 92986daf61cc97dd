# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The live gates as actions use them: lock and look, judge, verify, and the receipt."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from functools import cached_property
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.utils.display import Display

from ...module_utils.core.steps import Step
from ..declaration.model import Declaration
from ..isolation.live.drift import differences
from ..isolation.live.preflight import accepted, preflight, standing
from ..isolation.live.probes import judge_probes, plan_probes
from ..isolation.live.receipt import Comparison, as_text, compare
from ..isolation.live.registered import as_released, entry_of, registered, services_of
from ..isolation.model import Environment, Finding, Fleet, Severity
from ..isolation.report import text
from ..isolation.rules import judge
from .plan import Gate, surroundings
from .proof import Surroundings
from .questions import credentials, questions
from .receipts import outcome, receipt, registry_entry, write_receipt
from .session import Note, Session, begun, holder, now

#: Seconds of waiting for a lock between two signs of life.
_WAIT_PIECE = 10

#: The steps of a deployment: they leave a receipt also where they fail before anything was done.
_DEPLOYING = ("source", "converge", "rollback", "verify")

#: What a deployment tells although it does not stop it.
_TOLD = (
    "drift",
    "damaged-registry",
    "rebuilt-registry",
    "unregistered-environment",
    "moved-checkout",
    "foreign-mount",
    "in-maintenance",
)


class LiveGate:
    """The gates of one environment on its machine."""

    def __init__(self, action: Any, task_vars: dict[str, Any], gate: Gate, declaration: Declaration) -> None:
        self._action = action
        self._task_vars = task_vars
        self.gate = gate
        self.declaration = declaration
        self.values = declaration.values

    def _module(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = self._action._execute_module(
            f"aiia.bulkhead.{name}", dict(arguments), task_vars=self._task_vars
        )
        return answer

    def _look(self) -> dict[str, Any]:
        around = (self.around.environment, *self.around.neighbours)
        return {
            "docker_host": self.values["bulkhead_docker_host"],
            "state_directory": self.values["bulkhead_state_directory"],
            "directories": [each.directory for each in around if each.directory],
        }

    @cached_property
    def around(self) -> Surroundings:
        """The environment as the rules see it, and its neighbours of the inventory."""
        return surroundings(self.gate, self.declaration)

    @property
    def environment(self) -> Environment:
        """The environment as the rules see it; after a rollback, with what its release claims."""
        session = begun(self.declaration.prefix)
        if session and session.released:
            return as_released(self.around.environment, session.released)
        return self.around.environment

    def judge_release(self, session: Session, entry: Mapping[str, Any]) -> None:
        """Judge what a kept release claims, beside the inventory's environments and those on the machine.

        Raises AnsibleActionFail where it would touch one of them.
        """
        session.released = dict(entry)
        session.save()
        others = (self.environment, *self.around.neighbours)
        paper = [each for each in judge(Fleet(others)) if len(each.environments) > 1]
        mine = [each for each in paper if session.prefix in each.environments]
        seen = standing(self.environment, self.around.prefixes, session.observation)
        findings = self._accepted([*mine, *seen])
        stopping = text.stops(findings, Severity.parse(self.values["bulkhead_fail_on"]), session.prefix)
        if stopping:
            raise AnsibleActionFail(
                f"the release may not come back beside those that are there now, and nothing was changed\n"
                f"{text.text(findings, stopping=stopping)}"
            )

    def ensure(self, judge: bool = True) -> Session:
        """The session of this run; where no earlier step began one, lock, look and judge now.

        Raises AnsibleActionFail with the findings when the machine speaks against a deployment. Without ``judge`` they
        stop nothing: for jobs that touch only what carries the environment's own labels.
        """
        session = begun(self.declaration.prefix)
        if session is not None:
            return session
        session = Session(self.declaration.prefix, uuid.uuid4().hex, now())
        self._begin(session)
        with self.during(session, refusing=True):
            findings = self._accepted(preflight(self.environment, self.around.prefixes, session.observation))
            stopping = text.stops(findings, Severity.parse(self.values["bulkhead_fail_on"]), session.prefix)
            if stopping and judge:
                raise AnsibleActionFail(
                    f"refused on the machine, and nothing was changed\n{text.text(findings, stopping=stopping)}"
                )
            session.notes += [Note(finding.message, finding.rule) for finding in findings if finding.rule in _TOLD]
            session.save()
        return session

    def _begin(self, session: Session) -> None:
        """Take the lock and look at the machine, in short calls, so that waiting can be seen."""
        wait = left = int(self.values["bulkhead_lock_wait"])
        while True:
            arguments = {
                **self._lease(session),
                **self._look(),
                "wait": min(left, _WAIT_PIECE),
                "takeover": self.values["bulkhead_lock_takeover"],
            }
            answer = self._module("preflight", arguments)
            left -= _WAIT_PIECE
            if not answer.get("busy") or left <= 0:
                break
            Display().display(f"waiting ({left} s left): {answer.get('msg')}")
        if answer.get("failed"):
            waited = f" (waited {wait} s)" if answer.get("busy") else ""
            raise _failure(answer, waited)
        session.observation = answer["observation"]
        session.notes = [Note(answer["note"])] if answer["note"] else []
        held = session.observation["locks"].get(session.prefix)
        if held and self._action._task.check_mode:
            session.notes.append(Note(f"{session.prefix} is locked by {held['owner']} at this moment"))

    def _lease(self, session: Session) -> dict[str, Any]:
        return {
            "prefix": session.prefix,
            "token": session.token,
            "holder": holder(),
            "state_directory": self.values["bulkhead_state_directory"],
        }

    def _accepted(self, findings: Sequence[Finding], complete: bool = False) -> list[Finding]:
        return text.arrange(accepted(self.environment, findings, date.today(), complete))

    @contextmanager
    def during(self, session: Session, result: dict[str, Any] | None = None, refusing: bool = False) -> Iterator[None]:
        """A step of a job. However it fails: bystanders are compared, a receipt of what was tried is left, and the lock
        is given back. ``refusing`` says that nothing has been tried yet."""
        try:
            yield
        except BaseException as error:
            if session.over:
                raise
            failed = self._fail(session, {"msg": str(error)}, refusing)
            more = f"{error}{failed.pop('msg')}"
            if isinstance(error, AnsibleError) and any(failed.values()):
                raise AnsibleActionFail(more, result={**getattr(error, "result", {}), **failed}) from None
            raise
        if result and result.get("failed") and not session.over:
            failed = self._fail(session, result, refusing)
            result.update({**failed, "msg": f"{result.get('msg')}{failed['msg']}"})
            for told in ("steps", "put_back") if "receipt" in failed else ():
                result.pop(told, None)  # the receipt has them, and callbacks show what comes after it in the alphabet

    def _fail(self, session: Session, said: Mapping[str, Any], refusing: bool) -> dict[str, Any]:
        """End a job that failed. Returns what is to be added to what it said: words about bystanders (``msg``), and the
        receipt in short, which callbacks show last."""
        session.end()
        step = self._step
        began = bool(session.steps) or step in _DEPLOYING
        if refusing or not began or not session.observation or self._action._task.check_mode:
            return self._added(self._give_up(session))
        try:
            after = self._observe()
            compared = compare(session.observation, after, session.prefix, self.around.prefixes)
        except AnsibleError as error:
            compared = Comparison((), 0, (), (f"other environments could not be compared: {error}",))
        # A job of one step was tried as a whole; a deployment says itself what of it was begun.
        tried = said.get("steps", [] if step in _DEPLOYING else [Step(step).as_dict()])
        more = outcome(step, str(said.get("msg") or "the module ended without an answer"))
        more |= {"tried": tried, "put_back": said.get("put_back", "")}
        written = receipt(session, compared, changed=session.changed, proved=self._proved, **more)
        try:
            written = self._write(session, written, {})
            write_receipt(self.values["bulkhead_receipt"], written)
        except AnsibleError as error:  # the lock was lost, or the machine is gone; then the lock ends by itself
            Display().warning(f"{session.prefix}: this run leaves no receipt: {error}")
        return {**self._added(compared.changes), "receipt": as_text(written)}

    @staticmethod
    def _added(changes: Sequence[str]) -> dict[str, Any]:
        return {"msg": f". {_changed(changes)}" if changes else "", "bystander_changes": list(changes)}

    def _give_up(self, session: Session) -> tuple[str, ...]:
        """Give the lock back; what changed of bystanders while this run had it."""
        try:
            answer = self._module("preflight", {**self._lease(session), **self._look(), "release": True})
        except AnsibleError as error:  # the machine is gone; the lock ends by itself
            Display().warning(f"{session.prefix}: the lock could not be given back, and ends by itself: {error}")
            return ()
        if answer.get("failed") or not session.observation:
            return ()
        return compare(session.observation, answer["observation"], session.prefix, self.around.prefixes).changes

    def verify(self) -> tuple[dict[str, Any], list[Finding]]:
        """Probe the environment and judge the answers. Returns what the module said, and the findings."""
        session = begun(self.declaration.prefix)
        observation = session.observation if session else self._observe()
        machine = self.environment.machine
        others = [*self.around.neighbours, *registered(observation, self.around.prefixes, machine)]
        in_force = session.released if session else observation["registry"].get(self.declaration.prefix)
        # Without a deployment the inventory may be ahead of what is in force; nobody registered says nothing of that.
        services = services_of(self.environment) if session else (in_force or {}).get("services", {})
        asked = questions(self.gate.render(self.declaration), in_force)
        probes = plan_probes(self.environment, others, observation, asked)
        answer = self._module(
            "verify",
            {
                **self._look(),
                "prefix": self.declaration.prefix,
                "token": session.token if session else "",
                "credentials": json.dumps(credentials(self.values)),
                "project": self.environment.compose[0].name,
                "resolve": probes.resolve,
                "connect": probes.connect,
                "requests": probes.requests,
                "questions": probes.questions,
                "timeout": self.values["bulkhead_probe_timeout"],
            },
        )
        if answer.get("failed"):
            raise _failure(answer)
        # After a deployment the registry still knows the one before: what differs from that is no drift.
        judged = standing if session else preflight
        findings = [
            *judge_probes(self.environment, others, probes, answer, services),
            *judged(self.environment, self.around.prefixes, answer["observation"]),
        ]
        answer["drift"] = [] if session else differences(self.environment, answer["observation"])
        answer["probed"] = {
            "names": len(probes.resolve),
            "addresses": len(probes.connect),
            "requests": len(probes.requests),
            "containers": len(answer["inside"]),
            "cut": probes.cut,
        }
        return answer, self._accepted(findings, complete=session is None)

    def _observe(self) -> dict[str, Any]:
        answer = self._module("machine_info", self._look())
        if answer.get("failed"):
            raise _failure(answer)
        observation: dict[str, Any] = answer["observation"]
        return observation

    def record(
        self,
        session: Session,
        answer: Mapping[str, Any],
        findings: list[Finding],
        state: Mapping[str, Any],
        stopping: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Write the receipt and the registry entry on the machine, and give the lock back. Returns the receipt.

        ``stopping`` are the rules that fail the run; it fails as well where a bystander changed.
        """
        after = answer["observation"]
        release = {name: state.get(name, "") for name in ("commit", "release")}
        compared = compare(session.observation, after, session.prefix, self.around.prefixes)
        wrong = f"what was seen afterwards is not as proved: {', '.join(stopping)}" if stopping else ""
        written = receipt(
            session,
            compared,
            changed=session.changed,
            proved=self._proved,
            **outcome(self._step, wrong, _changed(compared.changes)),
            probed=answer["probed"],
            findings=[finding.as_dict() for finding in findings],
            **release,
        )
        entry = {**entry_of(self.environment), **release}
        entry = registry_entry(entry, written, session.observation, after, self.environment.directory)
        return self._write(session, written, entry)

    def conclude(
        self,
        session: Session,
        what: str,
        steps: Sequence[Mapping[str, Any]],
        gone: bool = False,
    ) -> dict[str, Any]:
        """End a job that is no deployment: look again, compare bystanders, leave a receipt, give the lock back.

        ``what`` is the job in a word or two, ``steps`` what it changed. A job that changed nothing leaves no receipt.
        The environment's registry entry stays as it is; with ``gone`` it is removed. Returns the receipt, whose short
        form is shown. Raises AnsibleActionFail when a bystander changed.
        """
        if self._action._task.check_mode:
            session.end()
            return {}
        after = self._observe()
        compared = compare(session.observation, after, session.prefix, self.around.prefixes)
        ended = outcome(self._step, _changed(compared.changes))
        written = receipt(session, compared, changed=steps, proved=self._proved, what=what, **ended)
        keep = bool(steps or gone or compared.changes)
        written = self._write(session, written if keep else {}, {}, gone)
        if keep:
            write_receipt(self.values["bulkhead_receipt"], written)
            Display().display(as_text(written))
        if compared.changes:
            raise AnsibleActionFail(
                f"{session.prefix}: {what} is done. {_changed(compared.changes)}",
                result={"bystander_changes": list(compared.changes)},
            )
        return written

    @property
    def _step(self) -> str:
        return str(self._action._task.action.rpartition(".")[2])

    @property
    def _proved(self) -> dict[str, Any]:
        return {"environments": list(self.around.prefixes), "claims": self.around.claims}

    def _write(
        self, session: Session, receipt: Mapping[str, Any], entry: Mapping[str, Any], gone: bool = False
    ) -> dict[str, Any]:
        """Keep receipt and entry on the machine, where there are any; the lock goes back in any case."""
        written = self._module(
            "record",
            {
                "prefix": session.prefix,
                "token": session.token,
                "state_directory": self.values["bulkhead_state_directory"],
                "owner": self.values["bulkhead_owner"],
                "entry": dict(entry),
                "receipt": dict(receipt),
                "gone": gone,
            },
        )
        session.end()
        if written.get("failed"):
            raise _failure(written)
        return {**receipt, "path": written.get("path", "")} if receipt else {}


def _failure(answer: Mapping[str, Any], more: str = "") -> AnsibleActionFail:
    """What a module said when it failed; one that broke has no message, only a traceback."""
    event = getattr(answer.get("exception"), "event", None)
    message = answer.get("msg") or getattr(event, "msg", "") or "the module ended without an answer"
    return AnsibleActionFail(f"{message}{more}", result={"detail": answer.get("detail", "")})


def _changed(changes: Sequence[str]) -> str:
    if not changes:
        return ""
    return f"While this run had the lock, what belongs to other environments changed: {'; '.join(changes)}"
