#!/usr/bin/python
# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: maintenance
short_description: Put the maintenance page of one environment up, or take it away
description:
  - An action of the same name fills all options in from the inventory; O(ignore:bulkhead_maintenance) says which of the
    two. In a play it is called without any option.
  - nginx looks for the page at each request, so nothing is reloaded and no container is touched. It is done when the
    environment's own port was seen to answer so.
version_added: 0.1.0
author:
  - Bulkhead authors (@bulkhead)
extends_documentation_fragment:
  - aiia.bulkhead.environment
  - aiia.bulkhead.environment.machine
attributes:
  check_mode: {support: full, description: It only says what it would do.}
  diff_mode: {support: none, description: There is one file.}
options:
  enabled: {type: bool, default: false, description: Whether the page shall be up.}
  page: {type: str, default: "", description: The page.}
  request: {type: dict, default: {}, description: The request that must be answered so.}
  timeout: {type: float, default: 1, description: Seconds for each probe.}
"""

EXAMPLES = r"""
- name: Put the page up or take it away, as bulkhead_maintenance says
  aiia.bulkhead.maintenance:
"""

RETURN = r"""
steps:
  description: What was done, or would be in check mode, each step with its C(verb) and C(target).
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
from ..module_utils.operations.maintenance import Maintenance
from ..module_utils.probe.prober import Prober
from ..module_utils.run_module import answer


def run(module: AnsibleModule) -> dict[str, Any]:
    """Put the page up, or take it away."""
    params = module.params
    prober = Prober(Engine(module, params["docker_host"]), params["timeout"])
    maintenance = Maintenance(Tree(params["directory"], params["owner"]), prober, params["request"])
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
