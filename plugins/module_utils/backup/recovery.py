# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A restore that did not come to its end: what the next run on the same backups does about it. Runs on the targets.

A restore writes down what it is about before it changes anything. The databases of a server change names in one
transaction. Until the first server's did everything can be taken back, and from then on it is brought to its end.
That may be much later, and the application served meanwhile: what came into a directory since is kept.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from ..core.directory import Tree, Wanted, read
from ..core.layout import DATABASE
from ..docker.engine import Engine
from ..docker.labels import PREFIX, RESTORE
from ..state.deployed import forget_prepared
from .database_swap import exchanges, switch_back
from .files import Files
from .sources import backup_directory, files_of, server_of
from .staged_database import Replacement

#: What a restore is about, in the directory of the backups, as long as it is not at its end.
JOURNAL = ".restore.json"


class Recovered(NamedTuple):
    """What became of a restore that was cut off: whether its data serves now, what is kept of the files that were
    there, and the services whose files wait for a container."""

    restored: bool
    kept: Sequence[str] = ()
    waiting: Sequence[str] = ()

    def note(self) -> str:
        """The same in words."""
        how = "brought to its end" if self.restored else "taken back"
        return "an earlier restore that was cut off was %s%s" % (how, self.more())

    def more(self) -> str:
        """What there is to say of the files; empty where there is nothing."""
        told = ""
        if self.kept:
            told += ". What was in the directory until then is kept until the next restore: %s" % ", ".join(self.kept)
        if self.waiting:
            told += ". Its files wait for a container of service %s: deploy it" % ", ".join(self.waiting)
        return told


def begin(params: dict[str, Any], stamp: str, backup: str, databases: Iterable[str], files: Iterable[str]) -> None:
    """Write down that a restore begins, and the parts that are to be replaced."""
    _write(params, {"stamp": stamp, "backup": backup, "databases": sorted(databases), "files": sorted(files)})


def _write(params: dict[str, Any], journal: dict[str, Any]) -> None:
    Tree(backup_directory(params)).write(Wanted(JOURNAL, json.dumps(journal).encode(), 0o600))


def end(params: dict[str, Any]) -> None:
    """Write down that nothing is left to do."""
    path = os.path.join(backup_directory(params), JOURNAL)
    if os.path.lexists(path):
        os.unlink(path)


def recover(engine: Engine, params: dict[str, Any]) -> Recovered | None:
    """Bring a restore to its end that was cut off, or take it back. None where there is none."""
    content = read(os.path.join(backup_directory(params), JOURNAL))
    if content is None:
        return None
    try:
        journal = json.loads(content.decode())
        stamp, names, places = str(journal["stamp"]), frozenset(journal["databases"]), frozenset(journal["files"])
    except (ValueError, KeyError, TypeError):  # it was cut off before it had changed anything
        end(params)
        return None
    for container in engine.containers("%s=%s" % (PREFIX, params["prefix"]), "%s=%s" % (RESTORE, stamp)):
        engine.docker(
            "rm", "--force", "--volumes", container["Id"]
        )  # whoever started it is gone, and it still moves files
    parts = [part for part in params["parts"] if part["kind"] != DATABASE and part["name"] in places]
    found = [(part, files_of(engine, params, part)) for part in parts]
    looked = [(files, files.look(stamp)) for _part, files in found if files is not None]
    if "restored" in journal:
        restored = bool(journal["restored"])
    elif names:
        restored = _databases(engine, params, stamp, names)
    else:  # all files are there before the first ones take their places
        restored = any("switched" in seen for _files, seen in looked)
    kept = move([files for files, seen in looked if "present" in seen], "switch" if restored else "back", stamp)
    if restored and "restored" not in journal:  # a deployment since then prepared what was there
        forget_prepared(params["home"])
    waiting = [part for part, files in found if files is None]
    if waiting:  # what was decided holds for them too, whatever becomes of the databases meanwhile
        _write(params, dict(journal, restored=restored, files=[each["name"] for each in waiting]))
    else:
        end(params)
    return Recovered(restored, kept, [each["service"] for each in waiting])


def move(places: Iterable[Files], step: str, stamp: str) -> list[str]:
    """Let files take their places, or go back. Returns the directories in which those are kept that were there."""
    names = [(place.path, place.move(step, stamp).strip()) for place in places]
    return [os.path.join(path, name) for path, name in names if name]


def _databases(engine: Engine, params: dict[str, Any], stamp: str, names: Collection[str]) -> bool:
    """Let all databases be the restored ones, or all the earlier ones. Returns whether they are the restored ones."""
    parts = [part for part in params["parts"] if part["kind"] == DATABASE and part["name"] in names]
    wanted = exchanges(Replacement(server_of(engine, params, part), part["database"], stamp) for part in parts)
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
