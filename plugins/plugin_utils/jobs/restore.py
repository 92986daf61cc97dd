# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What speaks against restoring a backup into an environment. Pure: what was read goes in, words come out."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ...module_utils.backup.postgresql import major

#: What a backup is called: its environment's prefix, and when it was made.
_NAME = re.compile(r"(?P<prefix>[^/]+)-\d{8}T\d{6}Z(?:-\d+)?")


@dataclass(frozen=True, slots=True)
class Intention:
    """Into which environment a backup shall be restored, and what the user said to it.

    ``sanitise`` and ``sanitise_files`` say whether there are scripts for what comes from elsewhere, ``files`` is
    ``bulkhead_restore_files``. ``guarded`` are the prefixes of the environments that the inventory protects,
    ``databases`` and ``directories`` what the environment's own are called in its backups.
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


def refusals_before(intention: Intention) -> Iterator[str]:
    """What is refused before the machine is asked."""
    prefix = intention.prefix
    if intention.protected and intention.restore_from not in ("", prefix):
        yield (
            f"{prefix} is protected (bulkhead_protected): data of another environment ({intention.restore_from}, "
            "bulkhead_restore_from) is never restored into it"
        )
    if intention.protected and intention.confirm != prefix:
        yield (
            f"{prefix} is protected (bulkhead_protected): type its prefix to restore into it, "
            f"-e bulkhead_confirm={prefix}"
        )


def refusals(intention: Intention, manifest: Mapping[str, Any], seen: Mapping[str, Any]) -> Iterator[str]:
    """Everything that speaks against it, from what the backup and the dumps in it say themselves."""
    prefix, origin = intention.prefix, str(manifest["prefix"])
    allowed = intention.restore_from or prefix
    if origin != allowed:
        yield (
            f"{manifest['name']} is a backup of {origin}, and this is {prefix}. If {origin}'s data is meant, say so: "
            f"-e bulkhead_restore_from={origin}"
        )
    if origin != prefix and intention.protected:
        yield f"{prefix} is protected (bulkhead_protected): data of {origin} is never restored into it"
    held = _held(manifest, "postgresql")
    if origin != prefix and (manifest["protected"] or origin in intention.guarded):
        if held and not intention.sanitise:
            yield (
                f"{origin} is protected, and so is its data: name an SQL script that removes what must not leave it, "
                "such as customers' addresses, tokens and tasks (bulkhead_restore_sanitise)"
            )
        yield from _files(intention, manifest)
    yield from _dumps(manifest, seen)
    for name in sorted(held ^ set(intention.databases)):
        has, lacks = (f"the backup {manifest['name']}", prefix) if name in held else (prefix, "the backup")
        yield f"{has} has a database {name}, and {lacks} has none of that name (x-bulkhead.backup)"
    if intention.files != "leave":
        for name in sorted(_held(manifest, "files") - set(intention.directories)):
            yield (
                f"the backup {manifest['name']} has files of {name}, and {prefix} has no place of that name for them "
                "(x-bulkhead.backup). Give it one, or restore the databases alone: -e bulkhead_restore_files=leave"
            )


def another(wanted: str, origin: str) -> str:
    """A hint where a backup was named that, by its name, is another environment's than the one that is looked in."""
    named = _NAME.fullmatch(wanted)
    if not named or named["prefix"] == origin:
        return ""
    return (
        f". By its name it is one of {named['prefix']}: if that environment's data is meant, say so, "
        f"-e bulkhead_restore_from={named['prefix']}"
    )


def staying(intention: Intention, manifest: Mapping[str, Any]) -> list[str]:
    """The directories that stay as they are because the backup has none: it may be one of the databases alone."""
    return sorted(set(intention.directories) - _held(manifest, "files")) if intention.files != "leave" else []


def _held(manifest: Mapping[str, Any], kind: str) -> set[str]:
    """What a backup holds of a kind. A directory that did not exist when it was made is in its manifest alone."""
    return {part["name"] for part in manifest["parts"] if part["kind"] == kind and not part.get("absent")}


def _files(intention: Intention, manifest: Mapping[str, Any]) -> Iterator[str]:
    """Whoever takes another's files says what becomes of them: nothing in them tells whose they are."""
    there = [part for part in manifest["parts"] if part["kind"] == "files" and not part["absent"]]
    coming = [part for part in there if part["name"] in intention.directories]
    if coming and intention.files == "sanitise" and not intention.sanitise_files:
        count = sum(part["files"] for part in coming)
        origin, names = manifest["prefix"], " and ".join(part["name"] for part in coming)
        yield (
            f"{origin} is protected, and so are its {count} files of {names}. Say what becomes of them: "
            f"-e bulkhead_restore_files=leave ({intention.prefix} keeps its own), "
            "-e bulkhead_restore_sanitise_files=<a shell script that runs over them before they are in force>, or "
            "-e bulkhead_restore_files=take (they come as they are)"
        )


def _dumps(manifest: Mapping[str, Any], seen: Mapping[str, Any]) -> Iterator[str]:
    """A dump says itself of which database it is, of which environment, and who can read it."""
    for part in manifest["parts"]:
        found = seen.get(part["name"])
        if part["kind"] != "postgresql" or found is None:
            continue
        if found["stamp"] not in ("", manifest["prefix"]):
            yield (
                f"the manifest of {manifest['name']} names {manifest['prefix']}, and {part['file']} is of "
                f"{found['stamp']}"
            )
        elif found["database"] != part["database"]:
            yield (
                f"the manifest of {manifest['name']} names the database {part['database']}, and {part['file']} is of "
                f"{found['database']}"
            )
        if major(part["server"]) > major(found["here"]):
            yield (
                f"{part['file']} was made by PostgreSQL {part['server']}, and {found['here']} runs here, which may not "
                "be able to read it. Upgrade the server first"
            )
