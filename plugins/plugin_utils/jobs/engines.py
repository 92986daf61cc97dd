# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which engine an environment has."""

from __future__ import annotations

from typing import Any

from ..gate.step import EnvironmentAction, EnvironmentStep
from .compose_engine import ComposeEngine
from .engine import EnvironmentEngine


def engine_of(step: EnvironmentStep) -> EnvironmentEngine:
    """The engine of a step's environment."""
    if step.nodes is None:
        return ComposeEngine(step)
    from .swarm_engine import SwarmEngine  # only here: a deployment on one machine does without

    return SwarmEngine(step)


def kept_releases(action: EnvironmentAction, wanted: str = "") -> dict[str, Any]:
    """The kept ``releases`` of an environment, newest first, the ``current`` one, and the ``target`` that is wanted.

    They are read without a lock, so this asks for no step.
    """
    values = action.declaration.values
    arguments = {
        "directory": values["bulkhead_directory"],
        "prefix": action.declaration.prefix,
        "state_directory": values["bulkhead_state_directory"],
        "wanted": wanted,
    }
    if action.nodes is None:
        return action.call("releases", arguments)
    answer = action.call("stack_info", {**arguments, "docker_host": values["bulkhead_docker_host"], "kept": True})
    answer.pop("look", None)
    return answer
