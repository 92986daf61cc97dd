# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A restore that did not come to its end: what the next run on the same backups does about it. Runs on the targets.

A restore writes down what it is about before it changes anything. The databases of a server change names in one
transaction. Until the first server's did everything can be taken back, and from then on it is brought to its end.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable
from typing import Any

from ansible_collections.aiia.bulkhead.plugins.module_utils.engine import Engine
from ansible_collections.aiia.bulkhead.plugins.module_utils.exchange import exchanges, switch_back
from ansible_collections.aiia.bulkhead.plugins.module_utils.media import RESTORE
from ansible_collections.aiia.bulkhead.plugins.module_utils.parts import (
    DATABASE,
    PREFIX,
    backup_directory,
    files_of,
    server_of,
)
from ansible_collections.aiia.bulkhead.plugins.module_utils.replacement import Replacement
from ansible_collections.aiia.bulkhead.plugins.module_utils.tree import Tree, Wanted, read

#: What a restore is about, in the directory of the backups, as long as it is not at its end.
JOURNAL = ".restore.json"


def begin(params: dict[str, Any], stamp: str, backup: str, names: Iterable[str]) -> None:
    """Write down that a restore begins, and the parts whose databases are to be replaced."""
    entry = json.dumps({"stamp": stamp, "backup": backup, "databases": sorted(names)}).encode()
    Tree(backup_directory(params)).write(Wanted(JOURNAL, entry, 0o600))


def end(params: dict[str, Any]) -> None:
    """Write down that nothing is left to do."""
    path = os.path.join(backup_directory(params), JOURNAL)
    if os.path.lexists(path):
        os.unlink(path)


def recover(engine: Engine, params: dict[str, Any]) -> str:
    """Bring a restore to its end that was cut off, or take it back. Returns what was done; empty where nothing was."""
    content = read(os.path.join(backup_directory(params), JOURNAL))
    if content is None:
        return ""
    try:
        journal = json.loads(content.decode())
        stamp, names = str(journal["stamp"]), frozenset(journal["databases"])
    except (ValueError, KeyError, TypeError):  # it was cut off before it had changed anything
        end(params)
        return ""
    for each in engine.containers("%s=%s" % (PREFIX, params["prefix"]), "%s=%s" % (RESTORE, stamp)):
        engine.docker("rm", "--force", "--volumes", each["Id"])  # whoever started it is gone, and it still moves files
    restored = _databases(engine, params, stamp, names)
    for part in params["parts"]:
        files = files_of(engine, params, part) if part["kind"] != DATABASE else None
        if files is None or not files.staged(stamp):
            continue
        if restored:
            files.move("switch", stamp)
            files.move("clean", stamp)
        else:
            files.move("back", stamp)
    end(params)
    return "an earlier restore that was cut off was %s" % ("brought to its end" if restored else "taken back")


def _databases(engine: Engine, params: dict[str, Any], stamp: str, names: Collection[str]) -> bool:
    """Let all databases be the restored ones, or all the earlier ones. Returns whether they are the restored ones."""
    parts = [each for each in params["parts"] if each["kind"] == DATABASE and each["name"] in names]
    wanted = exchanges(Replacement(server_of(engine, params, each), each["database"], stamp) for each in parts)
    done = [each for each in wanted if each.is_done()]
    left = [each for each in wanted if each not in done]
    restored = bool(done) and all(each.is_ready() for each in left)
    if restored:
        for each in left:
            each.forward()
    else:
        switch_back(done)
        for each in wanted:
            each.discard()
    return restored
