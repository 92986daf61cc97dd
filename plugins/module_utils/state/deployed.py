# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the last successful deployment left of an environment. Runs on the targets, without Ansible too."""

from __future__ import annotations

import json
import os
from typing import Any

from ..core.directory import DesiredFile, Tree, read
from ..core.layout import STATE


def load_state(tree: Tree) -> dict[str, Any]:
    """What the last successful deployment left; empty where there was none."""
    content = read(tree.path(STATE))
    try:
        state = json.loads(content.decode()) if content else {}
    except ValueError:
        return {}
    return state if isinstance(state, dict) else {}


def save_state(tree: Tree, state: dict[str, Any]) -> None:
    """Write down what a deployment left."""
    tree.write(DesiredFile(STATE, json.dumps(state, indent=1).encode(), 0o600))


def current_release(tree: Tree) -> str:
    """The name of the release in force."""
    return str(load_state(tree).get("release", ""))


def forget_prepared(directory: str) -> list[str]:
    """Let the next deployment prepare services again, for the same image too: other data is coming, of an older schema
    perhaps. Returns the services that were prepared."""
    tree = Tree(directory)
    state = load_state(tree)
    prepared = state.get("prepared") or {}
    if any(prepared.values()):
        if os.getuid() == 0:  # whoever owns the state has to be able to read it
            found = os.lstat(tree.path(STATE))
            tree.uid, tree.gid = found.st_uid, found.st_gid
        save_state(tree, dict(state, prepared=dict.fromkeys(prepared, "")))
    return sorted(prepared)
