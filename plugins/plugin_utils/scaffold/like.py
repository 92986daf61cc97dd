# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A new environment of an inventory, made like one that it has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ..declaration.inventory import Inventory, seal
from ..declaration.model import Declaration
from ..declaration.settings import plain
from . import distinct, subnets
from .files import Unusable, group_file, read_text, variable_files
from .renamed import Renamed, added, renamed, word

#: Variables that Ansible adds to every host by itself.
_ANSIBLES_OWN = ("inventory_file", "inventory_dir", "inventory_hostname", "inventory_hostname_short", "group_names")


@dataclass(frozen=True)
class Model:
    """The environment that a new one is made like: its declaration, and where the inventory has it."""

    inventory: Path
    declaration: Declaration
    words: Mapping[str, str]
    ports: tuple[int, ...]
    host: str
    host_variables: Mapping[str, Any]
    group_variables: Mapping[str, Any]
    parents: tuple[str, ...]
    #: The subnets that environments declare, by group.
    subnets: Mapping[str, Sequence[subnets.Network]] = field(default_factory=dict)


def model(inventory: Inventory, fleet: Sequence[Declaration], sources: Sequence[str], name: str, like: str) -> Model:
    """Find the environment to copy, and refuse what cannot become a new one.

    ``sources`` are the inventory's on the command line. Raises Unusable with every reason.
    """
    reasons = []
    if not distinct.NAME.match(name):
        reasons.append(f"bulkhead_new is {name!r}. Use lower-case letters, digits, - and _, such as qa or pr-123")
    elif name in inventory.manager.groups:
        reasons.append(f"the inventory has a group {name} already. Choose another name, or remove that group first")
    by_group = {declaration.group: declaration for declaration in fleet}
    if like not in by_group:
        has = ", ".join(sorted(by_group)) or "none"
        reasons.append(f"bulkhead_like is {like!r}, but the inventory has no environment of that group. It has: {has}")
    directories = [Path(source) for source in sources if Path(source).is_dir()]
    if len(directories) != 1:
        reasons.append(
            f"the inventory is {', '.join(sources)}. Give one directory, such as -i inventories/mine: the new "
            "environment gets files of its own there"
        )
    if reasons:
        raise Unusable("\n".join(reasons))
    declaration = by_group[like]
    host, group = inventory.manager.get_host(declaration.hosts[0]), inventory.manager.groups[like]
    values = declaration.values
    return Model(
        inventory=directories[0],
        declaration=declaration,
        words=distinct.words(name, like, values),
        ports=tuple(_ports(fleet, values["bulkhead_machine"])),
        host=host.name,
        host_variables=_plain({key: value for key, value in host.vars.items() if key not in _ANSIBLES_OWN}),
        group_variables=_plain(group.vars),
        parents=tuple(parent.name for parent in group.parent_groups if parent.name != "all"),
        subnets={each.group: found for each in fleet for found in [subnets.declared(each.values)] if found},
    )


@dataclass(frozen=True)
class Files:
    """The ``new`` environment's files by their paths in the inventory, those of the inventory that are ``changed``, and
    the secret variables that were ``left_out``."""

    new: Mapping[str, str]
    changed: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()


def files(found: Model, name: str) -> Files:
    """What is to be written. Raises Unusable where a file of the model cannot be read, or no port or subnet is free."""
    try:
        values = distinct.values(name, found.declaration.values, found.ports)
    except ValueError as error:
        raise Unusable(str(error)) from error
    made: dict[str, str] = {}
    left_out: list[str] = []
    texts = variable_files(found.inventory, found.declaration.group)
    if found.group_variables:
        texts["inventory.yml"] = f"---\n{yaml.safe_dump(dict(found.group_variables), sort_keys=False)}"
    text = read_text(found.inventory / subnets.FILE)
    known = subnets.parsed(text) if text else subnets.Allocations()
    own = found.subnets.get(found.declaration.group, ())
    allocations, replaced = subnets.allocated(known, name, own, found.subnets) if own else (known, {})
    words = {**found.words, **subnets.words(texts.values(), replaced)}
    for path, text in texts.items():
        changed = _renamed(path, text, words, values)
        made[f"group_vars/{name}/{path}"] = changed.text
        left_out += changed.left_out
    host = word(found.host, found.words)
    host = host if host != found.host else f"{found.host}-{name}"
    made[f"{name}.yml"] = group_file(name, host, found.host_variables, found.parents)
    return Files(made, {subnets.FILE: allocations.text} if replaced else {}, tuple(left_out))


def completed(made: Mapping[str, str], name: str, found: Model, declared: Mapping[str, Any]) -> dict[str, str]:
    """The files with what they do not say themselves: what is ``declared`` equal to the model's is set anew."""
    missing = distinct.still_shared(name, found.declaration.values, declared, found.ports)
    path = next((path for path in made if path.startswith(f"group_vars/{name}/")), f"group_vars/{name}/main.yml")
    text = added(made.get(path, "---\n"), missing, f"What {name} may not share with {found.declaration.group}.")
    return {**made, path: text}


def _plain(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Variables of an inventory file as they were written, without what only the model's password opens."""
    return {str(name): plain(value) for name, value in variables.items() if seal(value) == value}


def _renamed(path: str, text: str, words: Mapping[str, str], values: Mapping[str, Any]) -> Renamed:
    try:
        return renamed(text, words, values)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}" if mark else ""
        raise Unusable(f"{path}{where} is not valid YAML: {getattr(error, 'problem', error)}") from error


def _ports(fleet: Iterable[Declaration], machine: Any) -> Iterable[int]:
    """The ports that environments of one machine say that they publish."""
    for declaration in fleet:
        if declaration.values["bulkhead_machine"] == machine:
            yield from (int(declaration.values[port]) for port in distinct.PORTS if declaration.values[port])
