# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a service says is to be backed up of it: databases and directories, under ``x-bulkhead.backup``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..isolation.model import SEAL

#: What a part may be called: its file is.
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*\Z", re.ASCII)

#: What the databases of one server have in common unless they say otherwise: whose they are, the server's
#: administrator, and what must not come along with them.
_SHARED = ("kind", "user", "admin", "wiring")


def backup_parts(service: str, backup: Any) -> tuple[dict[str, Any], ...]:
    """The parts of a service. The first has the service's own name. Raises ValueError for what is none."""
    if not backup:
        return ()
    first = {"name": service, **backup} if isinstance(backup, Mapping) else {}
    also = first.pop("also", None) or []
    shared = {key: first[key] for key in _SHARED if key in first}
    more = (
        [{**shared, **part} if isinstance(part, Mapping) else {} for part in also] if isinstance(also, list) else [{}]
    )
    parts = (first, *more)
    if not all(map(_is_part, parts)) or not _all_say_which(parts):
        raise ValueError(
            f"bulkhead_services.{service}: x-bulkhead.backup is {{kind: postgresql}} or "
            "{kind: files, path: <an absolute path in the container>}, and more of them are a list under `also`, each "
            "with a name; databases of one service say each which one it is (database)"
        )
    _check_databases(service, parts)
    return parts


def check_names(parts: Iterable[Mapping[str, Any]]) -> None:
    """Raise ValueError where two parts of a stack would have one file."""
    names = [(part["kind"], part["name"]) for part in parts]
    for kind, name in names:
        if names.count((kind, name)) > 1:
            raise ValueError(f"two parts of kind {kind} in x-bulkhead.backup are called {name!r}: rename one")


def _check_databases(service: str, parts: Iterable[Mapping[str, Any]]) -> None:
    """Raise ValueError where two parts are one database: only the last one would be restored, over the other."""
    found: dict[str, str] = {}
    for part in parts:
        if part["kind"] == "postgresql" and part.get("database"):
            name, database = part["name"], str(part["database"])
            if database in found:
                raise ValueError(
                    f"bulkhead_services.{service}: {found[database]} and {name} in x-bulkhead.backup are both the "
                    f"database {database}: say another `database`, or leave one of them out"
                )
            found[database] = name


def _all_say_which(parts: Sequence[Mapping[str, Any]]) -> bool:
    """Whether every database says its name where there are more than the first: those that do not are one and the same,
    the environment's own."""
    databases = [part for part in parts if part["kind"] == "postgresql"]
    return all(part.get("database") for part in databases) or databases == [parts[0]]


def _is_part(part: Mapping[str, Any]) -> bool:
    kind, path = part.get("kind"), str(part.get("path") or "")
    can_be = kind == "postgresql" or (kind == "files" and (path.startswith("/") or SEAL in path))
    return can_be and bool(_NAME.match(str(part.get("name") or "")))
