#!/usr/bin/python
# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup
short_description: Back up one environment, list its backups, or apply its backup schedule
description:
  - An action of the same name fills in all other options from the inventory. In a play, set only O(job).
  - A backup holds the environment's databases in PostgreSQL's custom format, its files as tar archives, and a manifest
    that describes them. Each part is read back from disk. An incomplete backup does not count as one.
version_added: 0.1.0
author:
  - Bulkhead authors (@bulkhead)
extends_documentation_fragment:
  - aiia.bulkhead.environment
  - aiia.bulkhead.environment.machine
attributes:
  check_mode: {support: full, description: Writes nothing.}
  diff_mode: {support: none, description: There is nothing to compare.}
options:
  job:
    type: str
    default: make
    choices: [make, list, schedule]
    description:
      - V(make) makes a backup now.
      - V(list) lists the complete backups.
      - V(schedule) makes the machine create backups as O(ignore:bulkhead_backup_schedule) says, or stops it.
  backup: {type: dict, default: {}, description: What to back up and where to.}
  identity:
    type: str
    default: ""
    description: The private key that opens encrypted backups, for V(list). It stays in memory.
  schedule: {type: dict, default: {}, description: When the machine makes backups on its own. Empty means never.}
  notify: {type: dict, default: {}, description: The webhook that is told when a scheduled run fails.}
"""

EXAMPLES = r"""
- name: Back up the environment
  aiia.bulkhead.backup:
"""

RETURN = r"""
backup:
  description: The new backup, with its C(name), C(path), C(bytes), C(digest), C(seconds) and number of C(recipients).
  returned: V(make)
  type: dict
backups:
  description: The manifests of the complete backups, oldest first.
  returned: V(list)
  type: list
  elements: dict
sealed:
  description: The names of encrypted backups that O(identity) does not open.
  returned: V(list)
  type: list
  elements: str
last:
  description: The result of the last scheduled backup.
  returned: V(list)
  type: dict
steps:
  description: What was done, or would be done in check mode. Each step has its C(verb), C(target) and C(kind).
  returned: V(make), V(schedule)
  type: list
  elements: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.backup.create import Backups
from ..module_utils.backup.decryption import Identity
from ..module_utils.backup.schedule import Schedule
from ..module_utils.core.arguments import ENVIRONMENT
from ..module_utils.core.steps import Step, as_dicts
from ..module_utils.docker.engine import Engine
from ..module_utils.run_module import answer


def run(module: AnsibleModule) -> dict[str, Any]:
    """Make a backup, list the backups, or set the schedule."""
    params = module.params
    engine = Engine(module, params["docker_host"])
    schedule = Schedule(engine, params["prefix"], params["state_directory"])
    if params["job"] == "schedule":
        wanted = params["schedule"] and dict(params["schedule"], backup=params["backup"], notify=params["notify"])
        steps = schedule.bring(wanted, change=not module.check_mode)
        return {"changed": bool(steps), "steps": as_dicts(steps)}
    backups = Backups(engine, params["backup"])
    if params["job"] == "list":
        identity = Identity(engine, params["identity"], params["backup"]["timeout"]) if params["identity"] else None
        found = {"backups": backups.complete(identity), "sealed": backups.sealed(identity)}
        return {"changed": False, **found, "last": schedule.last()}
    if module.check_mode:
        return {"changed": True, "steps": as_dicts([Step("back up", backups.directory, "directory")])}
    made = backups.make("by hand", trigger="hand")
    steps = [Step("back up", made["path"], "directory")]
    steps += [Step("remove", name, "backup") for name in made["removed"]]
    return {"changed": True, "backup": made, "steps": as_dicts(steps)}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **ENVIRONMENT,
            "job": {"type": "str", "default": "make", "choices": ["make", "list", "schedule"]},
            "backup": {"type": "dict", "default": {}},
            "schedule": {"type": "dict", "default": {}},
            "identity": {"type": "str", "default": "", "no_log": True},
            "notify": {"type": "dict", "default": {}, "no_log": True},
        },
        supports_check_mode=True,
    )
    answer(module, run)


if __name__ == "__main__":
    main()
