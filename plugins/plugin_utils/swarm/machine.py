# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One machine of a run of the role ``swarm``: its module called, its values read, and what earlier steps kept of it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError

from ..gate.kept import kept
from ..gate.machine_calls import in_words
from ..gate.sending import send_by_stdin
from .model import MachineLook, Wanted

#: The jobs whose answers hold a token or a key.
_SECRET_ANSWERS = ("lock", "tokens")


class SwarmMachine:
    """One machine, in one step of a run. Raises AnsibleActionFail in whole sentences."""

    def __init__(self, action: Any, task_vars: dict[str, Any]) -> None:
        self._action = action
        self.task_vars = task_vars
        self.host: str = task_vars["inventory_hostname"]
        self.check = bool(action._task.check_mode)

    def module(self, job: str, **arguments: Any) -> dict[str, Any]:
        """Call module ``swarm`` there. Raises AnsibleConnectionFailure where the machine gives no answer."""
        send_by_stdin(self._action, self.task_vars)
        given = {"job": job, **arguments}
        if engine := self.value("bulkhead_docker_host"):
            given["docker_host"] = engine
        context = self._action._connection._play_context
        shown = context.no_log
        # With -vvv a connection shows what came through it. no_log of the task would hide its errors as well.
        context.no_log = shown or job in _SECRET_ANSWERS
        try:
            answer = self._action._execute_module("aiia.bulkhead.swarm", given, task_vars=self.task_vars)
        finally:
            context.no_log = shown
        return in_words("swarm", answer)

    def checked(self, answer: dict[str, Any]) -> dict[str, Any]:
        """The answer of a module that did not fail."""
        if answer.get("failed"):
            message = answer.get("msg") or f"{self.host}: the module ended without an answer"
            raise AnsibleActionFail(str(message), result={"detail": answer.get("detail", "")})
        return answer

    def hosts(self) -> list[str]:
        """All machines of the play, also those that gave no answer."""
        return sorted(self.task_vars["ansible_play_hosts_all"])

    def wanted(self, host: str) -> Wanted:
        """What the inventory wants of a machine."""
        found: Wanted = self._kept_look(host)[0][0]
        return found

    def seen(self, host: str) -> MachineLook:
        """What a machine said of itself."""
        found: MachineLook = self._kept_look(host)[1]
        return found

    def _kept_look(self, host: str) -> Any:
        found = kept(name_of("look", host))
        if found is None:
            raise AnsibleActionFail(f"{host} was not looked at in this run: run all of aiia.bulkhead.swarm")
        return found

    def value(self, name: str) -> Any:
        """A variable of this machine."""
        try:
            return self._action._templar.template(self.task_vars.get(name))
        except AnsibleError as error:
            raise AnsibleActionFail(f"{self.host}: {name} cannot be evaluated: {error.message}") from None

    def key_file(self) -> str:
        """Where the key of locked managers is kept; empty where nowhere."""
        return str(self.value("bulkhead_swarm_unlock_key_file") or "")

    def group(self) -> str:
        """The group of the swarm's machines, which is its vault id too."""
        return str(self.value("bulkhead_swarm_group") or "swarm")

    def passwords(self) -> Sequence[tuple[str, Any]]:
        """The run's vault passwords with their ids."""
        return self._action._loader._vault.secrets or ()


def name_of(what: str, host: str) -> str:
    """Under which name something of a host is kept; a host's own name may be no file's."""
    return f"swarm-{what}-{hashlib.sha256(host.encode()).hexdigest()[:16]}"
