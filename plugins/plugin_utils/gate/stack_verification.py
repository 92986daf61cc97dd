# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a verification asks the nodes of a stack, and how their answers are judged."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from ..isolation import naming
from ..isolation.live.probes import Probes
from ..isolation.live.registered import registered
from ..isolation.live.stack import nodes_of
from ..isolation.live.stack_probes import judge_stack_probes, plan_stack_probes
from ..isolation.model import Environment, Finding
from ..release.render import Release
from .proof import Surroundings
from .questions import questions
from .session import Session


class StackVerification:
    """One verification of a stack. ``before`` is an observation of all nodes, ``look`` the swarm as it is now,
    ``machines`` are the names of the nodes' machines by their hosts."""

    def __init__(
        self,
        environment: Environment,
        surroundings: Surroundings,
        session: Session | None,
        before: Mapping[str, Any],
        look: Mapping[str, Any],
        machines: Mapping[str, str],
    ) -> None:
        self._environment = environment
        self._surroundings = surroundings
        self._session = session
        self._before = before
        self._look = look
        self._machines = machines

    def probes(self, release: Release | None) -> dict[str, Probes]:
        """What to ask from inside the tasks of each host's node."""
        prefix = self._environment.prefix
        entry = self._session.released if self._session else self._before["registry"].get(prefix)
        asked = questions(
            release, entry, "swarm-service", lambda service: naming.swarm_service_name(prefix, service.key)
        )
        return plan_stack_probes(self._environment, self._others, self._before, self._look, asked)

    def findings(
        self, probes: Mapping[str, Probes], answers: Mapping[str, Mapping[str, Any]], after: Mapping[str, Any]
    ) -> list[Finding]:
        """Judge the answers of the nodes, by their hosts, and what gave none."""
        return judge_stack_probes(self._environment, self._others, probes, answers, after)

    @cached_property
    def _others(self) -> dict[str, list[Environment]]:
        """For each host: the neighbours in the inventory, and the environments that its node has registered."""
        neighbours, known = self._surroundings.neighbours, self._surroundings.read
        return {
            host: [*neighbours, *registered(seen, known, self._machines.get(host) or host)]
            for host, seen in nodes_of(self._before).items()
        }


def counts(probes: Mapping[str, Probes], answers: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """How much was probed on all nodes, for the receipt. ``cut`` says that there were too many targets to probe all."""
    asked = list(probes.values())
    return {
        "names": len({name for probe in asked for name in probe.resolve}),
        "addresses": len({(target["address"], target["port"]) for probe in asked for target in probe.connect}),
        "requests": sum(len(probe.requests) for probe in asked),
        "containers": sum(len(answer["inside"]) for answer in answers.values()),
        "cut": any(probe.cut for probe in asked),
    }
