# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The live gates as actions use them: lock and look, judge, verify, and the receipt.

What one step of a run learns for the next is kept in the run's own temporary directory, never in facts or variables.
"""

from __future__ import annotations

import getpass
import json
import socket
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from ansible import constants as C
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.utils.display import Display

from .declaration import Declaration
from .gate import Gate, Surroundings, surroundings
from .isolation import report
from .isolation.live.drift import deployed_containers
from .isolation.live.preflight import accepted, preflight, standing
from .isolation.live.probes import judge_probes, plan_probes
from .isolation.live.receipt import compare
from .isolation.live.registered import entry_of, registered
from .isolation.model import Environment, Finding, Severity

#: Seconds of waiting for a lock between two signs of life.
_WAIT_PIECE = 10

#: What a deployment tells although it does not stop it.
_TOLD = ("drift", "damaged-registry", "rebuilt-registry", "unregistered-environment", "moved-checkout", "foreign-mount")


@dataclass
class Session:
    """One deployment of one environment: its lock's token, when it began, and the machine as it was before."""

    prefix: str
    token: str
    began: str
    observation: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)

    def save(self) -> None:
        """Keep it for the next step of this run."""
        path = _path(self.prefix)
        path.touch(mode=0o600)
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")


def _path(prefix: str) -> Path:
    return Path(C.DEFAULT_LOCAL_TMP, f"bulkhead-session-{prefix}.json")


def now() -> str:
    """The time as receipts write it: UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def begun(prefix: str) -> Session | None:
    """The session that an earlier step of this run began."""
    try:
        return Session(**json.loads(_path(prefix).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def forget(prefix: str) -> None:
    """The session is over: its lock has been given back."""
    _path(prefix).unlink(missing_ok=True)


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
        """The environment as the rules see it."""
        return self.around.environment

    def ensure(self) -> Session:
        """The session of this run; where no earlier step began one, lock, look and judge now.

        Raises AnsibleActionFail with the findings when the machine speaks against a deployment.
        """
        session = begun(self.declaration.prefix)
        if session is not None:
            return session
        session = Session(self.declaration.prefix, uuid.uuid4().hex, now())
        self._begin(session)
        with self.during(session):
            findings = self._accepted(preflight(self.environment, self.around.prefixes, session.observation))
            stopping = report.stops(findings, Severity.parse(self.values["bulkhead_fail_on"]), session.prefix)
            if stopping:
                raise AnsibleActionFail(
                    f"refused on the machine, and nothing was changed\n{report.text(findings, stopping=stopping)}"
                )
            session.notes += [f"{each.rule}: {each.message}" for each in findings if each.rule in _TOLD]
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
        session.notes = [answer["note"]] if answer["note"] else []
        held = session.observation["locks"].get(session.prefix)
        if held and self._action._task.check_mode:
            session.notes.append(f"{session.prefix} is being deployed by {held['owner']} at this moment")

    def _lease(self, session: Session) -> dict[str, Any]:
        return {
            "prefix": session.prefix,
            "token": session.token,
            "holder": _holder(),
            "state_directory": self.values["bulkhead_state_directory"],
        }

    def _accepted(self, findings: Sequence[Finding]) -> list[Finding]:
        return report.arrange(accepted(self.environment, findings, date.today()))

    @contextmanager
    def during(self, session: Session, result: dict[str, Any] | None = None) -> Iterator[None]:
        """A step of a deployment. However it fails, the lock is given back and bystanders are compared."""
        try:
            yield
        except BaseException as error:
            changes = self._give_up(session)
            if changes and isinstance(error, AnsibleError):
                raise AnsibleActionFail(f"{error}. {_changed(changes)}") from error
            raise
        if result and result.get("failed"):
            changes = self._give_up(session)
            if changes:
                result["msg"] = f"{result.get('msg')}. {_changed(changes)}"
                result["bystander_changes"] = list(changes)

    def _give_up(self, session: Session) -> tuple[str, ...]:
        """Give the lock back; what changed of bystanders while this run had it."""
        forget(session.prefix)
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
        probes = plan_probes(self.environment, others, observation, self._questions())
        answer = self._module(
            "verify",
            {
                **self._look(),
                "prefix": self.declaration.prefix,
                "token": session.token if session else "",
                "credentials": json.dumps(self._credentials()),
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
            *judge_probes(self.environment, others, probes, answer),
            *judged(self.environment, self.around.prefixes, answer["observation"]),
        ]
        answer["probed"] = {
            "names": len(probes.resolve),
            "addresses": len(probes.connect),
            "requests": len(probes.requests),
            "containers": len(answer["inside"]),
            "cut": probes.cut,
        }
        return answer, self._accepted(findings)

    def _credentials(self) -> dict[str, dict[str, str]]:
        """Who the environment is to its own servers: what another environment's servers must refuse."""
        secrets = self.values["bulkhead_secrets"]
        known = {key: value for key, value in dict(secrets or {}).items() if isinstance(value, str)}
        database = {"user": "bulkhead_database_user", "database": "bulkhead_database_name"}
        return {
            "postgresql": {
                **{key: str(self.values[name]) for key, name in database.items()},
                "password": str(known.get("DB_PASSWORD", "")),
            },
            "redis": {"password": str(known.get("REDIS_PASSWORD", ""))},
        }

    def _observe(self) -> dict[str, Any]:
        answer = self._module("machine_info", self._look())
        if answer.get("failed"):
            raise _failure(answer)
        observation: dict[str, Any] = answer["observation"]
        return observation

    def _questions(self) -> list[dict[str, Any]]:
        release = self.gate.render(self.declaration)
        services = release.stack.services if release else ()
        return [
            {"kind": each.question_kind, "container": each.container, "command": list(each.question)}
            for each in services
            if each.question
        ]

    def record(
        self, session: Session, answer: Mapping[str, Any], findings: list[Finding], state: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Write the receipt and the registry entry on the machine, and give the lock back. Returns the receipt."""
        after = answer["observation"]
        compared = compare(session.observation, after, session.prefix, self.around.prefixes)
        environment = self.environment
        receipt = {
            "prefix": session.prefix,
            "began": session.began,
            "finished": now(),
            "by": _holder(),
            "commit": state.get("commit", ""),
            "release": state.get("release", ""),
            "proved": {
                "environments": list(self.around.prefixes),
                "claims": self.around.claims,
            },
            "changed": list(state.get("steps", ())),
            "probed": answer["probed"],
            "bystanders": list(compared.bystanders),
            "bystander_containers": compared.containers,
            "bystander_changes": list(compared.changes),
            "notes": [*session.notes, *compared.notes],
            "findings": [each.as_dict() for each in findings],
        }
        entry = {
            **entry_of(environment),
            "machine_id": after["machine"],
            "engine_id": after["engine"]["id"],
            "commit": receipt["commit"],
            "release": receipt["release"],
            "deployed": receipt["finished"],
            "by": receipt["by"],
            "files": after["files"].get(environment.directory, {}),
            "key": after["key"],
            "containers": deployed_containers(session.prefix, after),
        }
        written = self._module(
            "record",
            {
                "prefix": session.prefix,
                "token": session.token,
                "state_directory": self.values["bulkhead_state_directory"],
                "owner": self.values["bulkhead_owner"],
                "entry": entry,
                "receipt": receipt,
            },
        )
        forget(session.prefix)
        if written.get("failed"):
            raise _failure(written)
        return {**receipt, "path": written.get("path", "")}


def write_receipt(path: str, receipt: Mapping[str, Any]) -> None:
    """Keep the receipt on the controller as well, if that is asked for."""
    try:
        if path:
            Path(path).write_text(json.dumps(receipt, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise AnsibleActionFail(f"the receipt cannot be kept in {path} (bulkhead_receipt): {error.strerror}") from error


def _failure(answer: Mapping[str, Any], more: str = "") -> AnsibleActionFail:
    """What a module said when it failed; one that broke has no message, only a traceback."""
    event = getattr(answer.get("exception"), "event", None)
    message = answer.get("msg") or getattr(event, "msg", "") or "the module ended without an answer"
    return AnsibleActionFail(f"{message}{more}", result={"detail": answer.get("detail", [])})


def _changed(changes: Sequence[str]) -> str:
    return f"While this run had the lock, what belongs to other environments changed: {'; '.join(changes)}"


def _holder() -> str:
    return f"{getpass.getuser()}@{socket.gethostname()}"
