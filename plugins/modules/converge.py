#!/usr/bin/python
# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: converge
short_description: Bring an environment's release into force, or leave everything as it was
description:
  - Writes the rendered files of one environment atomically, lets Compose and the services' own programs judge them
    first, calls Compose hermetically and only when something has changed or does not run as it should, and waits until
    every container is healthy.
  - When anything fails, the earlier files, checkout and containers are put back and the module fails.
  - An action of the same name renders everything from the inventory, after the plan gate; in a play only
    O(commit) is given.
version_added: 0.1.0
author:
  - Bulkhead authors (@bulkhead)
extends_documentation_fragment:
  - aiia.bulkhead.environment
  - aiia.bulkhead.environment.machine
attributes:
  check_mode: {support: full, description: Nothing is changed; what would be done is in RV(steps).}
  diff_mode: {support: full, description: "Of secret files only names of settings are shown."}
options:
  commit: {type: str, default: "", description: The commit that M(aiia.bulkhead.source) returned.}
  project: {type: str, default: "", description: The Compose project.}
  networks: {type: list, elements: str, default: [], description: The environment's own networks.}
  firewall: {type: bool, default: false, description: Whether firewall rules guard other environments' ports.}
  firewall_chain: {type: str, default: "", description: The environment's chain of the firewall.}
  firewall_ports:
    type: list
    elements: dict
    default: []
    description: The ports of the machine that the environment's containers may reach.
    suboptions:
      protocol: {type: str, default: tcp, description: The protocol.}
      address: {type: str, default: "", description: The address; empty is every address.}
      ports: {type: str, required: true, description: "A port, or two with a colon between them."}
  volumes: {type: list, elements: str, default: [], description: The environment's own volumes.}
  compose_file: {type: str, default: "", description: The name of the Compose file.}
  repository: {type: str, default: "", description: The git repository.}
  branch: {type: str, default: "", description: The environment's branch.}
  wait_timeout: {type: int, default: 300, description: Seconds until every container must be healthy.}
  readiness_delay: {type: int, default: 5, description: Seconds that a container without a health check has to run.}
  keep_releases: {type: int, default: 5, description: How many releases are kept.}
  release:
    type: str
    default: ""
    description: A kept release to return to, or V(previous). Files, services and commit are then that release's.
  allow_downtime: {type: bool, default: false, description: Whether services may be away while they are recreated.}
  drain_timeout: {type: int, default: 10, description: Seconds for the connections of a container that is replaced.}
  prepare_timeout: {type: int, default: 600, description: Seconds for each command that prepares a release.}
  image_repository: {type: str, default: "", description: The environment's own images; those of no kept release go.}
  backup: {type: dict, default: {}, description: What is backed up before a release is prepared.}
  mend: {type: dict, default: {}, description: Limits and networks that somebody changed on running containers.}
  environment: {type: dict, default: {}, description: "What the registry keeps of the environment, for the release."}
  files:
    type: list
    elements: dict
    default: []
    description: The files to write.
    suboptions:
      path:
        description: Where to write it, below the directory.
        type: str
        required: true
      content:
        description: Its text.
        type: str
        default: ""
      source:
        description: A file on the machine to copy instead.
        type: str
        default: ""
      mode:
        description: Its mode.
        type: str
        default: "0644"
  secret_files:
    type: list
    elements: dict
    default: []
    description: The files to write that hold secrets.
    suboptions:
      path:
        description: Where to write it, below the directory.
        type: str
        required: true
      content:
        description: Its text.
        type: str
        default: ""
      source:
        description: A file on the machine to copy instead.
        type: str
        default: ""
      mode:
        description: Its mode.
        type: str
        default: "0644"
  services:
    type: list
    elements: dict
    default: []
    description: What to know of each service beside its Compose definition.
    suboptions:
      name: {type: str, required: true, description: Its name.}
      key: {type: str, required: true, description: Its key in the Compose file.}
      container: {type: str, required: true, description: Its container's name.}
      image: {type: str, default: "", description: Its image.}
      files: {type: list, elements: str, default: [], description: The files that it mounts.}
      mounts: {type: list, elements: str, default: [], description: Its mounts from the environment's directory.}
      validate: {type: list, elements: str, default: [], description: The command that judges its files.}
      on_change: {type: list, elements: str, default: [], description: The command that makes it take changed files.}
      one_shot: {type: bool, default: false, description: Whether it runs once and ends.}
      awaited:
        {type: bool, default: false, description: "Whether others wait for it, and it not for the application."}
      needs_application:
        {type: bool, default: false, description: "Whether it runs the application, or waits for what does."}
      steady: {type: bool, default: false, description: Whether others miss it while it is recreated.}
      rolling: {type: bool, default: false, description: Whether a stand-in serves while it is replaced.}
      replicas: {type: int, default: 1, description: How many containers it has.}
      expose: {type: list, elements: str, default: [], description: The ports on which it gets requests.}
      env_files: {type: list, elements: str, default: [], description: The files of settings that it reads.}
      input: {type: str, default: "", description: The digest of its definition.}
      release: {type: str, default: "", description: What stands for its release in the Compose file.}
      stand_in: {type: str, default: "", description: The name of its stand-in.}
      preparing: {type: str, default: "", description: The name of the container that prepares it.}
      prepare: {type: list, elements: list, default: [], description: The commands that prepare a release.}
      prepare_status: {type: list, elements: str, default: [], description: The command that says how things stand.}
  ports:
    type: list
    elements: dict
    default: []
    description: The ports that are published on the machine.
    suboptions:
      service: {type: str, required: true, description: The service.}
      address: {type: str, default: "", description: The address; empty is every address.}
      port: {type: int, required: true, description: The port.}
"""

EXAMPLES = r"""
- name: Converge to the release
  aiia.bulkhead.converge:
    commit: "{{ source.commit }}"
"""

RETURN = r"""
steps:
  description:
    - What was done, would be done in check mode, or was begun before it failed.
    - Each step has its C(verb), C(target) and C(kind), and where they say more C(reason), C(detail), C(at_most) and
      C(seconds), for which a service may be or was down.
  returned: always
  type: list
  elements: dict
put_back:
  description: What became of what had been changed.
  returned: failure
  type: str
release:
  description: The release that is in force.
  returned: success
  type: str
containers:
  description: How each container is.
  returned: success
  type: dict
"""

from collections.abc import Callable
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.backup.create import Backups
from ..module_utils.core.arguments import ENVIRONMENT
from ..module_utils.core.directory import Tree
from ..module_utils.core.errors import Failure
from ..module_utils.core.steps import Step, as_dicts, backup_step
from ..module_utils.docker.containers import condition, name_of
from ..module_utils.docker.engine import Engine
from ..module_utils.release.comparison import Comparison
from ..module_utils.release.converge import Converger
from ..module_utils.release.diff import difference
from ..module_utils.release.drift_repair import mend, mending_steps
from ..module_utils.release.plan import foreseen, measured, plan
from ..module_utils.release.preconditions import refuse_foreign, refuse_gaps
from ..module_utils.release.rollback import as_kept, check_images
from ..module_utils.release.store import Releases
from ..module_utils.run_module import answer
from ..module_utils.source.checkout import Checkout


def run(module: AnsibleModule) -> dict[str, Any]:
    """Look, and unless this is check mode or nothing is to be done, apply."""
    params = module.params
    tree = Tree(params["directory"], params["owner"])
    engine = Engine(module, params["docker_host"], params["project"], params["directory"], params["compose_file"])
    checkout = (
        Checkout(module, params["directory"], params["repository"], params["branch"], params["owner"])
        if params["repository"]
        else None
    )
    releases = Releases(tree)
    returning = ""
    if params["release"]:
        returning, params = as_kept(module, releases, params)
    comparison = Comparison(engine, tree, checkout, params)
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
        refuse_foreign(comparison)
        refuse_gaps(comparison)
    if mended and not planned and not module.check_mode:
        mend(engine, params["mend"])
    if planned and not module.check_mode:
        converger = Converger(comparison, releases, back_up(comparison))

        def mend_first() -> None:
            for step in mended:
                converger.progress.tell(step)
            mend(engine, params["mend"])

        try:
            result["release"] = converger.apply(returning, mend_first)
        except Failure as error:
            error.steps = converger.progress.tried
            raise
        result["steps"] = as_dicts(measured(converger.progress.tried, converger.serving.away))
    result["containers"] = {name_of(container): condition(container) for container in comparison.containers}
    return result


def back_up(comparison: Comparison) -> Callable[[str], Step | None]:
    """What makes a backup before data may change, and says so as a step; empty where none is wanted."""
    arguments, state = comparison.params["backup"], comparison.state
    if not arguments:
        return lambda _reason: None
    backups = Backups(comparison.engine, arguments)
    release, commit = state.get("release", ""), state.get("commit", "")
    return lambda reason: backup_step(backups.make(reason, release=release, commit=commit, trigger="release"))


FILE = {
    "path": {"type": "str", "required": True},
    "content": {"type": "str", "default": ""},
    "source": {"type": "str", "default": ""},
    "mode": {"type": "str", "default": "0644"},
}
# Only the content is secret: hiding path and mode would hide these words wherever they are said.
SECRET_FILE = dict(FILE, content={"type": "str", "default": "", "no_log": True})


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **ENVIRONMENT,
            "commit": {"type": "str", "default": ""},
            "project": {"type": "str", "default": ""},
            "networks": {"type": "list", "elements": "str", "default": []},
            "firewall": {"type": "bool", "default": False},
            "firewall_chain": {"type": "str", "default": ""},
            "firewall_ports": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "protocol": {"type": "str", "default": "tcp"},
                    "address": {"type": "str", "default": ""},
                    "ports": {"type": "str", "required": True},
                },
            },
            "volumes": {"type": "list", "elements": "str", "default": []},
            "compose_file": {"type": "str", "default": ""},
            "repository": {"type": "str", "default": ""},
            "branch": {"type": "str", "default": ""},
            "wait_timeout": {"type": "int", "default": 300},
            "readiness_delay": {"type": "int", "default": 5},
            "keep_releases": {"type": "int", "default": 5},
            "release": {"type": "str", "default": ""},
            "allow_downtime": {"type": "bool", "default": False},
            "drain_timeout": {"type": "int", "default": 10},
            "prepare_timeout": {"type": "int", "default": 600},
            "image_repository": {"type": "str", "default": ""},
            "backup": {"type": "dict", "default": {}},
            "mend": {"type": "dict", "default": {}},
            "environment": {"type": "dict", "default": {}},
            "files": {"type": "list", "elements": "dict", "default": [], "options": FILE},
            "secret_files": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": SECRET_FILE,
                "no_log": False,
            },
            "services": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "name": {"type": "str", "required": True},
                    "key": {"type": "str", "required": True, "no_log": False},
                    "container": {"type": "str", "required": True},
                    "image": {"type": "str", "default": ""},
                    "files": {"type": "list", "elements": "str", "default": []},
                    "mounts": {"type": "list", "elements": "str", "default": []},
                    "validate": {"type": "list", "elements": "str", "default": []},
                    "on_change": {"type": "list", "elements": "str", "default": []},
                    "one_shot": {"type": "bool", "default": False},
                    "awaited": {"type": "bool", "default": False},
                    "needs_application": {"type": "bool", "default": False},
                    "steady": {"type": "bool", "default": False},
                    "rolling": {"type": "bool", "default": False},
                    "replicas": {"type": "int", "default": 1},
                    "expose": {"type": "list", "elements": "str", "default": []},
                    "env_files": {"type": "list", "elements": "str", "default": []},
                    "input": {"type": "str", "default": ""},
                    "release": {"type": "str", "default": ""},
                    "stand_in": {"type": "str", "default": ""},
                    "preparing": {"type": "str", "default": ""},
                    "prepare": {"type": "list", "elements": "list", "default": []},
                    "prepare_status": {"type": "list", "elements": "str", "default": []},
                },
            },
            "ports": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "service": {"type": "str", "required": True},
                    "address": {"type": "str", "default": ""},
                    "port": {"type": "int", "required": True},
                },
            },
        },
        supports_check_mode=True,
    )
    answer(module, run)


if __name__ == "__main__":
    main()
