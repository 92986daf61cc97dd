# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Scripts that prepare a machine once, as opposed to those that deploy an environment."""

from __future__ import annotations

from ..model import Environment
from ..readers.documents import machine_commands
from ..readers.shell.docker_call import docker_call
from ..readers.shell.scripts import Command

_MANAGERS = frozenset(("apt", "apt-get", "dnf", "yum", "apk", "zypper", "pacman"))
_INSTALLS = frozenset(("install", "add", "-S", "-Sy", "-Syu"))


def setup_files(environment: Environment) -> frozenset[str]:
    """The paths of an environment's scripts that install packages and start no Compose project."""
    return environment.derived(_setup_files)


def _setup_files(environment: Environment) -> frozenset[str]:
    return frozenset(
        document.path
        for document in environment.documents
        if document.kind == "shell" and _prepares(machine_commands(document))
    )


def _prepares(commands: tuple[Command, ...]) -> bool:
    calls = (docker_call(command.argv) for command in commands)
    installs = any(command.program in _MANAGERS and _INSTALLS & set(command.argv) for command in commands)
    return installs and not any(call.compose and "up" in call.verb for call in calls if call is not None)
