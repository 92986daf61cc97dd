#!/usr/bin/python
# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: edge
short_description: Set up the front door of a machine, or replace it without a refused connection
description:
  - The role C(aiia.bulkhead.edge) calls this module. It changes what is the machine's own, and no environment.
  - A new door takes the open ports over from the running one. One that does not start leaves the running one in place.
version_added: 0.1.0
author:
  - Bulkhead authors (@bulkhead)
extends_documentation_fragment:
  - aiia.bulkhead.environment.machine
attributes:
  check_mode: {support: full, description: Only reports what it would do.}
  diff_mode: {support: none, description: The steps say what changes.}
options:
  image: {type: str, required: true, description: The image of HAProxy 2.8 or later.}
  http_port: {type: int, default: 80, description: The port that is routed by the Host header.}
  https_port: {type: int, default: 443, description: The port that is routed by the name in the TLS hello.}
  addresses: {type: list, elements: str, default: ["0.0.0.0", "::"], description: The addresses to listen on.}
  proxy_protocol_from:
    type: list
    elements: str
    default: []
    description: Addresses and networks that must send the PROXY protocol.
  connections: {type: int, default: 8000, description: The most connections at a time.}
  source_connections: {type: int, default: 1000, description: The most connections of one address or /64 of IPv6.}
  hello_timeout: {type: int, default: 5, description: Seconds until a client must have said which name it wants.}
  idle_timeout: {type: int, default: 3600, description: Seconds until a connection without traffic is ended.}
  move:
    type: bool
    default: false
    description:
      - Whether environments that publish ports are being moved behind the front door. While one still publishes
        O(http_port) or O(https_port), the front door listens on other ports, and a deployment that moves an environment
        leads what it published there.
      - When it is false again, nothing is led there any more.
"""

EXAMPLES = r"""
- name: Set up the front door
  aiia.bulkhead.edge:
    image: docker.io/library/haproxy:3.0-alpine
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

from ..module_utils.core.arguments import MACHINE
from ..module_utils.core.steps import as_dicts
from ..module_utils.docker.engine import Engine
from ..module_utils.edge.machine import Machine
from ..module_utils.edge.routes import DoorError, DoorSettings, settings_problems
from ..module_utils.run_module import answer
from ..module_utils.state.registry import state_directory


def run(module: AnsibleModule) -> dict[str, Any]:
    """Bring the door to what is wanted."""
    params = module.params
    settings = DoorSettings(
        http_port=params["http_port"],
        https_port=params["https_port"],
        addresses=tuple(params["addresses"]),
        trusted=tuple(params["proxy_protocol_from"]),
        connections=params["connections"],
        source_connections=params["source_connections"],
        hello_timeout=params["hello_timeout"],
        idle_timeout=params["idle_timeout"],
    )
    wrong = settings_problems(settings)
    if wrong:
        raise DoorError("the front door was not changed: %s" % "; ".join(wrong))
    engine = Engine(module, params["docker_host"])
    state = state_directory(params["state_directory"])
    machine = Machine(engine, state, params["image"], settings, params["move"])
    steps = machine.bring(module.check_mode)
    for prefix, problem in sorted(machine.door.look().damaged.items()):
        kept = "goes on with the route" if prefix in machine.door.routes() else "has no route"
        module.warn("%s. Until then %s %s that the front door had before" % (problem, prefix, kept))
    return {"changed": bool(steps), "steps": as_dicts(steps)}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **MACHINE,
            "image": {"type": "str", "required": True},
            "http_port": {"type": "int", "default": 80},
            "https_port": {"type": "int", "default": 443},
            "addresses": {"type": "list", "elements": "str", "default": ["0.0.0.0", "::"]},  # noqa: S104
            "proxy_protocol_from": {"type": "list", "elements": "str", "default": []},
            "connections": {"type": "int", "default": 8000},
            "source_connections": {"type": "int", "default": 1000},
            "hello_timeout": {"type": "int", "default": 5},
            "idle_timeout": {"type": "int", "default": 3600},
            "move": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    answer(module, run, leased=False)


if __name__ == "__main__":
    main()
