# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reasons against restoring a backup into an environment, from what was read; nothing is read here."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ...module_utils.backup.postgresql import major
from ..isolation.wording import number

#: The name of a backup: its environment's prefix and the time.
_NAME = re.compile(r"(?P<prefix>[^/]+)-\d{8}T\d{6}Z(?:-\d+)?")


@dataclass(frozen=True, slots=True)
class Intention:
    """The environment to restore into, and the user's options.

    ``files`` is ``bulkhead_restore_files``. ``guarded`` are the prefixes of all protected environments, ``databases``
    and ``directories`` the names of this environment's own in its backups. What another environment's own variables
    say of its data: ``permitted`` that this one may restore it, ``take`` even its files unchanged, ``sanitise`` and
    ``sanitise_files`` that there are scripts for it.
    """

    prefix: str
    protected: bool
    confirm: str
    restore_from: str
    sanitise: bool
    guarded: Collection[str] = ()
    databases: Collection[str] = ()
    directories: Collection[str] = ()
    files: str = "sanitise"
    sanitise_files: bool = False
    permitted: bool = False
    take: bool = False


def reader(owner: Mapping[str, Any], prefix: str) -> tuple[bool, bool]:
    """Whether the variables of a backup's environment let another restore it, and take its files unchanged."""
    for item in owner["bulkhead_restore_readers"]:
        if isinstance(item, Mapping) and item.get("prefix") == prefix:
            return True, item.get("files") == "take"
    return False, False


def refusals_before(intention: Intention) -> Iterator[str]:
    """Reasons that need no look at the machine."""
    prefix = intention.prefix
    if intention.protected and intention.restore_from not in ("", prefix):
        yield (
            f"{prefix} is protected (bulkhead_protected): data of another environment ({intention.restore_from}, "
            "bulkhead_restore_from) is never restored into it"
        )
    if intention.protected and intention.confirm != prefix:
        yield (
            f"{prefix} is protected (bulkhead_protected): to restore into it, type its prefix: "
            f"-e bulkhead_confirm={prefix}"
        )
    if intention.restore_from != prefix and intention.restore_from in intention.guarded:
        yield from _unpermitted(intention, intention.restore_from)


def refusals(intention: Intention, manifest: Mapping[str, Any], seen: Mapping[str, Any]) -> Iterator[str]:
    """All reasons that the backup's manifest and its dumps give."""
    prefix, origin = intention.prefix, str(manifest["prefix"])
    allowed = intention.restore_from or prefix
    if origin != allowed:
        yield (
            f"{manifest['name']} is a backup of {origin}, and this is {prefix}. If you mean {origin}'s data: "
            f"-e bulkhead_restore_from={origin}"
        )
    if origin != prefix and intention.protected:
        yield f"{prefix} is protected (bulkhead_protected): data of {origin} is never restored into it"
    held = _held(manifest, "postgresql")
    if origin != prefix and (manifest["protected"] or origin in intention.guarded):
        yield from _unpermitted(intention, origin)
        if held and not intention.sanitise:
            yield (
                f"{origin} is protected, and so is its data: name an SQL script that removes what must not leave it, "
                "such as customers' addresses, tokens and tasks: bulkhead_restore_sanitise in the group_vars of "
                f"{origin}"
            )
        yield from _files(intention, manifest)
    yield from _dumps(manifest, seen)
    for name in sorted(held ^ set(intention.databases)):
        has, lacks = (f"the backup {manifest['name']}", prefix) if name in held else (prefix, "the backup")
        yield f"{has} has a database {name}, but {lacks} has none of that name (x-bulkhead.backup)"
    if intention.files != "leave":
        for name in sorted(_held(manifest, "files") - set(intention.directories)):
            yield (
                f"the backup {manifest['name']} has files of {name}, but {prefix} has no directory of that name "
                "(x-bulkhead.backup). Declare one, or restore only the databases: -e bulkhead_restore_files=leave"
            )


def _unpermitted(intention: Intention, origin: str) -> Iterator[str]:
    """Require the permission of a protected environment, which only its own variables can give."""
    if not intention.permitted:
        yield (
            f"{origin} is protected, and nothing there lets {intention.prefix} restore its data: add "
            f"{{prefix: {intention.prefix}}} to bulkhead_restore_readers in the group_vars of {origin}"
        )
    elif intention.files == "take" and not intention.take:
        yield (
            f"bulkhead_restore_files is take, but {origin} is protected, and nothing there lets {intention.prefix} "
            f"take its files unchanged: add files: take to {intention.prefix} in its bulkhead_restore_readers, or use "
            "-e bulkhead_restore_files=leave"
        )


def another(wanted: str, origin: str) -> str:
    """A hint where the name of the wanted backup is that of another environment's."""
    named = _NAME.fullmatch(wanted)
    if not named or named["prefix"] == origin:
        return ""
    return (
        f". By its name it is a backup of {named['prefix']}: if you mean that environment's data, add "
        f"-e bulkhead_restore_from={named['prefix']}"
    )


def staying(intention: Intention, manifest: Mapping[str, Any]) -> list[str]:
    """The directories that keep their files because the backup has none for them, such as one of databases only."""
    return sorted(set(intention.directories) - _held(manifest, "files")) if intention.files != "leave" else []


def _held(manifest: Mapping[str, Any], kind: str) -> set[str]:
    """The names of a backup's parts of a kind. ``absent`` ones did not exist then and are only in the manifest."""
    return {part["name"] for part in manifest["parts"] if part["kind"] == kind and not part.get("absent")}


def _files(intention: Intention, manifest: Mapping[str, Any]) -> Iterator[str]:
    """Require a decision on another environment's files, which cannot be told apart from one's own later."""
    there = [part for part in manifest["parts"] if part["kind"] == "files" and not part["absent"]]
    coming = [part for part in there if part["name"] in intention.directories]
    if coming and intention.files == "sanitise" and not intention.sanitise_files:
        count = sum(part["files"] for part in coming)
        origin, names = manifest["prefix"], " and ".join(part["name"] for part in coming)
        yield (
            f"{origin} is protected, and so is what {names} {'hold' if len(coming) > 1 else 'holds'} "
            f"({number(count, 'file')}). Choose: "
            f"-e bulkhead_restore_files=leave ({intention.prefix} keeps its own), or in the group_vars of {origin} "
            "bulkhead_restore_sanitise_files: <a shell script that runs over them before they are used>"
        )


def _dumps(manifest: Mapping[str, Any], seen: Mapping[str, Any]) -> Iterator[str]:
    """Compare the manifest with what each dump contains: environment, database and server version."""
    for part in manifest["parts"]:
        found = seen.get(part["name"])
        if part["kind"] != "postgresql" or found is None:
            continue
        if found["stamp"] not in ("", manifest["prefix"]):
            yield (
                f"the manifest of {manifest['name']} names {manifest['prefix']}, but {part['file']} is of "
                f"{found['stamp']}"
            )
        elif found["database"] != part["database"]:
            yield (
                f"the manifest of {manifest['name']} names the database {part['database']}, but {part['file']} is of "
                f"{found['database']}"
            )
        if major(part["server"]) > major(found["here"]):
            yield (
                f"{part['file']} was made by PostgreSQL {part['server']}, but {found['here']} runs here, which may not "
                "be able to read it. Upgrade the server first"
            )
