# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the day's jobs decide on the controller: which service is meant, in which order, and with which command."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from ..release.stack import Stack, StackService

#: Connections to the machine that this runs on.
_LOCAL = ("local", "ansible.builtin.local")


def chosen(prefix: str, stack: Stack, wanted: str) -> list[StackService]:
    """The service that is meant, by its name, Compose key or container; all of them where none is named.

    Raises ValueError with the right names for any other.
    """
    if not wanted:
        return in_order(stack)
    found = [service for service in stack.services if wanted in (service.name, service.key, service.container)]
    if not found:
        names = [service.name for service in stack.services]
        near = difflib.get_close_matches(wanted, names, n=1, cutoff=0.6)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(
            f"{prefix} has no service {wanted} (bulkhead_service){hint} Its services: {', '.join(sorted(names))}"
        )
    return found


def in_order(stack: Stack) -> list[StackService]:
    """The services, each after those that it depends on."""
    known = {service.key: service for service in stack.services}
    found: dict[str, StackService] = {}

    def visit(key: str, above: tuple[str, ...]) -> None:
        if key in known and key not in found and key not in above:
            for needed in stack.compose["services"][key].get("depends_on") or ():
                visit(needed, (*above, key))
            found[key] = known[key]

    for key in known:
        visit(key, ())
    return list(found.values())


def managed(prefix: str, stack: Stack, wanted: str, usual: str) -> StackService:
    """The service whose management command is meant: the one named, else the ``usual`` one, else the only one.

    Raises ValueError where there is none, or several.
    """
    able = [service for service in stack.services if service.manage]
    if wanted:
        service = chosen(prefix, stack, wanted)[0]
        if not service.manage:
            others = ", ".join(service.name for service in able) or "none"
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
    """A command line as a list of arguments, split as a shell would. Raises ValueError where a quote is left open."""
    try:
        found = shlex.split(text)
    except ValueError as error:
        raise ValueError(f"{variable} is {text!r}, which cannot be split into words: {error}") from error
    return found


def terminal_command(container: str, docker_host: str, usual_host: str, variables: Mapping[str, Any]) -> str:
    """The line to type for a terminal in a container: through ssh where Ansible goes through it, as the same user."""
    docker = ["docker"] if docker_host == usual_host else ["docker", "--host", docker_host]
    command = [*docker, "exec", "--interactive", "--tty", container, "sh"]
    if variables.get("ansible_become") in (True, "true", "True", "yes"):
        command = ["sudo", *command]
    if variables.get("ansible_connection", "ssh") in _LOCAL:
        return shlex.join(command)
    user, port = variables.get("ansible_user"), variables.get("ansible_port")
    host = str(variables.get("ansible_host") or variables.get("inventory_hostname"))
    ssh = ["ssh", "-t", *(["-p", str(port)] if port and int(port) != 22 else []), f"{user}@{host}" if user else host]
    # ssh hands what follows to a shell over there, which splits it once more.
    return shlex.join([*ssh, shlex.join(command)])


def listing(found: Sequence[Mapping[str, str]]) -> str:
    """What runs, as a table."""
    columns = ("service", "container", "condition", "image", "started")
    rows = [columns, *(tuple(service[column] for column in columns) for service in found)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(columns))]
    return "\n".join(
        "  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
