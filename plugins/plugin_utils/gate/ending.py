# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The end of a job: bystanders are compared, a receipt is left, and the lock is released."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.utils.display import Display

from ...module_utils.core.steps import Step
from ...module_utils.docker.labels import PREFIX
from ..isolation.live.metrics import deployment_metrics
from ..isolation.live.receipt import BystanderComparison, as_text
from ..isolation.live.registered import entry_of
from ..isolation.model import Environment, Finding
from .machine_calls import MachineCalls, why_failed
from .notify import Notifications
from .proof import Surroundings
from .receipts import outcome, receipt, registry_entry, write_receipt
from .session import Session

#: The steps of a deployment. They leave a receipt even where they fail before anything was done.
_DEPLOYING = ("source", "converge", "rollback", "verify")
#: Those of them that change what runs.
_CONVERGING = ("converge", "rollback")


class Ending:
    """Ends jobs on one environment. ``step`` is the action that runs; in check mode nothing is recorded."""

    def __init__(
        self,
        machine: MachineCalls,
        surroundings: Surroundings,
        receipt_path: str,
        step: str,
        check_mode: bool,
        notifications: Notifications,
    ) -> None:
        self._machine = machine
        self._surroundings = surroundings
        self._receipt_path = receipt_path
        self._step = step
        self._check_mode = check_mode
        self._notifications = notifications

    def record(
        self,
        session: Session,
        environment: Environment,
        answer: Mapping[str, Any],
        findings: Sequence[Finding],
        stopping: Sequence[str] = (),
    ) -> dict[str, Any]:
        """End a verified deployment: keep the receipt and the registry entry on the machine. Returns the receipt.

        ``stopping`` are the rules that fail the run. A changed bystander fails it as well.
        """
        after = answer["observation"]
        release = dict(session.converged)
        compared = self._compare(session, after)
        wrong = f"what was seen afterwards is not as proved: {', '.join(stopping)}" if stopping else ""
        written = self._receipt(
            session,
            compared,
            session.changed,
            **outcome(self._step, wrong, _words(compared.changes)),
            probed=answer["probed"],
            findings=[finding.as_dict() for finding in findings],
            **release,
        )
        entry = {**entry_of(environment), **release, **({"plan": session.plan} if session.plan else {})}
        entry = registry_entry(entry, written, session.observation, after, environment.directory)
        metrics: dict[str, Any] = {}
        if not environment.swarm:  # node_exporter knows one machine
            seen = deployment_metrics(environment, answer, written, session.converged)
            metrics = {"directory": environment.variables.get("bulkhead_metrics_directory") or "", "known": seen}
        written = self._machine.keep(session, written, entry, metrics=metrics)
        self._notifications.ended(session, self._step, written)
        return written

    def conclude(
        self, session: Session, what: str, steps: Sequence[Mapping[str, Any]], gone: bool = False
    ) -> dict[str, Any]:
        """End a job that is not a deployment. ``what`` names the job, ``steps`` are what it changed.

        A job that changed nothing leaves no receipt. The environment's registry entry stays as it is; with ``gone`` it
        is removed. Displays and returns the receipt. Raises AnsibleActionFail where a bystander changed.
        """
        if self._check_mode:
            session.end()
            return {}
        compared = self._compare(session, self._machine.observe())
        ended = outcome(self._step, _words(compared.changes))
        written = self._receipt(session, compared, steps, what=what, **ended)
        keep = bool(steps or gone or compared.changes)
        written = self._machine.keep(session, written if keep else {}, {}, gone)
        if keep:
            write_receipt(self._receipt_path, written)
            Display().display(as_text(written))
        self._notifications.ended(session, self._step, {**ended, **written})
        if compared.changes:
            raise AnsibleActionFail(
                f"{session.prefix}: {what} is done. {_words(compared.changes)}",
                result={"bystander_changes": list(compared.changes)},
            )
        return written

    def fail(self, session: Session, result: Mapping[str, Any], refusing: bool) -> dict[str, Any]:
        """End a job that failed with ``result``. ``refusing`` says that nothing was tried yet, so no receipt is due.

        Returns what to add to the result: words about bystanders (``msg``) and the receipt's text, which callbacks show
        last.
        """
        session.end()
        tried = bool(session.steps) or self._step in _DEPLOYING
        if refusing or not tried or not session.observation or self._check_mode:
            added = _added(self._give_up(session))
            self._notifications.ended(session, self._step, self._failed(result))
            return added
        after: Mapping[str, Any] = {}
        try:
            after = self._machine.observe()
            compared = self._compare(session, after)
        except AnsibleError as error:
            compared = BystanderComparison((), 0, (), (f"other environments could not be compared: {error}",))
        failed = self._failed(result)
        if result.get("ended") and self._step in _CONVERGING:
            failed.update(tried=None, put_back=left_behind(session, after))  # the machine knows what was tried
        written = self._receipt(session, compared, session.changed, **failed)
        try:
            written = self._machine.keep(session, written, {})
            write_receipt(self._receipt_path, written)
        except AnsibleError as error:  # the lock was lost, or the machine is gone: the lock expires by itself
            Display().warning(f"{session.prefix}: this run leaves no receipt: {error}")
        self._notifications.ended(session, self._step, written)
        return {**_added(compared.changes), "receipt": as_text(written)}

    def _failed(self, result: Mapping[str, Any]) -> dict[str, Any]:
        # A job of one step was tried as a whole; a deployment lists the steps that it began.
        tried = result.get("steps", [] if self._step in _DEPLOYING else [Step(self._step).as_dict()])
        error = why_failed(result)
        return {**outcome(self._step, error), "tried": tried, "put_back": result.get("put_back", "")}

    def _give_up(self, session: Session) -> tuple[str, ...]:
        """Release the lock. Returns the changes of bystanders while this run held it."""
        try:
            after = self._machine.release_lock(session)
        except AnsibleError as error:  # the machine is gone
            Display().warning(f"{session.prefix}: could not release the lock; it expires by itself: {error}")
            return ()
        return self._compare(session, after).changes if after and session.observation else ()

    def _compare(self, session: Session, after: Mapping[str, Any]) -> BystanderComparison:
        return self._machine.compare(session.observation, after, session.prefix, self._surroundings.prefixes)

    def _receipt(
        self, session: Session, compared: BystanderComparison, changed: Sequence[Mapping[str, Any]], **more: Any
    ) -> dict[str, Any]:
        proved = {"environments": list(self._surroundings.prefixes), "claims": self._surroundings.claims}
        return receipt(session, compared, changed=changed, proved=proved, **more)


def left_behind(session: Session, after: Mapping[str, Any]) -> str:
    """What a killed deployment left, and what the next one does about it."""
    if not after:
        return "nothing: the run was killed. The next deployment finishes it or goes back"
    before = {container["id"] for container in session.observation.get("containers", ())}
    fresh = sorted(
        f"{container['name']} ({container['condition']})"
        for container in after["containers"]
        if container["labels"].get(PREFIX) == session.prefix and container["id"] not in before
    )
    left = f"it left {' and '.join(fresh)}" if fresh else "it left no container"
    return f"nothing: the run was killed; {left}. The next deployment goes on from there"


def _added(changes: Sequence[str]) -> dict[str, Any]:
    return {"msg": f". {_words(changes)}" if changes else "", "bystander_changes": list(changes)}


def _words(changes: Sequence[str]) -> str:
    return f"Other environments changed while this run held the lock: {'; '.join(changes)}" if changes else ""
