#!/usr/bin/python
# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: source
short_description: Check out a commit of an environment's own branch and build its image
description:
  - Keeps C(<directory>/code) as a git checkout of the environment's own branch, and builds the image from the commit,
    never from the work tree.
  - Refuses local changes and commits that exist nowhere else, and never destroys them.
  - An action of the same name fills in all options from the inventory, after the plan gate. In a play, set no options.
version_added: 0.1.0
author:
  - Bulkhead authors (@bulkhead)
extends_documentation_fragment:
  - aiia.bulkhead.environment
  - aiia.bulkhead.environment.machine
attributes:
  check_mode:
    support: full
    description: Resolves the commit and reports whether it would build or take over an image.
  diff_mode: {support: none, description: The commits before and after are returned instead.}
options:
  repository: {type: str, required: true, description: The git repository.}
  credentials: {type: str, default: "", description: "The repository's entry for git's credential store."}
  deploy_key: {type: str, default: "", description: The environment's private ssh key for the repository.}
  known_hosts: {type: str, default: "", description: The host keys of the repository's server.}
  branch: {type: str, required: true, description: The environment's branch.}
  commit: {type: str, default: "", description: The commit. Defaults to the newest of the branch.}
  image: {type: str, default: "", description: "The image to build, without its tag. Empty builds no image."}
  dockerfile: {type: str, default: Dockerfile, description: "The Dockerfile, relative to the repository root."}
  context: {type: str, default: ., description: "The build context, relative to the repository root."}
  target: {type: str, default: "", description: The stage to build.}
  arguments: {type: dict, default: {}, description: Build arguments.}
  ca_bundle: {type: path, description: CA certificates for the build.}
  engine:
    type: str
    default: auto
    choices: [auto, own, shared]
    description: Whether to build in an engine of the environment's own.
  memory: {type: int, default: 0, description: "The build's memory in bytes. 0 means half of the machine's."}
  cpus: {type: int, default: 0, description: "The build's processors. 0 sets no limit."}
  disk: {type: int, default: 21474836480, description: "The build engine's disk in bytes."}
  timeout: {type: int, default: 3600, description: "The build's time limit in seconds."}
  egress:
    type: list
    elements: str
    default: []
    description: What the build reaches beside the internet, as C(host:port).
  labels: {type: dict, default: {}, description: Labels for the image.}
  run_labels: {type: dict, default: {}, description: Additional labels that do not cause a new build.}
  inputs: {type: str, default: "", description: The digest of all build inputs except the commit.}
  vouches:
    type: bool
    default: false
    description: Whether another environment takes images from this one, so that it must be known what they contain.
  promotion:
    type: dict
    default: {}
    description:
      - Evidence from the environment whose image of the same files is used instead of building one, and how many
        minutes that image must have been healthy there. Empty builds the image.
"""

EXAMPLES = r"""
- name: Check out the commit and build its image
  aiia.bulkhead.source:
  register: source
"""

RETURN = r"""
commit:
  description: The commit being deployed.
  returned: success
  type: str
image:
  description: The image with its tag.
  returned: when an image is built
  type: str
promoted:
  description: What vouches for the image that was taken from another environment.
  returned: when images are promoted
  type: str
built:
  description: Whether this run built the image.
  returned: success
  type: bool
shared:
  description: Why the image was built in the machine's own engine. Empty if it was not.
  returned: when an image was built
  type: str
before:
  description: The previously checked out commit.
  returned: success
  type: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.core.arguments import ENVIRONMENT
from ..module_utils.docker.engine import Engine
from ..module_utils.image.present import image_is_there
from ..module_utils.image.tag import image_tag
from ..module_utils.release.adoption import take_over
from ..module_utils.release.store import deployed_commits
from ..module_utils.run_module import answer
from ..module_utils.source.access import DeployKey
from ..module_utils.source.checkout import Checkout
from ..module_utils.state.home import Home


def run(module: AnsibleModule) -> dict[str, Any]:
    """Resolve the commit, fetch it, and build its image. The converge step checks it out."""
    params = module.params
    result: dict[str, Any] = {"changed": False, "built": False}
    home = Home.of(params)
    take_over(home, check=module.check_mode)
    key = DeployKey(params["deploy_key"], params["known_hosts"]) if params["deploy_key"] else None
    where = (params["directory"], params["repository"], params["branch"], params["owner"])
    checkout = Checkout(module, *where, credentials=key or params["credentials"])
    checkout.refuse_local_changes(deployed_commits(home))
    result["before"] = checkout.head()
    if module.check_mode:
        commit = checkout.remote_commit(params["commit"])
    else:
        if not checkout.exists():
            home.make_directory()
            result["changed"] = True
        home.make_directory(home.PRIVATE)  # closed to others before the owner's git writes below it
        commit = checkout.fetch(params["commit"])
    result["commit"] = commit
    if params["image"]:
        engine = Engine(module, params["docker_host"])
        image = "%s:%s" % (params["image"], image_tag(commit, params["inputs"]))
        result["image"] = image
        if params["promotion"] or not image_is_there(engine, image, params):
            # Only here: a machine compiles what a module imports each time, and most deployments build nothing.
            from ..module_utils.image.build import build, promote_image

            if params["promotion"]:
                result["promoted"] = promote_image(engine, checkout, params, commit, image, check=module.check_mode)
                result["changed"] |= bool(result["promoted"])
            else:
                result["changed"] = result["built"] = True
                if not module.check_mode:
                    result["shared"] = build(engine, checkout, params, commit, image)
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **ENVIRONMENT,
            "repository": {"type": "str", "required": True},
            "credentials": {"type": "str", "default": "", "no_log": True},
            "deploy_key": {"type": "str", "default": "", "no_log": True},
            "known_hosts": {"type": "str", "default": ""},
            "branch": {"type": "str", "required": True},
            "commit": {"type": "str", "default": ""},
            "image": {"type": "str", "default": ""},
            "dockerfile": {"type": "str", "default": "Dockerfile"},
            "context": {"type": "str", "default": "."},
            "target": {"type": "str", "default": ""},
            "arguments": {"type": "dict", "default": {}},
            "ca_bundle": {"type": "path"},
            "engine": {"type": "str", "default": "auto", "choices": ["auto", "own", "shared"]},
            "memory": {"type": "int", "default": 0},
            "cpus": {"type": "int", "default": 0},
            "disk": {"type": "int", "default": 20 << 30},
            "timeout": {"type": "int", "default": 3600},
            "egress": {"type": "list", "elements": "str", "default": []},
            "labels": {"type": "dict", "default": {}},
            "run_labels": {"type": "dict", "default": {}},
            "inputs": {"type": "str", "default": ""},
            "vouches": {"type": "bool", "default": False},
            "promotion": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    answer(module, run)


if __name__ == "__main__":
    main()
