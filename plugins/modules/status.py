#!/usr/bin/python
# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: status
short_description: Show what runs in each environment, since when, and how it is
description:
  - An action of the same name asks each machine of the inventory once, without the password of any vault, and shows one
    line for each environment. In a play, set no options.
  - Use the playbook C(aiia.bulkhead.status). It runs on the controller, so a machine that cannot be reached is a line.
version_added: 0.1.0
author:
  - Bulkhead authors (@bulkhead)
extends_documentation_fragment:
  - aiia.bulkhead.environment.machine
attributes:
  check_mode: {support: full, description: The module only reads.}
  diff_mode: {support: none, description: The module only reads.}
options:
  environments:
    type: list
    elements: dict
    default: []
    description: The environments to read, each with its C(prefix), the directory of its C(backups) and a C(request).
  timeout: {type: float, default: 0.5, description: Timeout in seconds for each request.}
  examine: {type: bool, default: false, description: "Also look at what C(doctor) needs: logs, servers and domains."}
  history: {type: bool, default: false, description: "Also read kept releases, receipts and backups, for C(report)."}
  directories: {type: list, elements: str, default: [], description: Additional directories of environments to inspect.}
"""

EXAMPLES = r"""
- name: Show all environments of the inventory
  aiia.bulkhead.status:
"""

RETURN = r"""
environments:
  description: >-
    What was seen of each environment. The action returns its C(prefix), C(state), C(release), C(commit), C(since),
    C(by), C(healthy), C(problems), C(drift), C(backup), C(backup_age_seconds) and C(certificate_days).
  returned: success
  type: list
  elements: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.core.arguments import MACHINE
from ..module_utils.docker.engine import Engine
from ..module_utils.edge.answers import at_the_door
from ..module_utils.edge.observed import observe
from ..module_utils.operations.examine import examine
from ..module_utils.operations.history import history
from ..module_utils.operations.watch import watched
from ..module_utils.run_module import answer


def run(module: AnsibleModule) -> dict[str, Any]:
    """Observe the machine once, and what is watched of each environment."""
    params = module.params
    engine = Engine(module, params["docker_host"])
    state = params["state_directory"]
    observation = observe(engine, state, params["directories"])
    wanted = [_at_the_door(environment, observation["state_directory"]) for environment in params["environments"]]
    found = {"observation": observation, "watched": watched(engine, wanted, state, params["timeout"])}
    if params["examine"]:
        found["examined"] = examine(engine, wanted, observation["containers"], state)
    if params["history"]:
        found["history"] = history(wanted, state)
    return {"changed": False, **found}


def _at_the_door(environment: dict[str, Any], state: str) -> dict[str, Any]:
    """An environment with its requests to addresses of this machine."""
    request = at_the_door(filter(None, [environment.get("request")]), state)[:1]
    requests = at_the_door(environment.get("requests") or (), state)
    return {**environment, "request": request[0] if request else {}, "requests": requests}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **MACHINE,
            "environments": {"type": "list", "elements": "dict", "default": []},
            "timeout": {"type": "float", "default": 0.5},
            "examine": {"type": "bool", "default": False},
            "history": {"type": "bool", "default": False},
            "directories": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    answer(module, run, leased=False)


if __name__ == "__main__":
    main()
