#!/usr/bin/python
# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: verify
short_description: Probe an environment from inside and outside, and inspect its machine again
description:
  - An action of the same name fills in all options from the inventory and judges the answers.
    In a play, set no options.
  - Probes change nothing. They are limited in number and time, need nothing from the images, and leave nothing behind.
version_added: 0.1.0
author:
  - Bulkhead authors (@bulkhead)
extends_documentation_fragment:
  - aiia.bulkhead.environment.machine
attributes:
  check_mode: {support: full, description: The module only reads.}
  diff_mode: {support: none, description: The module only reads.}
options:
  prefix: {type: str, default: "", description: The environment's prefix.}
  token: {type: str, default: "", description: The ID of the run that holds the environment's lock.}
  project: {type: str, default: "", description: "The environment's Compose project, or its stack."}
  swarm:
    type: bool
    default: false
    description: Whether the containers are tasks of a stack on this node. O(questions) then name services.
  resolve: {type: list, elements: str, default: [], description: Others' names to resolve from inside each container.}
  connect:
    type: list
    elements: dict
    default: []
    description: Other environments' addresses and ports to connect to; C(machine) is the machine as containers see it.
  requests: {type: list, elements: dict, default: [], description: HTTP requests to make from the machine.}
  questions: {type: list, elements: dict, default: [], description: Read-only commands to run in its own containers.}
  timeout: {type: float, default: 0.5, description: Timeout in seconds for each probe.}
  directories: {type: list, elements: str, default: [], description: Additional directories of environments to inspect.}
"""

EXAMPLES = r"""
- name: Verify the environment
  aiia.bulkhead.verify:
"""

RETURN = r"""
observation:
  description: The current state of the machine.
  returned: success
  type: dict
inside:
  description: Other environments' names and addresses that each container could reach.
  returned: success
  type: list
  elements: dict
answers:
  description: The answers to the HTTP requests.
  returned: success
  type: list
  elements: dict
renewal:
  description: How the last renewal of the certificate ended, where an authority issues it.
  returned: success
  type: dict
replies:
  description: The replies of the environment's own servers.
  returned: success
  type: list
  elements: dict
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.certificates.pem import dates
from ..module_utils.certificates.store import Store
from ..module_utils.core.arguments import MACHINE
from ..module_utils.docker.engine import Engine, EngineError
from ..module_utils.docker.labels import PREFIX, PROJECT, STACK, SWARM_SERVICE, WORKING_DIRECTORY
from ..module_utils.edge.answers import at_the_door
from ..module_utils.edge.observed import observe
from ..module_utils.host.mounts import Mounted, strays
from ..module_utils.probe.prober import Prober, targets
from ..module_utils.run_module import answer


def run(module: AnsibleModule) -> dict[str, Any]:
    """Observe the machine, then probe from every running container that has its own network."""
    params = module.params
    engine = Engine(module, params["docker_host"])
    observation = observe(engine, params["state_directory"], params["directories"])
    prober = Prober(engine, params["timeout"])
    # An image can bring the label of a stack to the containers of another environment, and not that of a prefix.
    own_labels = (
        {STACK: params["project"], PREFIX: params["prefix"]} if params["swarm"] else {PROJECT: params["project"]}
    )
    own = [
        container
        for container in observation["containers"]
        if own_labels.items() <= container["labels"].items() and container["running"] and container["networks"]
    ]
    if params["swarm"]:
        questions = _of_tasks(params["questions"], own)
    else:
        _refuse_strays(own)
        questions = params["questions"]
    connect = targets(params["connect"], own, observation["networks"])
    ask = {"resolve": params["resolve"], "connect": connect}
    requests = at_the_door(params["requests"], observation["state_directory"])
    # All three at once: each mostly waits, and the first for what gives no answer.
    with ThreadPoolExecutor(3) as pool:
        inside = pool.submit(prober.inside, own if params["resolve"] or connect else [], ask)
        answers = pool.submit(prober.requests, requests)
        replies = pool.submit(prober.execute, questions)
    return {
        "changed": False,
        "observation": observation,
        "inside": inside.result(),
        "answers": [dict(given, certificate=dates(given["certificate"])) for given in answers.result()],
        "renewal": Store(params["prefix"], params["state_directory"]).last() if params["prefix"] else {},
        "replies": replies.result(),
    }


def _refuse_strays(containers: list[dict[str, Any]]) -> None:
    """Raise EngineError where a container mounts something else than its environment's own directory."""
    for container in containers:
        binds = tuple((source, target) for target, kind, source, _writes in container["mounts"] if kind == "bind")
        found = strays([Mounted(container["name"], container["pid"], binds)], container["labels"][WORKING_DIRECTORY])
        for name, what in found.items():
            raise EngineError(
                "%s mounts what is not this environment's: %s. Stop it, and find out who can write %s"
                % (name, " and ".join(what), container["labels"][WORKING_DIRECTORY])
            )


def _of_tasks(questions: list[dict[str, Any]], tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The questions for services that have a task here, each for the container of one."""
    names = {task["labels"].get(SWARM_SERVICE, ""): task["name"] for task in tasks}
    return [dict(asked, container=names[asked["container"]]) for asked in questions if asked["container"] in names]


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **MACHINE,
            "prefix": {"type": "str", "default": ""},
            "token": {"type": "str", "default": "", "no_log": False},
            "project": {"type": "str", "default": ""},
            "swarm": {"type": "bool", "default": False},
            "resolve": {"type": "list", "elements": "str", "default": []},
            "connect": {"type": "list", "elements": "dict", "default": []},
            "requests": {"type": "list", "elements": "dict", "default": []},
            "questions": {"type": "list", "elements": "dict", "default": []},
            "timeout": {"type": "float", "default": 0.5},
            "directories": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    answer(module, run)


if __name__ == "__main__":
    main()
