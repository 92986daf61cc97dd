# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The modules that the gates call on the machine of one environment."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.utils.display import Display

from ...module_utils.core.errors import last_lines
from ...module_utils.core.permit import READ_ONLY, permit
from ..isolation.live.probes import Probes
from ..isolation.live.receipt import BystanderComparison, compare
from .meanwhile import shown_meanwhile
from .packing import following, packed_ahead
from .proof import Surroundings
from .sending import send_by_stdin
from .session import Note, Session, holder


def call_module(
    action: Any,
    task_vars: dict[str, Any],
    name: str,
    arguments: Mapping[str, Any],
    hide: Callable[[str], str] | None = None,
) -> dict[str, Any]:
    """Call a module of this collection on the machine, with the permit that it asks for.

    With ``hide``, which takes secrets out of a line, whoever watches sees what it does while it works.
    """
    send_by_stdin(action, task_vars)
    given = dict(arguments)
    if name not in READ_ONLY:
        given["permit"] = permit(name, given["prefix"], given["token"])
    with (
        shown_meanwhile(action, name, given, hide),
        packed_ahead(action, task_vars, _after(action, name, given)),
    ):
        answer: dict[str, Any] = action._execute_module(f"aiia.bulkhead.{name}", given, task_vars=task_vars)
    return in_words(name, answer)


def _after(action: Any, name: str, given: Mapping[str, Any]) -> tuple[str, ...]:
    """The modules that are called after this one; none where that is not known."""
    declaration = getattr(action, "declaration", None)
    if declaration is None or action.nodes is not None or (name == "verify" and not given["token"]):
        return ()  # a stack has modules of its own, and nothing follows a verification without a deployment
    return following(str(action._task.action.rpartition(".")[2]), name, declaration.values)


def why_failed(answer: Mapping[str, Any]) -> str:
    """What a module says of its failure."""
    # A module that crashed has no message, only a traceback.
    event = getattr(answer.get("exception"), "event", None)
    return str(answer.get("msg") or getattr(event, "msg", "") or "the module ended without an answer")


def in_words(name: str, answer: dict[str, Any]) -> dict[str, Any]:
    """The answer of a module; of one that ended without an answer, what is known of its end (``ended``)."""
    if not answer.get("failed") or "module_stdout" not in answer:
        return answer
    code = int(answer.get("rc") or 0)
    how = "it was killed: by hand, or by the kernel for want of memory (journalctl -k says so)"
    if code not in _KILLED:
        how = f"its process ended with exit code {code}"
    said = "\n".join(str(answer.pop(stream, "")).strip() for stream in ("module_stderr", "module_stdout")).strip()
    answer.pop("exception", None)
    answer.update(ended=True, msg=f"step {name} ended on the machine without an answer: {how}", detail=last_lines(said))
    return answer


#: Exit codes of a process that was killed; without one, the connection has nothing to say.
_KILLED = (-9, 0, 9, 137)

#: Seconds of waiting for a lock after which the user sees a line.
_WAIT_PIECE = 10


class MachineCalls:
    """Calls modules for one environment. Raises AnsibleActionFail where a module fails."""

    def __init__(
        self, action: Any, task_vars: dict[str, Any], values: Mapping[str, Any], surroundings: Surroundings
    ) -> None:
        self._action = action
        self._task_vars = task_vars
        self._values = values
        self._surroundings = surroundings

    def observe(self) -> dict[str, Any]:
        """Observe the engine and the machine."""
        observation: dict[str, Any] = self._checked(self._module("machine_info", self._look()))["observation"]
        return observation

    def take_lock(self, session: Session) -> None:
        """Take the lock and observe the machine, in short calls, so that the user sees it wait."""
        wait = left = int(self._values["bulkhead_lock_wait"])
        while True:
            arguments = {
                **self._lease(session),
                **self._look(),
                "wait": min(left, _WAIT_PIECE),
                "takeover": self._values["bulkhead_lock_takeover"],
            }
            answer = self._module("preflight", arguments)
            left -= _WAIT_PIECE
            if not answer.get("busy") or left <= 0:
                break
            Display().display(f"waiting ({left} s left): {answer.get('msg')}")
        self._checked(answer, f" (waited {wait} s)" if answer.get("busy") else "")
        session.observation = answer["observation"]
        session.notes = [Note(answer["note"])] if answer["note"] else []
        held = session.observation["locks"].get(session.prefix)
        if held and self._action._task.check_mode:
            session.notes.append(Note(f"{session.prefix} is locked by {held['owner']} at this moment"))

    def release_lock(self, session: Session) -> dict[str, Any] | None:
        """Release the lock. Returns a last observation, or None where the module failed."""
        answer = self._module("preflight", {**self._lease(session), **self._look(), "release": True})
        return None if answer.get("failed") else answer["observation"]

    def probe(self, project: str, session: Session | None, probes: Probes) -> dict[str, Any]:
        """Run the probes from inside the environment's containers. Returns the answers and a new observation."""
        return self._checked(self._module("verify", self._asked(project, session, probes)))

    def _asked(self, project: str, session: Session | None, probes: Probes) -> dict[str, Any]:
        """What the module ``verify`` is given on every machine of an environment."""
        return {
            **self._look(),
            "prefix": self._surroundings.environment.prefix,
            "token": session.token if session else "",
            "project": project,
            "resolve": probes.resolve,
            "connect": probes.connect,
            "requests": probes.requests,
            "questions": probes.questions,
            "timeout": self._values["bulkhead_probe_timeout"],
        }

    def _record(
        self, session: Session, receipt: Mapping[str, Any], entry: Mapping[str, Any], gone: bool
    ) -> dict[str, Any]:
        """What the module ``record`` is given on every machine of an environment."""
        return {
            "prefix": session.prefix,
            "token": session.token,
            "state_directory": self._values["bulkhead_state_directory"],
            "owner": self._values["bulkhead_owner"],
            "entry": dict(entry),
            "receipt": dict(receipt),
            "gone": gone,
        }

    def keep(
        self,
        session: Session,
        receipt: Mapping[str, Any],
        entry: Mapping[str, Any],
        gone: bool = False,
        metrics: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Keep receipt and registry entry on the machine unless they are empty, and release the lock in any case.

        ``metrics`` is what a deployment knows for node_exporter. Returns the receipt with its ``path`` on the machine.
        """
        written = self._module(
            "record", {**self._record(session, receipt, entry, gone), "metrics": dict(metrics or {})}
        )
        session.end()
        self._checked(written)
        if written.get("told"):
            Display().warning(str(written["told"]))
        known = {name: written[name] for name in ("tried",) if name in written}
        return {**receipt, "path": written.get("path", ""), **known} if receipt else {}

    def compare(
        self, before: Mapping[str, Any], after: Mapping[str, Any], target: str, fleet: Collection[str]
    ) -> BystanderComparison:
        """Compare two observations of everything that is not the target's."""
        return compare(before, after, target, fleet)

    def _module(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        return call_module(self._action, self._task_vars, name, arguments)

    @staticmethod
    def _checked(answer: dict[str, Any], more: str = "") -> dict[str, Any]:
        if not answer.get("failed"):
            return answer
        raise AnsibleActionFail(f"{why_failed(answer)}{more}", result={"detail": answer.get("detail", "")})

    def _look(self) -> dict[str, Any]:
        environments = (self._surroundings.environment, *self._surroundings.neighbours)
        return {
            "docker_host": self._values["bulkhead_docker_host"],
            "state_directory": self._values["bulkhead_state_directory"],
            "directories": [environment.directory for environment in environments if environment.directory],
        }

    def _lease(self, session: Session) -> dict[str, Any]:
        return {
            "prefix": session.prefix,
            "token": session.token,
            "holder": holder(),
            "state_directory": self._values["bulkhead_state_directory"],
        }
