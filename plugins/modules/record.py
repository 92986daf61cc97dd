#!/usr/bin/python
# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: record
short_description: Store the receipt of a run on its machine, and release the environment's lock
description:
  - Called by the last action of each run, such as M(aiia.bulkhead.verify). Plays do not call it.
version_added: 0.1.0
author:
  - Bulkhead authors (@bulkhead)
attributes:
  check_mode: {support: full, description: Writes nothing.}
  diff_mode: {support: none, description: The action shows the receipt.}
options:
  prefix: {type: str, required: true, description: The environment's prefix.}
  token: {type: str, default: "", description: Identifies this run. Not a secret.}
  permit: {type: str, default: "", description: Shows that the action called the module.}
  owner: {type: str, default: "", description: The user who owns the environment's directory.}
  entry: {type: dict, default: {}, description: The environment's registry entry. Empty keeps the current one.}
  receipt: {type: dict, default: {}, description: The receipt. Empty writes none.}
  gone: {type: bool, default: false, description: Remove the environment from the registry. Keep its receipts.}
  state_directory: {type: str, default: "", description: Where the machine keeps its registry.}
  metrics:
    type: dict
    default: {}
    description: >-
      What is C(known) for node_exporter, and the C(directory) of the file. An empty one removes the file. Without
      one it stays where it is, and without any of this nothing is written.
"""

EXAMPLES = r"""
- name: Verify the environment and record the receipt
  aiia.bulkhead.verify:
"""

RETURN = r"""
path:
  description: The path of the receipt.
  returned: when a receipt was written
  type: str
told:
  description: Why the file for node_exporter could not be written.
  returned: when it could not
  type: str
tried:
  description: The steps that a killed deployment had begun.
  returned: when O(receipt) does not know them
  type: list
  elements: dict
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.core.arguments import PERMIT
from ..module_utils.core.directory import Tree
from ..module_utils.core.layout import KEPT
from ..module_utils.run_module import answer
from ..module_utils.state.journal import Journal
from ..module_utils.state.locks import Locks
from ..module_utils.state.metrics import Metrics
from ..module_utils.state.registry import Registry, state_directory


def run(module: AnsibleModule) -> dict[str, Any]:
    """Write entry and receipt under the machine's lock; the lease goes back in any case."""
    params = module.params
    directory = state_directory(params["state_directory"])
    locks = Locks(directory)
    if module.check_mode:
        return {"changed": False}
    try:
        result: dict[str, Any] = {"changed": False}
        if params["receipt"]:
            if params["token"]:
                locks.renew(params["prefix"], params["token"])
            registry = Registry(directory)
            receipt = params["receipt"]
            if receipt.get("tried", ()) is None:  # the step was killed before it could say so
                journal = Journal(Tree(os.path.join(directory, KEPT, params["prefix"]), private=True))
                receipt["tried"] = result["tried"] = journal.read()
            with locks.machine():
                if params["gone"]:
                    result["path"] = registry.remove(params["prefix"], receipt)
                else:
                    result["path"] = registry.write(params["prefix"], params["entry"], receipt, params["owner"])
            if params["entry"]:
                locks.refuse_older(params["prefix"])
        told = _metrics(params)
        if told:
            result["told"] = told
    finally:
        if params["token"]:
            locks.release(params["prefix"], params["token"])
    return result


def _metrics(params: dict[str, Any]) -> str:
    """Bring the file for node_exporter up to date. Returns why that failed; a run does not fail for it."""
    metrics, given = Metrics(params["prefix"], params["state_directory"]), params["metrics"]
    if params["gone"]:
        return metrics.remove()
    if "directory" in given:
        return metrics.bring(given["directory"], given["known"])
    return metrics.note(**given["known"]) if given else ""


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **PERMIT,
            "prefix": {"type": "str", "required": True},
            "token": {"type": "str", "default": "", "no_log": False},
            "owner": {"type": "str", "default": ""},
            "entry": {"type": "dict", "default": {}},
            "receipt": {"type": "dict", "default": {}},
            "gone": {"type": "bool", "default": False},
            "metrics": {"type": "dict", "default": {}},
            "state_directory": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    answer(module, run, leased=False)


if __name__ == "__main__":
    main()
