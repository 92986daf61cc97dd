# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The first steps of the role ``swarm``, before anything is changed: look at every machine, try it, judge, plan."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.utils.display import Display

from ...module_utils.core.steps import Step, as_dicts, sentence
from ...module_utils.swarm.ports import CONTROL, GOSSIP, needed
from ..gate.kept import keep, kept
from ..secrets.editing import SecretsProblem
from . import plan as planning
from . import unlock_key
from .machine import SwarmMachine, name_of
from .model import MachineLook, SwarmSettings, Wanted, declared, lost_problems
from .problems import Unreached, problems, refusal, warnings

#: What this run's listeners answer. Made in Ansible's main process; the steps, which are forks of it, have the same.
_WORD = secrets.token_hex(16)

#: Under which name the plan is kept, with the settings for the whole swarm.
PLAN = "swarm-plan"


class Looking(SwarmMachine):
    """A machine that is looked at, and the judgement about all of them."""

    def _look_at(self) -> MachineLook:
        wanted, _wrong = self._declared()
        asked = time.time()
        try:
            answer = self.module("look", address=wanted.address)
        except AnsibleConnectionFailure as error:
            return MachineLook(self.host, away=str(error.message).partition("\n")[0])
        if answer.get("failed") or "look" not in answer:
            said = str(answer.get("msg") or "its engine could not be asked").rstrip(".")
            return MachineLook(self.host, problem=said)
        return MachineLook.read(self.host, answer["look"], asked, time.time())

    def look(self) -> dict[str, Any]:
        """Ask the machine what it is; open a manager that was restarted with the key that was kept, and ask again."""
        found = self._look_at()
        steps, path = [], self.key_file()
        if found.state == "locked" and path:
            try:
                key = unlock_key.read(path, self.passwords(), self.group())
            except SecretsProblem as problem:
                found, key = (
                    MachineLook(self.host, problem=f"it is locked, and its key in {path} cannot be read: {problem}"),
                    "",
                )
            if key:
                steps.append(Step("unlock", self.host, "node"))
            if key and not self.check:
                self.checked(self.module("unlock", host=self.host, open_with=key))
                found = self._look_at()
        keep(name_of("look", self.host), (self._declared(), found))
        return {"changed": bool(steps), "steps": as_dicts(steps)}

    def listen(self) -> dict[str, Any] | None:
        """Answer the others' tries, where this machine has no engine in a swarm that does."""
        wanted, look = self.wanted(self.host), self.seen(self.host)
        address = planning.address_of(wanted, look)
        if not look.is_out or not address or look.taken or (wanted.address and not look.is_own):
            return None
        ports = needed(wanted.role == "manager")
        given = [{"protocol": protocol, "port": port} for protocol, port in ports]
        answer = self.checked(self.module("listen", address=address, ports=given, word=_WORD))
        keep(name_of("held", self.host), answer["held"])
        return {"changed": False}

    def reach(self) -> dict[str, Any] | None:
        """Try what the others are reached at."""
        own = planning.address_of(self.wanted(self.host), self.seen(self.host))
        targets = [target for host in self.hosts() if host != self.host for target in self._target(host)]
        if not own or not self.seen(self.host).answers or not targets:
            return None
        lost = self.checked(self.module("reach", address=own, targets=targets, word=_WORD))["lost"]
        keep(name_of("lost", self.host), lost)
        return {"changed": False}

    def _target(self, host: str) -> Iterator[dict[str, Any]]:
        wanted, look = self.wanted(host), self.seen(host)
        address = planning.address_of(wanted, look)
        if look.is_out:
            held = kept(name_of("held", host))
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

    def quiet(self) -> dict[str, Any] | None:
        """End this machine's listener."""
        if kept(name_of("held", self.host)) is None:
            return None
        wanted = self.wanted(self.host)
        ports = [{"protocol": protocol, "port": port} for protocol, port in needed(wanted.role == "manager")]
        address = planning.address_of(wanted, self.seen(self.host))
        self.checked(self.module("quiet", address=address, ports=ports, word=_WORD))
        return {"changed": False}

    def plan(self) -> dict[str, Any]:
        """Judge what all machines said, and say what is to be done."""
        hosts = self.hosts()
        self._require_everybody()
        wanted = {host: self.wanted(host) for host in hosts}
        looks = {host: self.seen(host) for host in hosts}
        lost = self.value("bulkhead_swarm_lost") or []
        wrong = [reason for host in hosts for reason in kept(name_of("look", host))[0][1]]
        wrong += lost_problems(lost)
        settings = SwarmSettings(tuple(map(str, lost)), *self._lock_settings())
        unreached = list(self._unreached(hosts))
        wrong = wrong or problems(wanted, looks, settings, unreached)
        if wrong:
            raise AnsibleActionFail(refusal(wrong))
        found = planning.plan(wanted, looks, settings)
        keep(PLAN, (found, settings))
        for note in [*warnings(looks, unreached), *found.notes]:
            Display().warning(f"{note}.")
        for step in found.steps:
            Display().display(f"swarm: {sentence(step)}")
        planned = bool(found.steps) and self.check
        return {"changed": planned, "steps": as_dicts(found.steps)}

    def _unreached(self, hosts: list[str]) -> Iterator[Unreached]:
        at = {planning.address_of(self.wanted(host), self.seen(host)): host for host in hosts}
        for host in hosts:
            for each in kept(name_of("lost", host)) or []:
                yield Unreached(host, at[each["address"]], **each)
            for port in kept(name_of("held", host)) or []:
                protocol, _slash, number = port.partition("/")
                address = planning.address_of(self.wanted(host), self.seen(host))
                yield Unreached(host, host, address, protocol, int(number), "another program holds it")

    def _lock_settings(self) -> tuple[bool | None, str, bool]:
        """Whether managers are to be locked, why their key could not be kept, and whether it was kept before."""
        autolock, path = self.value("bulkhead_swarm_autolock"), self.key_file()
        if not path:
            missing = (
                "bulkhead_swarm_autolock needs bulkhead_swarm_unlock_key_file, a vault file of your inventory: a "
                "restarted manager waits for this key, and without it the swarm is lost"
            )
            return autolock, missing if autolock else "", False
        try:
            known = unlock_key.read(path, self.passwords(), self.group())
            unlock_key.require_password(self.passwords(), self.group())
        except SecretsProblem as problem:
            return autolock, f"the key of locked managers cannot be kept in {path}: {problem}", False
        return autolock, "", bool(known)

    def _require_everybody(self) -> None:
        """Raise where the play leaves machines of the group out: who is not looked at cannot be judged."""
        group = self.group()
        members = set(self.task_vars["groups"].get(group) or ())
        here = set(self.hosts())
        if not members:
            raise AnsibleActionFail(
                f"the inventory has no group {group}: name the group of the swarm's machines in bulkhead_swarm_group"
            )
        if members != here:
            missing, others = ", ".join(sorted(members - here)), ", ".join(sorted(here - members))
            left = f"{missing} of group {group} is left out" if missing else f"{others} is not in group {group}"
            raise AnsibleActionFail(
                f"{left}: a swarm is judged as a whole. Run the playbook without -l; other groups than {group} are "
                "named by swarm_hosts and bulkhead_swarm_group"
            )
        lost = ", ".join(sorted(here - set(self.task_vars["ansible_play_batch"])))
        if lost:
            raise AnsibleActionFail(
                f"{lost} did not come this far: it failed above, or serial splits the play. A swarm is judged as a "
                "whole. Nothing was changed"
            )

    def _declared(self) -> tuple[Wanted, list[str]]:
        names = ("role", "availability", "advertise", "labels")
        return declared(self.host, {f"bulkhead_swarm_{name}": self.value(f"bulkhead_swarm_{name}") for name in names})
