# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The images of a stack: sent to the registry, named by their digests, and fetched by the nodes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ansible.errors import AnsibleActionFail

from ...module_utils.core.steps import Step
from ...module_utils.docker.reference import parse
from ..gate.machine_calls import why_failed
from ..gate.session import Note
from ..gate.step import EnvironmentStep
from ..isolation.live.placement import may_run
from ..isolation.live.stack import node_id, nodes_of
from ..isolation.wording import listing
from ..release.derived import image_repository
from ..release.render import Release
from ..release.swarm_release import images, pinned, sources
from .stack_door import stack_doors
from .stack_module import ask_node, call_stack, login, presentable


def pin_images(step: EnvironmentStep, built: dict[str, Any]) -> dict[str, Any]:
    """Send the image that was built to its registry, pin all images by digest, and have the nodes fetch them.

    ``built`` is the answer of the step that built it. Raises AnsibleActionFail where a node cannot fetch one.
    """
    values, session = step.declaration.values, step.session
    given = str(values["bulkhead_image"] or "")
    commit = str(built.get("commit") or "")
    release = step.release(commit)
    wanted = images(release)
    own = image_repository(values)
    send = [image for image in wanted if commit and not given and image.rpartition(":")[0] == own]
    before = _in_force(step)
    arguments = {
        "send": [] if step._task.check_mode and built.get("built") else send,
        "resolve": [image for image in wanted if image not in send],
        "sources": sources(release),
        # What bulkhead_image means now is asked each time, as on one machine.
        "before": {image: pin for image, pin in (before.get("pinned") or {}).items() if image != given},
        "login": login(values),
    }
    answer = call_stack(step, "images", arguments)
    if answer.get("failed"):
        return answer
    session.pins, session.versions = dict(answer["pinned"]), dict(answer["versions"])
    steps = [*(built.get("steps") or ()), *answer["steps"]]
    if built.get("built") and not step._task.check_mode:
        steps.insert(0, Step("build", built["image"], "image").as_dict())
    if set(session.pins.values()) - set((before.get("pinned") or {}).values()) and not step._task.check_mode:
        fetched = list(fetch_images(step, pinned(release, session.pins, {})))
        steps += fetched
    if given:
        digest = parse(session.pins[given]).digest if given in session.pins else ""
        commit = digest.partition(":")[2]
    session.commit = commit
    return {**built, "changed": bool(built.get("changed") or steps), "commit": commit, "steps": steps}


def fetch_images(step: EnvironmentStep, release: Release) -> Iterator[dict[str, Any]]:
    """Have each node fetch the images of the tasks that may come there, before any task is replaced."""
    seen = step.session.observation
    states = {node["id"]: node for node in stack_doors(step).nodes}
    faults: dict[str, str] = {}
    services = release.stack.compose["services"].values()
    for host, found in nodes_of(seen).items():
        state = states.get(node_id(found))
        if state is None or state["availability"] != "active":
            continue
        wanted = {str(service["image"]) for service in services if service.get("image") and may_run(service, state)}
        if not wanted:
            continue
        given = {"pinned": sorted(wanted), "login": login(step.declaration.values)}
        answer = presentable(step, ask_node(step, host, "fetch", given))
        if answer.get("failed"):
            faults[host] = why_failed(answer)
        yield from ({**one, "detail": f"{one['detail']} on {host}"} for one in answer.get("steps") or ())
    if faults:
        raise AnsibleActionFail(
            f"{listing(faults)} cannot fetch the images of {step.declaration.prefix}, so no task of it could "
            "run there. Nothing was updated" + "".join(f"\n  {host}: {why}" for host, why in faults.items())
        )


def forget_images(step: EnvironmentStep, kept: Sequence[str], limit: float = 0) -> None:
    """Have each node remove the images of the environment's own repository that no ``kept`` release runs, once no
    container has them; ``limit`` is how many seconds it waits for that.

    Where that fails, a note says so: nothing of the deployment depends on it.
    """
    values = step.declaration.values
    if values["bulkhead_image"]:  # that repository is not this environment's alone
        return
    given = {"repository": image_repository(values), "kept_images": list(kept), "limit": limit}
    for host in nodes_of(step.session.observation):
        answer = ask_node(step, host, "forget_images", given)
        said = [why_failed(answer)] if answer.get("failed") else answer["notes"]
        step.session.notes += [Note(f"{host} keeps an image that no release needs: {why}") for why in said]


def _in_force(step: EnvironmentStep) -> dict[str, Any]:
    """What is kept of the release in force; empty where there is none."""
    answer = step.module("stack_info", {"kept": True})
    if answer.get("failed"):
        raise AnsibleActionFail(str(answer.get("msg")), result={"detail": answer.get("detail", "")})
    found = (release for release in answer["releases"] if release["release"] == answer["current"])
    return next(found, {})
