# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read the files of a backup, encrypted ones too. Runs on the targets.

age gets the private key through a pipe, and what it decrypts goes through a pipe to the program that reads it: neither
reaches the disk, and of both nothing is left when the module ends. Where it is killed, age ends with who reads from it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Iterator
from typing import IO

from ..core.meanwhile import of_bytes, of_reading, watching
from ..core.process import CHUNK, StreamError, output_of, position
from ..docker.engine import Engine, EngineError
from .encryption import SUFFIX, encrypted_size

#: What age says of a file that was encrypted for other keys.
_OTHER_KEY = re.compile(r"no identity matched|did not match any")

#: The last line of an age file's header.
_HEADER_END = re.compile(rb"\n--- [A-Za-z0-9+/]{43}\n")
#: A header has a few hundred bytes for each recipient.
_LONGEST_HEADER = 1 << 20


class IdentityError(EngineError):
    """The private key does not open a backup."""


class Identity:
    """The private key for encrypted backups, for the time of one module. It is never part of a message."""

    def __init__(self, engine: Engine, private: str, timeout: float = 0) -> None:
        self.engine = engine
        self.timeout = timeout
        self._private = private.encode()

    @contextlib.contextmanager
    def opened(self, path: str, doing: str = "reading") -> Iterator[IO[bytes]]:
        """Decrypt a file into a stream. Raises EngineError: it is not complete unless this ends without an error.

        The line of the run says what is done with the file (``doing``), and how much of it age has read.
        """
        program = self.engine.find("age")
        if not program:
            raise EngineError(
                "the backup is encrypted, and this machine has no age to decrypt it with. Install it: apt-get install "
                "age, or aiia.bulkhead.provision, which does so where bulkhead_backup_recipients is set"
            )
        command = [program, "--decrypt", "--identity", "-", path]
        try:
            with output_of(command, "age", self._private, self.timeout) as (plain, process):
                with watching(lambda: of_bytes(doing, position(process, path), os.path.getsize(path))):
                    yield plain
        except StreamError as error:
            if not error.message.startswith("age "):
                raise
            raise _explained(path, error) from None


def _explained(path: str, error: StreamError) -> EngineError:
    """What age's own words mean here."""
    if _OTHER_KEY.search(error.detail):
        return IdentityError(
            "the key of bulkhead_restore_identity does not open %s, which was encrypted for others. Give the private "
            "key of one of the bulkhead_backup_recipients of the time when that backup was made" % path
        )
    if "passphrase" in error.detail:
        return IdentityError(
            "the key of bulkhead_restore_identity is locked with a passphrase, which nobody can type on the machine. "
            "Give the open one: -e bulkhead_restore_identity=<(age --decrypt backup.key.age); of an SSH key, a copy "
            "that ssh-keygen -p has unlocked"
        )
    if "identit" in error.detail or "secret key" in error.detail:
        return IdentityError(
            "age cannot use the key of bulkhead_restore_identity: it was mistyped or cut short. Give the file that "
            "age-keygen or ssh-keygen wrote"
        )
    return EngineError("%s is damaged: age cannot decrypt it to its end. Restore another backup" % path, error.detail)


class StoredFile:
    """One file of a backup: as it is, or encrypted beside where it would be."""

    def __init__(self, path: str, identity: Identity | None = None) -> None:
        self.path = path
        self.identity = identity

    @property
    def is_encrypted(self) -> bool:
        """Whether only the encrypted file is there."""
        return not os.path.isfile(self.path) and os.path.isfile(self.path + SUFFIX)

    @contextlib.contextmanager
    def opened(self, doing: str = "reading") -> Iterator[IO[bytes]]:
        """The content as a stream with a descriptor, which cannot be rewound. Raises EngineError or OSError.

        The line of the run says what is done with it (``doing``, such as ``loading``), and how much of it was read.
        """
        doing = "%s %s" % (doing, os.path.basename(self.path))
        if not self.is_encrypted:
            with open(self.path, "rb") as stream, watching(lambda: of_reading(doing, stream)):
                yield stream
            return
        if self.identity is None:
            raise EngineError(
                "%s is encrypted. Name the file on this controller that has its private key: "
                "-e bulkhead_restore_identity=<file> (docs/backups.md)" % (self.path + SUFFIX)
            )
        with self.identity.opened(self.path + SUFFIX, doing) as plain:
            yield plain

    def problem(self, size: int) -> str:
        """Why this cannot be a file of ``size`` bytes; empty if it can. Nothing is decrypted."""
        path = self.path + SUFFIX if self.is_encrypted else self.path
        if not os.path.isfile(path):
            return "is missing"
        found, wanted = os.path.getsize(path), size
        if self.is_encrypted:
            found, wanted = found - _header_size(path), encrypted_size(size)
        return "" if found == wanted else "has %d bytes" % (size + found - wanted)

    def digest(self) -> str:
        """SHA-256 of the content. Raises EngineError where it cannot be decrypted to its end."""
        digest = hashlib.sha256()
        with self.opened("checking") as stream:
            for chunk in iter(lambda: stream.read(CHUNK), b""):
                digest.update(chunk)
        return digest.hexdigest()


def _header_size(path: str) -> int:
    """The size of an age file's header; 0 if it has none."""
    with open(path, "rb") as stream:
        found = _HEADER_END.search(stream.read(_LONGEST_HEADER))
    return found.end() if found else 0
