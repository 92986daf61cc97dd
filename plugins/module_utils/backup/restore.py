# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restore a backup into one environment, completely or not at all. Runs on the targets."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from typing import Any

from ..core.errors import Failure, last_lines
from ..core.layout import DATABASE
from ..docker.engine import Engine, EngineError
from ..state.deployed import PREPARE_AGAIN, forget_prepared
from . import recovery
from .create import RESERVE, Backups
from .database_swap import DatabaseSwap, swap_all, swap_all_back, swaps_by_server
from .decryption import Identity, StoredFile
from .files import ContainerFiles
from .manifest import complete_backups, read_manifest, sealed_backups
from .postgresql import PostgreSQLServer
from .sources import default_directory, files_of, home_of, server_of
from .staged_database import StagedDatabase, stamp_now


def find_backup(wanted: str, directory: str, prefix: str, identity: Identity | None = None) -> dict[str, Any]:
    """The manifest of a backup, given its path, its name or ``latest``. Raises EngineError if there is none.

    ``identity`` opens encrypted backups; where there is one that it does not open, ``latest`` would be a guess.
    """
    if wanted.startswith("/"):
        return read_manifest(os.path.normpath(wanted), identity)
    sealed = sealed_backups(directory, identity) if identity and wanted == "latest" else []
    if sealed:
        read_manifest(os.path.join(directory, sealed[-1]), identity)
    backups = complete_backups(directory, prefix, identity)
    matching = [backup for backup in backups if wanted in ("latest", backup["name"])]
    if matching:
        return matching[-1]
    if os.sep not in wanted and os.path.isdir(os.path.join(directory, wanted)) and not wanted.startswith("."):
        return read_manifest(os.path.join(directory, wanted), identity)
    names = ", ".join(backup["name"] for backup in backups[-10:]) or "none"
    raise EngineError("there is no backup %s of %s in %s; complete backups: %s" % (wanted, prefix, directory, names))


class Restore:
    """One backup, and the environment to restore it into.

    ``wanted`` names the backup (see :func:`find_backup`), ``origin`` is the prefix of the environment that made it if
    it is another one, and ``place`` the directory to look in. ``pairs`` are the backup's parts, each with the
    environment's own part that it replaces. ``private`` is the key that opens an encrypted backup.
    """

    def __init__(
        self, engine: Engine, params: dict[str, Any], wanted: str, origin: str = "", place: str = "", private: str = ""
    ) -> None:
        self.engine = engine
        self.params = params
        self.backups = Backups(engine, params)
        prefix = origin or params["prefix"]
        own = self.backups.directory if prefix == params["prefix"] else ""
        place = place or own or default_directory(params["state_directory"], prefix)
        self.identity = Identity(engine, private, params["timeout"]) if private else None
        self.manifest = find_backup(wanted, place, prefix, self.identity)
        self.pairs = [
            (part, own_part)
            for part in self.manifest["parts"]
            for own_part in params["parts"]
            if (part["name"], part["kind"]) == (own_part["name"], own_part["kind"])
        ]

    def look(self) -> dict[str, Any]:
        """What to judge before a restore: the ``manifest``, and for each dump its own head and the version of the
        server here (``seen``). Changes nothing."""
        self._check_sizes()
        seen = {}
        for part, own in self.pairs:
            if part["kind"] == DATABASE:
                server = server_of(self.engine, self.params, own)
                here = server.value("postgres", "SHOW server_version;")
                seen[part["name"]] = dict(server.head(self._file(part)), here=here)
        return {"manifest": self.manifest, "seen": seen}

    def run(
        self,
        sanitise: str = "",
        sanitise_files: str = "",
        foreign: bool = False,
        files: bool = True,
        backup_first: bool = True,
    ) -> dict[str, Any]:
        """Restore the backup. Without ``files`` the environment keeps its own files.

        ``sanitise`` (SQL) and ``sanitise_files`` (shell) run over the data if it is another environment's
        (``foreign``). Raises Failure when a restore fails; its message says which data serves.
        """
        began = time.monotonic()
        self._check_digests()
        recovered = recovery.recover(self.engine, self.params)
        if recovered and recovered.waiting:
            raise EngineError(recovered.note())
        script = sanitise_files if foreign else ""
        incoming = [
            (self._files(own), part)
            for part, own in self.pairs
            if files and part["kind"] != DATABASE and not part["absent"]
        ]
        self._check_room(incoming, twice=bool(script))
        stamp = stamp_now()
        result: dict[str, Any] = {}
        if backup_first:
            reason = "before %s was restored" % self.manifest["name"]
            result["backup"] = self.backups.make(reason, trigger="restore", spare=[self.manifest["name"]])
        databases = [
            (StagedDatabase(server_of(self.engine, self.params, own), own["database"], stamp), part, own)
            for part, own in self.pairs
            if part["kind"] == DATABASE
        ]
        all_staged = [staged for staged, _part, _own in databases]
        all_files = [place for place, _part in incoming]
        swaps = swaps_by_server(all_staged)
        names = [own["name"] for _staged, _part, own in databases]
        recovery.open_journal(
            self.params, stamp, self.manifest["path"], names, [part["name"] for _place, part in incoming]
        )
        try:
            for swap in swaps:
                swap.discard_staged()
            for staged, part, own in databases:
                self._fill(staged, part, own, sanitise if foreign else "", foreign)
            for place, part in incoming:
                place.stage(self._file(part), stamp, script)
            # Before the swap: preparing once too often is harmless, whatever the outcome.
            unprepared = forget_prepared(home_of(self.params))
            self._swap(swaps, all_files, stamp)
        except BaseException as error:
            self._recover_from(error)
            raise
        cleanup = self._clean_up(all_staged, all_files, stamp)
        if recovered:
            cleanup["notes"].insert(0, recovered.note())
        if unprepared:
            cleanup["notes"].append(PREPARE_AGAIN % " and ".join(unprepared))
        result.update(cleanup)
        if databases:
            result["rows"] = sum(sum(part["rows"].values()) for _staged, part, _own in databases)
        result["files"] = sum(part["files"] for _place, part in incoming) if files else None
        result["sanitised_files"] = bool(script)
        result["seconds"] = round(time.monotonic() - began, 1)
        return result

    def _clean_up(self, databases: list[StagedDatabase], files: list[ContainerFiles], stamp: str) -> dict[str, Any]:
        """Remove what is no longer needed. Failures become notes, because the restored data already serves."""
        removed: list[str] = []
        notes: list[str] = []
        with _noting_failures(notes, "the end of the restore was not recorded, so the next run checks it again"):
            recovery.close_journal(self.params)
        for staged in databases:
            with _noting_failures(notes, "databases kept by earlier restores of %s were not dropped" % staged.database):
                removed += staged.drop_older()
        for place in files:
            with _noting_failures(notes, "the previous files of %s were not removed" % place.path):
                place.rearrange("clean", stamp)
        return {"kept": [staged.previous_name for staged in databases], "removed": removed, "notes": notes}

    def _file(self, part: dict[str, Any]) -> StoredFile:
        path = os.path.join(str(self.manifest["path"]), os.path.basename(part["file"]))
        return StoredFile(path, self.identity)

    def _check_sizes(self) -> None:
        for part in self.manifest["parts"]:
            problem = self._file(part).problem(part["bytes"])
            if problem:
                raise EngineError(
                    "the backup %s is damaged: %s %s, but the manifest says %d bytes. Restore another backup"
                    % (self.manifest["path"], part["file"], problem, part["bytes"])
                )

    def _check_digests(self) -> None:
        self._check_sizes()
        for part in self.manifest["parts"]:
            if self._file(part).digest() != part["digest"]:
                raise EngineError(
                    "the backup %s is damaged: the digest of %s differs from the manifest's. Restore another backup"
                    % (self.manifest["path"], part["file"])
                )

    def _check_room(self, incoming: list[tuple[ContainerFiles, dict[str, Any]]], twice: bool) -> None:
        """Refuse before anything is written. Files need room ``twice`` if a script runs over a copy of them first."""
        servers: dict[str, PostgreSQLServer] = {}
        needs: dict[str, int] = {}
        for part, own in self.pairs:
            if part["kind"] == DATABASE:
                server = server_of(self.engine, self.params, own)
                servers[server.container] = server
                needs[server.container] = needs.get(server.container, 0) + part["size"] + part["size"] // 10
        disks = [("the database", server.free(), needs[container]) for container, server in servers.items()]
        disks += [(files.path, files.free(), part["size"] * (1 + twice)) for files, part in incoming]
        for what, free, need in disks:
            if free is not None and free < need + RESERVE:
                raise EngineError(
                    "the disk of %s has %d MiB free, but the restored data needs about %d MiB beside the data in use, "
                    "plus a reserve of %d MiB. Make room first" % (what, free >> 20, (need >> 20) + 1, RESERVE >> 20)
                )

    def _files(self, own: dict[str, Any]) -> ContainerFiles:
        """The files of a part. Raises EngineError if they cannot be restored."""
        files = files_of(self.engine, self.params, own)
        if files is None:
            raise EngineError("service %s has no container to restore %s into" % (own["service"], own["path"]))
        files.mount()
        return files

    def _fill(
        self, staged: StagedDatabase, part: dict[str, Any], own: dict[str, Any], sanitise: str, foreign: bool
    ) -> None:
        """Load a dump into the new database, check it, and make it the environment's own."""
        staged.create(part["roles"])
        staged.fill(self._file(part))
        staged.check(part["rows"])
        if sanitise:
            staged.sanitise(sanitise, own["name"])
        remaining = staged.wiring(own["wiring"]) if foreign and sanitise else []
        if remaining:
            raise EngineError(
                "after bulkhead_restore_sanitise the data still points at %s: %s. Remove these in that script"
                % (self.manifest["prefix"], "; ".join(remaining))
            )
        staged.settle(own["user"], self.params["prefix"])

    @staticmethod
    def _swap(swaps: list[DatabaseSwap], files: list[ContainerFiles], stamp: str) -> None:
        """Put databases and files into use; swap all of them back if the files cannot be."""
        swap_all(swaps)
        try:
            for place in files:
                place.rearrange("swap", stamp)
        except Failure as error:
            swap_all_back(swaps)
            kept = recovery.rearrange_all(files, "swap-back", stamp)
            error.message += recovery.Recovered(False, kept).details()
            raise

    def _recover_from(self, error: BaseException) -> None:
        """Undo the restore, or finish it if it cannot be undone, and add the outcome to the error's message."""
        try:
            recovered = recovery.recover(self.engine, self.params)
        except Failure as second:
            if isinstance(error, Failure):
                error.message += ". Undoing the restore failed too: %s" % second.message
            return
        if not isinstance(error, Failure):
            return
        if recovered and recovered.restored:
            error.message += ". It could not be undone, so it was finished: the restored data serves now"
        else:
            error.message += ". The previous data still serves, unchanged"
        error.message += recovered.details() if recovered else ""


@contextlib.contextmanager
def _noting_failures(notes: list[str], what: str) -> Iterator[None]:
    """Turn a failure into a note that begins with ``what``."""
    try:
        yield
    except Failure as error:
        notes.append(": ".join(text for text in (what, error.message, last_lines(error.detail, 1)) if text))

    except OSError as error:
        notes.append("%s: %s: %s" % (what, error.filename or "", error.strerror))
