# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Promotion on the controller: which environment vouches for images, and the evidence on its machine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.utils.display import Display

from ..declaration.inventory import holds_seal
from ..declaration.model import Declaration
from ..gate.other_machine import address, connection_variables, module_elsewhere, own_variables
from ..gate.session import Note
from ..gate.step import EnvironmentStep
from ..isolation import naming
from ..release.render import Release

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
    """Read the evidence of the environment that vouches from its machine, if that is one that ours believes."""
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
    here = source.values["bulkhead_machine"] == own.values["bulkhead_machine"]
    ours = {} if here else own_variables(step)
    reached, left = ({}, []) if here else connection_variables(source, step.gate.renderer.inert, ours)
    place = " ".join(_place(own, source, "" if here else address(reached, ours)))
    if place != str(own.values["bulkhead_promotion_machine"] or ""):
        raise AnsibleActionFail(_not_believed(own, source, place))
    try:
        answer = (
            step.module("evidence", arguments) if here else module_elsewhere(step, reached, left, "evidence", arguments)
        )
    except AnsibleError as error:
        if here:
            raise
        raise AnsibleActionFail(f"{unseen}: {error.message}. Nothing was changed") from None
    if answer.get("failed") or "evidence" not in answer:
        why = answer.get("msg") or "its machine gave no answer"
        raise AnsibleActionFail(f"{unseen}: {why}. Nothing was changed", result={"detail": answer.get("detail", "")})
    found: dict[str, Any] = answer["evidence"]
    return found


def _place(own: Declaration, source: Declaration, reached_at: str) -> Iterator[str]:
    """What is not the same for another environment as for ours: its machine's address, its engine, and its state."""
    if reached_at:
        yield reached_at
    for name in ("bulkhead_docker_host", "bulkhead_state_directory"):
        theirs = str(source.values[name] or "")
        if theirs != str(own.values[name] or ""):
            yield theirs or "default"


def _not_believed(own: Declaration, source: Declaration, place: str) -> str:
    named = str(own.values["bulkhead_promotion_machine"] or "")
    if not place:
        why = "runs on this very machine and engine"
        fix = f"remove bulkhead_promotion_machine from group_vars/{own.group}"
    else:
        why = f"is to be seen at {place}, as its own variables say"
        fix = (
            f"if you believe what it says there, set bulkhead_promotion_machine: '{place}' in group_vars/{own.group}: "
            "whoever controls that place decides what is promoted"
        )
    return (
        f"{own.prefix} takes images from {source.prefix} (bulkhead_promotion_from), which {why}, but "
        f"bulkhead_promotion_machine is {named or 'not set'}: {fix}. Nothing was changed"
    )


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
