# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The proof that this run has judged its fleet, kept for later steps."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible import constants as C

from ..isolation.live.registered import entry_of
from ..isolation.model import Environment, Fleet

_PROOF = "bulkhead-proof.json"


def write_proof(fleet: Fleet, digests: Mapping[str, str]) -> None:
    """Write the proof, with what later steps need of the fleet, so that they need not render it again."""
    surroundings = {prefix: around(fleet.by_prefix[prefix], fleet) for prefix in digests}
    proof = {
        "digests": digests,
        "fleet": [environment.prefix for environment in fleet.environments],
        "claims": sum(len(environment.claims) for environment in fleet.environments),
        "neighbours": {
            prefix: [entry_of(neighbour) for neighbour in found.neighbours] for prefix, found in surroundings.items()
        },
    }
    write_private(_proof_path(), json.dumps(proof))


def read_proof() -> dict[str, Any]:
    """Read what this run has proved; empty where it has proved nothing, or the file cannot be read."""
    try:
        found: dict[str, Any] = json.loads(_proof_path().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def _proof_path() -> Path:
    return Path(C.DEFAULT_LOCAL_TMP, _PROOF)


def write_private(path: Path, text: str) -> None:
    """Write a file for this user alone."""
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")


@dataclass(frozen=True)
class Surroundings:
    """One environment, those that share its machine, and the size of the proved fleet.

    ``prefixes`` and ``claims`` are those of the whole fleet.
    """

    environment: Environment
    neighbours: tuple[Environment, ...]
    prefixes: tuple[str, ...]
    claims: int


def around(environment: Environment, fleet: Fleet) -> Surroundings:
    """The surroundings of one environment in a fleet that was judged."""
    neighbours = [neighbour for neighbour in fleet.environments if neighbour.machine == environment.machine]
    return Surroundings(
        environment,
        tuple(neighbour for neighbour in neighbours if neighbour.prefix != environment.prefix),
        tuple(environment.prefix for environment in fleet.environments),
        sum(len(environment.claims) for environment in fleet.environments),
    )
