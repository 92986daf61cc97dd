# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The steps of the role ``swarm``, each on one machine of the play. What they find is kept for the following ones.

First every machine is looked at, and tried from the others; then one step judges all of it, and plans; only then is a
machine changed. Join tokens pass from a manager to a machine through what the run keeps, and through nothing else.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Iterator, Mapping
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError
from ansible.utils.display import Display

from ...module_utils.core.steps import Step, as_dicts, sentence
from ...module_utils.swarm.ports import CONTROL, GOSSIP, needed
from ..gate.kept import forget, keep, kept
from ..gate.machine_calls import in_words
from ..gate.sending import send_by_stdin
from ..secrets.editing import SecretsProblem
from . import plan as planning
from . import unlock_key
from .model import Look, Settings, Wanted, declared, lost_problems
from .problems import Unreached, problems, refusal, warnings

#: What this run's listeners answer. Made in Ansible's main process; the steps, which are forks of it, have the same.
_WORD = secrets.token_hex(16)

_TOKENS, _PLAN = "swarm-tokens", "swarm-plan"


class SwarmRun:
    """One step of a run, on one machine. Raises AnsibleActionFail in whole sentences."""

    def __init__(self, action: Any, task_vars: dict[str, Any]) -> None:
        self._action = action
        self._task_vars = task_vars
        self.host: str = task_vars["inventory_hostname"]

    def step(self, job: str) -> dict[str, Any]:
        """Do a job on this machine if it is one for it; returns the task's result."""
        if job != "look" and job != "plan" and self._look(self.host).away:
            return self._left_out() if job == "close" else _skipped()
        found = _STEPS[job](self)
        return _skipped() if found is None else found

    # Before anything is changed

    def _look_at(self) -> Look:
        wanted, _wrong = self._declared()
        asked = time.time()
        try:
            answer = self._module("look", address=wanted.address)
        except AnsibleConnectionFailure as error:
            return Look(self.host, away=str(error.message).partition("\n")[0])
        if answer.get("failed") or "look" not in answer:
            said = str(answer.get("msg") or "its engine could not be asked").rstrip(".")
            return Look(self.host, problem=said)
        return Look.read(self.host, answer["look"], asked, time.time())

    def _look_job(self) -> dict[str, Any]:
        keep(_name("look", self.host), (self._declared(), self._look_at()))
        return {"changed": False}

    def _unlock(self) -> dict[str, Any] | None:
        """Open a restarted manager with the key that was kept, and look again."""
        look = self._look(self.host)
        path = self._path()
        if look.state != "locked" or not path:
            return None
        try:
            key = unlock_key.read(path, self._passwords(), self._group())
        except SecretsProblem as problem:
            raise AnsibleActionFail(f"{self.host} is locked: {path}: {problem}") from None
        if not key:
            return None
        if self._action._task.check_mode:
            return {"changed": True, "steps": as_dicts([Step("unlock", self.host, "node")])}
        answer = self._checked(self._module("unlock", host=self.host, open_with=key))
        self._look_job()
        return answer

    def _listen(self) -> dict[str, Any] | None:
        """Answer the others' tries, where this machine has no engine in a swarm that does."""
        wanted, look = self._wanted(self.host), self._look(self.host)
        address = planning.address_of(wanted, look)
        if not look.is_out or not address or look.taken or (wanted.address and not look.is_own):
            return None
        ports = needed(wanted.role == "manager")
        given = [{"protocol": protocol, "port": port} for protocol, port in ports]
        answer = self._checked(self._module("listen", address=address, ports=given, word=_WORD))
        keep(_name("held", self.host), answer["held"])
        return {"changed": False}

    def _reach(self) -> dict[str, Any] | None:
        """Try what the others are reached at."""
        own = planning.address_of(self._wanted(self.host), self._look(self.host))
        targets = [target for host in self._hosts() if host != self.host for target in self._target(host)]
        if not own or not self._look(self.host).answers or not targets:
            return None
        lost = self._checked(self._module("reach", address=own, targets=targets, word=_WORD))["lost"]
        keep(_name("lost", self.host), lost)
        return {"changed": False}

    def _target(self, host: str) -> Iterator[dict[str, Any]]:
        wanted, look = self._wanted(host), self._look(host)
        address = planning.address_of(wanted, look)
        if look.is_out:
            held = kept(_name("held", host))
            if held is None:
                return
            ports = [each for each in needed(wanted.role == "manager") if "{}/{}".format(*each) not in held]
        elif look.answers and look.state == "active":
            # Its engine holds these, and answers no stranger's datagram.
            ports = [("tcp", GOSSIP), *([("tcp", CONTROL)] if look.control else [])]
        else:
            return
        both = {kind: [port for protocol, port in ports if protocol == kind] for kind in ("tcp", "udp")}
        yield {"address": address, **both}

    def _quiet(self) -> dict[str, Any] | None:
        """End this machine's listener."""
        if kept(_name("held", self.host)) is None:
            return None
        wanted = self._wanted(self.host)
        ports = [{"protocol": protocol, "port": port} for protocol, port in needed(wanted.role == "manager")]
        address = planning.address_of(wanted, self._look(self.host))
        self._checked(self._module("quiet", address=address, ports=ports, word=_WORD))
        return {"changed": False}

    def _plan(self) -> dict[str, Any]:
        """Judge what all machines said, and say what is to be done."""
        hosts = self._hosts()
        self._require_everybody()
        wanted = {host: self._wanted(host) for host in hosts}
        looks = {host: self._look(host) for host in hosts}
        lost = self._value("bulkhead_swarm_lost") or []
        wrong = [reason for host in hosts for reason in kept(_name("look", host))[0][1]]
        wrong += lost_problems(lost)
        settings = Settings(tuple(map(str, lost)), *self._lock_settings())
        unreached = list(self._unreached(hosts))
        wrong = wrong or problems(wanted, looks, settings, unreached)
        if wrong:
            raise AnsibleActionFail(refusal(wrong))
        found = planning.plan(wanted, looks, settings)
        keep(_PLAN, (found, settings))
        for note in [*warnings(looks, unreached), *found.notes]:
            Display().warning(f"{note}.")
        for step in found.steps:
            Display().display(f"swarm: {sentence(step)}")
        planned = bool(found.steps) and self._action._task.check_mode
        return {"changed": planned, "steps": as_dicts(found.steps)}

    def _unreached(self, hosts: list[str]) -> Iterator[Unreached]:
        at = {planning.address_of(self._wanted(host), self._look(host)): host for host in hosts}
        for host in hosts:
            for each in kept(_name("lost", host)) or []:
                yield Unreached(host, at[each["address"]], **each)
            for port in kept(_name("held", host)) or []:
                protocol, _slash, number = port.partition("/")
                address = planning.address_of(self._wanted(host), self._look(host))
                yield Unreached(host, host, address, protocol, int(number), "another program holds it")

    # Changes

    def _form(self) -> dict[str, Any] | None:
        found, settings = self._planned()
        if found.form != self.host:
            return None
        address = found.address[self.host]
        answer = self._module("form", host=self.host, address=address, autolock=bool(settings.autolock))
        self._checked(answer)
        keep(_name("node", self.host), self._checked(self._module("look"))["look"]["node"])
        return answer

    def _lock(self) -> dict[str, Any] | None:
        """Lock managers, and keep the key where the inventory says; the file is written before anybody is told."""
        found, settings = self._planned()
        path = self._path()
        if found.asked != self.host or (settings.autolock is None and not path):
            return None
        answer = self._checked(self._module("lock", autolock=settings.autolock))
        key = answer.pop("key", "")
        if not key or not path:
            return answer
        try:
            written = unlock_key.write(path, key, self._passwords(), self._group(), self._action._task.check_mode)
        except SecretsProblem as problem:
            raise AnsibleActionFail(
                f"the managers are locked, and their key could not be kept in {path}: {problem}. While one of them is "
                "up, it tells the key (docker swarm unlock-key): mend that and run this again"
            ) from None
        steps = [*answer["steps"], *as_dicts([Step("write", path, "vault file")] if written else [])]
        return {**answer, "steps": steps, "changed": bool(steps)}

    def _tokens(self) -> dict[str, Any] | None:
        found, _settings = self._planned()
        if found.asked != self.host or not found.joining:
            return None
        keep(_TOKENS, self._checked(self._module("tokens")).pop("tokens"))
        return {"changed": False}

    def _join(self) -> dict[str, Any] | None:
        found, _settings = self._planned()
        if self.host not in found.joining:
            return None
        arguments = {
            "host": self.host,
            "address": found.address[self.host],
            "managers": found.managers,
            "join_with": kept(_TOKENS)[self._wanted(self.host).role],
        }
        answer = self._checked(self._module("join", **arguments))
        keep(_name("node", self.host), answer.pop("node"))
        return answer

    def _settle(self) -> dict[str, Any] | None:
        """Give every node that is there its role, availability and labels."""
        found, _settings = self._planned()
        if found.asked != self.host:
            return None
        forget(_TOKENS)
        nodes = []
        for host in found.settled:
            fresh = kept(_name("node", host))
            identity = fresh or found.nodes.get(host)
            if identity:
                nodes.append(planning.settings_of(self._wanted(host), identity, bool(fresh)))
        return self._checked(self._module("settle", nodes=nodes))

    def _remove(self) -> dict[str, Any] | None:
        found, _settings = self._planned()
        if found.asked != self.host or not found.removed:
            return None
        return self._checked(self._module("remove", nodes=found.removed))

    def _close(self) -> dict[str, Any] | None:
        return None

    def _left_out(self) -> dict[str, Any]:
        raise AnsibleActionFail(
            f"{self.host} could not be reached and was left as it is; the others are as declared. When it is back, run "
            "this again",
            result={"detail": self._look(self.host).away},
        )

    # What the steps have in common

    def _module(self, job: str, **arguments: Any) -> dict[str, Any]:
        send_by_stdin(self._action, self._task_vars)
        given = {"job": job, **arguments}
        if engine := self._value("bulkhead_docker_host"):
            given["docker_host"] = engine
        answer = self._action._execute_module("aiia.bulkhead.swarm", given, task_vars=self._task_vars)
        return in_words("swarm", answer)

    def _checked(self, answer: dict[str, Any]) -> dict[str, Any]:
        if answer.get("failed"):
            message = answer.get("msg") or f"{self.host}: the module ended without an answer"
            raise AnsibleActionFail(str(message), result={"detail": answer.get("detail", "")})
        return answer

    def _planned(self) -> tuple[planning.Plan, Settings]:
        found: tuple[planning.Plan, Settings] | None = kept(_PLAN)
        if found is None:
            raise AnsibleActionFail(
                "no step of this run has judged the machines, so none is changed: run all of the playbook "
                "aiia.bulkhead.swarm"
            )
        if self._action._task.check_mode:
            return planning.Plan(asked=""), found[1]
        return found

    def _lock_settings(self) -> tuple[bool | None, str, bool]:
        """Whether managers are to be locked, why their key could not be kept, and whether it was kept before."""
        autolock, path = self._value("bulkhead_swarm_autolock"), self._path()
        if not path:
            return autolock, (
                "bulkhead_swarm_autolock needs bulkhead_swarm_unlock_key_file, a vault file of your inventory: a "
                "restarted manager waits for this key, and without it the swarm is lost"
            ), False  # fmt: skip
        try:
            known = unlock_key.read(path, self._passwords(), self._group())
            unlock_key.require_password(self._passwords(), self._group())
        except SecretsProblem as problem:
            return autolock, f"the key of locked managers cannot be kept in {path}: {problem}", False
        return autolock, "", bool(known)

    def _require_everybody(self) -> None:
        """Raise where the play leaves machines of the group out: who is not looked at cannot be judged."""
        group = self._group()
        members = set(self._task_vars["groups"].get(group) or ())
        here = set(self._task_vars["ansible_play_batch"])
        if not members:
            raise AnsibleActionFail(
                f"the inventory has no group {group}: name the group of the swarm's machines in bulkhead_swarm_group"
            )
        if members != here:
            missing, others = ", ".join(sorted(members - here)), ", ".join(sorted(here - members))
            left = f"{missing} of group {group} is left out" if missing else f"{others} is not in group {group}"
            raise AnsibleActionFail(
                f"{left}: a swarm is judged as a whole. Run the playbook without -l, and with serial and strategy as "
                f"they are; other groups than {group} are named by swarm_hosts and bulkhead_swarm_group"
            )

    def _hosts(self) -> list[str]:
        return sorted(self._task_vars["ansible_play_hosts_all"])

    def _declared(self) -> tuple[Wanted, list[str]]:
        names = ("role", "availability", "advertise", "labels")
        return declared(self.host, {f"bulkhead_swarm_{name}": self._value(f"bulkhead_swarm_{name}") for name in names})

    def _wanted(self, host: str) -> Wanted:
        found: Wanted = self._kept_look(host)[0][0]
        return found

    def _look(self, host: str) -> Look:
        found: Look = self._kept_look(host)[1]
        return found

    def _kept_look(self, host: str) -> Any:
        found = kept(_name("look", host))
        if found is None:
            raise AnsibleActionFail(
                f"{host} was not looked at in this run: run the playbook aiia.bulkhead.swarm, whole"
            )
        return found

    def _value(self, name: str) -> Any:
        try:
            return self._action._templar.template(self._task_vars.get(name))
        except AnsibleError as error:
            raise AnsibleActionFail(f"{self.host}: {name} cannot be evaluated: {error.message}") from None

    def _path(self) -> str:
        return str(self._value("bulkhead_swarm_unlock_key_file") or "")

    def _group(self) -> str:
        return str(self._value("bulkhead_swarm_group") or "swarm")

    def _passwords(self) -> Mapping[str, Any] | Any:
        return self._action._loader._vault.secrets or ()


#: What each job calls.
_STEPS = {
    "look": SwarmRun._look_job,
    "unlock": SwarmRun._unlock,
    "listen": SwarmRun._listen,
    "reach": SwarmRun._reach,
    "quiet": SwarmRun._quiet,
    "plan": SwarmRun._plan,
    "form": SwarmRun._form,
    "lock": SwarmRun._lock,
    "tokens": SwarmRun._tokens,
    "join": SwarmRun._join,
    "settle": SwarmRun._settle,
    "remove": SwarmRun._remove,
    "close": SwarmRun._close,
}
#: What a task of the role may ask for, in their order.
JOBS = tuple(_STEPS)


def _name(what: str, host: str) -> str:
    """Under which name something of a host is kept; a host's own name may be no file's."""
    return f"swarm-{what}-{hashlib.sha256(host.encode()).hexdigest()[:16]}"


def _skipped() -> dict[str, Any]:
    return {"changed": False, "skipped": True}
