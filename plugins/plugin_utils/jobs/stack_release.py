# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A release of a stack brought into force, after a backup where that is due."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleActionFail

from ...module_utils.core.steps import Step, as_dicts
from ..gate.step import EnvironmentStep
from ..isolation.live.registered import entry_of
from ..release.render import Release
from ..release.swarm_release import data_label, pinned, shipped
from .backup import backup_arguments
from .stack_data import on_data_node
from .stack_door import stack_doors
from .stack_images import forget_images
from .stack_module import call_stack, of_the_run


def deploy(step: EnvironmentStep, release: Release, commit: str) -> dict[str, Any]:
    """Bring a release into force: back up and prepare where that is due, then update the stack and wait for it."""
    session = step.session
    ready = pinned(release, session.pins, session.versions)
    given = {
        **of_the_run(step),
        **shipped(ready),
        "commit": commit,
        "environment": entry_of(step.live.environment),
        "data_label": data_label(ready, step.declaration.prefix),
        "pinned": session.pins,
    }
    foreseen, doors = call_stack(step, "foresee", given), stack_doors(step)
    if foreseen.get("failed") or (not foreseen["changed"] and doors.changes.is_empty):
        return foreseen
    backups = _back_up(step, release) if foreseen["prepares"] and foreseen["has_served"] else []
    if step._task.check_mode:
        return {**foreseen, "changed": True, "steps": [*backups, *foreseen["steps"], *doors.foreseen()]}
    answer = doors.around(lambda: _forgetting(step, call_stack(step, "apply", given)))
    return {**answer, "steps": [*backups, *(answer.get("steps") or ())]}


def _back_up(step: EnvironmentStep, release: Release) -> list[dict[str, Any]]:
    """Back up what a migration could spoil, on the node that has it. Raises AnsibleActionFail where that fails."""
    arguments = backup_arguments(step.declaration, release)
    if not arguments:
        return []
    if step._task.check_mode:
        return as_dicts([Step("make", kind="backup")])
    answer = on_data_node(step, release, "backup", {"job": "make", "backup": arguments})
    if answer.get("failed"):
        raise AnsibleActionFail(
            f"{step.declaration.prefix}: no backup before the release: {answer.get('msg')}. Nothing was updated",
            result={"detail": answer.get("detail", "")},
        )
    made: list[dict[str, Any]] = answer["steps"]
    return made


def return_to(step: EnvironmentStep, target: Mapping[str, Any]) -> dict[str, Any]:
    """Bring a kept release into force again."""
    given = {**of_the_run(step), "release": str(target["release"])}
    return stack_doors(step).around(lambda: _forgetting(step, call_stack(step, "rollback", given)))


def _forgetting(step: EnvironmentStep, answer: dict[str, Any]) -> dict[str, Any]:
    """The answer of a release that is in force, once the nodes have removed the images that none needs any more."""
    if "kept_images" in answer:
        forget_images(step, answer.pop("kept_images"))
    return answer
