#!/usr/bin/python
# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: certificates
short_description: Have a certificate issued for one environment, and let its machine renew it
description:
  - An action of the same name fills in all other options from the inventory. In a play, set only O(job).
  - The client runs in a container of the environment, and keeps its account in a directory of root's. What it brings is
    in force once its key, names, dates and chain fit, C(nginx -t) accepts it, and an answer came with it. The
    certificate before serves until then.
version_added: 0.1.0
author:
  - Bulkhead authors (@bulkhead)
extends_documentation_fragment:
  - aiia.bulkhead.environment
  - aiia.bulkhead.environment.machine
attributes:
  check_mode: {support: full, description: Asks nobody and writes nothing.}
  diff_mode: {support: none, description: There is nothing to compare.}
options:
  job:
    type: str
    default: renew
    choices: [deploy, renew]
    description:
      - V(deploy) is a step of a deployment. What fails does not stop it; its verification does, unless a valid
        certificate serves.
      - V(renew) renews what is due, and fails where that fails.
  certificates: {type: dict, default: {}, description: What to ask for. Empty ends the renewal.}
  schedule: {type: dict, default: {}, description: When the machine looks whether a renewal is due.}
  notify: {type: dict, default: {}, description: The webhook that is told when a scheduled run fails.}
  lenient: {type: bool, default: false, description: Whether a failure is only returned as RV(told).}
"""

EXAMPLES = r"""
- name: Renew the environment's certificate if that is due
  aiia.bulkhead.certificates:
"""

RETURN = r"""
steps:
  description: What was done, or would be done in check mode. Each step has its C(verb), C(target) and C(kind).
  returned: success
  type: list
  elements: dict
state:
  description: Until when the certificate is valid, in words.
  returned: success
  type: str
told:
  description: Why no certificate could be had, where that is only told.
  returned: success
  type: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.backup.schedule import Schedule
from ..module_utils.certificates.obtain import Certificates
from ..module_utils.certificates.scheduled_run import JOB  # this is how its program gets to the machine
from ..module_utils.core.arguments import ENVIRONMENT
from ..module_utils.core.errors import Failure
from ..module_utils.core.steps import Step, as_dicts
from ..module_utils.docker.engine import Engine
from ..module_utils.run_module import answer
from ..module_utils.state.home import Home


def run(module: AnsibleModule) -> dict[str, Any]:
    """Have a certificate, and the schedule that keeps it current."""
    params, settings = module.params, module.params["certificates"]
    engine = Engine(module, params["docker_host"], settings.get("project", ""), params["directory"])
    told, state = "", "no authority issues its certificate"
    steps: list[Step] = []
    if settings:
        wanted = Certificates(engine, settings)
        try:
            steps += wanted.plan() if module.check_mode else wanted.bring(Home.of(settings))
        except Failure as error:
            if not params["lenient"]:
                raise
            what = "be renewed, and the one before serves on" if wanted.serves() else "be had"
            told = "its certificate could not %s: %s" % (what, error.message)
        state = wanted.state()
    schedule = Schedule(engine, params["prefix"], params["state_directory"], JOB)
    timed = settings and dict(params["schedule"], certificates=settings, notify=params["notify"])
    steps += schedule.bring(timed, change=not module.check_mode)
    return {"changed": bool(steps), "steps": as_dicts(steps), "told": told, "state": state}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **ENVIRONMENT,
            "job": {"type": "str", "default": "renew", "choices": ["deploy", "renew"]},
            "certificates": {"type": "dict", "default": {}},
            "schedule": {"type": "dict", "default": {}},
            "notify": {"type": "dict", "default": {}, "no_log": True},
            "lenient": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    answer(module, run)


if __name__ == "__main__":
    main()
