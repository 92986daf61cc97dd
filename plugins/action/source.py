# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fetches the commit of one environment and builds its image, once the fleet is proved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ..module_utils.core.steps import Step, as_dicts
from ..module_utils.source.values import split_credentials
from ..plugin_utils.declaration.settings import DEPLOY_KEY, REGISTRY_PASSWORD
from ..plugin_utils.gate.session import Note
from ..plugin_utils.gate.step import EnvironmentStep
from ..plugin_utils.isolation import naming
from ..plugin_utils.isolation.facts.capacity import size
from ..plugin_utils.jobs.promotion import promotion_arguments
from ..plugin_utils.release.derived import image_repository, inputs_of
from ..plugin_utils.release.stack import labels


class ActionModule(EnvironmentStep):
    """Call the module of the same name with what the inventory declares."""

    NOT_ON_SWARM: ClassVar = ""

    def ships(self, given: Mapping[str, Any]) -> bool:
        """Always."""
        return True

    def act(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Call the module on the host; of a stack, then send its image to the registry."""
        if self.nodes is None:
            return self._pull() if self.declaration.values["bulkhead_image"] else self._build()
        from ..plugin_utils.jobs.stack import pin_images  # only here: one machine does without

        answer = self._build() if not self.declaration.values["bulkhead_image"] else {"changed": False}
        return answer if answer.get("failed") else pin_images(self, answer)

    def _build(self) -> dict[str, Any]:
        """Have the image built from the commit."""
        if not self.declaration.values["bulkhead_source_repository"]:
            return {"changed": False, "commit": "", "built": False, "before": ""}
        answer = self.module("source", self._arguments())
        self.session.commit = str(answer.get("commit") or "")
        if self._task.check_mode and not answer.get("failed"):
            steps = [Step("build", answer["image"], "image")] if answer["built"] else []
            if answer.get("promoted"):
                steps.append(Step("promote", answer["image"], "image", detail=answer["promoted"]))
            answer["steps"] = as_dicts(steps)
        if answer.get("shared"):
            note = "the image was built in the machine's own engine, which other environments share: %s"
            self.session.notes.append(Note(note % answer["shared"]))
        return answer

    def _pull(self) -> dict[str, Any]:
        """Have the image fetched that was built elsewhere."""
        values = self.declaration.values
        arguments = {
            "reference": values["bulkhead_image"],
            "user": values["bulkhead_image_user"],
            "password": str(values["bulkhead_secrets"].get(REGISTRY_PASSWORD) or ""),
            "image": naming.image_name(values["bulkhead_prefix"], values["bulkhead_app_service"]),
            "promotion": promotion_arguments(self),
        }
        answer = self.module("image", arguments)
        self.session.commit = str(answer.get("commit") or "")
        if answer.get("pulled"):
            answer["steps"] = as_dicts([Step("pull", answer["image"], "image", detail=values["bulkhead_image"])])
        if answer.get("promoted"):
            self.session.notes.append(Note(f"promoted: {answer['promoted']}"))
        return answer

    def _arguments(self) -> dict[str, Any]:
        values = self.declaration.values
        release = self.gate.render(self.declaration)
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
            "promotion": promotion_arguments(self) if builds else {},
            "engine": values["bulkhead_build_engine"],
            "memory": size(values["bulkhead_build_memory"]),
            "cpus": values["bulkhead_build_cpus"],
            "disk": size(values["bulkhead_build_disk"]),
            "timeout": values["bulkhead_build_timeout"],
            "egress": values["bulkhead_build_egress"],
            "vouches": builds and self._vouches(),
            "labels": labels(values["bulkhead_project"], values["bulkhead_environment"], values["bulkhead_prefix"]),
        }

    def _vouches(self) -> bool:
        """Whether another environment may take its images from this one; templates of others are not evaluated."""
        taken = [str(variables.get("bulkhead_promotion_from") or "") for variables in self.gate.groups.values()]
        return any(group == self.declaration.group or "{{" in group for group in taken)
