# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the last successful deployment left of an environment. Runs on the targets, without Ansible too."""

from __future__ import annotations

import json
import os
from typing import Any

from ..core.directory import DesiredFile, Tree
from ..core.layout import STATE
from .home import Home

#: The directory that a state describes.
_DIRECTORY = "directory"

#: The note after a restore, for services that are prepared before they serve (their schema, for example).
PREPARE_AGAIN = (
    "deploy now: the restored data may have an older schema. The deployment prepares %s again (runs its migrations), "
    "even if the image is the same"
)


def read_json(tree: Tree, path: str) -> dict[str, Any]:
    """A mapping that is kept as JSON; empty where there is none."""
    content = tree.read(path)
    try:
        found = json.loads(content.decode()) if content else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def load_state(home: Home) -> dict[str, Any]:
    """What the last successful deployment left; empty where there was none, or one into another directory."""
    state = read_json(home.kept, STATE)
    return state if state.pop(_DIRECTORY, "") == os.path.abspath(home.directory) else {}


def save_state(home: Home, state: dict[str, Any]) -> None:
    """Write down what a deployment left."""
    content = json.dumps({**state, _DIRECTORY: os.path.abspath(home.directory)}, indent=1).encode()
    home.kept.write(DesiredFile(STATE, content, 0o600))


def current_release(home: Home) -> str:
    """The name of the release in force."""
    return str(load_state(home).get("release", ""))


def forget_prepared(home: Home) -> list[str]:
    """Let the next deployment prepare services again, for the same image too: other data is coming, of an older schema
    perhaps. Returns the services that were prepared."""
    state = load_state(home)
    prepared = state.get("prepared") or {}
    if any(prepared.values()):
        save_state(home, dict(state, prepared=dict.fromkeys(prepared, "")))
    return sorted(prepared)
