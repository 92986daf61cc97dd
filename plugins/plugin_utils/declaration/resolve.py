# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From an environment's variables to its declaration: templated, typed, checked."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from ansible.errors import AnsibleError
from ansible.module_utils.common.validation import check_type_bool, check_type_int, check_type_list
from ansible.parsing.dataloader import DataLoader

from ..isolation.hosts import canonical_host
from ..isolation.model import SEAL, Where
from ..isolation.wording import in_words
from . import command_line
from .checks import check
from .forms import FORMS
from .inventory import InventoryEnvironment, holds_seal, place, seal_each
from .model import Declaration, StackNode
from .scalars import check_scalars
from .settings import one_of, plain, texts
from .swarm import is_swarm
from .templates import Omitted, Templates, is_template, sealed
from .variables import SETTINGS, defaults, purpose, specification


def _text(value: Any) -> str:
    if isinstance(value, (dict, list, bool)):
        raise TypeError(value)
    return str(value)


def _number(value: Any) -> int:
    if isinstance(value, bool):
        raise TypeError(value)
    return int(check_type_int(value))


def _mapping(value: Any) -> dict[Any, Any]:
    # Not a text that looks like one: half of a secret would become a name.
    if not isinstance(value, dict):
        raise TypeError(value)
    return value


_CHECKS: Mapping[str, Callable[[Any], Any]] = {
    "bool": check_type_bool,
    "dict": _mapping,
    "int": _number,
    "list": check_type_list,
    "raw": lambda value: value,
}

#: The types of variables in words.
_WANTED = {
    "bool": "true or false",
    "dict": "a mapping",
    "int": "a whole number",
    "list": "a list",
    "path": "a path, which is text",
    "str": "text",
}

#: The variables without which the registry's entry of an environment cannot be found.
NAMES = ("bulkhead_project", "bulkhead_environment", "bulkhead_prefix")

#: Connection plugins of ssh, and the names by which it reaches the controller itself.
_SSH = ("ssh", "smart", "paramiko", "paramiko_ssh", "ansible.netcommon.libssh")
_HERE = re.compile(r"localhost|127\..*|::1")

#: What stands for a part of a value that cannot be evaluated.
_NOTHING = object()


#: The front door's ports, which the URLs of an environment behind it have.
FRONT_DOOR = {"bulkhead_http_port": 80, "bulkhead_https_port": 443}


def declare(environment: InventoryEnvironment, loader: DataLoader, templates: Templates | None = None) -> Declaration:
    """Resolve and check the variables of an environment. Problems are findings, never exceptions."""
    known = specification()
    raw = seal_each(environment.variables, environment.opened)
    mine = {name: value for name, value in raw.items() if name.startswith("bulkhead_")}
    usual = defaults(loader)
    available = {**usual, **raw, **command_line.inputs(environment.extra)}
    if environment.locked and "bulkhead_secrets" not in raw:
        available["bulkhead_secrets"] = sealed(f"bulkhead_secrets, which may be in {environment.locked[0]}")
    declaration = Declaration(
        group=environment.group,
        hosts=environment.hosts,
        values={},
        available=available,
        origins=_origins(environment.variables),
        locked=environment.locked,
        inert=not environment.opened,
    )
    for path, why in environment.unreadable:
        _note_unreadable(declaration, path, why)
    templates = templates or Templates(loader, inert=not environment.opened)
    with templates.limits():
        # The names first: no other value may use up the time for them.
        constant = _constants(loader)
        for name in dict.fromkeys([*NAMES, *known]):
            own = available.get(name) is usual.get(name)
            if own and name in constant:
                declaration.values[name] = constant[name]
            else:
                declaration.values[name] = _resolve(declaration, templates, name, known[name], own)
        declaration.address = _address(declaration.available, declaration.hosts[0], templates)
        others = {host: seal_each(variables, environment.opened) for host, variables in environment.others.items()}
        if is_swarm(declaration):
            machine = declaration.values["bulkhead_machine"]
            declaration.nodes[declaration.hosts[0]] = StackNode(
                "" if holds_seal(machine) else machine, declaration.address
            )
            for host, variables in others.items():
                declaration.nodes[host] = _node({**defaults(loader), **variables}, host, templates)
    if declaration.values["bulkhead_edge"] is True:
        for name, port in FRONT_DOOR.items():
            if declaration.values[name] is None and name not in raw:
                declaration.values[name] = port
    command_line.tighten(declaration.values, environment.extra)
    declaration.permissions = command_line.permissions(declaration.values, environment.extra)
    check(declaration, mine, others, constant)
    check_scalars(declaration, raw, loader)
    arguments = declaration.values["bulkhead_build_arguments"]
    declaration.values["bulkhead_build_arguments"] = texts(arguments)
    declaration.available = {**available, **poisoned(declaration.values)}
    return declaration


def _node(available: dict[str, Any], host: str, templates: Templates) -> StackNode:
    """A further host of an environment: its machine is empty where that needs what is sealed here."""
    machine = available["bulkhead_machine"]
    try:
        machine = (
            templates.value(machine, {"inventory_hostname": host, **available}) if is_template(machine) else machine
        )
    except (AnsibleError, Omitted):
        machine = ""
    return StackNode("" if holds_seal(machine) else str(machine), _address(available, host, templates))


def _address(available: Mapping[str, Any], host: str, templates: Templates) -> str:
    """How a host is reached; empty where that needs what is sealed here."""
    found: dict[str, str] = {}
    for name, older, usual in (
        ("ansible_connection", "ansible_connection", "ssh"),
        ("ansible_host", "ansible_ssh_host", host),
        ("ansible_port", "ansible_ssh_port", "22"),
    ):
        value = available.get(name, available.get(older, usual))
        try:
            value = templates.value(value, available) if is_template(value) else value
        except (AnsibleError, Omitted):
            return ""
        if holds_seal(value):
            return ""
        found[name] = str(value).strip().lower()
    # A host may be written with the user, and in several spellings: host.example.com. and 10.0.5 are others' too.
    found["ansible_host"] = canonical_host(found["ansible_host"].rpartition("@")[2])
    how = found["ansible_connection"].removeprefix("ansible.builtin.")
    port = found["ansible_port"]
    if how == "local" or (how in _SSH and _HERE.fullmatch(found["ansible_host"]) and port == "22"):
        return "localhost"
    return f"{'ssh' if how in _SSH else how} {found['ansible_host']}:{port}"


def _note_unreadable(declaration: Declaration, path: str, why: str) -> None:
    declaration.origins[path] = Where(os.path.relpath(path))
    declaration.problem(
        "unreadable-file",
        path,
        f"{os.path.relpath(path)} is not read here: {why}. What it sets for {declaration.group} is not known",
        "correct the file; variables that are so large belong into files that a service mounts",
    )


def poisoned(value: Any, name: str = "") -> Any:
    """A value with a sealed one in place of each text that shows a seal: what templates make of it is sealed too."""
    if not holds_seal(value):
        return value
    if isinstance(value, Mapping):
        return {key: poisoned(item, f"{name}.{key}" if name else str(key)) for key, item in value.items()}
    return [poisoned(item, name) for item in value] if isinstance(value, list) else sealed(name)


def _origins(variables: Mapping[str, Any]) -> dict[str, Where]:
    """Where each of our variables was set, and each entry of those that hold settings."""
    found = {name: _place(name, value, name) for name, value in variables.items() if name.startswith("bulkhead_")}
    for name in SETTINGS:
        entries = variables.get(name)
        if isinstance(entries, Mapping):
            found.update({f"{name}.{key}": _place(key, value, f"{name}.{key}") for key, value in entries.items()})
    return found


def _place(key: Any, value: Any, name: str) -> Where:
    """Where a value was written; Ansible keeps the place of no truth value, but that of its name."""
    where = place(value, name)
    return where if where.file else place(key, name)


@lru_cache(maxsize=2)
def _constants(loader: DataLoader) -> Mapping[str, Any]:
    """The values of the role's defaults that are no templates: the same for each environment that does not set them.

    A loader reads the defaults once, so that these are as good as what it has read.
    """
    known, written = specification(), defaults(loader)
    blank = Declaration("", (), {}, {}, {})
    templates = Templates(loader)
    return {
        name: _resolve(replace(blank, available=written), templates, name, known[name], True)
        for name in known
        if name in written and not is_template(written[name])
    }


def _resolve(declaration: Declaration, templates: Templates, name: str, spec: Mapping[str, Any], own: bool) -> Any:
    written = declaration.available.get(name)
    value = plain(_evaluated(declaration, templates, written, name, own))
    if value is None and name in {problem.resource for problem in declaration.problems}:
        return _empty(spec["type"])
    if is_template(written):
        # Other variables are made of it: bulkhead_prefix is in half of them.
        declaration.available[name] = poisoned(value, name)
    if value is None or value == "":
        return _empty(spec["type"]) if name in declaration.available or not spec.get("required") else None
    if isinstance(value, str) and SEAL in value:
        return _of_sealed(name, spec["type"], value)
    check = _CHECKS.get(spec["type"])
    try:
        value = check(value) if check else _text(value)
    except (TypeError, ValueError):
        wanted, found = _WANTED[spec["type"]], in_words(value)
        fix = FORMS[name].fix if name in FORMS else f"give {name} {wanted}: {purpose(name)}"
        message = f"{name} must be {wanted}, but is {found}"
        unquoted = isinstance(value, bool) and spec["type"] in ("path", "str")
        declaration.problem("invalid-variable", name, message, f"put it into quotes, or {fix}" if unquoted else fix)
        # Nor may other variables be made of it.
        declaration.available[name] = _empty(spec["type"])
        return _empty(spec["type"])
    if spec.get("elements"):
        value = _elements(declaration, name, spec["elements"], list(value))
    choices = spec.get("choices")
    if choices and value not in choices:
        declaration.problem("invalid-variable", name, f"{name} is {value!r}", one_of(choices))
    return plain(value)


def _evaluated(declaration: Declaration, templates: Templates, written: Any, name: str, own: bool) -> Any:
    """Evaluate a value part by part, so that one that fails or is sealed hides no other; failed parts are left out.

    ``own`` says that it is the role's default.
    """
    found = _part(declaration, templates, written, name, own)
    return None if found is _NOTHING else found


def _part(declaration: Declaration, templates: Templates, written: Any, name: str, own: bool = False) -> Any:
    if not is_template(written):
        return written
    if isinstance(written, Mapping):
        keys = {key: _part(declaration, templates, key, f"{name}.{key}") for key in written}
        parts = {
            keys[key]: _part(declaration, templates, item, f"{name}.{key}")
            for key, item in written.items()
            if keys[key] is not _NOTHING
        }
        return {key: part for key, part in parts.items() if part is not _NOTHING}
    if isinstance(written, (list, tuple)):
        items = (_part(declaration, templates, item, f"{name}.{index}") for index, item in enumerate(written))
        return [item for item in items if item is not _NOTHING]
    # The role's own defaults ask for variables that need not exist.
    locked = declaration.first_locked if name.partition(".")[0] in declaration.origins else ""
    try:
        value = templates.value(written, declaration.available, locked=locked, own=own)
    except Omitted:
        return _NOTHING
    except AnsibleError as error:
        declaration.origins[name] = place(written, name)
        message = f"{name} cannot be resolved: {_first_line(error)}"
        declaration.problem("template-error", name, message, f"correct the expression that sets {name}")
        return _NOTHING
    if templates.reasons:
        declaration.origins[name] = place(written, name)
        declaration.seal(name, ", ".join(templates.reasons))
    return value


def _elements(declaration: Declaration, name: str, kind: str, items: list[Any]) -> list[Any]:
    """The items of a list that are of its kind; a problem is noted for the others, unless they are sealed."""
    if kind == "str":
        items = [str(item) if isinstance(item, (int, float)) and not isinstance(item, bool) else item for item in items]
    wanted = {"str": str, "list": list, "dict": dict}[kind]
    for number, item in enumerate(items):
        if isinstance(item, wanted) or (isinstance(item, str) and SEAL in item):
            continue
        message = f"{name} is a list of items that are each {_WANTED[kind]}, but item {number + 1} is {in_words(item)}"
        fix = FORMS[name].fix if name in FORMS else f"make each item of {name} {_WANTED[kind]}: {purpose(name)}"
        declaration.problem("invalid-variable", name, message, fix)
    return [item for item in items if isinstance(item, wanted)]


def _of_sealed(name: str, kind: str, value: str) -> Any:
    """The value of a variable that is sealed as a whole: its text, or one of its type that grants nothing."""
    if name == "bulkhead_protected":
        return True
    return value if kind in ("str", "path") else _empty(kind)


def _empty(kind: str) -> Any:
    return {"bool": False, "dict": {}, "int": None, "list": []}.get(kind, "")


def _first_line(error: Exception) -> str:
    """An error without the source excerpt, which could show a value."""
    return str(getattr(error, "message", None) or error).strip().splitlines()[0]
