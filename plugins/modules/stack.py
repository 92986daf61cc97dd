#!/usr/bin/python
# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: stack
short_description: Deploy the stack of an environment on its swarm, or leave everything as it was
description:
  - The actions of environments that are stacks call it on a manager, and to fetch images on each node, with what the
    inventory declares, after the plan gate. In a play, use the playbooks.
  - A release is handed to the engine by C(docker stack deploy), with images named by their digests. The module waits
    until the engine is done. If the engine rolls back, or a task does not become healthy, the release before is
    deployed again, and the module fails.
version_added: 0.1.0
author:
  - Bulkhead authors (@bulkhead)
extends_documentation_fragment:
  - aiia.bulkhead.environment
  - aiia.bulkhead.environment.machine
attributes:
  check_mode: {support: full, description: Changes nothing and returns the planned steps in RV(steps).}
  diff_mode: {support: none, description: The steps say what changes.}
options:
  job:
    type: str
    required: true
    choices:
      - images
      - fetch
      - forget_images
      - foresee
      - apply
      - rollback
      - restart
      - forget
      - destroy
      - renew
      - label
      - ready
      - lead
      - leave
    description:
      - What to do. V(renew) only renews the lease of the run, while another node works.
      - V(ready), V(lead) and V(leave) are asked of a node, about its front door, and V(label) of a manager.
  given: {type: str, default: "", description: What the job needs. Filled in by the action.}
"""

EXAMPLES = r"""
- name: Converge to the release, as the role does
  aiia.bulkhead.converge:
"""

RETURN = r"""
steps:
  description: The steps taken, planned in check mode, or started before a failure.
  returned: always
  type: list
  elements: dict
put_back:
  description: How going back ended.
  returned: failure
  type: str
release:
  description: The release in force.
  returned: when a release is deployed
  type: str
kept_images:
  description: The images of all kept releases, if there are images that none of them runs any more.
  returned: when a release is deployed
  type: list
  elements: str
notes:
  description: What to say of it afterwards.
  returned: for the jobs V(forget) and V(forget_images)
  type: list
  elements: str
pinned:
  description: Each image with the digest that it means.
  returned: for the job V(images)
  type: dict
versions:
  description: The version of each file that only the machine has.
  returned: for the job V(images)
  type: dict
"""

import json
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.core.arguments import ENVIRONMENT
from ..module_utils.docker.engine import Engine
from ..module_utils.run_module import answer
from ..module_utils.stack.jobs import JOBS


def run(module: AnsibleModule) -> dict[str, Any]:
    """Do one job."""
    given = json.loads(module.params["given"] or "{}")
    secret = [file["content"] for file in given.get("files") or () if file["secret"] and file["content"]]
    module.no_log_values.update([*secret, *filter(None, [(given.get("login") or {}).get("password")])])
    return JOBS[module.params["job"]](Engine(module, module.params["docker_host"]), module.params, given)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **ENVIRONMENT,
            "job": {"type": "str", "required": True, "choices": list(JOBS)},
            # One text: of a dictionary every word would be a secret.
            "given": {"type": "str", "default": "", "no_log": True},
        },
        supports_check_mode=True,
    )
    answer(module, run)


if __name__ == "__main__":
    main()
