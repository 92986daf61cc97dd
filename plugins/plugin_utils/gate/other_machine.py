# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Call a module on the machine of another environment, which ``-l`` does not select.

``delegate_to`` would read all variables of that host, and so fail where one of its vault files is locked here. The
connection is opened as Ansible opens one, with those variables of the host that can be read without effects or secrets,
and that run nothing on the controller: whoever writes that environment's variables is not who deploys ours.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from ansible import constants as C
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.playbook.play_context import PlayContext
from ansible.playbook.task import Task
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import become_loader, connection_loader

from ..declaration.inventory import holds_seal
from ..declaration.model import Declaration
from ..declaration.templates import Omitted, Templates

#: Variables that say where the host is and who logs in.
_OF_THE_RUN = ("ansible_config_file", "ansible_facts", "ansible_playbook_python", "ansible_version")
_WHERE = """
    ansible_host ansible_ssh_host ansible_port ansible_ssh_port ansible_user ansible_ssh_user ansible_timeout
    ansible_pipelining
"""

#: How our own play becomes root: there, another user could forge what is read.
_PRIVILEGES = ("ansible_become", "ansible_become_method", "ansible_become_user")


def module_elsewhere(
    action: ActionBase,
    variables: Mapping[str, Any],
    left: Sequence[str],
    name: str,
    arguments: Mapping[str, Any],
    ours: bool = False,
) -> dict[str, Any]:
    """Call a module of this collection on another environment's machine, or on another node of ``ours``.

    ``variables`` and those that are ``left`` out are what :func:`connection_variables` says. Raises AnsibleError where
    that machine cannot be reached.
    """
    task = action._task.copy()
    task.action, task.args, task.delegate_to = f"aiia.bulkhead.{name}", dict(arguments), None
    context = _play_context(action, task, variables, ours)
    connection = _connection(task, context, variables)
    # An action of its own: what it discovers there, such as the Python interpreter, must not apply to our machine.
    call = action._shared_loader_obj.action_loader.get(
        "ansible.legacy.normal",
        task=task,
        connection=connection,
        play_context=context,
        loader=action._loader,
        templar=action._templar,
        shared_loader_obj=action._shared_loader_obj,
    )
    try:
        answer: dict[str, Any] = call.run(task_vars=dict(variables))
    except AnsibleError as error:
        if ours:
            raise
        unused = ["passwords typed for this run", *left]
        why = " ".join(error.message.split()).rstrip(".")
        raise AnsibleConnectionFailure(
            f"{variables['inventory_hostname']} cannot be asked: {why}. It may need what is not used here: "
            f"{', '.join(unused)}"
        ) from None
    finally:
        call.cleanup()
        connection.close()
    return answer


def own_variables(action: ActionBase) -> dict[str, Any]:
    """How our own host is reached, as Ansible evaluates it."""
    written = {name: value for name, value in action.task_vars.items() if _says_how(name)}
    found: dict[str, Any] = action._templar.template(written)
    return found


def connection_variables(
    there: Declaration, templates: Templates, own: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """The variables that say how to reach an environment's host, and the names of those that cannot be used here.

    What says more than where the host is counts only where our ``own`` host has the same, and how to become root there
    is what our own says.
    """
    variables: dict[str, Any] = {}
    left = list(there.locked)
    for name, written in there.available.items():
        if not _says_how(name):
            continue
        try:
            value = templates.value(written, there.available, locked=there.first_locked)
        except (AnsibleError, Omitted):
            left.append(name)
            continue
        if holds_seal(value) or not (_is_harmless(name, value) or own.get(name) == value):
            left.append(name)
        else:
            variables[name] = value
    variables.update({name: own[name] for name in _PRIVILEGES if name in own})
    variables["inventory_hostname"] = there.hosts[0]
    return variables, left


def address(variables: Mapping[str, Any], own: Mapping[str, Any]) -> str:
    """Where a host is reached: ``[user@]host[:port]``, with what is not as for our ``own`` host, or usual."""
    host, user, port = (_first(variables, name) for name in ("host", "user", "port"))
    before = f"{user}@" if user and user != _first(own, "user") else ""
    return f"{before}{host or variables['inventory_hostname']}{f':{port}' if port not in ('', '22') else ''}"


def _first(variables: Mapping[str, Any], name: str) -> str:
    """A connection variable by its names; the plugin of ssh takes that of its own first."""
    found = (variables.get(f"ansible_{kind}{name}") for kind in ("ssh_", ""))
    return next((str(value) for value in found if value not in (None, "")), "")


def _says_how(name: str) -> bool:
    return name.startswith("ansible_") and name not in _OF_THE_RUN


def _is_harmless(name: str, value: Any) -> bool:
    """Whether a variable says no more than where a host is and who logs in there, so that nothing runs here."""
    if name == "ansible_connection":
        return str(value).removeprefix("ansible.builtin.") == "ssh"
    # A name that begins with a dash would be an option of ssh.
    return not str(value).startswith("-") and name in _WHERE.split()


def _play_context(action: ActionBase, task: Task, variables: Mapping[str, Any], ours: bool = False) -> PlayContext:
    """What connection plugins read besides their options.

    Passwords that were typed for this run (``-k``, ``-K``) are for our own machines alone.
    """
    typed = action._play_context
    given = PlayContext(passwords={"conn_pass": typed.password, "become_pass": typed.become_pass} if ours else {})
    context = given.set_task_and_variable_override(task=task, variables=variables, templar=action._templar)
    # Not the connection of this run (-c local): their interpreter would run here.
    context.connection = variables.get("ansible_connection") or "ssh"
    context.remote_addr = context.remote_addr or variables["inventory_hostname"]
    return context


def _connection(task: Task, context: PlayContext, variables: Mapping[str, Any]) -> Any:
    """The connection with its shell and, if the variables say so, another user."""
    connection = connection_loader.get(
        context.connection, context, new_stdin=None, task_uuid=task._uuid, ansible_playbook_pid=str(os.getppid())
    )
    if connection is None:
        raise AnsibleConnectionFailure(f"Ansible has no connection plugin {context.connection}")
    keys = {key: value for key, value in task.dump_attrs().items() if key != "retries"}
    keys["timeout"] = context.timeout
    # What was typed reaches the plugins by their options; see _play_context for whom it is.
    keys.update({name: typed for name in ("password", "become_pass") if (typed := getattr(context, name))})
    connection.set_options(task_keys=keys, var_options=_options("connection", connection, variables))
    connection._shell.set_options(task_keys=keys, var_options=_options("shell", connection._shell, variables))
    if boolean(variables.get("ansible_become", task.become or False)):
        method = variables.get("ansible_become_method") or task.become_method
        become = become_loader.get(method)
        if become is None:
            raise AnsibleConnectionFailure(f"Ansible has no become plugin {method}")
        connection.set_become_plugin(become)
        become.set_options(task_keys=keys, var_options=_options("become", become, variables))
    return connection


def _options(kind: str, plugin: Any, variables: Mapping[str, Any]) -> dict[str, Any]:
    """The variables that a plugin reads."""
    names = C.config.get_plugin_vars(kind, plugin._load_name)
    return {name: variables[name] for name in names if name in variables}
