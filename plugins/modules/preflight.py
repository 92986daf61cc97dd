#!/usr/bin/python
# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight
short_description: Take an environment's lock and inspect its machine before anything changes
description:
  - An action of the same name fills in all options from the inventory, evaluates the result, and fails if anything that
    does not belong to this environment is in the way. In a play, set no options.
  - The lock is a lease, so a killed controller does not block other runs for long.
version_added: 0.1.0
author:
  - Bulkhead authors (@bulkhead)
extends_documentation_fragment:
  - aiia.bulkhead.environment.machine
attributes:
  check_mode: {support: full, description: Inspects the machine but takes no lock.}
  diff_mode: {support: none, description: Changes nothing in an environment.}
options:
  prefix: {type: str, required: true, description: The environment's prefix.}
  token: {type: str, required: true, description: The identifier of this run. It is not secret.}
  holder: {type: str, required: true, description: The lock holder's name as shown to other users.}
  wait: {type: int, default: 60, description: How many seconds to wait for a lock that another run holds.}
  takeover: {type: bool, default: false, description: Take the lock even if another run holds it.}
  release: {type: bool, default: false, description: Release the lock instead of taking it.}
  look: {type: bool, default: true, description: Whether to inspect the machine.}
  directories: {type: list, elements: str, default: [], description: Directories of further environments to inspect.}
"""

EXAMPLES = r"""
- name: Take the lock and inspect the machine before anything changes
  aiia.bulkhead.preflight:
"""

RETURN = r"""
observation:
  description: The state of the machine.
  returned: success, if O(look) is true
  type: dict
busy:
  description: Whether another run holds the lock.
  returned: failure, if that is the cause
  type: bool
note:
  description: A note about a lock that had expired or was taken over.
  returned: success
  type: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.core.arguments import MACHINE
from ..module_utils.docker.engine import Engine
from ..module_utils.host.observation import observe
from ..module_utils.run_module import answer
from ..module_utils.state.locks import Locks
from ..module_utils.state.registry import state_directory


def run(module: AnsibleModule) -> dict[str, Any]:
    """Take the lock and observe the machine; release the lock if that fails."""
    params = module.params
    locks = Locks(state_directory(params["state_directory"]))
    prefix, token = params["prefix"], params["token"]
    result = {"changed": False, "note": ""}
    if not module.check_mode and not params["release"]:
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
