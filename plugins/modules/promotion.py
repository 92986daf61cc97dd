#!/usr/bin/python
# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: promotion
short_description: Reject images that were not healthy in another environment for long enough
description:
  - Called by the action M(aiia.bulkhead.converge) if O(ignore:bulkhead_promotion_from) is set. Plays do not call it.
  - The proof is what the module M(aiia.bulkhead.evidence) read on the other environment's machine.
version_added: 0.1.0
author:
  - Bulkhead authors (@bulkhead)
extends_documentation_fragment:
  - aiia.bulkhead.environment
  - aiia.bulkhead.environment.machine
attributes:
  check_mode: {support: full, description: The module only reads.}
  diff_mode: {support: none, description: The module only reads.}
options:
  images: {type: list, elements: str, required: true, description: The images to deploy.}
  promotion:
    type: dict
    required: true
    description: Evidence from the environment that vouches for the images, and how long they must have been healthy.
"""

EXAMPLES = r"""
- name: Converge to the release if its images may be deployed
  aiia.bulkhead.converge:
"""

RETURN = r"""
notes:
  description: What vouches for each image that is new in this environment.
  returned: success
  type: list
  elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.core.arguments import ENVIRONMENT
from ..module_utils.docker.engine import Engine
from ..module_utils.image.promotion import Promotion
from ..module_utils.run_module import answer


def run(module: AnsibleModule) -> dict[str, Any]:
    """Judge the images that the deployment would use."""
    params = module.params
    engine = Engine(module, params["docker_host"])
    promotion = Promotion(engine, params["prefix"], params["state_directory"], params["promotion"])
    return {"changed": False, "notes": promotion.require(params["images"])}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **ENVIRONMENT,
            "images": {"type": "list", "elements": "str", "required": True},
            "promotion": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    answer(module, run)


if __name__ == "__main__":
    main()
