# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a module of this collection does its work and answers. Runs on the targets."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from .core.errors import Failure
from .state.registry import keep_lease_alive


def answer(module: AnsibleModule, run: Callable[[AnsibleModule], dict[str, Any]], leased: bool = True) -> None:
    """Do a module's work, while the environment's lease is kept where it works under one, and end with what it returns,
    or with its failure."""
    try:
        with keep_lease_alive(module) if leased else nullcontext():
            result = run(module)
    except Failure as error:
        prefix = module.params.get("prefix")
        message = "%s: %s" % (prefix, error.message) if prefix else error.message
        # One text: a list of lines is shown with a quote around each that has a colon or a brace.
        said = {"detail": error.detail} if error.detail else {}
        module.fail_json(msg=message, **said, **error.facts())
    module.exit_json(**result)
