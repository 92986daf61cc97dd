#!/usr/bin/python
# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: releases
short_description: List the releases that an environment keeps on its machine
description:
  - Reads the manifests of the releases below the environment's directory. Changes nothing.
  - Use the playbook C(aiia.bulkhead.releases) to list releases, and M(aiia.bulkhead.rollback) to return to one.
version_added: 0.1.0
author:
  - Bulkhead authors (@bulkhead)
extends_documentation_fragment:
  - aiia.bulkhead.environment
  - aiia.bulkhead.environment.machine
attributes:
  check_mode: {support: full, description: The module never changes anything.}
  diff_mode: {support: none, description: The module never changes anything.}
options:
  wanted: {type: str, default: "", description: "The release to look up, or V(previous)."}
"""

EXAMPLES = r"""
- name: List the releases of an environment
  aiia.bulkhead.releases:
    directory: /home/ubuntu/staging/ai-ia-backend
"""

RETURN = r"""
releases:
  description: The kept releases, newest first, each with its commit and images, and what it is C(about).
  returned: success
  type: list
  elements: dict
current:
  description: The current release.
  returned: success
  type: str
target:
  description: The release that O(wanted) selects, with the registry entry that it kept of its environment.
  returned: when O(wanted) is set
  type: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.core.arguments import ENVIRONMENT
from ..module_utils.release.adoption import take_over
from ..module_utils.release.store import Releases
from ..module_utils.run_module import answer
from ..module_utils.state.deployed import current_release
from ..module_utils.state.home import Home


def run(module: AnsibleModule) -> dict[str, Any]:
    """List the releases, and find the one that is asked for."""
    home = Home.of({**module.params, "owner": ""})
    take_over(home, check=True)
    releases, current = Releases(home), current_release(home)
    listed = [
        {key: releases.manifest(name).get(key) for key in ("release", "commit", "images", "about")}
        for name in reversed(releases.kept())
    ]
    result: dict[str, Any] = {"changed": False, "releases": listed, "current": current}
    if module.params["wanted"]:
        name = releases.resolve(module.params["wanted"], current)
        manifest = releases.manifest(name)
        result["target"] = {key: manifest.get(key) for key in ("release", "commit", "images", "environment")}
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **ENVIRONMENT,
            "wanted": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    answer(module, run, leased=False)


if __name__ == "__main__":
    main()
