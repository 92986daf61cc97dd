# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a task reaches the machine that was judged: the one that the inventory declares.

``-e``, the variables and keywords of a play, facts and options of the command line can all send a task elsewhere. What
the connection would use is compared with what the inventory alone says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible import constants as C
from ansible import context
from ansible.errors import AnsibleActionFail

from ..declaration.command_line import is_credential
from ..declaration.inventory import holds_seal
from ..declaration.model import Declaration
from ..declaration.settings import plain
from ..declaration.templates import Templates

#: Connection plugins that reach ``ansible_host`` over ssh. Any other must be declared in the inventory.
_SSH = frozenset({"ssh", "smart", "paramiko", "paramiko_ssh", "ansible.netcommon.libssh"})

#: Options of ``ansible-playbook`` that are passed on to ssh, and can name another host.
_SSH_OPTIONS = ("ssh_common_args", "ssh_extra_args", "sftp_extra_args", "scp_extra_args")

#: What the keyword ``environment`` may set: a proxy to reach the repository, and the language of messages.
_ENVIRONMENT = re.compile(r"(http|https|ftp|no|all)_proxy|lang|lc_\w+", re.IGNORECASE)

_INTERPRETER = "ansible_python_interpreter"

#: What Ansible itself adds to a task's variables where nobody sets it, and what says neither where nor how to act.
_ADDED = frozenset(C.COMMON_CONNECTION_VARS) - {
    "ansible_host",
    "ansible_port",
    "ansible_shell_executable",
    "ansible_shell_type",
}


def require_declared_machine(
    action: Any, task_vars: Mapping[str, Any], declaration: Declaration, templates: Templates
) -> None:
    """Make sure that a task acts on the machine of its environment, as the inventory says to reach it.

    Raises AnsibleActionFail with every reason otherwise.
    """
    reasons = [
        *_keywords(action),
        *_variables(action, task_vars, declared_variables(declaration, templates)),
    ]
    if reasons:
        raise AnsibleActionFail(
            f"{declaration.prefix}: this task would act elsewhere, or otherwise, than the inventory says and the gate "
            "has judged. Nothing was changed" + "".join(f"\n  {reason}" for reason in reasons)
        )


def declared_variables(declaration: Declaration, templates: Templates) -> dict[str, Any]:
    """Ansible's own variables of an environment's host, as the inventory alone has them.

    Raises AnsibleError where an expression fails.
    """
    return {
        name: templates.value(written, declaration.available)
        for name, written in declaration.available.items()
        if name.startswith("ansible_")
    }


def evaluated(action: Any, task_vars: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Those of some variables that a host has, by name: what a task is given are the expressions."""
    found: dict[str, Any] = action._templar.template({name: task_vars[name] for name in names if name in task_vars})
    return found


def _keywords(action: Any) -> Iterator[str]:
    """What the play, the task or the command line say beside variables."""
    task = action._task
    if task.delegate_to:
        yield f"delegate_to: {task.delegate_to}: remove it. Each environment is changed on its own machine"
    environments = task.environment if isinstance(task.environment, list) else [task.environment]
    names = {str(name) for environment in environments if isinstance(environment, Mapping) for name in environment}
    for name in sorted(name for name in names if not _ENVIRONMENT.fullmatch(name)):
        yield f"environment: sets {name} on the machine: remove it. Only proxies and the language may be set"
    for option in _SSH_OPTIONS:
        if context.CLIARGS.get(option):
            yield f"--{option.replace('_', '-')}: remove it, and set ansible_{option} in group_vars of the environment"


def _variables(action: Any, running: Mapping[str, Any], declared: Mapping[str, Any]) -> Iterator[str]:
    """Compare the variables that say how to connect, and the keywords that stand in for them."""
    connection, task = action._connection, action._task
    usual = {
        "ansible_host": running["inventory_hostname"],
        "ansible_port": C.DEFAULT_REMOTE_PORT,
        "ansible_shell_executable": C.DEFAULT_EXECUTABLE,
        "ansible_shell_type": "sh",
    }
    for name in sorted(_names(connection)):
        wanted = declared.get(name, usual.get(name))
        if name in running and not holds_seal(wanted) and (name in declared or name not in _ADDED):
            used = plain(action._templar.template(running[name]))
            if str(used) != str(plain(wanted)):
                yield (
                    f"{name} is {used!r} here, but {'not set' if name not in declared else repr(plain(wanted))} in the "
                    f"inventory: remove it from -e, vars: and set_fact, or set it in group_vars of the environment"
                )
    plugin = _short(connection._load_name)
    if "ansible_connection" not in declared and plugin not in _SSH:
        yield f"the connection is {plugin}: set ansible_connection: {plugin} in group_vars of the environment"
    if task.port is not None and not {"ansible_port", "ansible_ssh_port"} & set(declared):
        yield f"port: {task.port}: remove it, and set ansible_port in group_vars of the environment"
    become = connection.become
    if become is not None:
        user = become.get_option("become_user", playcontext=action._play_context) or "root"
        if user != "root" and not {"ansible_become_user", f"ansible_{_short(become._load_name)}_user"} & set(declared):
            yield f"become_user: {user}: set ansible_become_user in group_vars of the environment"


def _names(connection: Any) -> set[str]:
    """Every variable that says how to connect, as whom, and with which programs, except credentials."""
    names = {name for variables in C.MAGIC_VARIABLE_MAPPING.values() for name in variables} | {_INTERPRETER}
    for kind, plugin in (("connection", connection), ("shell", connection._shell), ("become", connection.become)):
        if plugin is not None:
            names.update(C.config.get_plugin_vars(kind, plugin._load_name))
    return {name for name in names if name.startswith("ansible_") and not is_credential(name)}


def _short(plugin: str) -> str:
    return plugin.removeprefix("ansible.builtin.").removeprefix("ansible.legacy.")
