#!/usr/bin/python
# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: swarm
short_description: Form, extend and mend a swarm of the machines of a play
description:
  - The role C(aiia.bulkhead.swarm) calls this, one job after the other. All machines are judged before any is changed.
  - Join tokens travel over the engines' sockets and the run's own connections. They are in no argument, file or result.
version_added: 0.1.0
author:
  - Bulkhead authors (@bulkhead)
extends_documentation_fragment:
  - aiia.bulkhead.environment.machine
attributes:
  check_mode: {support: full, description: Looks and judges. The plan says what would be done.}
  diff_mode: {support: none, description: The steps say what changes.}
options:
  job:
    type: str
    required: true
    choices: [look, unlock, listen, reach, quiet, plan, form, lock, tokens, join, remove, settle, close]
    description: What to do. The role's tasks have the order.
  address: {type: str, default: "", description: The address at which the other nodes reach this one.}
  host: {type: str, default: "", description: The machine's name in the inventory.}
  word: {type: str, default: "", description: What the listeners of this run answer. Not a secret.}
  ports: {type: list, elements: dict, default: [], description: "The ports to listen on, as C(protocol) and C(port)."}
  targets: {type: list, elements: dict, default: [], description: The machines that must be reached.}
  managers: {type: list, elements: str, default: [], description: "The managers to join, as C(address:port)."}
  join_with: {type: str, default: "", description: The token to join with.}
  autolock: {type: bool, description: Whether managers ask for a key after a restart.}
  open_with: {type: str, default: "", description: The key that a restarted manager asks for.}
  nodes: {type: list, elements: dict, default: [], description: "The nodes to set up or to remove, by their whole ids."}
"""

EXAMPLES = r"""
- name: Look at the machine, as the role does
  aiia.bulkhead.swarm:
    job: look
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
from ..module_utils.core.errors import Failure
from ..module_utils.core.steps import as_dicts
from ..module_utils.run_module import answer
from ..module_utils.swarm import change, reach
from ..module_utils.swarm.api import SwarmApi
from ..module_utils.swarm.look import look


def run(module: AnsibleModule) -> dict[str, Any]:
    """Do one job."""
    params = module.params
    job, host, address, word = (params[name] for name in ("job", "host", "address", "word"))
    api = SwarmApi(params["docker_host"])
    ports = [(each["protocol"], int(each["port"])) for each in params["ports"]]
    if job == "look":
        return {"changed": False, "look": look(api, address)}
    if job == "listen":
        return {"changed": False, "held": reach.listen(address, ports, word)}
    if job == "reach":
        return {"changed": False, "lost": reach.reach(address, params["targets"], word)}
    if job == "quiet":
        reach.end(address, ports, word)
        return {"changed": False}
    if job == "lock":
        key, steps = change.lock(api, params["autolock"], module.check_mode)
        return {"changed": bool(steps), "steps": as_dicts(steps), "key": key}
    if job == "tokens":
        return {"changed": False, "tokens": change.tokens(api)}
    if module.check_mode:  # what follows is not called then; the plan says what it would do
        return {"changed": False, "steps": []}
    if job == "form":
        steps = change.form(api, host, address, bool(params["autolock"]))
    elif job == "join":
        identity, steps = change.join(api, host, address, params["managers"], params["join_with"])
        return {"changed": True, "steps": as_dicts(steps), "node": identity}
    elif job == "unlock":
        steps = change.unlock(api, host, params["open_with"])
    elif job == "settle":
        steps = change.settle(api, params["nodes"])
    elif job == "remove":
        steps = change.remove(api, params["nodes"])
    else:
        raise Failure("the job %s is the controller's: run the playbook aiia.bulkhead.swarm" % job)
    return {"changed": bool(steps), "steps": as_dicts(steps)}


def main() -> None:
    jobs = "look unlock listen reach quiet plan form lock tokens join remove settle close".split()
    module = AnsibleModule(
        argument_spec={
            **MACHINE,
            "job": {"type": "str", "required": True, "choices": jobs},
            "address": {"type": "str", "default": ""},
            "host": {"type": "str", "default": ""},
            "word": {"type": "str", "default": ""},
            "ports": {"type": "list", "elements": "dict", "default": []},
            "targets": {"type": "list", "elements": "dict", "default": []},
            "managers": {"type": "list", "elements": "str", "default": []},
            "join_with": {"type": "str", "default": "", "no_log": True},
            "autolock": {"type": "bool"},
            "open_with": {"type": "str", "default": "", "no_log": True},
            "nodes": {"type": "list", "elements": "dict", "default": []},
        },
        supports_check_mode=True,
    )
    answer(module, run, leased=False)


if __name__ == "__main__":
    main()
