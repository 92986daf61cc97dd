#!/usr/bin/python
# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: destroy
short_description: Remove one environment, and nothing else
description:
  - An action of the same name fills in all options from the inventory, prints the exact list of what would be removed,
    and requires the prefix if the environment is protected (O(ignore:bulkhead_confirm)). In a play, set no options.
  - Objects to remove are identified by their exact labels or by the records of the last deployment, never by a pattern
    or prefix. Volumes and backups are kept unless O(ignore:bulkhead_destroy_volumes) and
    O(ignore:bulkhead_destroy_backups) are set.
  - Anything that does not belong to the environment is left alone and reported, such as containers created by others in
    its Compose project, networks that others are attached to, a checkout with local work, and files
    that no deployment wrote.
version_added: 0.1.0
author:
  - Bulkhead authors (@bulkhead)
extends_documentation_fragment:
  - aiia.bulkhead.environment
  - aiia.bulkhead.environment.machine
attributes:
  check_mode: {support: full, description: Prints the list and removes nothing.}
  diff_mode: {support: none, description: The list is always printed.}
options:
  apply: {type: bool, default: false, description: Remove what O(expected) lists. Otherwise only list it.}
  expected: {type: list, elements: dict, default: [], description: The list that was printed.}
  project: {type: str, default: "", description: The environment's Compose project.}
  image_repository: {type: str, default: "", description: The repository of the images built for the environment.}
  firewall_chain: {type: str, default: "", description: The environment's firewall chain.}
  repository: {type: str, default: "", description: The repository of the environment's checkout.}
  branch: {type: str, default: "", description: The environment's branch.}
  mounts: {type: list, elements: str, default: [], description: Mounted directories. Empty ones are removed.}
  volumes: {type: bool, default: false, description: Remove volumes too.}
  backups: {type: bool, default: false, description: Remove backups too.}
  backup_directory: {type: str, default: "", description: The directory of the environment's backups.}
"""

EXAMPLES = r"""
- name: Destroy the environment
  aiia.bulkhead.destroy:
"""

RETURN = r"""
goes:
  description: What was or would be removed, as steps, each with its C(verb), C(target) and C(kind).
  returned: success
  type: list
  elements: dict
stays:
  description: What is kept on purpose, namely volumes and backups.
  returned: success
  type: list
  elements: str
left:
  description: What was left alone because it is not the environment's own, with the reason.
  returned: success
  type: list
  elements: str
unreached:
  description: What stays on nodes that gave no answer, with the reason. Running it again removes that.
  returned: success, where the environment is a stack of a swarm
  type: list
  elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.core.arguments import ENVIRONMENT
from ..module_utils.core.steps import Step, as_dicts
from ..module_utils.docker.engine import Engine, EngineError
from ..module_utils.operations.destroy import Destruction, surprises
from ..module_utils.release.adoption import take_over
from ..module_utils.run_module import answer
from ..module_utils.source.checkout import Checkout
from ..module_utils.state.home import Home


def run(module: AnsibleModule) -> dict[str, Any]:
    """Look; with ``apply`` remove exactly what was seen the first time."""
    params = module.params
    engine = Engine(module, params["docker_host"], params["project"], params["directory"])
    checkout = None
    if params["repository"]:
        checkout = Checkout(module, params["directory"], params["repository"], params["branch"], params["owner"])
    home = Home.of({**params, "owner": ""})
    take_over(home, check=not params["apply"] or module.check_mode)
    found = Destruction(engine, home, checkout, params)
    goes = [thing.removal for thing in found.goes]
    result = {"changed": bool(goes), "goes": as_dicts(goes), "stays": found.stays, "left": found.left}
    if not params["apply"] or module.check_mode:
        return result
    strange = surprises(goes, map(Step.read, params["expected"]))
    if strange:
        raise EngineError(
            "what is there changed since it was listed (%s). Nothing was removed; run it again"
            % ", ".join("%s %s" % (step.kind, step.target) for step in strange[:5])
        )
    found.apply()
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **ENVIRONMENT,
            "apply": {"type": "bool", "default": False},
            "expected": {"type": "list", "elements": "dict", "default": []},
            "project": {"type": "str", "default": ""},
            "image_repository": {"type": "str", "default": ""},
            "firewall_chain": {"type": "str", "default": ""},
            "repository": {"type": "str", "default": ""},
            "branch": {"type": "str", "default": ""},
            "mounts": {"type": "list", "elements": "str", "default": []},
            "volumes": {"type": "bool", "default": False},
            "backups": {"type": "bool", "default": False},
            "backup_directory": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    answer(module, run)


if __name__ == "__main__":
    main()
