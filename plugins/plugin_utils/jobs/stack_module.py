# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module ``stack``, called for one environment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleError

from ...module_utils.core.masking import mask
from ...module_utils.docker.reference import parse
from ..declaration.settings import REGISTRY_PASSWORD
from ..gate.session import holder
from ..gate.step import EnvironmentStep
from ..isolation import naming
from ..release.render import secret_values
from ..release.stack import labels


def call_stack(step: EnvironmentStep, job: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Have the manager do a job."""
    return presentable(step, step.module("stack", {"job": job, "given": json.dumps(given)}))


def ask_node(step: EnvironmentStep, host: str, job: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Have a node do a job. The answer of one that cannot be reached is a failure that says why."""
    arguments = {**step.common(), "job": job, "given": json.dumps(given)}
    try:
        answer: dict[str, Any] = step.all_nodes.call(host, "stack", arguments)
    except AnsibleError as error:
        return {"failed": True, "msg": str(error.message).partition("\n")[0]}
    return answer


def presentable(step: EnvironmentStep, answer: dict[str, Any]) -> dict[str, Any]:
    """An answer whose failure shows no secrets: it may quote the last lines of a task.

    One that succeeded is data for the next step, such as digests, in which nothing may be replaced.
    """
    release = step.gate.render(step.declaration) if answer.get("failed") else None
    return mask(answer, secret_values(release)) if release else answer


def of_the_run(step: EnvironmentStep) -> dict[str, Any]:
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
        "login": login(values),
    }


def login(values: Mapping[str, Any]) -> dict[str, str]:
    """The login at the registry from which the nodes fetch; empty where it asks for none."""
    user = str(values["bulkhead_image_user"] or "")
    reference = str(values["bulkhead_image"] or f"{values['bulkhead_registry']}/image:tag")
    password = str(values["bulkhead_secrets"].get(REGISTRY_PASSWORD) or "")
    return {"registry": parse(reference).registry, "user": user, "password": password} if user else {}
