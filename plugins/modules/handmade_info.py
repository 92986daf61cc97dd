#!/usr/bin/python
# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: handmade_info
short_description: Read what a machine runs that was set up by hand
description:
  - Called by the action M(aiia.bulkhead.adopt). Returns containers, volumes, Compose files, environment files, nginx
    files, checkouts and schedules, as their owners wrote them. It judges and changes nothing.
  - Links that others could exchange are not followed. Of a file that is huge, binary or unreadable, only the reason is
    returned.
version_added: 0.1.0
author:
  - Bulkhead authors (@bulkhead)
extends_documentation_fragment:
  - aiia.bulkhead.environment.machine
attributes:
  check_mode: {support: full, description: The module only reads.}
  diff_mode: {support: none, description: The module only reads.}
options:
  values:
    description:
      - Also return the values of settings, commands and the texts of files. These hold secrets, so whoever registers
        the result has them.
    type: bool
    default: false
  projects:
    description: The Compose projects to look at. Empty means all, and containers that belong to none.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: See which settings the containers of a server have
  aiia.bulkhead.handmade_info:
  register: handmade
"""

RETURN = r"""
seen:
  description: What runs on the machine, and which files say so.
  returned: success
  type: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.core.arguments import MACHINE
from ..module_utils.docker.engine import Engine
from ..module_utils.host.handmade import look
from ..module_utils.run_module import answer


def run(module: AnsibleModule) -> dict[str, Any]:
    """Look at the machine."""
    params = module.params
    return {"changed": False, "seen": look(Engine(module, params["docker_host"]), params["values"], params["projects"])}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **MACHINE,
            "values": {"type": "bool", "default": False},
            "projects": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    answer(module, run, leased=False)


if __name__ == "__main__":
    main()
