#!/usr/bin/python
# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: restore
short_description: Restore a backup into one environment, or leave everything as it was
description:
  - An action of the same name fills in all options from the inventory and from variables such as
    O(ignore:bulkhead_restore). It inspects the backup and judges it before restoring. In a play, set no options.
  - The dump is loaded into a new database and checked there. The new database then replaces the old one, which is kept.
version_added: 0.1.0
author:
  - Bulkhead authors (@bulkhead)
extends_documentation_fragment:
  - aiia.bulkhead.environment
  - aiia.bulkhead.environment.machine
attributes:
  check_mode: {support: full, description: Inspects and judges the backup without changing anything.}
  diff_mode: {support: none, description: There is nothing to compare.}
options:
  look: {type: bool, default: true, description: Only describe the backup.}
  wanted: {type: str, default: "", description: "The backup: its name, its directory, or V(latest)."}
  origin: {type: str, default: "", description: The prefix of the environment that the backup was made from.}
  place: {type: str, default: "", description: Where that environment keeps its backups.}
  foreign: {type: bool, default: false, description: Whether the backup belongs to another environment.}
  sanitise: {type: str, default: "", description: The SQL script to run on another environment's data.}
  files: {type: bool, default: true, description: Also restore files. Otherwise the environment keeps its own.}
  sanitise_files:
    type: str
    default: ""
    description: The shell script to run on another environment's files.
  identity:
    type: str
    default: ""
    description: The private key that opens an encrypted backup. It stays in memory.
  backup_first: {type: bool, default: true, description: Back up the current data first.}
  backup: {type: dict, default: {}, description: "What to back up of the environment, and where to."}
"""

EXAMPLES = r"""
- name: Restore the backup that bulkhead_restore names
  aiia.bulkhead.restore:
"""

RETURN = r"""
manifest:
  description: The manifest of the backup.
  returned: success
  type: dict
restored:
  description: What was restored, which backup was made first, and the name under which the earlier database is kept.
  returned: when something was restored
  type: dict
steps:
  description: What was done, or would be done in check mode. Each step has its C(verb), C(target) and C(kind).
  returned: success
  type: list
  elements: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.backup.restore import Restore
from ..module_utils.core.arguments import ENVIRONMENT
from ..module_utils.docker.engine import Engine
from ..module_utils.run_module import answer


def run(module: AnsibleModule) -> dict[str, Any]:
    """Restore a backup, or only look at it."""
    params = module.params
    engine = Engine(module, params["docker_host"])
    names = [params[key] for key in ("wanted", "origin", "place", "identity")]
    restore = Restore(engine, params["backup"], *names)
    if params["look"] or module.check_mode:
        return dict(restore.look(), changed=False)
    options = {key: params[key] for key in ("sanitise", "sanitise_files", "foreign", "files", "backup_first")}
    return {"changed": True, "restored": restore.run(**options)}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **ENVIRONMENT,
            "look": {"type": "bool", "default": True},
            "wanted": {"type": "str", "default": ""},
            "origin": {"type": "str", "default": ""},
            "place": {"type": "str", "default": ""},
            "foreign": {"type": "bool", "default": False},
            "sanitise": {"type": "str", "default": "", "no_log": True},
            "files": {"type": "bool", "default": True},
            "sanitise_files": {"type": "str", "default": "", "no_log": True},
            "identity": {"type": "str", "default": "", "no_log": True},
            "backup_first": {"type": "bool", "default": True},
            "backup": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    answer(module, run)


if __name__ == "__main__":
    main()
