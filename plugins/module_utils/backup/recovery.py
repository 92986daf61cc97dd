# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Recover an interrupted restore: finish it or undo it, in the next run on the same backups. Runs on the targets.

A restore writes a journal before it changes anything. Until the databases of the first server are swapped everything
can be undone; after that the restore is finished. That may be much later, and the application may have served
meanwhile: files that arrived in a directory since are kept.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from ..core.directory import DesiredFile, Tree, read
from ..core.layout import DATABASE
from ..docker.engine import Engine
from ..docker.labels import PREFIX, RESTORE
from ..state.deployed import forget_prepared
from .database_swap import swap_all_back, swaps_by_server
from .files import ContainerFiles
from .sources import backup_directory, files_of, home_of, server_of
from .staged_database import StagedDatabase

#: The journal of a restore in progress, in the directory of the backups.
JOURNAL = ".restore.json"


class Recovered(NamedTuple):
    """The outcome of an interrupted restore: whether its data serves now (``restored``), the directories in which
    replaced files are ``kept``, and the services whose files are ``waiting`` for a container."""

    restored: bool
    kept: Sequence[str] = ()
    waiting: Sequence[str] = ()

    def note(self) -> str:
        """The outcome as a sentence."""
        how = "finished" if self.restored else "undone"
        return "an earlier restore that was interrupted has been %s%s" % (how, self.details())

    def details(self) -> str:
        """Sentences about the files; empty if there is nothing to say."""
        sentences = ""
        if self.kept:
            sentences += ". The replaced files are kept until the next restore: %s" % ", ".join(self.kept)
        if self.waiting:
            sentences += ". Its files are waiting for a container of service %s: deploy it" % ", ".join(self.waiting)
        return sentences


def open_journal(
    params: dict[str, Any], stamp: str, backup: str, databases: Iterable[str], files: Iterable[str]
) -> None:
    """Record that a restore begins, with the names of the parts that it will replace."""
    _write(params, {"stamp": stamp, "backup": backup, "databases": sorted(databases), "files": sorted(files)})


def _write(params: dict[str, Any], journal: dict[str, Any]) -> None:
    Tree(backup_directory(params)).write(DesiredFile(JOURNAL, json.dumps(journal).encode(), 0o600))


def close_journal(params: dict[str, Any]) -> None:
    """Record that no restore is in progress."""
    path = os.path.join(backup_directory(params), JOURNAL)
    if os.path.lexists(path):
        os.unlink(path)


def recover(engine: Engine, params: dict[str, Any]) -> Recovered | None:
    """Finish or undo an interrupted restore. None if there is none. Raises Failure."""
    content = read(os.path.join(backup_directory(params), JOURNAL))
    if content is None:
        return None
    try:
        journal = json.loads(content.decode())
        stamp, names, places = str(journal["stamp"]), frozenset(journal["databases"]), frozenset(journal["files"])
    except (ValueError, KeyError, TypeError):  # interrupted while the journal was written: nothing was changed yet
        close_journal(params)
        return None
    for container in engine.containers("%s=%s" % (PREFIX, params["prefix"]), "%s=%s" % (RESTORE, stamp)):
        # The process that started it was killed, and it still moves files.
        engine.docker("rm", "--force", "--volumes", container["Id"])
    parts = [part for part in params["parts"] if part["kind"] != DATABASE and part["name"] in places]
    parts_files = [(part, files_of(engine, params, part)) for part in parts]
    states = [(files, files.look(stamp)) for _part, files in parts_files if files is not None]
    if "restored" in journal:
        restored = bool(journal["restored"])
    elif names:
        restored = _databases(engine, params, stamp, names)
    else:  # all files are staged before the first ones are swapped
        restored = any("swapped" in state for _files, state in states)
    staged = [files for files, state in states if "staged" in state]
    kept = rearrange_all(staged, "swap" if restored else "swap-back", stamp)
    if restored and "restored" not in journal:  # a deployment since then prepared the data that is replaced now
        forget_prepared(home_of(params))
    waiting = [part for part, files in parts_files if files is None]
    if waiting:  # the decision holds for them too, whatever happens to the databases meanwhile
        _write(params, dict(journal, restored=restored, files=[part["name"] for part in waiting]))
    else:
        close_journal(params)
    return Recovered(restored, kept, [part["service"] for part in waiting])


def rearrange_all(directories: Iterable[ContainerFiles], step: str, stamp: str) -> list[str]:
    """Run ``swap`` or ``swap-back`` on each directory. Returns the directories in which the replaced files are kept."""
    names = [(files.path, files.rearrange(step, stamp).strip()) for files in directories]
    return [os.path.join(path, name) for path, name in names if name]


def _databases(engine: Engine, params: dict[str, Any], stamp: str, names: Collection[str]) -> bool:
    """Swap all databases, or swap all of them back. Returns whether the restored ones are in use."""
    parts = [part for part in params["parts"] if part["kind"] == DATABASE and part["name"] in names]
    swaps = swaps_by_server(StagedDatabase(server_of(engine, params, part), part["database"], stamp) for part in parts)
    done = [swap for swap in swaps if swap.is_swapped()]
    remaining = [swap for swap in swaps if swap not in done]
    restored = bool(done) and all(swap.is_staged() for swap in remaining)
    if restored:
        for swap in remaining:
            swap.swap()
    else:
        swap_all_back(done)
        for swap in swaps:
            swap.discard_staged()
    return restored
