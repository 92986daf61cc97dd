# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The services of a stack and their tasks, as a manager says them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleActionFail

from ..gate.step import EnvironmentStep
from ..isolation import naming
from ..isolation.live.stack import running_tasks
from ..isolation.wording import number
from ..release.stack import StackService


def engine_names(step: EnvironmentStep, services: Sequence[StackService]) -> dict[str, str]:
    """What the engine calls services, each with its key in the stack file."""
    return {naming.swarm_service_name(step.declaration.prefix, service.key): service.key for service in services}


def task_of(step: EnvironmentStep, service: StackService) -> tuple[str, str]:
    """A host on which a task of a service runs, and the id of its container.

    Raises AnsibleActionFail where no task runs on a node that can be reached.
    """
    prefix = step.declaration.prefix
    look = step.all_nodes.look()
    name = naming.swarm_service_name(prefix, service.key)
    services = {one["id"] for one in look["services"] if one["name"] == name}
    found = running_tasks(look, services)
    host, node = step.all_nodes.host_of(found)
    if not host:
        raise AnsibleActionFail(
            f"{prefix}: service {service.name} has no running task on a node that can be reached. Deploy first, or see "
            "aiia.bulkhead.services"
        )
    return host, str(found[node][-1]["container"])


def task_rows(look: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[str]:
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
