# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a backup says of itself, and which backups are there. Runs on the targets, without Ansible too.

A backup is a directory with a manifest. The manifest is written last and the directory is renamed into place then, so
what has a whole manifest is a whole backup.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Collection, Iterable
from typing import Any

from ..core.directory import read
from ..core.errors import Failure
from ..core.process import CHUNK
from ..core.sealed_json import seal, unseal
from ..docker.engine import EngineError

FORMAT = 2
MANIFEST = "manifest.json"

#: How the directory of a backup that is not complete begins.
PARTIAL = ".partial-"


def write_manifest(directory: str, manifest: dict[str, Any]) -> None:
    """Write the manifest of a backup whose files are there."""
    descriptor = os.open(os.path.join(directory, MANIFEST), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(seal(manifest))
        stream.flush()
        os.fsync(stream.fileno())


def read_manifest(directory: str) -> dict[str, Any]:
    """The manifest of a backup, with its ``path``. Raises EngineError, with the reason, for what is none."""
    content = read(os.path.join(directory, MANIFEST))
    if content is None:
        there = os.path.isdir(directory)
        raise EngineError(
            "%s is no complete backup: it has no %s" % (directory, MANIFEST)
            if there
            else "there is no backup %s on this machine" % directory
        )
    try:
        manifest = unseal(content)
    except ValueError as error:
        raise EngineError("%s cannot be trusted: %s" % (os.path.join(directory, MANIFEST), error)) from None
    if manifest.get("format") != FORMAT:
        raise EngineError(
            "%s was written in format %s, and this reads format %s" % (directory, manifest.get("format"), FORMAT)
        )
    return dict(manifest, path=directory)


def complete(directory: str, prefix: str) -> list[dict[str, Any]]:
    """The complete backups of one environment in a directory, the oldest first. Everything else is passed over."""
    found = []
    for name in sorted(os.listdir(directory)) if os.path.isdir(directory) else ():
        if name.startswith("."):
            continue
        try:
            manifest = read_manifest(os.path.join(directory, name))
        except Failure:
            continue
        if manifest["prefix"] == prefix and manifest["name"] == name:
            found.append(manifest)
    return sorted(found, key=_order)


def _order(manifest: dict[str, Any]) -> tuple[int, str, str]:
    """Which backups are older: by number, for the machine's clock may have been ahead. Those without one came first."""
    return manifest.get("serial", 0), manifest["created"], manifest["name"]


def next_serial(manifests: Iterable[dict[str, Any]]) -> int:
    """The number of the backup that is made after these."""
    return 1 + max((manifest.get("serial", 0) for manifest in manifests), default=0)


def surplus(manifests: Iterable[dict[str, Any]], keep: int, spare: Collection[str] = ()) -> list[dict[str, Any]]:
    """The backups, given from the oldest on, that may go: more than ``keep`` of one trigger. 0 keeps all.

    Each trigger counts for itself, so that many deployments of one day do not push the nightly backups out.
    """
    by_trigger: dict[str, list[dict[str, Any]]] = {}
    for manifest in manifests:
        by_trigger.setdefault(manifest["trigger"], []).append(manifest)
    old = [each for group in by_trigger.values() for each in (group[:-keep] if keep > 0 else ())]
    return [each for each in old if each["name"] not in spare]


def remove(directory: str, name: str) -> None:
    """Remove one backup: first it stops counting as one, then its files go."""
    hidden = os.path.join(directory, name if name.startswith(PARTIAL) else PARTIAL + name)
    os.rename(os.path.join(directory, name), hidden)
    shutil.rmtree(hidden, ignore_errors=True)


def sweep(directory: str) -> list[str]:
    """Remove what killed runs left. Returns the names."""
    left = [name for name in os.listdir(directory) if name.startswith(PARTIAL)]
    for name in left:
        shutil.rmtree(os.path.join(directory, name), ignore_errors=True)
    return left


def digest_of(path: str) -> str:
    """SHA-256 of a file of any size."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        for chunk in iter(lambda: stream.read(CHUNK), b""):
            digest.update(chunk)
    return digest.hexdigest()
