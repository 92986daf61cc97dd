# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Renders one environment and calls the module of the same name, once the fleet is proved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ansible.errors import AnsibleActionFail
from ansible_collections.aiia.bulkhead.plugins.module_utils.git import split_credentials
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation import naming
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.live.registered import entry_of
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.stack import own_names
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.masking import mask
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.rendering import (
    Release,
    RenderedFile,
    secret_values,
    service_arguments,
)
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.step import EnvironmentStep


class ActionModule(EnvironmentStep):
    """Render the whole tree of an environment and ship it in one module call."""

    OPTIONS: ClassVar = {"commit": {"type": "str", "default": ""}}

    def act(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Render, call the module on the host, and hide what is secret in what it says."""
        commit = given["commit"]
        if self.declaration.values["bulkhead_source_repository"] and not commit:
            raise AnsibleActionFail(
                f"{self.declaration.prefix}: the step before, which brings the source to its commit, did not run here. "
                "Run the whole deployment: ansible-playbook deploy.yml -l <environment>"
            )
        release = self.release(commit)
        arguments = _arguments(self.declaration.values, release)
        environment = entry_of(self.live.environment)
        answer = self.module("converge", {**arguments, "commit": commit, "environment": environment})
        masked: dict[str, Any] = mask(answer, secret_values(release))
        return masked


def _arguments(values: Mapping[str, Any], release: Release) -> dict[str, Any]:
    return {
        "project": naming.project_name(values["bulkhead_prefix"]),
        "networks": own_names(release.stack.compose, "networks"),
        "volumes": own_names(release.stack.compose, "volumes"),
        "firewall": values["bulkhead_firewall"],
        "firewall_chain": naming.firewall_chain(values["bulkhead_prefix"]),
        "firewall_ports": list(release.firewall_ports),
        "compose_file": release.compose_file,
        "repository": split_credentials(values["bulkhead_source_repository"])[0],
        "branch": values["bulkhead_source_branch"],
        "wait_timeout": values["bulkhead_wait_timeout"],
        "keep_releases": values["bulkhead_keep_releases"],
        "allow_downtime": values["bulkhead_allow_downtime"],
        "drain_timeout": values["bulkhead_drain_timeout"],
        "prepare_timeout": values["bulkhead_prepare_timeout"],
        "image_repository": naming.image_name(values["bulkhead_prefix"], values["bulkhead_app_service"])
        if release.stack.uses_application_image
        else "",
        "files": [_file(each) for each in release.files if not each.secret],
        "secret_files": [_file(each) for each in release.files if each.secret],
        "services": service_arguments(release),
        "ports": [{"service": service, "address": address, "port": port} for service, address, port in release.ports],
    }


def _file(file: RenderedFile) -> dict[str, str]:
    return {"path": file.path, "content": file.content, "source": file.source, "mode": f"{file.mode:04o}"}
