# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decisions of daily jobs on the controller: which services, in which order, and with which command."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from ..release.stack import Stack, StackService

#: The variables of a host from which :func:`terminal_command` is made.
REACHED = ("ansible_become", "ansible_connection", "ansible_host", "ansible_port", "ansible_user", "inventory_hostname")
#: Connection plugins for the controller itself.
_LOCAL = ("local", "ansible.builtin.local")

#: Django's management commands that ask a person, and the options with which they do not.
_ASK: Mapping[str, tuple[str, ...]] = {
    "dbshell": ("--",),
    "shell": ("-c", "--command"),
    "shell_plus": ("-c", "--command"),
    "createsuperuser": ("--noinput", "--no-input"),
    "changepassword": (),
}


def chosen(prefix: str, stack: Stack, wanted: str) -> list[StackService]:
    """The service of this name, Compose key or container; all services where ``wanted`` is empty.

    Raises ValueError with the names of all services for any other.
    """
    if not wanted:
        return in_order(stack)
    found = [service for service in stack.services if wanted in (service.name, service.key, service.container)]
    if not found:
        names = [service.name for service in stack.services]
        near = difflib.get_close_matches(wanted, names, n=1, cutoff=0.6)
        hint = f"; did you mean {near[0]}?" if near else "."
        raise ValueError(
            f"{prefix} has no service {wanted} (bulkhead_service){hint} Its services: {', '.join(sorted(names))}"
        )
    return found


def in_order(stack: Stack) -> list[StackService]:
    """All services, each after those that it depends on."""
    known = {service.key: service for service in stack.services}
    found: dict[str, StackService] = {}

    def visit(key: str, above: tuple[str, ...]) -> None:
        if key in known and key not in found and key not in above:
            for dependency in stack.compose["services"][key].get("depends_on") or ():
                visit(dependency, (*above, key))
            found[key] = known[key]

    for key in known:
        visit(key, ())
    return list(found.values())


def managed(prefix: str, stack: Stack, wanted: str, usual: str) -> StackService:
    """The service with the management command: ``wanted``, else the ``usual`` one, else the only one.

    Raises ValueError where there is none, or several.
    """
    able = [service for service in stack.services if service.manage]
    if wanted:
        service = chosen(prefix, stack, wanted)[0]
        if not service.manage:
            others = ", ".join(candidate.name for candidate in able) or "none"
            raise ValueError(
                f"service {service.name} of {prefix} has no management command; declare it: bulkhead_services."
                f"{service.name}.x-bulkhead.manage, such as [python3, manage.py] (services that have one: {others})"
            )
        return service
    preferred = [service for service in able if service.name == usual] or able
    if not preferred:
        raise ValueError(
            f"no service of {prefix} has a management command; declare it: "
            "bulkhead_services.<service>.x-bulkhead.manage, such as [python3, manage.py]"
        )
    if len(preferred) > 1:
        names = ", ".join(service.name for service in preferred)
        raise ValueError(
            f"several services of {prefix} have a management command: name one of {names} in bulkhead_service"
        )
    return preferred[0]


def words(variable: str, text: str) -> list[str]:
    """Split a command line as a shell does. Raises ValueError where a quote is not closed."""
    try:
        found = shlex.split(text)
    except ValueError as error:
        # The text itself may hold a password.
        raise ValueError(f"{variable} cannot be split into words: {error}") from error
    return found


def needs_terminal(arguments: Sequence[str]) -> bool:
    """Whether a management command asks a person: without a terminal it does nothing, and says so to nobody."""
    word, options = arguments[0], arguments[1:]
    silent = _ASK.get(word)
    return silent is not None and not any(option.partition("=")[0] in silent for option in options)


def log_lines_after(log: Sequence[str], last: str) -> list[str]:
    """The lines of a log after a time; each begins with its own."""
    return [line for line in log if line.split(" ")[0] > last]


def terminal_command(
    container: str,
    docker_host: str,
    usual_host: str,
    variables: Mapping[str, Any],
    inside: Sequence[str] = ("sh",),
) -> str:
    """The command that runs ``inside`` in a container's terminal: over ssh if Ansible uses it, as the same user."""
    docker = ["docker"] if docker_host == usual_host else ["docker", "--host", docker_host]
    command = [*docker, "exec", "--interactive", "--tty", container, *inside]
    if variables.get("ansible_become") in (True, "true", "True", "yes"):
        command = ["sudo", *command]
    if variables.get("ansible_connection", "ssh") in _LOCAL:
        return shlex.join(command)
    user, port = variables.get("ansible_user"), variables.get("ansible_port")
    host = str(variables.get("ansible_host") or variables.get("inventory_hostname"))
    ssh = ["ssh", "-t", *(["-p", str(port)] if port and int(port) != 22 else []), f"{user}@{host}" if user else host]
    # ssh passes the rest to a remote shell, which splits it once more.
    return shlex.join([*ssh, shlex.join(command)])


def listing(found: Sequence[Mapping[str, str]]) -> str:
    """The containers of services as a table."""
    columns = ("service", "container", "condition", "image", "started")
    rows = [columns, *(tuple(container[column] for column in columns) for container in found)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(columns))]
    return "\n".join(
        "  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
