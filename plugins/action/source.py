# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Calls the module of the same name with what the inventory declares, once the fleet is proved."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.aiia.bulkhead.plugins.module_utils.git import split_credentials
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration import Declaration
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate import Gate, require_proof
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation import naming
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.stack import labels
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.live import LiveGate


class ActionModule(ActionBase):
    """Bring the checkout's objects and the image of one environment to its commit."""

    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Prove, then call the module on the host."""
        task_vars = task_vars or {}
        result: dict[str, Any] = super().run(tmp, task_vars)
        self.validate_argument_spec({})
        gate = Gate(self, task_vars)
        declaration = gate.declaration_of(task_vars["inventory_hostname"])
        require_proof(gate, declaration)
        live = LiveGate(self, task_vars, gate, declaration)
        session = live.ensure()
        if not declaration.values["bulkhead_source_repository"]:
            return {**result, "changed": False, "commit": "", "built": False, "before": ""}
        with live.during(session, result):
            arguments = _arguments(gate, declaration, session.token)
            result.update(self._execute_module("aiia.bulkhead.source", arguments, task_vars=task_vars))
        return result


def _arguments(gate: Gate, declaration: Declaration, token: str) -> dict[str, Any]:
    values = declaration.values
    release = gate.render(declaration)
    builds = release is not None and release.stack.uses_application_image
    repository, credentials = split_credentials(values["bulkhead_source_repository"])
    return {
        "directory": values["bulkhead_directory"],
        "prefix": values["bulkhead_prefix"],
        "token": token,
        "state_directory": values["bulkhead_state_directory"],
        "owner": values["bulkhead_owner"],
        "docker_host": values["bulkhead_docker_host"],
        "repository": repository,
        "credentials": credentials,
        "branch": values["bulkhead_source_branch"],
        "commit": values["bulkhead_source_commit"],
        "image": naming.image_name(values["bulkhead_prefix"], values["bulkhead_app_service"]) if builds else "",
        "dockerfile": values["bulkhead_build_dockerfile"],
        "context": values["bulkhead_build_context"],
        "target": values["bulkhead_build_target"],
        "arguments": values["bulkhead_build_arguments"],
        "ca_bundle": values["bulkhead_build_ca_bundle"] or None,
        "labels": labels(values["bulkhead_project"], values["bulkhead_environment"], values["bulkhead_prefix"]),
    }
