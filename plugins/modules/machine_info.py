#!/usr/bin/python
# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: machine_info
short_description: Read everything on a machine that isolation depends on, in one call
description:
  - Returns containers, networks, volumes, listening sockets, the engine's options, free space, digests of the files of
    registered environments, schedules that call Docker, and the registry of environments. It does not judge them.
  - Needs neither PyYAML nor the Docker SDK on the machine. Container settings are not read, because they may be secret.
version_added: 0.1.0
author:
  - Bulkhead authors (@bulkhead)
extends_documentation_fragment:
  - aiia.bulkhead.environment.machine
attributes:
  check_mode: {support: full, description: The module only reads.}
  diff_mode: {support: none, description: The module only reads.}
options:
  directories: {type: list, elements: str, default: [], description: Additional directories of environments to inspect.}
"""

EXAMPLES = r"""
- name: Inspect a machine
  aiia.bulkhead.machine_info:
  register: machine
"""

RETURN = r"""
observation:
  description: The current state of the machine.
  returned: success
  type: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.core.arguments import MACHINE
from ..module_utils.docker.engine import Engine
from ..module_utils.edge.observed import observe
from ..module_utils.run_module import answer


def run(module: AnsibleModule) -> dict[str, Any]:
    """Observe the machine."""
    params = module.params
    engine = Engine(module, params["docker_host"])
    return {"changed": False, "observation": observe(engine, params["state_directory"], params["directories"])}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **MACHINE,
            "directories": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    answer(module, run, leased=False)


if __name__ == "__main__":
    main()
