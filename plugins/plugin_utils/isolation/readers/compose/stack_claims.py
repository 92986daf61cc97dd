# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The claims of a stack on its swarm.

The scope is the whole swarm: the names of stacks, services, overlay networks, configs and secrets are the swarm's, a
port in ingress mode is taken on every node, and as a task may run on any node, so are volumes and ports in host mode.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .....module_utils.docker.labels import swarm_service
from ...model import SWARM_FILES, Claim, ComposeProject, Reference
from .claims import ProjectClaims


def claims_stack(project: ComposeProject, *, owner: str, machine: str) -> tuple[list[Claim], list[Reference]]:
    """The claims and references of one stack; ``machine`` is the scope of its swarm."""
    make = _StackClaims(project, owner, machine)
    return list(make.claims()), list(make.references())


class _StackClaims(ProjectClaims):
    """Makes the claims and references of one stack."""

    def _whole(self) -> Iterator[Claim]:
        yield self._claim("stack", self._project.name, self._place("name"))
        for section, namespace in SWARM_FILES.items():
            for key, entry in getattr(self._project, section).items():
                if not entry.get("external"):
                    name = str(entry.get("name") or f"{self._project.name}_{key}")
                    yield self._claim(namespace, name, self._place(section, key), key=key)

    def _network(self, key: str, network: Mapping[str, Any]) -> Iterator[Claim]:
        joinable = network.get("attachable") is True
        for claim in super()._network(key, network):
            if claim.namespace != "network":
                yield claim
            else:
                yield self._claim("network", claim.key, claim.where, **{**claim.attributes, "attachable": joinable})

    def _containers_of(self, name: str, service: Mapping[str, Any]) -> Iterator[Claim]:
        # A task's container has the task's id in its name, which nobody else can have.
        where = self._place("services", name)
        yield self._claim("swarm-service", swarm_service(self._project.name, name), where, service=name)
