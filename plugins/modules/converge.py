#!/usr/bin/python
# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: converge
short_description: Deploy an environment's release, or leave everything as it was
description:
  - Has Compose and the services' own programs validate the rendered files of one environment, then writes the files
    atomically. Calls Compose hermetically, and only if something has changed or does not run as it should, and waits
    until every container is healthy.
  - If anything fails, the module restores the earlier files, checkout and containers, and fails.
  - An action of the same name renders everything from the inventory, after the plan gate. In a play, set no options.
version_added: 0.1.0
author:
  - Bulkhead authors (@bulkhead)
extends_documentation_fragment:
  - aiia.bulkhead.environment
  - aiia.bulkhead.environment.machine
attributes:
  check_mode: {support: full, description: Changes nothing and returns the planned steps in RV(steps).}
  diff_mode: {support: full, description: "For secret files, only the names of settings are shown."}
options:
  commit: {type: str, default: "", description: The commit that was checked out. Filled in by the action.}
  release: {type: str, default: "", description: The release and how to deploy it. Filled in by the action.}
"""

EXAMPLES = r"""
- name: Converge to the release
  aiia.bulkhead.converge:
"""

RETURN = r"""
steps:
  description:
    - The steps taken, planned in check mode, or started before a failure.
    - Each step has its C(verb), C(target) and C(kind) and, where they add something, C(reason), C(detail), C(at_most)
      and C(seconds), the times for which a service may be or was down.
  returned: always
  type: list
  elements: dict
put_back:
  description: What happened to the changes already made.
  returned: failure
  type: str
release:
  description: The current release.
  returned: success
  type: str
containers:
  description: The state of each container.
  returned: success
  type: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.core.arguments import ENVIRONMENT
from ..module_utils.core.steps import as_dicts
from ..module_utils.docker.containers import condition, name_of
from ..module_utils.docker.engine import Engine
from ..module_utils.release.adoption import take_over
from ..module_utils.release.arguments import converge_arguments
from ..module_utils.release.comparison import Comparison
from ..module_utils.release.diff import difference
from ..module_utils.release.drift_repair import mend, mending_steps
from ..module_utils.release.plan import foreseen, plan
from ..module_utils.release.rollback import as_kept, check_images
from ..module_utils.release.store import Releases
from ..module_utils.run_module import answer
from ..module_utils.source.checkout import Checkout
from ..module_utils.state.home import Home


def run(module: AnsibleModule) -> dict[str, Any]:
    """Look, and unless this is check mode or nothing is to be done, apply."""
    params = converge_arguments(module)
    tree = Home.of(params)
    take_over(tree, check=module.check_mode)
    engine = Engine(module, params["docker_host"], params["project"], params["directory"], params["compose_file"])
    checkout = (
        Checkout(module, params["directory"], params["repository"], params["branch"], params["owner"])
        if params["repository"]
        else None
    )
    releases = Releases(tree)
    returning = ""
    if params["name"]:
        returning, params = as_kept(module, releases, params)
    comparison = Comparison.look(engine, tree, checkout, params)
    containers = comparison.containers
    if returning:
        check_images(comparison, releases, returning)
    planned = plan(comparison)
    mended = mending_steps(params["mend"])
    steps = mended + (foreseen(comparison, planned) if planned and not returning else planned)
    result = {"changed": bool(steps), "steps": as_dicts(steps), "release": comparison.state.get("release", "")}
    result["commit"] = params["commit"]
    if module._diff:
        result["diff"] = difference(comparison, steps)
    if steps:
        from ..module_utils.operations import applying  # only here: see there

        applying.refuse(comparison)
        if planned and not module.check_mode:
            applied = applying.apply(comparison, releases, returning, mended)
            containers = applied.pop("containers")
            result.update(applied)
        elif not module.check_mode:
            mend(engine, params["mend"])
    if comparison.firewall and comparison.firewall.missing:
        result["unguarded"] = comparison.firewall.missing
    result["containers"] = {name_of(container): condition(container) for container in containers}
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **ENVIRONMENT,
            "commit": {"type": "str", "default": ""},
            # One text: of a dictionary every word would be a secret.
            "release": {"type": "str", "default": "", "no_log": True},
        },
        supports_check_mode=True,
    )
    answer(module, run)


if __name__ == "__main__":
    main()
