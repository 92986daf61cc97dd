# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Renders one environment and calls the module of the same name, once the fleet is proved."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.aiia.bulkhead.plugins.module_utils.git import split_credentials
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration import Declaration
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate import Gate, require_proof
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation import naming, report
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Severity
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.stack import own_names
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.live import LiveGate
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.masking import mask
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.rendering import (
    Release,
    RenderedFile,
    secret_values,
    service_arguments,
)


class ActionModule(ActionBase):
    """Render the whole tree of an environment and ship it in one module call."""

    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Prove, render, call the module on the host, and hide what is secret in what it says."""
        task_vars = task_vars or {}
        result: dict[str, Any] = super().run(tmp, task_vars)
        _checked, given = self.validate_argument_spec({"commit": {"type": "str", "default": ""}})
        gate = Gate(self, task_vars)
        declaration = gate.declaration_of(task_vars["inventory_hostname"])
        require_proof(gate, declaration)
        live = LiveGate(self, task_vars, gate, declaration)
        session = live.ensure()
        with live.during(session, result):
            release = _release(gate, declaration, given["commit"])
            arguments = {**_arguments(declaration, release), "commit": given["commit"], "token": session.token}
            answer = self._execute_module("aiia.bulkhead.converge", arguments, task_vars=task_vars)
            result.update(mask(answer, secret_values(release)))
        return result


def _release(gate: Gate, declaration: Declaration, commit: str) -> Release:
    """The release of a commit. Raises AnsibleActionFail where it lacks something."""
    if declaration.values["bulkhead_source_repository"] and not commit:
        raise AnsibleActionFail(
            f"{declaration.prefix}: the step before, which brings the source to its commit, did not run here. "
            "Run the whole deployment: ansible-playbook deploy.yml -l <environment>"
        )
    release = gate.render(declaration, commit)
    faults = [each for each in declaration.problems if each.severity >= Severity.HIGH]
    if release is None or declaration.lacking or faults:
        raise AnsibleActionFail(report.text([*declaration.problems, *declaration.lacking]))
    return release


def _arguments(declaration: Declaration, release: Release) -> dict[str, Any]:
    values = declaration.values
    return {
        "directory": values["bulkhead_directory"],
        "prefix": values["bulkhead_prefix"],
        "state_directory": values["bulkhead_state_directory"],
        "project": naming.project_name(values["bulkhead_prefix"]),
        "networks": own_names(release.stack.compose, "networks"),
        "volumes": own_names(release.stack.compose, "volumes"),
        "firewall": values["bulkhead_firewall"],
        "firewall_chain": naming.firewall_chain(values["bulkhead_prefix"]),
        "firewall_ports": list(release.firewall_ports),
        "owner": values["bulkhead_owner"],
        "docker_host": values["bulkhead_docker_host"],
        "compose_file": release.compose_file,
        "repository": split_credentials(values["bulkhead_source_repository"])[0],
        "branch": values["bulkhead_source_branch"],
        "wait_timeout": values["bulkhead_wait_timeout"],
        "keep_releases": values["bulkhead_keep_releases"],
        "files": [_file(each) for each in release.files if not each.secret],
        "secret_files": [_file(each) for each in release.files if each.secret],
        "services": service_arguments(release),
        "ports": [{"service": service, "address": address, "port": port} for service, address, port in release.ports],
    }


def _file(file: RenderedFile) -> dict[str, str]:
    return {"path": file.path, "content": file.content, "source": file.source, "mode": f"{file.mode:04o}"}
