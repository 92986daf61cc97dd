# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Encrypt a backup with age for those who may read it elsewhere. Runs on the targets, without Ansible too.

Only public keys are here. Each file is encrypted into one of the same name with ``.age``, the manifest too: it names
tables. A file that age left incomplete does not count.
"""

from __future__ import annotations

import os
import tempfile

from ..core.meanwhile import of_reading, watching
from ..core.process import StreamError, stream
from ..docker.engine import Engine, EngineError

SUFFIX = ".age"

#: How age's files begin, and how it stores a stream: a nonce, then chunks of 64 KiB with a tag each.
_MAGIC = b"age-encryption.org/v1\n"
_NONCE, _TAG, _PIECE = 16, 16, 64 << 10


class Encryption:
    """age, and the public keys of ``bulkhead_backup_recipients``."""

    def __init__(self, engine: Engine, recipients: list[str], timeout: float) -> None:
        self.engine = engine
        self.recipients = recipients
        self.timeout = timeout

    def check(self) -> None:
        """Encrypt nothing for each recipient. Raises EngineError where that fails."""
        if not self.engine.find("age"):
            raise EngineError(
                "bulkhead_backup_recipients is set, but this machine has no age to encrypt backups with. Install it "
                "(apt-get install age, or aiia.bulkhead.provision), or empty the list: backups then leave the machine "
                "unencrypted"
            )
        for number, recipient in enumerate(self.recipients, 1):
            try:
                with tempfile.TemporaryFile() as target:
                    stream(self._command([recipient]), "age", target=target, limit=self.timeout)
            except StreamError as error:
                raise EngineError(
                    "age cannot encrypt for entry %d of bulkhead_backup_recipients: the key was mistyped or cut short. "
                    "Copy it again from the file that age-keygen or ssh-keygen wrote" % number,
                    error.detail,
                ) from error

    def encrypt(self, source: str, target: str) -> None:
        """Encrypt all files of a directory into a new one. Raises StreamError or OSError."""
        os.makedirs(target, mode=0o700)
        for name in sorted(os.listdir(source)):
            self._encrypt_file(os.path.join(source, name), os.path.join(target, name + SUFFIX))

    def _encrypt_file(self, source: str, target: str) -> None:
        descriptor = os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        what = "encrypting %s" % os.path.basename(source)
        with open(source, "rb") as plain, os.fdopen(descriptor, "w+b") as encrypted:
            with watching(lambda: of_reading(what, plain)):
                stream(self._command(self.recipients), "age", source=plain, target=encrypted, limit=self.timeout)
            encrypted.seek(0)
            size, begins = os.fstat(encrypted.fileno()).st_size, encrypted.read(len(_MAGIC))
            if begins != _MAGIC or size <= encrypted_size(os.fstat(plain.fileno()).st_size):
                raise StreamError("age ended without an error, but %s is incomplete" % os.path.basename(target))

    def _command(self, recipients: list[str]) -> list[str]:
        keys = [word for recipient in recipients for word in ("--recipient", recipient)]
        return [self.engine.find("age") or "age", "--encrypt", *keys]


def encrypted_size(size: int) -> int:
    """The bytes that age makes of a number of bytes, without its header."""
    return _NONCE + size + _TAG * max(1, -(-size // _PIECE))
