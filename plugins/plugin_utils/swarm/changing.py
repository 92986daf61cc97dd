# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The later steps of the role ``swarm``: what was planned is done, each on the machine that it concerns.

Join tokens pass from a manager to a machine through what the run keeps, and through nothing else.
"""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail

from ...module_utils.core.steps import Step, as_dicts
from ..gate.kept import forget, keep, kept
from ..secrets.editing import SecretsProblem
from . import plan as planning
from . import unlock_key
from .looking import PLAN
from .machine import SwarmMachine, name_of
from .model import SwarmSettings

_TOKENS = "swarm-tokens"


class Changing(SwarmMachine):
    """A machine that is changed, or a manager that changes the swarm. None says that a step is another machine's."""

    def form(self) -> dict[str, Any] | None:
        """Begin the swarm."""
        found, settings = self._planned()
        if found.form != self.host:
            return None
        address = found.address[self.host]
        answer = self.module("form", host=self.host, address=address, autolock=bool(settings.autolock))
        self.checked(answer)
        keep(name_of("node", self.host), self.checked(self.module("look"))["look"]["node"])
        return answer

    def lock(self) -> dict[str, Any] | None:
        """Lock managers, and keep the key where the inventory says; the file is written before anybody is told."""
        found, settings = self._judged()
        path = self.key_file()
        planned_only = self.check and found.form
        if found.asked != self.host or planned_only or (settings.autolock is None and not path):
            return None
        answer = self.checked(self.module("lock", autolock=settings.autolock))
        key = answer.pop("key", "")
        if not key or not path:
            return answer
        try:
            written = unlock_key.write(path, key, self.passwords(), self.group(), self.check)
        except SecretsProblem as problem:
            raise AnsibleActionFail(
                f"the managers are locked, and their key could not be kept in {path}: {problem}. While one of them is "
                "up, it tells the key (docker swarm unlock-key): mend that and run this again"
            ) from None
        steps = [*answer["steps"], *as_dicts([Step("write", path, "vault file")] if written else [])]
        return {**answer, "steps": steps, "changed": bool(steps)}

    def tokens(self) -> dict[str, Any] | None:
        """Have a manager say with what a machine joins, where one is to join."""
        found, _settings = self._planned()
        if found.asked != self.host or not found.joining:
            return None
        keep(_TOKENS, self.checked(self.module("tokens")).pop("tokens"))
        return {"changed": False}

    def join(self) -> dict[str, Any] | None:
        """Join the swarm, in the role that the inventory says."""
        found, _settings = self._planned()
        if self.host not in found.joining:
            return None
        arguments = {
            "host": self.host,
            "address": found.address[self.host],
            "managers": found.managers,
            "join_with": kept(_TOKENS)[self.wanted(self.host).role],
        }
        answer = self.checked(self.module("join", **arguments))
        keep(name_of("node", self.host), answer.pop("node"))
        return answer

    def settle(self) -> dict[str, Any] | None:
        """Give every node that is there its role, availability and labels."""
        found, _settings = self._planned()
        if found.asked != self.host:
            return None
        forget(_TOKENS)
        nodes = []
        for host in found.settled:
            fresh = kept(name_of("node", host))
            identity = fresh or found.nodes.get(host)
            if identity:
                nodes.append(planning.settings_of(self.wanted(host), identity, bool(fresh)))
        return self.checked(self.module("settle", nodes=nodes))

    def remove(self) -> dict[str, Any] | None:
        """Remove nodes that are lost."""
        found, _settings = self._planned()
        if found.asked != self.host or not found.removed:
            return None
        return self.checked(self.module("remove", nodes=found.removed))

    def close(self) -> None:
        """Nothing is left to do on a machine that answered."""

    def _planned(self) -> tuple[planning.Plan, SwarmSettings]:
        """What is to be done; in check mode by nobody."""
        found, settings = self._judged()
        return (planning.Plan(asked="") if self.check else found), settings

    def _judged(self) -> tuple[planning.Plan, SwarmSettings]:
        found: tuple[planning.Plan, SwarmSettings] | None = kept(PLAN)
        if found is None:
            raise AnsibleActionFail(
                "no step of this run has judged the machines, so none is changed: run all of the playbook "
                "aiia.bulkhead.swarm"
            )
        return found
