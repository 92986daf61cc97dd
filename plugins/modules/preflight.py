#!/usr/bin/python
# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight
short_description: Take an environment's lock and inspect its machine before changing anything
description:
  - An action of the same name fills in all options from the inventory, judges the machine's state, and fails if
    something that is not this environment's stands in the way. In a play, set no options.
  - The lock is a lease, so a killed controller does not block other runs for long.
version_added: 0.1.0
author:
  - Bulkhead authors (@bulkhead)
extends_documentation_fragment:
  - aiia.bulkhead.environment.machine
attributes:
  check_mode: {support: full, description: Inspects the machine without taking the lock.}
  diff_mode: {support: none, description: Does not change the environment.}
options:
  prefix: {type: str, required: true, description: The environment's prefix.}
  token: {type: str, required: true, description: Identifies this run. Not a secret.}
  permit: {type: str, default: "", description: Shows that the action called the module.}
  holder: {type: str, required: true, description: "Who started this run, for other users to read."}
  wait: {type: int, default: 60, description: Seconds to wait while another run holds the lock.}
  takeover: {type: bool, default: false, description: Take the lock even if another run holds it.}
  release: {type: bool, default: false, description: Release the lock instead of taking it.}
  look: {type: bool, default: true, description: Whether to inspect the machine.}
  directories: {type: list, elements: str, default: [], description: Additional directories of environments to inspect.}
"""

EXAMPLES = r"""
- name: Inspect the machine before changing anything
  aiia.bulkhead.preflight:
"""

RETURN = r"""
observation:
  description: The current state of the machine.
  returned: success, if O(look=true)
  type: dict
busy:
  description: Whether another run holds the lock.
  returned: failure, if that is the cause
  type: bool
note:
  description: A lock that had expired or was taken over.
  returned: success
  type: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.core.arguments import MACHINE, PERMIT
from ..module_utils.docker.engine import Engine
from ..module_utils.edge.observed import observe
from ..module_utils.run_module import answer
from ..module_utils.state.directories import remember
from ..module_utils.state.format import refuse_newer
from ..module_utils.state.locks import Locks
from ..module_utils.state.registry import state_directory


def run(module: AnsibleModule) -> dict[str, Any]:
    """Take the lock and observe the machine; release the lock if that fails."""
    params = module.params
    locks = Locks(state_directory(params["state_directory"]))
    prefix, token = params["prefix"], params["token"]
    result = {"changed": False, "note": ""}
    refuse_newer(locks.directory, prefix)
    if not module.check_mode and not params["release"]:
        remember(locks.directory)
        result["note"] = locks.take(prefix, token, params["holder"], params["wait"], params["takeover"])
    try:
        if params["look"]:
            engine = Engine(module, params["docker_host"])
            keep = not module.check_mode
            result["observation"] = observe(engine, params["state_directory"], params["directories"], keep)
        done = params["release"]
    except BaseException:
        done = True
        raise
    finally:
        if done and not module.check_mode:
            locks.release(prefix, token)
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **MACHINE,
            **PERMIT,
            "prefix": {"type": "str", "required": True},
            "token": {"type": "str", "required": True, "no_log": False},
            "holder": {"type": "str", "required": True},
            "wait": {"type": "int", "default": 60},
            "takeover": {"type": "bool", "default": False},
            "release": {"type": "bool", "default": False},
            "look": {"type": "bool", "default": True},
            "directories": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    answer(module, run, leased=False)


if __name__ == "__main__":
    main()
