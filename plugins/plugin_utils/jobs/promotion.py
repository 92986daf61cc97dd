# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Promotion on the controller: which environment vouches for images, and the evidence on its machine."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.utils.display import Display

from ..declaration.inventory import holds_seal
from ..declaration.model import Declaration
from ..gate.session import Note
from ..gate.step import EnvironmentStep
from ..isolation import naming
from ..release.render import Release
from .other_machine import module_elsewhere

#: The beginnings of pull policies that let Compose fetch another image than the judged one.
_FETCHING = ("always", "daily", "weekly", "every_", "build")


def promotion_arguments(step: EnvironmentStep) -> dict[str, Any]:
    """The evidence of the environment that vouches, and for how many minutes it must have been healthy.

    Empty where every image is accepted. Raises AnsibleActionFail where the evidence cannot be read.
    """
    own = step.declaration
    group = own.values["bulkhead_promotion_from"]
    if not group:
        return {}
    fleet = [declaration for declaration in step.gate.declarations if declaration.prefix != own.prefix]
    source = next((declaration for declaration in fleet if declaration.group == group), None)
    if source is None:
        names = ", ".join(sorted(declaration.group for declaration in fleet)) or "none"
        raise AnsibleActionFail(
            f"{own.prefix}: bulkhead_promotion_from is {group}, but the inventory has no other environment of that "
            f"group (it has: {names})"
        )
    return {"minutes": own.values["bulkhead_promotion_minutes"], "evidence": _evidence(step, source)}


def _evidence(step: EnvironmentStep, source: Declaration) -> dict[str, Any]:
    """Read the evidence of the environment that vouches from its machine."""
    values = {name: source.values[f"bulkhead_{name}"] for name in ("directory", "state_directory", "docker_host")}
    own = step.declaration
    unseen = (
        f"{own.prefix} accepts only what was healthy in {source.prefix} (bulkhead_promotion_from), but what runs there "
        "cannot be seen"
    )
    if not source.usable or holds_seal(list(values.values())):
        faults = "; ".join(problem.message for problem in source.problems) or "its host or directory is locked here"
        raise AnsibleActionFail(f"{unseen}: {faults}. Nothing was changed")
    arguments = {"prefix": source.prefix, "project": naming.project_name(source.prefix), "token": "", **values}
    if source.values["bulkhead_machine"] == own.values["bulkhead_machine"]:
        answer = step.module("evidence", arguments)
    else:
        try:
            answer = module_elsewhere(step, source, step.gate.renderer.inert, "evidence", arguments)
        except AnsibleError as error:
            raise AnsibleActionFail(f"{unseen}: {error.message}. Nothing was changed") from None
    if answer.get("failed") or "evidence" not in answer:
        why = answer.get("msg") or "its machine gave no answer"
        raise AnsibleActionFail(f"{unseen}: {why}. Nothing was changed", result={"detail": answer.get("detail", "")})
    found: dict[str, Any] = answer["evidence"]
    return found


def require_promotion(step: EnvironmentStep, release: Release) -> None:
    """Make sure that every image of a release was healthy elsewhere for long enough, if the inventory demands it.

    Raises AnsibleActionFail with all reasons otherwise.
    """
    promotion = promotion_arguments(step)
    if not promotion:
        return
    fetched = [
        key
        for key, service in release.stack.compose["services"].items()
        if str(service.get("pull_policy") or "").startswith(_FETCHING)
    ]
    if fetched:
        raise AnsibleActionFail(
            f"{step.declaration.prefix}: {', '.join(fetched)} has a pull_policy that lets Compose fetch another image "
            "than the one that was healthy elsewhere (bulkhead_promotion_from): remove pull_policy"
        )
    # In check mode the application's image has no name yet; the step before judged it by its files.
    application = {service.image for service in release.stack.services if service.application}
    images = {service.image for service in release.stack.services if service.image}
    wanted = images - application if step._task.check_mode else images
    answer = step.module("promotion", {"images": sorted(wanted), "promotion": promotion})
    if answer.get("failed"):
        raise AnsibleActionFail(str(answer["msg"]), result={"detail": answer.get("detail", "")})
    for note in answer["notes"]:
        Display().display(f"promoted: {note}")
    step.session.notes += [Note(f"promoted: {note}") for note in answer["notes"]]
    step.session.save()
