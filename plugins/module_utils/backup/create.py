# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Back up one environment: dump its databases, archive its files, read both back, and write a manifest.

Runs on the targets, with Ansible and, on a schedule, without.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Collection, Iterator
from typing import IO, Any, BinaryIO

from ..core import timestamps
from ..core.errors import Failure
from ..core.layout import DATABASE
from ..core.meanwhile import of_bytes, watching
from ..docker.engine import Engine, EngineError
from ..state.deployed import load_state
from ..state.metrics import Metrics
from . import manifest as manifests
from .copy_off import CopyOff, take_back
from .decryption import Identity, StoredFile
from .files import listing
from .naming import file_of, new_name
from .recovery import recover
from .sources import backup_directory, files_of, home_of, server_of

#: Bytes that must stay free on the disk, because a database stops when its disk is full.
RESERVE = 256 << 20

#: The directory of what is encrypted for the copy command. It is named like an incomplete backup, so that the next
#: backup removes what a killed run left.
ENCRYPTED = manifests.PARTIAL + "encrypted"

#: The lock file in the directory of backups: one process writes there at a time. It holds the name of the backup that
#: the user of bulkhead_backup_copy_command can read at this moment.
LOCK = ".lock"

#: What a person should know of a database whose server has another image than the one that made it.
_AGED = (
    "PostgreSQL's image sorts texts otherwise than the one that made {0}, and indexes may miss rows: REINDEX DATABASE "
    "{0}, then ALTER DATABASE {0} REFRESH COLLATION VERSION"
)


class Backups:
    """The backups of one environment. ``params`` come from ``backup_arguments`` on the controller."""

    def __init__(self, engine: Engine, params: dict[str, Any]) -> None:
        self.engine = engine
        self.params = params
        self.directory = backup_directory(params)
        self.copy = CopyOff(engine, params)

    def complete(self, identity: Identity | None = None) -> list[dict[str, Any]]:
        """The manifests of the complete backups, oldest first; with an identity, of those encrypted for it too."""
        return manifests.complete_backups(self.directory, self.params["prefix"], identity)

    def sealed(self, identity: Identity | None = None) -> list[str]:
        """The names of encrypted backups here that the identity, if there is one, does not open."""
        return manifests.sealed_backups(self.directory, identity)

    def make(
        self, reason: str, release: str = "", commit: str = "", trigger: str = "", spare: Collection[str] = ()
    ) -> dict[str, Any]:
        """Make a backup, read it back, remove old ones and copy it off the machine.

        ``trigger`` is ``release``, ``schedule``, ``restore`` or ``hand``; retention counts each separately and never
        removes those in ``spare``. Before a release, an environment without data needs no backup: then the result only
        says why (``unneeded``). Raises EngineError, after removing what a failed backup wrote.
        """
        trigger = trigger or ("release" if release else "hand")
        in_force = load_state(home_of(self.params))  # the release that the data belongs to
        origin = {
            "reason": reason,
            "trigger": trigger,
            "release": release or str(in_force.get("release", "")),
            "commit": commit or str(in_force.get("commit", "")),
        }
        began = time.monotonic()
        try:
            self.copy.check()
            with self._locked():
                manifests.remove_partial(self.directory)
                recovered = recover(self.engine, self.params)
                if recovered:
                    origin["reason"] += "; %s" % recovered.note()
                sources, left_out = self._sources(trigger == "release")
                if trigger == "release" and not _have_data(sources):
                    return {"unneeded": "; ".join(["there are no tables and no files yet", *left_out])}
                self._check_room(sources)
                manifest = self._write(sources, origin)
                removed = self._prune({*spare, manifest["name"]})
        except Failure as error:
            raise EngineError("no backup was made: %s" % error.message, error.detail) from error
        except OSError as error:
            raise EngineError("no backup was made: %s: %s" % (error.filename or "", error.strerror)) from error
        path = os.path.join(self.directory, manifest["name"])
        made = timestamps.seconds(manifest["created"])
        Metrics(self.params["prefix"], self.params["state_directory"]).note(bulkhead_backup_timestamp_seconds=made)
        self._copy(path, manifest)
        return {
            "name": manifest["name"],
            "path": path,
            "bytes": sum(part["bytes"] for part in manifest["parts"]),
            "digest": manifest["digest"],
            "parts": manifest["parts"],
            "left_out": left_out,
            "notes": [_AGED.format(source["database"]) for source in sources if source.get("aged")],
            "removed": [backup["name"] for backup in removed],
            "recipients": len(self.copy.encryption.recipients) if self.copy.encryption else 0,
            "seconds": round(time.monotonic() - began, 1),
        }

    @contextlib.contextmanager
    def _locked(self) -> Iterator[IO[str]]:
        """Create and lock the backup directory. The kernel releases the lock when the process ends.

        Yields the lock file, after taking back what a killed run lent.
        """
        os.makedirs(self.directory, mode=0o700, exist_ok=True)
        os.chmod(self.directory, 0o700)
        descriptor = os.open(os.path.join(self.directory, LOCK), os.O_RDWR | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "r+") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise EngineError("another backup is being written to %s" % self.directory) from None
            lent = os.path.basename(stream.read())
            if lent:
                take_back(os.path.join(self.directory, lent))
                _rewrite(stream, "")
            yield stream

    def _sources(self, before_release: bool) -> tuple[list[dict[str, Any]], list[str]]:
        """The parts to back up, each with its ``server`` or ``files``, and the reasons why others are left out."""
        sources, left_out = [], []
        for part in self.params["parts"]:
            if part["kind"] not in self.params["kinds"]:
                continue
            if part["kind"] == DATABASE:
                server = server_of(self.engine, self.params, part)
                about = server.describe(part["database"])
                sources.append(dict(part, server=server, about=about, aged=server.aged))
                continue
            files = files_of(self.engine, self.params, part)
            if files is not None:
                sources.append(dict(part, files=files, about={"size": files.size()}))
                continue
            left_out.append("service %s has no container to copy %s from" % (part["service"], part["path"]))
            if not before_release:
                raise EngineError(left_out[-1])
        return sources, left_out

    def _check_room(self, sources: list[dict[str, Any]]) -> None:
        """Refuse before anything is written. A dump is compressed, so the last dump's size is the better estimate."""
        last_sizes = {part["file"]: part["bytes"] for backup in self.complete() for part in backup["parts"]}
        need = 0
        for source in sources:
            size, last = source["about"]["size"], last_sizes.get(file_of(source))
            need += size if last is None and size else min(size or last or 0, 2 * (last or 0) + (1 << 20))
        if self.copy.encryption:
            need *= 2  # the encrypted copy, until the command has taken it
        disk = os.statvfs(self.directory)
        free = disk.f_bavail * disk.f_frsize
        if free < need + RESERVE:
            raise EngineError(
                "%s has %d MiB free, but the backup needs about %d MiB plus a reserve of %d MiB. Make room, lower "
                "bulkhead_backup_keep, or set bulkhead_backup_directory to a larger disk"
                % (self.directory, free >> 20, (need >> 20) + 1, RESERVE >> 20)
            )

    def _write(self, sources: list[dict[str, Any]], origin: dict[str, Any]) -> dict[str, Any]:
        """Write all parts and the manifest, then rename the backup into place. Returns the manifest with its digest."""
        now = time.time()
        name = new_name(self.params["prefix"], now, os.listdir(self.directory))
        partial = os.path.join(self.directory, manifests.PARTIAL + name)
        os.mkdir(partial, 0o700)
        try:
            manifest = {
                "format": manifests.FORMAT,
                "name": name,
                "serial": manifests.next_serial(self.complete()),
                "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)),
                **{key: self.params[key] for key in ("prefix", "environment", "protected")},
                **origin,
                "parts": [self._write_part(partial, source) for source in sources],
            }
            manifests.write_manifest(partial, manifest)
            os.rename(partial, os.path.join(self.directory, name))
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        _sync(self.directory)
        return dict(manifest, digest=StoredFile(os.path.join(self.directory, name, manifests.MANIFEST)).digest())

    def _write_part(self, folder: str, source: dict[str, Any]) -> dict[str, Any]:
        """Write one part, read it back from the disk, and return its entry for the manifest."""
        name = file_of(source)
        path = os.path.join(folder, name)
        part = {**{key: source[key] for key in ("kind", "service", "name")}, "file": name}
        if source["kind"] == DATABASE:
            with _new_file(path) as target, watching(lambda: told("dumping %s" % source["database"], target)):
                source["server"].dump(source["database"], target)
            about = {key: source["about"][key] for key in ("server", "size", "stamp", "roles")}
            seen = source["server"].read_back(StoredFile(path))
            if seen["database"] != source["database"]:
                raise EngineError("the dump of %s contains database %s" % (source["database"], seen["database"]))
            part.update(about, database=source["database"], user=source["user"], rows=seen["rows"])
        else:
            with _new_file(path) as target, watching(lambda: told("copying %s" % source["path"], target)):
                part["absent"] = not source["files"].archive(target)
            part["path"] = source["path"]
            part.update({"files": 0, "size": 0} if part["absent"] else listing(StoredFile(path)))
        return dict(part, bytes=os.path.getsize(path), digest=StoredFile(path).digest())

    def _prune(self, spare: Collection[str]) -> list[dict[str, Any]]:
        """Remove the backups beyond bulkhead_backup_keep. Returns their manifests."""
        old = manifests.surplus(self.complete(), self.params["keep"], spare)
        for backup in old:
            manifests.remove(self.directory, backup["name"])
        return old

    def _copy(self, path: str, manifest: dict[str, Any]) -> None:
        """Run the user's command that copies the backup off the machine."""
        if not self.copy.command:
            return
        variables = {"BULKHEAD_BACKUP_NAME": manifest["name"], "BULKHEAD_PREFIX": manifest["prefix"]}
        try:
            with self._locked() as lock, self._leaving(path) as leaving:
                if leaving == path:
                    _rewrite(lock, manifest["name"])
                with self.copy.lent(leaving), watching(lambda: "copying %s off the machine" % manifest["name"]):
                    self.copy.run(leaving, {**variables, "BULKHEAD_BACKUP": leaving})
                _rewrite(lock, "")
        except (Failure, OSError) as error:
            why, detail = (error.message, error.detail) if isinstance(error, Failure) else (str(error.strerror), "")
            raise EngineError(
                "the backup %s is complete, but was not copied off the machine: %s" % (path, why), detail
            ) from error

    @contextlib.contextmanager
    def _leaving(self, path: str) -> Iterator[str]:
        """The directory that may leave the machine: the backup, or its encrypted copy, which is removed afterwards."""
        if not self.copy.encryption:
            yield path
            return
        holder = os.path.join(self.directory, ENCRYPTED)
        shutil.rmtree(holder, ignore_errors=True)
        try:
            encrypted = os.path.join(holder, os.path.basename(path))
            os.mkdir(holder, 0o700)
            self.copy.encryption.encrypt(path, encrypted)
            yield encrypted
        finally:
            shutil.rmtree(holder, ignore_errors=True)


def told(what: str, target: IO[bytes]) -> str:
    """How much of a part is on the disk."""
    return of_bytes(what, os.fstat(target.fileno()).st_size)


def _rewrite(file: IO[str], text: str) -> None:
    file.seek(0)
    file.truncate()
    file.write(text)
    file.flush()


def _have_data(sources: list[dict[str, Any]]) -> bool:
    """Whether sources have any tables or files. Containers are asked only where no database has tables."""
    tables = any(source["about"]["tables"] for source in sources if source["kind"] == DATABASE)
    return tables or not all(source["files"].is_empty() for source in sources if source["kind"] != DATABASE)


@contextlib.contextmanager
def _new_file(path: str) -> Iterator[BinaryIO]:
    """Create a file that only this user can read, and sync it to the disk before closing it."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        yield stream
        stream.flush()
        os.fsync(stream.fileno())


def _sync(directory: str) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
