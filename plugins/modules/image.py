# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: image
short_description: Fetch an environment's image from a registry by its digest
description:
  - Resolves the digest, has the engine fetch exactly that image with the environment's own login, and gives it a name
    of the environment's own. The login is written nowhere.
  - The action M(aiia.bulkhead.source) calls this module where C(bulkhead_image) is set. It is not meant to be called
    directly.
version_added: 0.1.0
author:
  - Bulkhead authors (@bulkhead)
extends_documentation_fragment:
  - aiia.bulkhead.environment
  - aiia.bulkhead.environment.machine
attributes:
  check_mode: {support: full, description: Resolves the digest and reports whether it would fetch the image.}
  diff_mode: {support: none, description: The digest is returned instead.}
options:
  reference: {type: str, required: true, description: The image as its registry names it.}
  user: {type: str, default: "", description: The user for the registry.}
  password: {type: str, default: "", description: The password or token for the registry.}
  image: {type: str, required: true, description: "The image's name in this environment, without its tag."}
  promotion:
    type: dict
    default: {}
    description:
      - Evidence from the environment in which the image of this digest must have been healthy, and for how many
        minutes. Empty accepts every image.
"""

EXAMPLES = r"""
- name: Fetch the image, or check out the commit and build it
  aiia.bulkhead.source:
"""

RETURN = r"""
commit:
  description: The digest without its algorithm. It takes the place of a commit.
  returned: success
  type: str
digest:
  description: The image's digest in the registry.
  returned: success
  type: str
image:
  description: The image's name with its tag in this environment.
  returned: success
  type: str
promoted:
  description: What vouches for the image. Empty where nothing is asked for, or where it was accepted before.
  returned: success
  type: str
pulled:
  description: Whether this run fetched the image.
  returned: success
  type: bool
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.core.arguments import ENVIRONMENT
from ..module_utils.docker.engine import Engine
from ..module_utils.image.pull import pull_image
from ..module_utils.run_module import answer


def run(module: AnsibleModule) -> dict[str, Any]:
    """Resolve the digest and fetch the image."""
    engine = Engine(module, module.params["docker_host"])
    result = pull_image(engine, module.params, check=module.check_mode)
    return dict(result, changed=result["pulled"])


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **ENVIRONMENT,
            "reference": {"type": "str", "required": True},
            "user": {"type": "str", "default": ""},
            "password": {"type": "str", "default": "", "no_log": True},
            "image": {"type": "str", "required": True},
            "promotion": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    answer(module, run)


if __name__ == "__main__":
    main()
