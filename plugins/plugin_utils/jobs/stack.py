# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the steps of a deployment, and the daily jobs, do where the environment is a stack of a swarm."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.utils.display import Display

from ...module_utils.core.masking import mask
from ...module_utils.core.steps import Step, as_dicts
from ...module_utils.docker.reference import parse
from ..declaration.settings import REGISTRY_PASSWORD
from ..gate.session import Note, holder
from ..gate.step import EnvironmentStep
from ..isolation import naming
from ..isolation.live.placement import may_run
from ..isolation.live.registered import entry_of
from ..isolation.wording import listing, number
from ..release.derived import image_repository
from ..release.render import Release, secret_values
from ..release.stack import StackService, labels
from ..release.swarm_release import data_label, images, pinned, shipped, sources
from .backup import backup_arguments


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
        "login": _login(values),
    }
    answer = _stack(step, "images", arguments)
    if answer.get("failed"):
        return answer
    session.pins, session.versions = dict(answer["pinned"]), dict(answer["versions"])
    steps = [*(built.get("steps") or ()), *answer["steps"]]
    if built.get("built") and not step._task.check_mode:
        steps.insert(0, Step("build", built["image"], "image").as_dict())
    if set(session.pins.values()) - set((before.get("pinned") or {}).values()) and not step._task.check_mode:
        fetched = list(_fetch(step, pinned(release, session.pins, {})))
        steps += fetched
    if given:
        digest = parse(session.pins[given]).digest if given in session.pins else ""
        commit = digest.partition(":")[2]
    session.commit = commit
    return {**built, "changed": bool(built.get("changed") or steps), "commit": commit, "steps": steps}


def _fetch(step: EnvironmentStep, release: Release) -> Iterator[dict[str, Any]]:
    """Have each node fetch the images of the tasks that may come there, before any task is replaced."""
    nodes = step.all_nodes
    seen = step.session.observation
    states = {node["id"]: node for node in seen["stack"]["nodes"]}
    faults: dict[str, str] = {}
    services = release.stack.compose["services"].values()
    for host, node in _nodes(seen):
        state = states.get(node)
        if state is None or state["availability"] != "active":
            continue
        wanted = {str(service["image"]) for service in services if service.get("image") and may_run(service, state)}
        if not wanted:
            continue
        given = {"pinned": sorted(wanted), "login": _login(step.declaration.values)}
        try:
            arguments = {**step.common(), "job": "fetch", "given": json.dumps(given)}
            answer = _presentable(step, nodes.call(host, "stack", arguments))
        except AnsibleError as error:
            faults[host] = str(error.message).partition("\n")[0]
            continue
        if answer.get("failed"):
            faults[host] = str(answer.get("msg") or "the module ended without an answer")
        yield from ({**one, "detail": f"{one['detail']} on {host}"} for one in answer.get("steps") or ())
    if faults:
        raise AnsibleActionFail(
            f"{listing(faults)} cannot fetch the images of {step.declaration.prefix}, so no task of it could "
            "run there. Nothing was updated" + "".join(f"\n  {host}: {why}" for host, why in faults.items())
        )


def _nodes(observation: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The hosts that were looked at, each with the id of its node."""
    found = {str(observation["host"]): observation, **observation["nodes"]}
    return [(host, str(seen["engine"].get("node") or "")) for host, seen in found.items()]


def _in_force(step: EnvironmentStep) -> dict[str, Any]:
    """What is kept of the release in force; empty where there is none."""
    answer = step.module("stack_info", {"kept": True})
    if answer.get("failed"):
        raise AnsibleActionFail(str(answer.get("msg")), result={"detail": answer.get("detail", "")})
    found = (release for release in answer["releases"] if release["release"] == answer["current"])
    return next(found, {})


def _login(values: Mapping[str, Any]) -> dict[str, str]:
    """The login at the registry from which the nodes fetch; empty where it asks for none."""
    user = str(values["bulkhead_image_user"] or "")
    reference = str(values["bulkhead_image"] or f"{values['bulkhead_registry']}/image:tag")
    password = str(values["bulkhead_secrets"].get(REGISTRY_PASSWORD) or "")
    return {"registry": parse(reference).registry, "user": user, "password": password} if user else {}


def _stack(step: EnvironmentStep, job: str, given: Mapping[str, Any]) -> dict[str, Any]:
    return _presentable(step, step.module("stack", {"job": job, "given": json.dumps(given)}))


def _presentable(step: EnvironmentStep, answer: dict[str, Any]) -> dict[str, Any]:
    """An answer whose failure shows no secrets: it may quote the last lines of a task.

    One that succeeded is data for the next step, such as digests, in which nothing may be replaced.
    """
    release = step.gate.render(step.declaration) if answer.get("failed") else None
    return mask(answer, secret_values(release)) if release else answer


def _of_the_run(step: EnvironmentStep) -> dict[str, Any]:
    """What belongs to this run, whichever release it brings into force."""
    values, prefix = step.declaration.values, step.declaration.prefix
    return {
        "project": naming.project_name(prefix),
        "prefix": prefix,
        "labels": labels(values["bulkhead_project"], values["bulkhead_environment"], prefix),
        "by": holder(),
        "wait_timeout": values["bulkhead_wait_timeout"],
        "prepare_timeout": values["bulkhead_prepare_timeout"],
        "keep_releases": values["bulkhead_keep_releases"],
        "login": _login(values),
    }


def deploy(step: EnvironmentStep, release: Release, commit: str) -> dict[str, Any]:
    """Bring a release into force: back up and prepare where that is due, then update the stack and wait for it."""
    session = step.session
    ready = pinned(release, session.pins, session.versions)
    given = {
        **_of_the_run(step),
        **shipped(ready),
        "commit": commit,
        "environment": entry_of(step.live.environment),
        "data_label": data_label(ready, step.declaration.prefix),
        "pinned": session.pins,
    }
    foreseen = _stack(step, "foresee", given)
    if foreseen.get("failed") or not foreseen["changed"]:
        return foreseen
    backups = _back_up(step, release) if foreseen["prepares"] and foreseen["has_served"] else []
    if step._task.check_mode:
        return {**foreseen, "steps": [*backups, *foreseen["steps"]]}
    answer = _stack(step, "apply", given)
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


def on_data_node(step: EnvironmentStep, release: Release, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Call a module on the node that has the volumes of a stack. Raises AnsibleActionFail where no node has them."""
    label = data_label(release, step.declaration.prefix)
    nodes = step.all_nodes.look()["nodes"] if label else ()
    host, _node = step.all_nodes.host_of({node["id"] for node in nodes if node["labels"].get(label) == "true"})
    if not host:
        raise AnsibleActionFail(
            f"{step.declaration.prefix}: no node that can be reached has its volumes "
            f"(label {label or 'of none: no service has a volume'}). Nothing was changed"
        )
    return _presentable(step, step.all_nodes.call(host, name, {**step.common(), **arguments}))


def forget_prepared(step: EnvironmentStep) -> list[str]:
    """Have the next deployment prepare again what was prepared for the data that a restore is about to replace.

    Before it: a restore that ends halfway would leave data that no deployment migrates. Returns what a person has to
    do afterwards.
    """
    answer = _stack(step, "forget", {})
    if answer.get("failed"):
        raise AnsibleActionFail(
            f"{step.declaration.prefix}: the swarm cannot note that the next deployment has to prepare the restored "
            f"data (bulkhead_prepare): {answer.get('msg')}. Nothing was restored",
            result={"detail": answer.get("detail", "")},
        )
    notes: list[str] = answer["notes"]
    return notes


def roll_back(step: EnvironmentStep, target: Mapping[str, Any]) -> dict[str, Any]:
    """Bring a kept release into force again."""
    name = str(target["release"])
    return _stack(step, "rollback", {**_of_the_run(step), "release": name})


def destroy(step: EnvironmentStep) -> dict[str, Any]:
    """List what carries the environment's own label on the swarm, ask, remove it, and leave a receipt."""
    prefix, values = step.declaration.prefix, step.declaration.values
    if values["bulkhead_destroy_volumes"] or values["bulkhead_destroy_backups"]:
        raise AnsibleActionFail(
            f"{prefix} is a stack of a swarm: volumes and backups are on its nodes, and are not removed from here. "
            "Nothing was changed"
        )
    given = _of_the_run(step)
    asked = {**step.common(), "job": "destroy", "given": json.dumps({**given, "list": True})}
    found = step.call("stack", asked)
    if found.get("failed"):
        return found
    goes = found["steps"]
    lines = [f"{prefix}: to be removed:", *(f"  {one['kind']} {one['target']}" for one in goes)]
    Display().display("\n".join(lines) if goes else f"there is nothing of {prefix} to remove")
    if not goes or step._task.check_mode:
        step.live.ending.conclude(step.session, "destroy", [])
        return {
            **found,
            "changed": bool(goes),
            "msg": "check mode: nothing was removed" if goes else "nothing to remove",
        }
    step.confirm("destroy")
    answer = _stack(step, "destroy", given)
    if answer.get("failed"):
        return answer
    step.session.notes.append(Note("kept: the volumes of its nodes, and backups"))
    step.live.ending.conclude(step.session, "destroy", answer["steps"], gone=True)
    return answer


def task_of(step: EnvironmentStep, service: StackService) -> tuple[str, str]:
    """A host on which a task of a service runs, and the id of its container.

    Raises AnsibleActionFail where no task runs on a node that can be reached.
    """
    prefix = step.declaration.prefix
    look = step.all_nodes.look()
    name = naming.swarm_service_name(prefix, service.key)
    services = {one["id"] for one in look["services"] if one["name"] == name}
    found = {
        task["node"]: str(task["container"])
        for task in look["tasks"]
        if task["service"] in services and task["state"] == task["desired"] == "running"
    }
    host, node = step.all_nodes.host_of(found)
    if not host:
        raise AnsibleActionFail(
            f"{prefix}: service {service.name} has no running task on a node that can be reached. Deploy first, or see "
            "aiia.bulkhead.services"
        )
    return host, found[node]


def service_job(step: EnvironmentStep, job: str, release: Release, services: Sequence[StackService]) -> dict[str, Any]:
    """List the services, show their logs, or have their tasks replaced."""
    prefix, values = step.declaration.prefix, step.declaration.values
    names = {naming.swarm_service_name(prefix, service.key): service.key for service in services}
    answer: dict[str, Any]
    if job == "restart":
        answer = _stack(step, "restart", {**_of_the_run(step), "services": [service.key for service in services]})
        if not answer.get("failed"):
            step.live.ending.conclude(step.session, job, answer["steps"])
        return answer
    if job == "logs" and values["bulkhead_follow"]:
        raise AnsibleActionFail(
            f"{prefix} is a stack of a swarm, whose logs are not followed: leave bulkhead_follow out"
        )
    if job == "logs":
        arguments = {"prefix": prefix, "docker_host": values["bulkhead_docker_host"], "logs": [*names]}
        arguments.update(lines=values["bulkhead_lines"], since=values["bulkhead_since"])
        answer = mask(step.call("stack_info", arguments), secret_values(release))
        if answer.get("failed"):
            return answer
        del answer["look"]
        Display().display(
            "\n".join(line for log in answer["logs"] for line in (f"== {log['container']}", *log["lines"]))
        )
        return {**answer, "changed": False}
    look: dict[str, Any] = mask(step.all_nodes.look(), secret_values(release))
    rows = [*_rows(look, names)]
    Display().display("\n".join(rows) if rows else f"{prefix} has no services here: it is not deployed")
    found = [{"service": names[one["name"]], **one} for one in look["services"] if one["name"] in names]
    return {"changed": False, "services": found}


def _rows(look: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[str]:
    """A line for each service, and one for each of its tasks."""
    nodes = {node["id"]: node["hostname"] for node in look["nodes"]}
    for service in look["services"]:
        if service["name"] not in names:
            continue
        counted = f"{service['running']} of {number(service['desired'], 'task')}"
        yield f"{names[service['name']]}  {counted}  {service['image']}"
        for task in look["tasks"]:
            if task["service"] == service["id"] and task["desired"] == "running":
                error = f"  {task['error']}" if task["error"] else ""
                yield f"  {task['state']:10}  {nodes.get(task['node'], '(no node)')}  {task['since'][:19]}{error}"
