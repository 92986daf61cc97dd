# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From an environment's variables to its declaration: templated, typed, checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleError
from ansible.module_utils.common.validation import check_type_bool, check_type_dict, check_type_int, check_type_list
from ansible.parsing.dataloader import DataLoader

from ..isolation.model import Where
from .checks import check
from .inventory import InventoryEnvironment, place, seal
from .model import Declaration
from .settings import plain
from .templates import Templates, is_template
from .variables import SETTINGS, defaults, specification

_CHECKS: Mapping[str, Callable[[Any], Any]] = {
    "bool": check_type_bool,
    "dict": check_type_dict,
    "int": check_type_int,
    "list": check_type_list,
    "raw": lambda value: value,
}


def declare(environment: InventoryEnvironment, loader: DataLoader, templates: Templates | None = None) -> Declaration:
    """Resolve and check the variables of an environment. Problems are findings, never exceptions."""
    known = specification()
    raw = {name: seal(value) for name, value in environment.variables.items()}
    mine = {name: value for name, value in raw.items() if name.startswith("bulkhead_")}
    available = {**defaults(loader), **raw}
    declaration = Declaration(
        group=environment.group,
        hosts=environment.hosts,
        values={},
        available=available,
        origins=_origins(environment.variables),
        locked=environment.locked,
    )
    templates = templates or Templates(loader)
    for name, spec in known.items():
        declaration.values[name] = _resolve(declaration, templates, name, spec)
    check(declaration, mine)
    declaration.available = {**available, **declaration.values}
    return declaration


def _origins(variables: Mapping[str, Any]) -> dict[str, Where]:
    """Where each of our variables was set, and each entry of those that hold settings."""
    found = {name: place(value, name) for name, value in variables.items() if name.startswith("bulkhead_")}
    for name in SETTINGS:
        entries = variables.get(name)
        if isinstance(entries, Mapping):
            found.update({f"{name}.{key}": place(value, f"{name}.{key}") for key, value in entries.items()})
    return found


def _resolve(declaration: Declaration, templates: Templates, name: str, spec: Mapping[str, Any]) -> Any:
    written = declaration.available.get(name)
    try:
        value = plain(templates.value(written, declaration.available))
    except AnsibleError as error:
        declaration.problem(
            "template-error",
            name,
            f"{name} cannot be resolved: {_first_line(error)}",
            f"correct the expression that sets {name}",
        )
        return None
    if is_template(written):
        # Other variables are made of it: bulkhead_prefix is in half of them.
        declaration.available[name] = value
    if value is None or value == "":
        return _empty(spec["type"]) if name in declaration.available or not spec.get("required") else None
    check = _CHECKS.get(spec["type"])
    try:
        value = check(value) if check else _text(value)
    except (TypeError, ValueError):
        found = type(value).__name__
        declaration.problem(
            "invalid-variable",
            name,
            f"{name} must be of type {spec['type']}, but is {found}",
            f"give {name} a value of type {spec['type']}",
        )
        return _empty(spec["type"])
    choices = spec.get("choices")
    if choices and value not in choices:
        declaration.problem("invalid-variable", name, f"{name} is {value!r}", f"use one of {', '.join(choices)}")
    return plain(value)


def _text(value: Any) -> str:
    if isinstance(value, (dict, list, bool)):
        raise TypeError(value)
    return str(value)


def _empty(kind: str) -> Any:
    return {"bool": False, "dict": {}, "int": None, "list": []}.get(kind, "")


def _first_line(error: Exception) -> str:
    """An error without the source excerpt, which could show a value."""
    return str(getattr(error, "message", None) or error).strip().splitlines()[0]
