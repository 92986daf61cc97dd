# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads Ansible inventories in YAML and INI, and variable files by their path."""

from __future__ import annotations

import configparser
import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...errors import ReaderError
from ...model import Where
from ..compose.yaml_text import Map, read_yaml

_GROUP_KEYS = frozenset({"hosts", "children", "vars"})
_SECTION = re.compile(r"\[([^\]:]+)(?::(children|vars))?\]\s*(?:#.*)?\Z")
_SUFFIXES = (".yml", ".yaml", ".json")

#: A value with its place.
Placed = tuple[Any, Where]


@dataclass(slots=True)
class InventoryGroup:
    """One group of an inventory: its own hosts, children and variables."""

    hosts: dict[str, Where] = field(default_factory=dict)
    children: dict[str, Where] = field(default_factory=dict)
    variables: dict[str, Placed] = field(default_factory=dict)


@dataclass(slots=True)
class InventoryFile:
    """One inventory file. ``hosts`` has the variables set on each host's own entry."""

    path: str
    groups: dict[str, InventoryGroup] = field(default_factory=dict)
    hosts: dict[str, dict[str, Placed]] = field(default_factory=dict)

    def group(self, name: str) -> InventoryGroup:
        """The group of that name, created if it does not exist."""
        return self.groups.setdefault(name, InventoryGroup())


@dataclass(frozen=True, slots=True)
class Variables:
    """One file of variables.

    ``scope`` is ``group``, ``host``, ``default`` (a role's defaults) or ``role``, and ``of`` the name of that group,
    host or role. ``base`` is the directory that contains ``group_vars``, ``host_vars`` or ``roles``.
    """

    path: str
    scope: str
    of: str
    base: str
    values: Mapping[str, Placed]


def read_variables(text: str, path: str) -> Variables | None:
    """A file of variables, or ``None`` if its path is not one. Raises ``ReaderError``."""
    placed = _place_of(path)
    if placed is None:
        return None
    scope, of, base = placed
    documents = read_yaml(without_tags(text), path)
    top = documents[0].value if documents else None
    if not isinstance(top, Map):
        return None
    return Variables(path, scope, of, base, _placed(top, path))


def _place_of(path: str) -> tuple[str, str, str] | None:
    """Scope, name and base directory of a file, by its path."""
    stem, suffix = posixpath.splitext(path)
    parts = (stem if suffix in _SUFFIXES else path).split("/")
    for index in range(len(parts) - 2, -1, -1):
        base = "/".join(parts[:index])
        if parts[index] in ("group_vars", "host_vars"):
            return parts[index].partition("_")[0], parts[index + 1], base
        if parts[index] == "roles" and index + 3 < len(parts) and parts[index + 2] in ("defaults", "vars"):
            return {"defaults": "default", "vars": "role"}[parts[index + 2]], parts[index + 1], base
    return None


def read_inventory(text: str, path: str) -> InventoryFile | None:
    """An inventory, or ``None`` if the text is not one. Raises ``ReaderError``."""
    if path.endswith(_SUFFIXES):
        return _read_yaml(text, path)
    name = posixpath.basename(path)
    if name.endswith((".ini", ".cfg")) or "." not in name:
        return _read_ini(text, path)
    return None


def _read_yaml(text: str, path: str) -> InventoryFile | None:
    documents = read_yaml(without_tags(text), path)
    top = documents[0].value if documents else None
    if not isinstance(top, Map) or not top:
        return None
    if not all(value is None or (isinstance(value, Map) and set(value) <= _GROUP_KEYS) for value in top.values()):
        return None
    inventory = InventoryFile(path)
    for name, value in top.items():
        _read_group(inventory, name, value)
    return inventory if any(group.hosts or group.children for group in inventory.groups.values()) else None


def _read_group(inventory: InventoryFile, name: str, value: Any) -> None:
    """Read a group and its children; the YAML reader bounds the depth."""
    group = inventory.group(name)
    if not isinstance(value, Map):
        return
    hosts, children, variables = (value.get(key) for key in ("hosts", "children", "vars"))
    if isinstance(hosts, Map):
        for host, given in hosts.items():
            group.hosts[host] = _line(hosts, host, inventory.path)
            if isinstance(given, Map):
                inventory.hosts.setdefault(host, {}).update(_placed(given, inventory.path))
    if isinstance(children, Map):
        for child, below in children.items():
            group.children[child] = _line(children, child, inventory.path)
            _read_group(inventory, child, below)
    if isinstance(variables, Map):
        group.variables.update(_placed(variables, inventory.path))


def _read_ini(text: str, path: str) -> InventoryFile | None:
    """An INI inventory, or ``None`` for a text without sections."""
    inventory = InventoryFile(path)
    name, kind, sections = "ungrouped", "", 0
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        where = Where(path, number)
        header = _SECTION.match(line)
        if header:
            name, kind, sections = header[1].strip(), header[2] or "", sections + 1
            inventory.group(name)
        elif kind == "children":
            inventory.group(name).children[line.split()[0]] = where
        elif kind == "vars":
            key, _unused, value = line.partition("=")
            inventory.group(name).variables[key.strip()] = (value.strip(), Where(path, number, key.strip()))
        else:
            host, given = _ini_host(line, where)
            inventory.group(name).hosts[host] = where
            inventory.hosts.setdefault(host, {}).update(given)
    return inventory if sections else None


def _ini_host(line: str, where: Where) -> tuple[str, dict[str, Placed]]:
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        words = line.split()
    pairs = (word.partition("=") for word in words[1:])
    return (words or [""])[0], {
        key: (value, Where(where.file, where.line, key)) for key, equals, value in pairs if equals
    }


def read_settings(text: str, path: str) -> Mapping[tuple[str, str], Placed]:
    """``ansible.cfg`` by (section, key)."""
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
    try:
        parser.read_string(text, path)
    except configparser.Error as error:
        raise ReaderError(f"the file is not a valid ansible.cfg: {str(error).splitlines()[0]}") from None
    found: dict[tuple[str, str], Placed] = {}
    for section in parser.sections():
        for key, value in parser.items(section):
            found[section, key] = (str(value or ""), Where(path, _line_of(text, key), key))
    return found


def _line_of(text: str, key: str) -> int:
    pattern = re.compile(rf"\s*{re.escape(key)}\s*[=:]", re.IGNORECASE)
    return next((number for number, line in enumerate(text.splitlines(), start=1) if pattern.match(line)), 0)


def leaves(value: Any) -> Iterator[str]:
    """All strings in a value; the YAML reader bounds the depth."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list, tuple, Mapping)):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from leaves(item)


def _placed(values: Map, path: str) -> dict[str, Placed]:
    return {key: (value, _line(values, key, path)) for key, value in values.items()}


def _line(values: Map, key: str, path: str) -> Where:
    return Where(path, values.at.get(key, ("", 0))[1], key)


def without_tags(text: str) -> str:
    """Remove Ansible's own tags, which do not change the value."""
    return text.replace("!vault", "").replace("!unsafe", "")
