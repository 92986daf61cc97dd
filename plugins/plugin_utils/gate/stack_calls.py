# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The calls to the nodes of a stack's swarm: one lock and one look for each, and one question to a manager."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.utils.display import Display

from ..isolation.live.probes import Probes
from ..isolation.live.receipt import BystanderComparison
from ..isolation.live.stack import compare_swarms
from .machine_calls import MachineCalls, why_failed
from .proof import Surroundings
from .session import Session
from .stack_nodes import StackNodes


class StackCalls(MachineCalls):
    """Calls modules for one environment on all nodes. ``nodes`` has chosen a manager."""

    def __init__(self, nodes: StackNodes, values: Mapping[str, Any], surroundings: Surroundings, action: Any) -> None:
        super().__init__(action, {}, values, surroundings)
        self.nodes = nodes

    def _module(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        return self.nodes.call(self.nodes.manager, name, arguments)

    def observe(self) -> dict[str, Any]:
        """Observe every node, and the swarm."""
        found = super().observe()
        return self._whole(found, lambda host: self.nodes.call(host, "machine_info", self._look()))

    def take_lock(self, session: Session) -> None:
        """Take the lock on every node, the managers' first, and observe them."""
        began = time.monotonic()
        super().take_lock(session)
        wait = {"wait": int(self._values["bulkhead_lock_wait"]), "takeover": self._values["bulkhead_lock_takeover"]}
        arguments = {**self._lease(session), **self._look(), **wait}
        try:
            session.observation = self._whole(
                session.observation, lambda host: self.nodes.call(host, "preflight", arguments)
            )
        except BaseException:
            self.release_lock(session)
            raise
        self.nodes.lease(arguments).begin(began)

    def release_lock(self, session: Session) -> dict[str, Any] | None:
        """Release the lock on every node. Returns a last observation, or None where the manager gives none."""
        found = super().release_lock(session)
        arguments = {**self._lease(session), **self._look(), "release": True}
        try:
            return self._whole(found, lambda host: self.nodes.call(host, "preflight", arguments)) if found else None
        except AnsibleError:
            return None

    def probe_nodes(
        self, project: str, session: Session | None, probes: Mapping[str, Probes]
    ) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """Run the probes on the nodes that have some, and only observe all others: one call for each.

        Returns a new observation of the swarm, and the answers by their hosts. A node that fails gives no answer.
        """
        answers: dict[str, dict[str, Any]] = {}

        def ask(host: str) -> dict[str, Any]:
            if host not in probes:
                return self.nodes.call(host, "machine_info", self._look())
            answer = self.nodes.call(host, "verify", {**self._asked(project, session, probes[host]), "swarm": True})
            if answer.get("failed"):
                raise AnsibleActionFail(why_failed(answer))
            answers[host] = answer
            return answer

        found = self._checked(ask(self.nodes.manager))["observation"]
        return self._whole(found, ask), answers

    def keep(
        self,
        session: Session,
        receipt: Mapping[str, Any],
        entry: Mapping[str, Any],
        gone: bool = False,
        metrics: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Keep receipt and registry entry on every node, and release the lock there in any case."""
        arguments = self._record(session, receipt, entry, gone)
        for host in session.observation.get("nodes", ()):
            try:
                self._checked(self.nodes.call(host, "record", arguments))
            except AnsibleError as error:
                Display().warning(f"{session.prefix}: {host} keeps no receipt of this run: {error.message}")
        return super().keep(session, receipt, entry, gone)

    def compare(
        self, before: Mapping[str, Any], after: Mapping[str, Any], target: str, fleet: Collection[str]
    ) -> BystanderComparison:
        """Compare two observations of the swarm."""
        return compare_swarms(before, after, target, fleet)

    def _whole(self, found: dict[str, Any], ask: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
        """The manager's observation with those of the other nodes, and with what the manager says of the swarm.

        Raises AnsibleActionFail where a node answers with an error: its lock is another's, for example.
        """
        nodes: dict[str, Any] = {}
        away = dict(self.nodes.away)
        for host in self.nodes.others():
            if host in away:
                continue
            try:
                answer = ask(host)
            except AnsibleError as error:
                away[host] = str(error.message).partition("\n")[0]
                continue
            if answer.get("failed"):
                raise AnsibleActionFail(f"{host}: {why_failed(answer)}")
            nodes[host] = answer["observation"]
        self.nodes.away = away
        swarm = self.nodes.swarm()
        more = {"stack": swarm["look"], "data_node": swarm["data_node"]}
        return {**found, "host": self.nodes.manager, "nodes": nodes, "away": away, **more}
