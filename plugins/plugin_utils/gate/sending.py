# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How modules, and with them secrets, travel to a machine: through standard input, so that no file there has them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ansible import constants as C
from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean

#: The variables by which an inventory may decide against pipelining, such as for a sudo that wants a terminal.
_CHOICES = ("ansible_ssh_pipelining", "ansible_pipelining")


def send_by_stdin(action: Any, task_vars: Mapping[str, Any]) -> None:
    """Have an action's modules sent through standard input, unless the inventory or the connection decides otherwise.

    On this machine they inherit the environment of Ansible. ``PYTHONUNBUFFERED``, which most images for pipelines set,
    would have Python read a module byte by byte: half a second for each call.

    Raises AnsibleActionFail if modules would be kept on the machine.
    """
    if C.DEFAULT_KEEP_REMOTE_FILES:
        raise AnsibleActionFail(
            "ANSIBLE_KEEP_REMOTE_FILES would leave every module on the machine, with all secrets of the environment in "
            "it. Unset it (keep_remote_files in ansible.cfg). Nothing was changed"
        )
    # Not from task_vars themselves: Ansible writes its own default there.
    inventory = task_vars["hostvars"][task_vars["inventory_hostname"]]
    chosen = next((inventory[name] for name in _CHOICES if inventory.get(name) is not None), True)
    # A connection without the option has its own way.
    if boolean(chosen, strict=False) and action._connection.has_option("pipelining"):
        action._connection.set_option("pipelining", True)
    os.environ.pop("PYTHONUNBUFFERED", None)  # of this step's own process
