#!/usr/bin/python
# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: evidence
short_description: Read the state of the images that an environment runs on its machine
description:
  - The actions M(aiia.bulkhead.source) and M(aiia.bulkhead.converge) call it on the machine of the environment that
    O(ignore:bulkhead_promotion_from) names. A play does not need it.
  - It only reads, takes no lock and needs no secrets of that environment. The result is evaluated for the environment
    that the images are to be deployed to.
version_added: 0.1.0
author:
  - Bulkhead authors (@bulkhead)
extends_documentation_fragment:
  - aiia.bulkhead.environment
  - aiia.bulkhead.environment.machine
attributes:
  check_mode: {support: full, description: Only reads.}
  diff_mode: {support: none, description: Only reads.}
options:
  project: {type: str, required: true, description: The environment's Compose project.}
"""

EXAMPLES = r"""
- name: Converge to the release, if its images may be deployed
  aiia.bulkhead.converge:
"""

RETURN = r"""
evidence:
  description: >-
    Whether the environment is registered, the images of its last verified deployment, and the image, health and times
    of each container, by the engine's clock.
  returned: success
  type: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.core.arguments import ENVIRONMENT
from ..module_utils.docker.engine import Engine
from ..module_utils.image.evidence import collect
from ..module_utils.run_module import answer


def run(module: AnsibleModule) -> dict[str, Any]:
    """Collect evidence from the environment's registry entry and containers."""
    params = module.params
    engine = Engine(module, params["docker_host"])
    environment = (params["prefix"], params["project"], params["directory"], params["state_directory"])
    return {"changed": False, "evidence": collect(engine, *environment)}


def main() -> None:
    module = AnsibleModule(
        argument_spec={**ENVIRONMENT, "project": {"type": "str", "required": True}}, supports_check_mode=True
    )
    answer(module, run)


if __name__ == "__main__":
    main()
