# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run a module's work and return its result or failure. Runs on the targets."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from .core.errors import Failure
from .core.left_behind import remove_leftovers, remove_own_file
from .state.registry import keep_lease_alive


def answer(module: AnsibleModule, run: Callable[[AnsibleModule], dict[str, Any]], leased: bool = True) -> None:
    """Run a module's work and exit with the result of ``run``, or with its Failure.

    ``leased`` modules work under the environment's lease, which is renewed meanwhile.
    """
    remove_own_file()
    try:
        remove_leftovers(str(module._remote_tmp or ""))
        with keep_lease_alive(module) if leased else nullcontext():
            result = run(module)
    except Failure as error:
        prefix = module.params.get("prefix")
        message = "%s: %s" % (prefix, error.message) if prefix else error.message
        # One string, because Ansible would quote the items of a list.
        detail = {"detail": error.detail} if error.detail else {}
        module.fail_json(msg=message, **detail, **error.facts())

    module.exit_json(**result)
