# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restore a backup into one environment, or leave everything as it was. Runs on the targets."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from typing import Any

from ..core.errors import Failure, last_lines
from ..core.layout import DATABASE
from ..docker.engine import Engine, EngineError
from ..state.deployed import forget_prepared
from . import recovery
from .create import RESERVE, Backups
from .database_swap import Exchange, exchanges, switch, switch_back
from .files import Files
from .manifest import complete, digest_of, read_manifest
from .postgresql import Server
from .sources import default_directory, files_of, server_of
from .staged_database import Replacement, stamp_now

#: What is still to be done where services prepare what they need, such as the schema.
PREPARE_AGAIN = (
    "deploy now: the data may be of an older schema, and %s is prepared again then (its migrations run), for the same "
    "image too"
)


def find(wanted: str, directory: str, prefix: str) -> dict[str, Any]:
    """The manifest of the backup that is meant: a directory, a name, or the latest. Raises EngineError."""
    if wanted.startswith("/"):
        return read_manifest(os.path.normpath(wanted))
    there = complete(directory, prefix)
    named = [each for each in there if wanted in ("latest", each["name"])]
    if named:
        return named[-1]
    if os.sep not in wanted and os.path.isdir(os.path.join(directory, wanted)) and not wanted.startswith("."):
        return read_manifest(os.path.join(directory, wanted))
    names = ", ".join(each["name"] for each in there[-10:]) or "none"
    raise EngineError(
        "there is no backup %s of %s in %s; the complete ones there: %s" % (wanted, prefix, directory, names)
    )


class Restore:
    """One backup, and the environment that it shall be restored into."""

    def __init__(self, engine: Engine, params: dict[str, Any], wanted: str, origin: str = "", place: str = "") -> None:
        self.engine = engine
        self.params = params
        self.backups = Backups(engine, params)
        prefix = origin or params["prefix"]
        own = self.backups.directory if prefix == params["prefix"] else ""
        place = place or own or default_directory(params["state_directory"], prefix)
        self.manifest = find(wanted, place, prefix)
        self.pairs = [
            (part, each)
            for part in self.manifest["parts"]
            for each in params["parts"]
            if (part["name"], part["kind"]) == (each["name"], each["kind"])
        ]

    def look(self) -> dict[str, Any]:
        """What there is to judge before anything is done: the manifest, what its dumps say themselves, the servers."""
        self._check_sizes()
        seen = {}
        for part, own in self.pairs:
            if part["kind"] == DATABASE:
                server = server_of(self.engine, self.params, own)
                here = server.value("postgres", "SHOW server_version;")
                seen[part["name"]] = dict(server.head(self._path(part)), here=here)
        return {"manifest": self.manifest, "seen": seen}

    def run(
        self,
        sanitise: str = "",
        sanitise_files: str = "",
        foreign: bool = False,
        files: bool = True,
        backup_first: bool = True,
    ) -> dict[str, Any]:
        """Restore; the scripts run in the data of a ``foreign`` environment. Without ``files`` those there stay.

        Raises EngineError after everything is as it was before.
        """
        began = time.monotonic()
        self._check_digests()
        recovered = recovery.recover(self.engine, self.params)
        if recovered and recovered.waiting:
            raise EngineError(recovered.note())
        script = sanitise_files if foreign else ""
        brought = [
            (self._files(own), part)
            for part, own in self.pairs
            if files and part["kind"] != DATABASE and not part["absent"]
        ]
        self._check_room(brought, twice=bool(script))
        stamp = stamp_now()
        result: dict[str, Any] = {}
        if backup_first:
            reason = "before %s was restored" % self.manifest["name"]
            result["backup"] = self.backups.make(reason, trigger="restore", spare=[self.manifest["name"]])
        replacements = [
            (Replacement(server_of(self.engine, self.params, own), own["database"], stamp), part, own)
            for part, own in self.pairs
            if part["kind"] == DATABASE
        ]
        wanted = exchanges(replacement for replacement, _part, _own in replacements)
        recovery.begin(
            self.params,
            stamp,
            self.manifest["path"],
            databases=[own["name"] for _r, _part, own in replacements],
            files=[part["name"] for _files, part in brought],
        )
        try:
            for one in wanted:
                one.discard()
            for replacement, part, own in replacements:
                self._fill(replacement, part, own, sanitise if foreign else "", foreign)
            for each, part in brought:
                each.stage(self._path(part), stamp, script)
            # Before: one time too many is harmless, whatever becomes of the restore.
            unprepared = forget_prepared(self.params["home"])
            self._switch(wanted, [each for each, _part in brought], stamp)
        except BaseException as error:
            self._take_back(error)
            raise
        tidied = self._tidy(
            [replacement for replacement, _part, _own in replacements], [each for each, _part in brought], stamp
        )
        if recovered:
            tidied["notes"].insert(0, recovered.note())
        if unprepared:
            tidied["notes"].append(PREPARE_AGAIN % " and ".join(unprepared))
        result.update(tidied)
        if replacements:
            result["rows"] = sum(sum(part["rows"].values()) for _replacement, part, _own in replacements)
        result["files"] = sum(part["files"] for _each, part in brought) if files else None
        result["sanitised_files"] = bool(script)
        result["seconds"] = round(time.monotonic() - began, 1)
        return result

    def _tidy(self, replacements: list[Replacement], files: list[Files], stamp: str) -> dict[str, Any]:
        """Remove what nobody needs any more. What fails is only told: the restored data serves by now."""
        removed: list[str] = []
        notes: list[str] = []
        with _told(notes, "the restore is not written down as ended, and the next run looks after it again"):
            recovery.end(self.params)
        for replacement in replacements:
            with _told(notes, "what an earlier restore kept of database %s is still there" % replacement.database):
                removed += replacement.drop_older()
        for one in files:
            with _told(notes, "the earlier files of %s are still there" % one.path):
                one.move("clean", stamp)
        return {"kept": [replacement.old for replacement in replacements], "removed": removed, "notes": notes}

    def _path(self, part: dict[str, Any]) -> str:
        return os.path.join(str(self.manifest["path"]), os.path.basename(part["file"]))

    def _check_sizes(self) -> None:
        for part in self.manifest["parts"]:
            path = self._path(part)
            size = os.path.getsize(path) if os.path.isfile(path) else None
            if size != part["bytes"]:
                how = "is missing" if size is None else "has %s bytes" % size
                raise EngineError(
                    "the backup %s is damaged: %s %s, and the manifest says %d bytes. Restore another one"
                    % (self.manifest["path"], part["file"], how, part["bytes"])
                )

    def _check_digests(self) -> None:
        self._check_sizes()
        for part in self.manifest["parts"]:
            if digest_of(self._path(part)) != part["digest"]:
                raise EngineError(
                    "the backup %s is damaged: %s is not what was written (its digest differs). Restore another one"
                    % (self.manifest["path"], part["file"])
                )

    def _check_room(self, brought: list[tuple[Files, dict[str, Any]]], twice: bool) -> None:
        """Refuse before anything is written; files stand ``twice`` beside those in use while a script changes them."""
        servers: dict[str, Server] = {}
        needs: dict[str, int] = {}
        for part, own in self.pairs:
            if part["kind"] == DATABASE:
                server = server_of(self.engine, self.params, own)
                servers[server.container] = server
                needs[server.container] = needs.get(server.container, 0) + part["size"] + part["size"] // 10
        rooms = [("the database", server.free(), needs[item]) for item, server in servers.items()]
        rooms += [(files.path, files.free(), part["size"] * (1 + twice)) for files, part in brought]
        for what, free, need in rooms:
            if free is not None and free < need + RESERVE:
                raise EngineError(
                    "the disk of %s has %d MiB free, and what is restored beside what is in use needs about %d MiB, "
                    "beside the %d MiB that stay free. Make room first"
                    % (what, free >> 20, (need >> 20) + 1, RESERVE >> 20)
                )

    def _files(self, own: dict[str, Any]) -> Files:
        """The files of a part. Raises EngineError where they cannot be restored."""
        files = files_of(self.engine, self.params, own)
        if files is None:
            raise EngineError("service %s has no container to restore %s into" % (own["service"], own["path"]))
        files.mount()
        return files

    def _fill(
        self, replacement: Replacement, part: dict[str, Any], own: dict[str, Any], sanitise: str, foreign: bool
    ) -> None:
        """Load a dump into the new database, check it, and make it the environment's own."""
        replacement.create(part["roles"])
        replacement.fill(self._path(part))
        replacement.check(part["rows"])
        if sanitise:
            replacement.sanitise(sanitise, own["name"])
        left = replacement.wiring(own["wiring"]) if foreign and sanitise else []
        if left:
            raise EngineError(
                "after bulkhead_restore_sanitise the data still leads to %s: %s. Remove them in that script"
                % (self.manifest["prefix"], "; ".join(left))
            )
        replacement.settle(own["user"], self.params["prefix"])

    @staticmethod
    def _switch(databases: list[Exchange], files: list[Files], stamp: str) -> None:
        switch(databases)
        try:
            for file in files:
                file.move("switch", stamp)
        except Failure as error:
            switch_back(databases)
            error.message += recovery.Recovered(False, recovery.move(files, "back", stamp)).more()
            raise

    def _take_back(self, error: BaseException) -> None:
        """Remove what was put beside, or bring the restore to its end if there is no way back; the error says which."""
        try:
            recovered = recovery.recover(self.engine, self.params)
        except Failure as second:
            if isinstance(error, Failure):
                error.message += ". And taking the restore back failed: %s" % second.message
            return
        if not isinstance(error, Failure):
            return
        if recovered and recovered.restored:
            error.message += ". There was no way back, and the restored data serves now"
        else:
            error.message += ". The earlier data serves on, and nothing of it was changed"
        error.message += recovered.more() if recovered else ""


@contextlib.contextmanager
def _told(notes: list[str], what: str) -> Iterator[None]:
    """What goes wrong once the restored data serves is a note: the restore has not failed."""
    try:
        yield
    except Failure as error:
        notes.append(": ".join(each for each in (what, error.message, last_lines(error.detail, 1)) if each))
    except OSError as error:
        notes.append("%s: %s: %s" % (what, error.filename or "", error.strerror))
