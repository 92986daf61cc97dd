# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""All state directories that root uses on a machine, listed in a place that no inventory chooses. Runs on the targets.

An environment with a state directory of its own would else not be compared with those that are registered in others.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import Any

from ..core.directory import DesiredFile, Tree
from ..core.json_with_digest import dump
from .locks import Locks
from .registry import SYSTEM_STATE, Registry

#: Where root keeps the machine's state unless the inventory names another directory; the list is always here.
FIXED = SYSTEM_STATE
_LIST = "state-directories.json"


def remember(directory: str) -> None:
    """Add a state directory of root's to the list, and remove those that are gone."""
    own = os.path.realpath(directory)
    if os.getuid() != 0 or own in (os.path.realpath(FIXED), *_listed()):
        return
    with Locks(FIXED).machine():
        known = sorted({own, *(path for path in _listed() if os.path.isdir(path))})
        Tree(FIXED, private=True, inner=0o700).write(DesiredFile(_LIST, dump(known), 0o600))


def others(directory: str) -> list[str]:
    """The other state directories of root's that are still there."""
    if os.getuid() != 0:
        return []
    own = os.path.realpath(directory)
    known = {os.path.realpath(path) for path in (FIXED, *_listed())} - {own}
    return sorted(path for path in known if os.path.isdir(path))


def registered_elsewhere(directory: str, prefixes: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Those of some environments that are registered in other state directories of root's, by prefix.

    Each entry has its ``state_directory``.
    """
    found: dict[str, dict[str, Any]] = {}
    wanted = {*prefixes}
    for other in others(directory) if wanted else ():
        for prefix, entry in Registry(other).entries().items():
            if prefix in wanted:
                found[prefix] = dict(entry, state_directory=other)
    return found


def holders_of(directory: str, path: str, named: str, prefix: str) -> list[str]:
    """To whom a file belongs, by all registries of the machine; see :meth:`Registry.holders_of`."""
    return [
        holder
        for place in (directory, *others(directory))
        for holder in Registry(place).holders_of(path, named, prefix)
    ]


def _listed() -> list[str]:
    content = Tree(FIXED, private=True).read(_LIST)
    try:
        found = json.loads(content.decode()) if content else []
    except ValueError:
        return []
    return [str(path) for path in found] if isinstance(found, list) else []
