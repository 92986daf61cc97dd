# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings of an environment: which names and values are possible, and their text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..isolation.wording import in_words

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")

#: Linux refuses to start a process with one string of 128 KiB or more (MAX_ARG_STRLEN); Compose then reports success.
MAX_SETTING = 128 * 1024

#: Compose and the Docker client read these themselves: they would redirect the call, not set the application.
RESERVED = ("COMPOSE_", "DOCKER_")

#: The secrets with the environment's own ssh key for its repository, and with the password for the registry of
#: ``bulkhead_image``.
DEPLOY_KEY, REGISTRY_PASSWORD = "BULKHEAD_DEPLOY_KEY", "REGISTRY_PASSWORD"
#: The secret with the private key that opens the environment's encrypted backups.
BACKUP_IDENTITY = "BULKHEAD_BACKUP_IDENTITY"
#: Secrets that Bulkhead itself uses, and that no application gets.
FOR_BULKHEAD = (DEPLOY_KEY, f"{DEPLOY_KEY}_PUBLIC", REGISTRY_PASSWORD, BACKUP_IDENTITY)


def plain(value: Any) -> Any:
    """Rebuild a value from Python's own types: a YAML dumper does not know Ansible's tagged subclasses."""
    if type(value) is str:  # pylint: disable=unidiomatic-typecheck
        return value
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (dict, Mapping)):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    for kind in (str, int, float):
        if isinstance(value, kind):
            return kind(value)
    return str(value)


def one_of(choices: Sequence[str]) -> str:
    """The fix for a value that is none of these. An empty choice stands for a variable that is not set."""
    return f"use one of {', '.join(filter(None, choices))}"


def setting_problem(key: str, value: str) -> str:
    """Why a setting cannot travel through ``.env`` into a process; empty when it can.

    Sources: environ(7) for NUL, execve(2) for the length, Compose's env-file syntax for the name.
    """
    if not _KEY.match(key):
        return (
            "its name is not a valid environment variable name: letters, digits and _ only, not beginning with a digit"
        )
    if key.startswith(RESERVED):
        return "names beginning with COMPOSE_ or DOCKER_ configure Compose itself and are reserved"
    if "\0" in value:
        return "its value contains a NUL character, which no environment variable can hold"
    if len(key.encode()) + 1 + len(value.encode("utf-8", "surrogateescape")) >= MAX_SETTING:
        return "its value is 128 KiB or longer, too long for Linux to start a process with. Put it in a file instead"
    return ""


def setting_text(value: Any) -> str:
    """Return a value of ``bulkhead_env`` as the process sees it. Booleans are ``true`` and ``false``.

    Raises ``TypeError`` with its kind in words for a list or a mapping, which no environment variable can hold.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return ""
    if isinstance(value, (str, int, float)):
        return str(value)
    raise TypeError(in_words(value))


def texts(settings: Mapping[Any, Any]) -> dict[str, str]:
    """The settings that have a text, by name. The declaration has problems for the others."""
    return {
        key: setting_text(value)
        for key, value in settings.items()
        if isinstance(key, str) and (value is None or isinstance(value, (str, int, float)))
    }
