# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run a module's work and return its result or failure. Runs on the targets."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from .core.errors import Failure
from .core.left_behind import remove_leftovers, remove_own_file
from .core.meanwhile import telling
from .core.permit import OF_THE_MACHINE, READ_ONLY, permit
from .state.registry import keep_lease_alive, state_directory


def answer(module: AnsibleModule, run: Callable[[AnsibleModule], dict[str, Any]], leased: bool = True) -> None:
    """Run a module's work and exit with the result of ``run``, or with its Failure.

    ``leased`` modules work under the environment's lease, which is renewed meanwhile. A module that could change
    something refuses to work for anyone but the gate.
    """
    remove_own_file()
    try:
        remove_leftovers(str(module._remote_tmp or ""))
        _require_permit(module)
        with keep_lease_alive(module) if leased else nullcontext(), _telling(module):
            result = run(module)
    except (Failure, OSError) as caught:  # of the latter, a full disk where nothing has better words for it
        error = caught if isinstance(caught, Failure) else Failure("the operating system refused: %s" % caught)
        prefix = module.params.get("prefix")
        message = "%s: %s" % (prefix, error.message) if prefix else error.message
        # One string, because Ansible would quote the items of a list.
        detail = {"detail": error.detail} if error.detail else {}
        module.fail_json(msg=message, **detail, **error.facts())

    module.exit_json(**result)


def _telling(module: AnsibleModule) -> AbstractContextManager[None]:
    """Let those who watch the run see what the module does. In check mode nothing is written or told."""
    params = module.params
    token = "" if module.check_mode else str(params.get("token") or "")
    return telling(state_directory(params.get("state_directory") or ""), str(params.get("prefix") or ""), token)


def _require_permit(module: AnsibleModule) -> None:
    """Raise Failure where a module that is not read-only was called without the gate."""
    name = module._name.rpartition(".")[2]
    if name in READ_ONLY | OF_THE_MACHINE:
        return
    params = module.params
    due = permit(name, params["prefix"], params["token"])
    if not hmac.compare_digest(params["permit"].encode(), due.encode()):
        raise Failure(
            "the module %s was called directly, so nothing has proved that it touches no other environment. Nothing "
            "was changed. Call it as aiia.bulkhead.%s in a play on the hosts of one environment, or run the playbook "
            "of that job" % (name, name)
        )
