# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whose files of the machine are read as root for an environment."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence

from ..isolation.declared import READ_AS_ROOT, STATE
from .inventory import holds_seal
from .model import Declaration

#: Places of a machine that belong to no environment, each with whose they are.
_PRIVATE = {
    "/root": "root",
    **dict.fromkeys(("/etc/ssh", "/etc/shadow", "/etc/gshadow", "/proc", "/sys", "/dev"), "the machine itself"),
    **dict.fromkeys(("/etc/letsencrypt/keys", "/etc/letsencrypt/accounts"), "certbot on this machine"),
}
#: Where a machine keeps the homes of its users.
_HOMES = "/home"

#: The name of one of certbot's certificates, in the path of its files.
_LINEAGE = re.compile(r"/(?:live|archive)/([^/]+?)(?:-\d{4})?/")


def check_files_read_as_root(fleet: Sequence[Declaration]) -> None:
    """Note files of the machine that belong to another environment, or to Bulkhead itself."""
    directories: dict[tuple[str, str], str] = {}
    domains: dict[tuple[str, str], str] = {}
    for declaration in fleet:
        values = declaration.values
        machine = str(values["bulkhead_machine"])
        directories[machine, str(values["bulkhead_directory"] or "")] = declaration.prefix
        for domain in values["bulkhead_domains"] or ():
            domains.setdefault((machine, str(domain).lower()), declaration.prefix)
    shared = {declaration.prefix: set(_shared_paths(declaration)) for declaration in fleet}
    for declaration in fleet:
        for variable in READ_AS_ROOT:
            path = str(declaration.values[variable] or "")
            absolute = path.startswith("/") and not holds_seal(path)
            owner = "" if not absolute else _owner(declaration, path, directories, domains)
            on_purpose = path in shared[declaration.prefix] and path in shared.get(owner, ())
            if owner and not on_purpose:
                declaration.problem(
                    "foreign-file",
                    variable,
                    f"{variable} is {path}, which belongs to {owner}: it would be copied to {declaration.prefix}",
                    "name a file of this environment's own",
                )


def _shared_paths(declaration: Declaration) -> Iterator[str]:
    """The paths of the machine that an environment shares on purpose, such as a wildcard certificate."""
    for entry in declaration.values["bulkhead_shared"] or ():
        if isinstance(entry, Mapping) and entry.get("kind") == "path":
            yield str(entry.get("name"))


def _owner(
    declaration: Declaration, path: str, directories: dict[tuple[str, str], str], domains: dict[tuple[str, str], str]
) -> str:
    """Whom a file of the machine belongs to if that is not the environment; else empty."""
    values = declaration.values
    machine, own = str(values["bulkhead_machine"]), {str(domain).lower() for domain in values["bulkhead_domains"] or ()}
    state = posixpath.normpath(str(values["bulkhead_state_directory"] or STATE))
    if path in _PRIVATE:
        return _PRIVATE[path]
    step = path
    while step != "/":
        step = posixpath.dirname(step)
        owner = directories.get((machine, step), "")
        if owner and owner != declaration.prefix:
            return owner
        if owner:
            return ""  # its own directory, wherever that is
        if step == state:
            return "Bulkhead on this machine"
        if step in _PRIVATE:
            return _PRIVATE[step]
        if posixpath.dirname(step) == _HOMES and posixpath.basename(step) != values["bulkhead_owner"]:
            return f"the user {posixpath.basename(step)}"
    lineage = _LINEAGE.search(path)
    if lineage and lineage[1].lower() not in own:
        return domains.get((machine, lineage[1].lower()), "")
    return ""
