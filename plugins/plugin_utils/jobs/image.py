# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The application's image, built or fetched on one machine."""

from __future__ import annotations

from typing import Any

from ...module_utils.core.steps import Step, as_dicts
from ...module_utils.source.values import split_credentials
from ..declaration.settings import DEPLOY_KEY, REGISTRY_PASSWORD
from ..gate.session import Note
from ..gate.step import EnvironmentStep
from ..isolation import naming
from ..isolation.facts.capacity import size
from ..release.derived import image_repository, inputs_of
from ..release.stack import labels
from .promotion import promotion_arguments


def build_image(step: EnvironmentStep) -> dict[str, Any]:
    """Have the image built from the commit."""
    if not step.declaration.values["bulkhead_source_repository"]:
        return {"changed": False, "commit": "", "built": False, "before": ""}
    answer = step.module("source", _source_arguments(step))
    step.session.commit = str(answer.get("commit") or "")
    if step._task.check_mode and not answer.get("failed"):
        steps = [Step("build", answer["image"], "image")] if answer["built"] else []
        if answer.get("promoted"):
            steps.append(Step("promote", answer["image"], "image", detail=answer["promoted"]))
        answer["steps"] = as_dicts(steps)
    if answer.get("shared"):
        note = "the image was built in the machine's own engine, which other environments share: %s"
        step.session.notes.append(Note(note % answer["shared"]))
    return answer


def pull_image(step: EnvironmentStep) -> dict[str, Any]:
    """Have the image fetched that was built elsewhere."""
    values = step.declaration.values
    arguments = {
        "reference": values["bulkhead_image"],
        "user": values["bulkhead_image_user"],
        "password": str(values["bulkhead_secrets"].get(REGISTRY_PASSWORD) or ""),
        "image": naming.image_name(values["bulkhead_prefix"], values["bulkhead_app_service"]),
        "promotion": promotion_arguments(step),
    }
    answer = step.module("image", arguments)
    step.session.commit = str(answer.get("commit") or "")
    if answer.get("pulled"):
        answer["steps"] = as_dicts([Step("pull", answer["image"], "image", detail=values["bulkhead_image"])])
    if answer.get("promoted"):
        step.session.notes.append(Note(f"promoted: {answer['promoted']}"))
    return answer


def _source_arguments(step: EnvironmentStep) -> dict[str, Any]:
    values = step.declaration.values
    release = step.gate.render(step.declaration)
    builds = release is not None and release.stack.uses_application_image
    repository, credentials = split_credentials(values["bulkhead_source_repository"])
    return {
        "repository": repository,
        "credentials": credentials,
        "deploy_key": str(values["bulkhead_secrets"].get(DEPLOY_KEY) or ""),
        "known_hosts": values["bulkhead_source_known_hosts"],
        "branch": values["bulkhead_source_branch"],
        "commit": values["bulkhead_source_commit"],
        "image": image_repository(values) if builds else "",
        "dockerfile": values["bulkhead_build_dockerfile"],
        "context": values["bulkhead_build_context"],
        "target": values["bulkhead_build_target"],
        "arguments": values["bulkhead_build_arguments"],
        "ca_bundle": values["bulkhead_build_ca_bundle"] or None,
        "inputs": inputs_of(values) if builds else "",
        "promotion": promotion_arguments(step) if builds else {},
        "engine": values["bulkhead_build_engine"],
        "memory": size(values["bulkhead_build_memory"]),
        "cpus": values["bulkhead_build_cpus"],
        "disk": size(values["bulkhead_build_disk"]),
        "timeout": values["bulkhead_build_timeout"],
        "egress": values["bulkhead_build_egress"],
        "vouches": builds and _vouches(step),
        "labels": labels(values["bulkhead_project"], values["bulkhead_environment"], values["bulkhead_prefix"]),
    }


def _vouches(step: EnvironmentStep) -> bool:
    """Whether another environment may take its images from this one; templates of others are not evaluated."""
    taken = [str(variables.get("bulkhead_promotion_from") or "") for variables in step.gate.groups.values()]
    return any(group == step.declaration.group or "{{" in group for group in taken)
