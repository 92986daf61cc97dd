#!/usr/bin/python
# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: maintenance
short_description: Enable or disable the maintenance page of one environment
description:
  - An action of the same name fills in all options from the inventory. O(ignore:bulkhead_maintenance) selects C(on) or
    C(off). In a play, set no options.
  - nginx looks for the page at each request, so nothing is reloaded and no container is touched. The module succeeds
    once the environment's own port responds accordingly.
version_added: 0.1.0
author:
  - Bulkhead authors (@bulkhead)
extends_documentation_fragment:
  - aiia.bulkhead.environment
  - aiia.bulkhead.environment.machine
attributes:
  check_mode: {support: full, description: Only reports what it would do.}
  diff_mode: {support: none, description: Only one file is involved.}
options:
  enabled: {type: bool, default: false, description: Whether to show the page.}
  page: {type: str, default: "", description: The content of the page.}
  request: {type: dict, default: {}, description: The request that checks the result.}
  timeout: {type: float, default: 1, description: The time limit for each probe in seconds.}
"""

EXAMPLES = r"""
- name: Enable or disable the page according to bulkhead_maintenance
  aiia.bulkhead.maintenance:
"""

RETURN = r"""
steps:
  description: The steps taken, or planned in check mode, each with its C(verb) and C(target).
  returned: success
  type: list
  elements: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.core.arguments import ENVIRONMENT
from ..module_utils.core.directory import Tree
from ..module_utils.core.steps import as_dicts
from ..module_utils.docker.engine import Engine
from ..module_utils.edge.answers import at_the_door
from ..module_utils.operations.maintenance import Maintenance
from ..module_utils.probe.prober import Prober
from ..module_utils.run_module import answer
from ..module_utils.state.registry import state_directory


def run(module: AnsibleModule) -> dict[str, Any]:
    """Put the page up, or take it away."""
    params = module.params
    prober = Prober(Engine(module, params["docker_host"]), params["timeout"])
    request = at_the_door([params["request"]], state_directory(params["state_directory"]))[0]
    maintenance = Maintenance(Tree(params["directory"], params["owner"]), prober, request)
    steps = maintenance.switch(params["page"].encode(), params["enabled"], module.check_mode)
    return {"changed": bool(steps), "steps": as_dicts(steps)}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **ENVIRONMENT,
            "enabled": {"type": "bool", "default": False},
            "page": {"type": "str", "default": ""},
            "request": {"type": "dict", "default": {}},
            "timeout": {"type": "float", "default": 1},
        },
        supports_check_mode=True,
    )
    answer(module, run)


if __name__ == "__main__":
    main()
