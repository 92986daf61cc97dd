#!/usr/bin/python
# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: service
short_description: List, restart and inspect the services of one environment, or run a command in one
description:
  - An action of the same name fills in all other options from the inventory. In a play, set only O(job). Variables
    select the service, the number of lines and the command (O(ignore:bulkhead_service), O(ignore:bulkhead_lines),
    O(ignore:bulkhead_since), O(ignore:bulkhead_follow), O(ignore:bulkhead_input_file), O(ignore:bulkhead_command_env),
    O(ignore:bulkhead_command), O(ignore:bulkhead_manage)).
  - Only containers created by a deployment of this environment, identified by their exact labels, are touched or shown.
  - Secrets are hidden in all output.
version_added: 0.1.0
author:
  - Bulkhead authors (@bulkhead)
extends_documentation_fragment:
  - aiia.bulkhead.environment
  - aiia.bulkhead.environment.machine
attributes:
  check_mode: {support: full, description: Restarts nothing and runs no command.}
  diff_mode: {support: none, description: There is nothing to compare.}
options:
  job:
    type: str
    required: true
    choices: [list, logs, restart, shell, manage]
    description:
      - V(list) and V(logs) only read and take no lock.
      - V(restart) restarts services one at a time and waits until each is ready.
      - V(shell) runs a command in the service's container. Without a command, it explains how to open a terminal there.
      - V(manage) runs the service's own management command.
  project: {type: str, default: "", description: The environment's Compose project.}
  services: {type: list, elements: dict, default: [], description: The services that the job acts on.}
  lines: {type: int, default: 200, description: The number of lines to show of each log.}
  since: {type: str, default: "", description: "The time from which on a log is shown, such as V(10m)."}
  sent: {type: str, default: "", description: "Input and variables of the command, as JSON in base64."}
  command: {type: list, elements: str, default: [], description: The command as a list of arguments.}
  secret_names: {type: list, elements: str, default: [], description: Names of settings whose values are hidden.}
  timeout: {type: int, default: 300, description: How many seconds to wait for a restarted container to become healthy.}
  readiness_delay:
    {type: int, default: 5, description: How many seconds a restarted container without a health check must run.}
  swarm: {type: bool, default: false, description: Whether the containers are tasks of a stack on this node.}
"""

EXAMPLES = r"""
- name: Restart the service that bulkhead_service names, or all services
  aiia.bulkhead.service:
    job: restart
"""

RETURN = r"""
services:
  description: The services and their state.
  returned: V(list)
  type: list
  elements: dict
logs:
  description: The last lines of each container.
  returned: V(logs)
  type: list
  elements: dict
steps:
  description: The steps taken, or planned in check mode, each with its C(verb), C(target) and C(kind).
  returned: V(restart), V(shell), V(manage)
  type: list
  elements: dict
lines:
  description: The output of the command.
  returned: V(shell), V(manage)
  type: list
  elements: str
"""

import base64
import json
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.core.arguments import ENVIRONMENT
from ..module_utils.core.steps import Step, as_dicts
from ..module_utils.docker.engine import Engine
from ..module_utils.operations.services import Services
from ..module_utils.release.service import Service
from ..module_utils.run_module import answer


def run(module: AnsibleModule) -> dict[str, Any]:
    """Do one job."""
    params, job = module.params, module.params["job"]
    engine = Engine(module, params["docker_host"], params["project"], params["directory"])
    wanted = [Service.from_dict(service) for service in params["services"]]
    services = Services(engine, params["prefix"], wanted, params["secret_names"], params["swarm"])
    if job == "list":
        return {"changed": False, "services": services.listing()}
    if job == "logs":
        return {"changed": False, "logs": services.logs(params["lines"], params["since"])}
    if job == "restart":
        steps = services.restart(params["timeout"], params["readiness_delay"], module.check_mode)
        return {"changed": bool(steps), "steps": as_dicts(steps)}
    sent: dict[str, Any] = json.loads(base64.b64decode(params["sent"]) or b"{}")
    given = {"data": sent.get("input", ""), "variables": sent.get("variables", {})}
    done = services.execute(params["command"], module.check_mode, **given)
    said = services.hide(" ".join(params["command"]))
    steps = [Step("run", done["container"], "container", detail=said)]
    result = {"changed": True, "steps": as_dicts(steps), "lines": done["lines"]}
    if done["code"]:
        result.update(failed=True, msg="%s: %s ended with exit code %d" % (done["container"], said, done["code"]))
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **ENVIRONMENT,
            "job": {"type": "str", "required": True, "choices": ["list", "logs", "restart", "shell", "manage"]},
            "project": {"type": "str", "default": ""},
            "services": {"type": "list", "elements": "dict", "default": []},
            "lines": {"type": "int", "default": 200},
            "since": {"type": "str", "default": ""},
            # One text: of a mapping every short value would be hidden wherever it stands.
            "sent": {"type": "str", "default": "", "no_log": True},
            "command": {"type": "list", "elements": "str", "default": []},
            "secret_names": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "timeout": {"type": "int", "default": 300},
            "readiness_delay": {"type": "int", "default": 5},
            "swarm": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    answer(module, run)


if __name__ == "__main__":
    main()
