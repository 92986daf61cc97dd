# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A restore that did not come to its end: what the next run on the same backups does about it. Runs on the targets.

A restore writes down what it is about before it changes anything. Databases change names in one transaction of their
server; until then everything can be taken back, and from then on it is brought to its end.
"""

from __future__ import annotations

import json
import os
from typing import Any

from ansible_collections.aiia.bulkhead.plugins.module_utils.engine import Engine
from ansible_collections.aiia.bulkhead.plugins.module_utils.parts import DATABASE, backup_directory, files_of, server_of
from ansible_collections.aiia.bulkhead.plugins.module_utils.replacement import Replacement
from ansible_collections.aiia.bulkhead.plugins.module_utils.tree import Tree, Wanted, read

_JOURNAL = ".restore.json"


def begin(params: dict[str, Any], stamp: str, backup: str) -> None:
    """Write down that a restore begins."""
    entry = json.dumps({"stamp": stamp, "backup": backup}).encode()
    Tree(backup_directory(params)).write(Wanted(_JOURNAL, entry, 0o600))


def end(params: dict[str, Any]) -> None:
    """Write down that nothing is left to do."""
    path = os.path.join(backup_directory(params), _JOURNAL)
    if os.path.lexists(path):
        os.unlink(path)


def recover(engine: Engine, params: dict[str, Any]) -> str:
    """Bring a restore to its end that was cut off, or take it back. Returns what was done; empty where nothing was."""
    content = read(os.path.join(backup_directory(params), _JOURNAL))
    if content is None:
        return ""
    try:
        stamp = str(json.loads(content.decode())["stamp"])
    except (ValueError, KeyError, TypeError):  # it was cut off before it had changed anything
        end(params)
        return ""
    databases = [each for each in params["parts"] if each["kind"] == DATABASE]
    done = [_database(engine, params, each, stamp) for each in databases]  # each of them, whatever the first says
    switched = any(done)
    for part in params["parts"]:
        files = files_of(engine, params, part) if part["kind"] != DATABASE else None
        if files is None or not files.staged(stamp):
            continue
        if switched:
            files.move("switch", stamp)
            files.move("clean", stamp)
        else:
            files.move("back", stamp)
    end(params)
    return "an earlier restore that was cut off was %s" % ("brought to its end" if switched else "taken back")


def _database(engine: Engine, params: dict[str, Any], part: dict[str, Any], stamp: str) -> bool:
    """Whether the databases of a part had changed names; where not, the new one goes."""
    replacement = Replacement(server_of(engine, params, part), part["database"], stamp)
    if replacement.old in replacement.databases():
        replacement.close_old()
        return True
    replacement.drop_new()
    return False
