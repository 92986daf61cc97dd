# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a verification asks a running environment, and how the answers are judged."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from ..isolation.live.certificates import certificate_findings
from ..isolation.live.credentials import shared_credentials
from ..isolation.live.drift import differences
from ..isolation.live.preflight import preflight, standing
from ..isolation.live.probes import Probes, judge_probes, plan_probes
from ..isolation.live.registered import registered, services_of
from ..isolation.model import Environment, Finding
from ..release.render import Release
from .proof import Surroundings
from .questions import questions
from .session import Session


class Verification:
    """One verification of an environment, as observed before it. ``session`` is the deployment that it ends, if any."""

    def __init__(
        self,
        environment: Environment,
        surroundings: Surroundings,
        session: Session | None,
        observation: Mapping[str, Any],
    ) -> None:
        self._environment = environment
        self._surroundings = surroundings
        self._session = session
        self._observation = observation

    def probes(self, release: Release | None) -> Probes:
        """What to ask from inside the environment's containers."""
        asked = questions(release, self._in_force)
        return plan_probes(self._environment, self._others, self._observation, asked)

    def findings(self, probes: Probes, answer: Mapping[str, Any]) -> list[Finding]:
        """Judge the answers, and the machine as it was observed with them."""
        # Without a deployment the inventory may be ahead of what is in force; where nothing is registered, no service
        # is known.
        in_force = (self._in_force or {}).get("services", {})
        services = services_of(self._environment) if self._session else in_force
        # After a deployment the registry still holds the one before: a difference from that is not drift.
        judge = standing if self._session else preflight
        return [
            *judge_probes(self._environment, self._others, probes, answer, services),
            *judge(self._environment, self._surroundings.read, answer["observation"]),
            *certificate_findings(self._environment, answer),
            *shared_credentials(self._environment, answer["observation"]),
        ]

    def drift(self, answer: Mapping[str, Any]) -> list[dict[str, Any]]:
        """How the machine differs from what was deployed; empty at the end of a deployment."""
        return [] if self._session else differences(self._environment, answer["observation"])

    @cached_property
    def _in_force(self) -> Any:
        """The registry entry of the release in force."""
        if self._session:
            return self._session.released
        return self._observation["registry"].get(self._environment.prefix)

    @cached_property
    def _others(self) -> list[Environment]:
        """The neighbours in the inventory, and the other environments that the machine has registered."""
        known = self._surroundings.read
        return [
            *self._surroundings.neighbours,
            *registered(self._observation, known, self._environment.machine),
        ]


def counts(probes: Probes, answer: Mapping[str, Any]) -> dict[str, Any]:
    """How much was probed, for the receipt. ``cut`` says that there were too many targets to probe all."""
    return {
        "names": len(probes.resolve),
        "addresses": len(probes.connect),
        "requests": len(probes.requests),
        "containers": len(answer["inside"]),
        "cut": probes.cut,
    }
