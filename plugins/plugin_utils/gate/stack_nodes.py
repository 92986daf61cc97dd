# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The nodes of a stack's swarm: which manager is asked, and modules called on each of them.

A play runs an action once for each host. Of a stack, the first host's acts for all of them, and reaches the others as
Ansible would, with what the environment's own group says of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleActionSkip, AnsibleError

from ...module_utils.core.permit import READ_ONLY, permit
from ...module_utils.stack.deciding import UNDECIDED, why_undecided
from ..declaration.inventory import seal
from ..declaration.model import Declaration
from ..declaration.templates import Omitted, Templates
from ..declaration.variables import defaults
from .kept import keep, kept
from .machine_calls import call_module, in_words, why_failed
from .other_machine import module_elsewhere
from .plan import Gate
from .sending import send_by_stdin
from .stack_lease import StackLease

#: The modules that may take long: while one works on a node, the leases of the others would run out.
_LONG = frozenset(("backup", "restore", "service", "source", "stack"))

#: The options by which a module finds the lease of its run.
_OF_THE_RUN = ("directory", "prefix", "token", "state_directory", "owner", "docker_host")


class StackNodes:
    """The nodes of one environment that is a stack. ``away`` says of each that gave no answer why."""

    def __init__(self, action: Any, task_vars: dict[str, Any], gate: Gate, declaration: Declaration) -> None:
        self._action = action
        self._task_vars = task_vars
        self._gate = gate
        self.declaration = declaration
        self.own = str(task_vars["inventory_hostname"])
        self.away: dict[str, str] = {}
        self.manager = ""

    def require_turn(self) -> None:
        """Raise AnsibleActionSkip for all hosts of the environment but the first, which acts for all of them."""
        first = self.declaration.hosts[0]
        if self.own != first:
            raise AnsibleActionSkip(f"{first} acts for the whole stack")

    def choose(self) -> None:
        """Find the first manager that answers, and whose swarm can decide.

        Raises AnsibleActionFail where there is none.
        """
        send_by_stdin(self._action, self._task_vars)
        name = f"manager-{self.declaration.prefix}"
        self.manager = str(kept(name) or "")
        if self.manager:
            return
        said: dict[str, str] = {}
        for host in self.declaration.hosts:
            try:
                answer = self.call(host, "stack_info", self._asking())
            except AnsibleError as error:
                said[host] = self.away[host] = str(error.message).partition("\n")[0]
                continue
            said[host] = _unfit(answer)
            if not said[host]:
                self.manager = host
                keep(name, host)
                return
        reasons = "".join(f"\n  {host}: {why}" for host, why in said.items())
        raise AnsibleActionFail(
            f"{self.declaration.prefix}: no manager of the swarm can be asked, or too few of them answer each other. "
            f"Nothing was changed, and what runs goes on. Start the missing managers, then run this again{reasons}"
        )

    def look(self) -> dict[str, Any]:
        """The swarm as the chosen manager sees it now. Raises AnsibleActionFail where it cannot decide any more."""
        found: dict[str, Any] = self.swarm()["look"]
        return found

    def swarm(self, **more: Any) -> dict[str, Any]:
        """What the chosen manager says of the swarm, and of the environment where ``more`` asks for that.

        Raises AnsibleActionFail where it cannot decide any more.
        """
        answer = self.call(self.manager, "stack_info", {**self._asking(), **more})
        why = _unfit(answer)
        if why:
            said = UNDECIDED % f"{self.manager}: {why}"
            raise AnsibleActionFail(f"{self.declaration.prefix}: {said}", result={"detail": answer.get("detail", "")})
        return answer

    def host_of(self, identities: Collection[str]) -> tuple[str, str]:
        """The first host that is one of these nodes, and the id of that node; empty where none is."""
        for host in self.declaration.hosts if identities else ():
            with suppress(AnsibleError):
                node = str((self.call(host, "stack_info", self._asking()).get("look") or {}).get("node") or "")
                if node in identities:
                    return host, node
        return "", ""

    def others(self) -> list[str]:
        """All hosts but the manager that was chosen."""
        return [host for host in self.declaration.hosts if host != self.manager]

    def call(
        self, host: str, name: str, arguments: Mapping[str, Any], hide: Callable[[str], str] | None = None
    ) -> dict[str, Any]:
        """Call a module on a node. Raises AnsibleError where that cannot be reached."""
        with self._lease_kept(host, name, arguments):
            if host == self.own:
                return call_module(self._action, self._task_vars, name, arguments, hide)
            return self._elsewhere(host, name, arguments)

    def _elsewhere(self, host: str, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Call a module over a connection of its own."""
        given = dict(arguments)
        if name not in READ_ONLY:
            given["permit"] = permit(name, given["prefix"], given["token"])
        return in_words(name, module_elsewhere(self._action, self.variables(host), (), name, given, ours=True))

    def lease(self, arguments: Mapping[str, Any]) -> StackLease:
        """The leases of the run for whose modules these ``arguments`` are."""
        common = {name: arguments[name] for name in _OF_THE_RUN if name in arguments}
        return StackLease(
            self.declaration.prefix, lambda host: self._elsewhere(host, "stack", {**common, "job": "renew"})
        )

    def _lease_kept(self, host: str, name: str, arguments: Mapping[str, Any]) -> AbstractContextManager[None]:
        """Keep the run's lock on the other nodes while a module works on one for long."""
        others = [other for other in self.declaration.hosts if other != host and other not in self.away]
        if name not in _LONG or not arguments.get("token") or not others or self._action._task.check_mode:
            return nullcontext()
        return self.lease(arguments).kept_on(others)

    def _asking(self) -> dict[str, Any]:
        values = self.declaration.values
        engine = {name: values[f"bulkhead_{name}"] for name in ("docker_host", "state_directory")}
        return {"prefix": self.declaration.prefix, **engine}

    def variables(self, host: str) -> dict[str, Any]:
        """How a node is reached, as the inventory alone says."""
        inventory, templates = self._gate.inventory, self._gate.renderer.templates
        written = inventory.host_variables(host, opened=True)
        opened = {name: seal(value, True, name) for name, value in written.items()}
        found = _evaluated({**defaults(inventory.loader), **opened, "inventory_hostname": host}, templates)
        # What travels there has secrets in it: no file of the node may keep it.
        found.setdefault("ansible_pipelining", True)
        return {**found, "inventory_hostname": host}


def _evaluated(raw: dict[str, Any], templates: Templates) -> dict[str, Any]:
    """The variables that say how a host is reached."""
    found: dict[str, Any] = {}
    for name, value in raw.items():
        if name.startswith("ansible_"):
            with suppress(Omitted):
                found[name] = templates.value(value, raw)
    return found


def _unfit(answer: Mapping[str, Any]) -> str:
    """Why an engine cannot be asked for the swarm; empty if it can."""
    if answer.get("failed"):
        return why_failed(answer).partition("\n")[0]
    return why_undecided(answer["look"])
