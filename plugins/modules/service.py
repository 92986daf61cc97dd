#!/usr/bin/python
# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: service
short_description: List, restart and look into the services of one environment, or run a command in one
description:
  - An action of the same name fills all other options in from the inventory. In a play only O(job) is given; which
    service, how many lines and which command are public variables (O(ignore:bulkhead_service),
    O(ignore:bulkhead_lines), O(ignore:bulkhead_command), O(ignore:bulkhead_manage)).
  - Only containers that a deployment of this environment made are touched or shown, known by their exact labels.
  - What is secret is hidden in everything that is shown.
version_added: 0.1.0
author:
  - Bulkhead authors (@bulkhead)
extends_documentation_fragment:
  - aiia.bulkhead.environment
  - aiia.bulkhead.environment.machine
attributes:
  check_mode: {support: full, description: Nothing is restarted and no command is run.}
  diff_mode: {support: none, description: There is nothing to compare.}
options:
  job:
    type: str
    required: true
    choices: [list, logs, restart, shell, manage]
    description:
      - V(list) and V(logs) only read and take no lock.
      - V(restart) restarts services one after the other and waits until each is ready.
      - V(shell) runs a command in the service's container, and without a command says how to get a terminal there.
      - V(manage) runs the service's own management command.
  project: {type: str, default: "", description: The environment's Compose project.}
  services: {type: list, elements: dict, default: [], description: The services that the job is about.}
  lines: {type: int, default: 200, description: How many lines of each log.}
  command: {type: list, elements: str, default: [], description: The command as a list of arguments.}
  secret_names: {type: list, elements: str, default: [], description: Names of settings whose values are hidden.}
  timeout: {type: int, default: 300, description: Seconds to wait until a restarted container is healthy.}
  readiness_delay:
    {type: int, default: 5, description: Seconds that a restarted container without a health check has to run.}
"""

EXAMPLES = r"""
- name: Restart what bulkhead_service names, or everything
  aiia.bulkhead.service:
    job: restart
"""

RETURN = r"""
services:
  description: What runs.
  returned: V(list)
  type: list
  elements: dict
logs:
  description: The last lines of each container.
  returned: V(logs)
  type: list
  elements: dict
steps:
  description: What was done, or would be in check mode, each step with its C(verb), C(target) and C(kind).
  returned: V(restart), V(shell), V(manage)
  type: list
  elements: dict
lines:
  description: What the command wrote.
  returned: V(shell), V(manage)
  type: list
  elements: str
"""

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
    services = Services(engine, params["prefix"], wanted, params["secret_names"])
    if job == "list":
        return {"changed": False, "services": services.listing()}
    if job == "logs":
        return {"changed": False, "logs": services.logs(params["lines"])}
    if job == "restart":
        steps = services.restart(params["timeout"], params["readiness_delay"], module.check_mode)
        return {"changed": bool(steps), "steps": as_dicts(steps)}
    done = services.execute(params["command"], module.check_mode)
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
            "command": {"type": "list", "elements": "str", "default": []},
            "secret_names": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "timeout": {"type": "int", "default": 300},
            "readiness_delay": {"type": "int", "default": 5},
        },
        supports_check_mode=True,
    )
    answer(module, run)


if __name__ == "__main__":
    main()
