# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The proof that this run has judged its fleet, kept for later steps with what was proved: they ship nothing else."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible.errors import AnsibleActionFail

from ..declaration.model import Declaration
from ..isolation.live.registered import entry_of
from ..isolation.model import Environment, Fleet
from ..release.render import Release
from .approval import Approval, is_demanded
from .kept import keep, kept

_NAME = "proof"


@dataclass(frozen=True)
class Proved:
    """One environment as it was proved: its declaration, its release, and the environments on its machine."""

    declaration: Declaration
    release: Release
    neighbours: list[dict[str, Any]]


@dataclass(frozen=True)
class Proof:
    """What a run has proved. ``prefixes`` and ``claims`` are those of the whole fleet, ``unread`` those of its
    environments that could not be read in full; ``proved`` are the environments to deploy, and ``approved`` the plans
    that are applied to them, by their groups."""

    prefixes: tuple[str, ...] = ()
    claims: int = 0
    unread: tuple[str, ...] = ()
    proved: dict[str, Proved] = field(default_factory=dict)
    approved: dict[str, Approval] = field(default_factory=dict)

    def of_host(self, host: str) -> Proved | None:
        """The environment of a host, if it was proved."""
        return next((proved for proved in self.proved.values() if host in proved.declaration.hosts), None)


@dataclass(frozen=True)
class Surroundings:
    """One environment, those that share its machine, and the size of the proved fleet.

    ``prefixes`` and ``claims`` are those of the whole fleet. Of those that are ``unread``, the machine's registry
    counts instead of the inventory.
    """

    environment: Environment
    neighbours: tuple[Environment, ...]
    prefixes: tuple[str, ...]
    claims: int
    unread: tuple[str, ...] = ()

    @property
    def read(self) -> tuple[str, ...]:
        """The environments of this machine that the plan judged in full. One that the inventory has elsewhere and that
        runs here all the same was never compared with this one."""
        return (self.environment.prefix, *(neighbour.prefix for neighbour in self.neighbours))


def write_proof(
    fleet: Fleet,
    targets: Collection[tuple[Declaration, Release]],
    unread: Collection[str],
    approved: Mapping[str, Approval],
) -> None:
    """Keep the proof, with what later steps need of the fleet, so that they evaluate nothing again."""
    proved = {
        declaration.group: Proved(
            declaration,
            release,
            [entry_of(found) for found in around(fleet.by_prefix[declaration.prefix], fleet, unread).neighbours],
        )
        for declaration, release in targets
    }
    prefixes = tuple(environment.prefix for environment in fleet.environments)
    keep(_NAME, Proof(prefixes, _claims(fleet), tuple(unread), proved, dict(approved)))


def read_proof() -> Proof:
    """What this run has proved; empty where it has proved nothing, or the file is not this run's."""
    found = kept(_NAME)
    return found if isinstance(found, Proof) else Proof()


def require_approval(declaration: Declaration) -> None:
    """Make sure that a run applies a signed plan where the environment asks for one.

    Raises AnsibleActionFail otherwise.
    """
    approval = read_proof().approved.get(declaration.group)
    if is_demanded(declaration) and not (approval and approval.signer):
        raise AnsibleActionFail(
            f"{declaration.prefix} is deployed with an approved plan only (bulkhead_plan_signers), and this run has "
            "none: ansible-playbook deploy.yml -l <environment> -e bulkhead_plan=plan.json. Nothing was changed"
        )


def around(environment: Environment, fleet: Fleet, unread: Collection[str] = ()) -> Surroundings:
    """The surroundings of one environment in a fleet that was judged."""
    neighbours = [
        neighbour
        for neighbour in fleet.environments
        if neighbour.machine == environment.machine and neighbour.prefix not in {environment.prefix, *unread}
    ]
    prefixes = tuple(environment.prefix for environment in fleet.environments)
    return Surroundings(environment, tuple(neighbours), prefixes, _claims(fleet), tuple(unread))


def _claims(fleet: Fleet) -> int:
    return sum(len(environment.claims) for environment in fleet.environments)
