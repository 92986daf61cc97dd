#!/usr/bin/python
# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_info
short_description: Read a swarm as one of its managers sees it, and what is kept of one environment's stack
description:
  - Returns nodes, services, tasks, networks, configs and secrets, without their contents, by eight questions to the
    engine. Changes nothing.
  - Fails where the engine manages no swarm, or its swarm has no quorum, and releases or logs are asked for.
  - The actions of environments that are stacks call it. In a play, use the playbooks.
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
  kept: {type: bool, default: false, description: Whether to return the kept releases as well.}
  wanted: {type: str, default: "", description: "The release to look up, or V(previous)."}
  logs: {type: list, elements: str, default: [], description: The services whose last lines are wanted.}
  lines: {type: int, default: 100, description: How many lines of each log.}
  secret_names:
    type: list
    elements: str
    default: []
    description: Names of settings whose values in kept releases are hidden in logs.
  since: {type: str, default: "", description: "From when on, as C(docker service logs --since) takes it."}
"""

EXAMPLES = r"""
- name: Look at the swarm
  aiia.bulkhead.stack_info:
    prefix: shop_prod
"""

RETURN = r"""
look:
  description: The swarm as this engine sees it.
  returned: success
  type: dict
data_node:
  description: The id of the node that had the environment's volumes at the last deployment, empty if none is known.
  returned: on a manager whose swarm has a quorum
  type: str
releases:
  description: The kept releases, newest first.
  returned: if O(kept=true)
  type: list
  elements: dict
current:
  description: The release in force.
  returned: if O(kept=true)
  type: str
target:
  description: The release that O(wanted) selects.
  returned: when O(wanted) is set
  type: dict
logs:
  description: The last lines of each task of the services. C(missing) says why some may not be there.
  returned: when O(logs) is set
  type: list
  elements: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.core.arguments import ENVIRONMENT
from ..module_utils.core.masking import mask, texts_to_hide
from ..module_utils.docker.engine import Engine
from ..module_utils.run_module import answer
from ..module_utils.stack.deciding import UNDECIDED, why_undecided
from ..module_utils.stack.kept import KeptReleases
from ..module_utils.stack.logs import service_logs
from ..module_utils.stack.look import look
from ..module_utils.swarm.api import SwarmApi, SwarmError

_SHOWN = ("release", "commit", "images", "environment", "created", "by", "digest", "pinned")


def run(module: AnsibleModule) -> dict[str, Any]:
    """Look, and list what is asked for."""
    params = module.params
    api = SwarmApi(params["docker_host"])
    seen = look(api)
    result: dict[str, Any] = {"changed": False, "look": seen}
    why = why_undecided(seen)
    if why:
        if params["kept"] or params["wanted"] or params["logs"]:
            raise SwarmError(UNDECIDED % why)
        return result
    kept = KeptReleases(api, params["prefix"])
    result["data_node"] = kept.data_node
    if params["kept"] or params["wanted"]:
        listed = [{key: kept.manifest(name).get(key) for key in _SHOWN} for name in reversed(kept.names())]
        result.update(releases=listed, current=kept.current)
        if params["wanted"]:
            name = kept.resolve(params["wanted"])
            result["target"] = {key: kept.manifest(name).get(key) for key in _SHOWN}
    if params["logs"]:
        engine = Engine(module, params["docker_host"])
        given = (params["lines"], params["since"])
        logs = [log for name in params["logs"] for log in service_logs(engine, name, *given)]
        result["logs"] = mask(logs, texts_to_hide(kept.secrets(params["secret_names"])))
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **ENVIRONMENT,
            "kept": {"type": "bool", "default": False},
            "wanted": {"type": "str", "default": ""},
            "logs": {"type": "list", "elements": "str", "default": []},
            "lines": {"type": "int", "default": 100},
            "since": {"type": "str", "default": ""},
            "secret_names": {"type": "list", "elements": "str", "default": [], "no_log": False},
        },
        supports_check_mode=True,
    )
    answer(module, run, leased=False)


if __name__ == "__main__":
    main()
