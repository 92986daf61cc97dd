# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The manifest of a backup, and the list of complete backups. Runs on the targets, without Ansible too.

A backup is a directory with a manifest. The manifest is written last, then the directory is renamed into place: a
backup with an intact manifest is complete.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterable
from typing import Any

from ..core.directory import read
from ..core.errors import Failure
from ..core.handles import require_ours
from ..core.json_with_digest import decode_with_digest, encode_with_digest
from ..docker.engine import EngineError
from .decryption import Identity, StoredFile

FORMAT = 2
MANIFEST = "manifest.json"

#: The longest manifest that is decrypted, in bytes.
_LONGEST = 64 << 20

#: The prefix of the directory of an incomplete backup.
PARTIAL = ".partial-"


def write_manifest(directory: str, manifest: dict[str, Any]) -> None:
    """Write the manifest of a backup whose files are already written."""
    descriptor = os.open(os.path.join(directory, MANIFEST), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(encode_with_digest(manifest))
        stream.flush()
        os.fsync(stream.fileno())


def read_manifest(directory: str, identity: Identity | None = None) -> dict[str, Any]:
    """Read the manifest of a backup and add its ``path``; with ``identity`` also of one that is encrypted.

    Raises EngineError if there is no complete backup, or it stays encrypted.
    """
    require_ours(directory)
    stored = StoredFile(os.path.join(directory, MANIFEST), identity)
    content = _decrypted(stored) if stored.is_encrypted else read(stored.path)
    if content is None:
        raise EngineError(
            "%s is not a complete backup: it has no %s" % (directory, MANIFEST)
            if os.path.isdir(directory)
            else "there is no backup %s on this machine" % directory
        )
    try:
        manifest = decode_with_digest(content)
    except ValueError as error:
        raise EngineError("%s cannot be trusted: %s" % (stored.path, error)) from None
    if manifest.get("format") != FORMAT:
        raise EngineError(
            "%s has format %s; this version of Bulkhead reads format %s" % (directory, manifest.get("format"), FORMAT)
        )
    return dict(manifest, path=directory)


def _decrypted(stored: StoredFile) -> bytes:
    """An encrypted manifest. Raises EngineError; whoever has the public key can encrypt anything of any length."""
    with stored.opened() as stream:
        content = stream.read(_LONGEST + 1)
    if len(content) > _LONGEST:
        raise EngineError("%s is longer than a manifest can be" % stored.path)
    return content


def complete_backups(directory: str, prefix: str, identity: Identity | None = None) -> list[dict[str, Any]]:
    """The manifests of one environment's complete backups in a directory, oldest first.

    Encrypted ones are left out unless ``identity`` opens them.
    """
    manifests = []
    for name in _names(directory):
        try:
            manifest = read_manifest(os.path.join(directory, name), identity)
        except Failure:
            continue
        if manifest.get("prefix") == prefix and manifest.get("name") == name:
            manifests.append(manifest)
    return sorted(manifests, key=_order)


def sealed_backups(directory: str, identity: Identity | None = None) -> list[str]:
    """The names of encrypted backups in a directory that ``identity`` does not open; all of them without one."""
    sealed = []
    for name in _names(directory):
        if StoredFile(os.path.join(directory, name, MANIFEST)).is_encrypted:
            try:
                read_manifest(os.path.join(directory, name), identity)
            except Failure:
                sealed.append(name)
    return sealed


def _names(directory: str) -> list[str]:
    """The names in a directory of backups that may be backups."""
    names = sorted(os.listdir(directory)) if os.path.isdir(directory) else []
    return [name for name in names if not name.startswith(".")]


def _order(manifest: dict[str, Any]) -> tuple[int, str, str]:
    """Sort key for age: serial number first, as the clock may be wrong; backups without one are older."""
    return manifest.get("serial", 0), manifest["created"], manifest["name"]


def next_serial(manifests: Iterable[dict[str, Any]]) -> int:
    """The serial number of the next backup."""
    return 1 + max((manifest.get("serial", 0) for manifest in manifests), default=0)


def surplus(manifests: Iterable[dict[str, Any]], keep: int, spare: Collection[str] = ()) -> list[dict[str, Any]]:
    """The backups to remove, given all of them oldest first: those beyond the newest ``keep`` of each trigger.

    0 keeps all; those named in ``spare`` are never removed. Triggers are counted separately, so that many deployments
    on one day do not push out the nightly backups.
    """
    by_trigger: dict[str, list[dict[str, Any]]] = {}
    for manifest in manifests:
        by_trigger.setdefault(manifest["trigger"], []).append(manifest)
    old = [manifest for group in by_trigger.values() for manifest in (group[:-keep] if keep > 0 else ())]
    return [manifest for manifest in old if manifest["name"] not in spare]


def remove(directory: str, name: str) -> None:
    """Remove one backup. It is renamed first, so that it never counts as complete while files are missing."""
    hidden = os.path.join(directory, name if name.startswith(PARTIAL) else PARTIAL + name)
    os.rename(os.path.join(directory, name), hidden)
    shutil.rmtree(hidden, ignore_errors=True)


def remove_partial(directory: str) -> list[str]:
    """Remove incomplete backups that killed runs left behind. Returns their names."""
    partial = [name for name in os.listdir(directory) if name.startswith(PARTIAL)]
    for name in partial:
        shutil.rmtree(os.path.join(directory, name), ignore_errors=True)
    return partial
