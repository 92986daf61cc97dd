# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From an inventory's variables to a checked declaration of one environment: every value templated and of its type."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleError
from ansible.module_utils.common.validation import (
    check_type_bool,
    check_type_dict,
    check_type_int,
    check_type_list,
)
from ansible.parsing.dataloader import DataLoader

from .inventory import SEAL, Declared, place, seal
from .isolation import naming
from .isolation.model import Finding, Severity, Where
from .isolation.schedules import times
from .isolation.writers import plain, setting_problem, setting_text
from .templates import Templates, is_template

ROLE = Path(__file__).resolve().parents[2] / "roles" / "environment"

#: The only variables that ``-e`` may set. None of them says which environment is meant.
EXTRA_ALLOWED = frozenset(
    {
        "bulkhead_allow_downtime",
        "bulkhead_allow_many",
        "bulkhead_backup_before_restore",
        "bulkhead_command",
        "bulkhead_confirm",
        "bulkhead_destroy_backups",
        "bulkhead_destroy_volumes",
        "bulkhead_fail_on",
        "bulkhead_fail_on_bystanders",
        "bulkhead_lines",
        "bulkhead_lock_takeover",
        "bulkhead_lock_wait",
        "bulkhead_maintenance",
        "bulkhead_manage",
        "bulkhead_receipt",
        "bulkhead_release",
        "bulkhead_report",
        "bulkhead_restore",
        "bulkhead_restore_files",
        "bulkhead_restore_from",
        "bulkhead_restore_sanitise",
        "bulkhead_restore_sanitise_files",
        "bulkhead_service",
        "bulkhead_source_commit",
        "bulkhead_wait_timeout",
    }
)

#: The variables that hold settings: names with their texts.
_SETTINGS = ("bulkhead_env_shared", "bulkhead_env", "bulkhead_secrets")

#: What to do about a name that resembles none of ours.
_UNKNOWN = "remove it, or give it a name that does not begin with bulkhead_"

#: Directories that no environment can have for itself.
_EVERYBODYS = ("/", "/etc", "/home", "/root", "/usr", "/var")

#: Numbers that are never below 0 and never empty, and what to do about one that is.
_COUNTED = {
    "bulkhead_backup_keep": "use 0 to keep all backups, or how many to keep",
    "bulkhead_readiness_delay": "use 0 where to run is enough, or for how many seconds a container has to",
    "bulkhead_promotion_minutes": "use 0 to accept what is healthy now, or for how many minutes it must have been",
}

_CHECKS: Mapping[str, Callable[[Any], Any]] = {
    "bool": check_type_bool,
    "dict": check_type_dict,
    "int": check_type_int,
    "list": check_type_list,
}


@cache
def specification() -> Mapping[str, Mapping[str, Any]]:
    """The public variables with type and requirement, from the role's ``argument_specs.yml``."""
    text = (ROLE / "meta" / "argument_specs.yml").read_text(encoding="utf-8")
    options: dict[str, dict[str, Any]] = yaml.safe_load(text)["argument_specs"]["main"]["options"]
    return options


def defaults(loader: DataLoader) -> dict[str, Any]:
    """The role's defaults, as templates. Cached by the loader."""
    found: dict[str, Any] = loader.load_from_file(
        str(ROLE / "defaults" / "main.yml"), unsafe=True, trusted_as_template=True
    )
    return found


@dataclass
class Declaration:
    """One environment with its resolved ``bulkhead_`` variables, and what is wrong with them.

    ``lacking`` is what only a deployment of this environment needs and is not here. ``available`` is what templates
    may use: all inventory variables of the host, and the resolved values over them.
    """

    group: str
    hosts: tuple[str, ...]
    values: dict[str, Any]
    available: dict[str, Any]
    origins: dict[str, Where]
    locked: tuple[str, ...] = ()
    problems: list[Finding] = field(default_factory=list)
    lacking: list[Finding] = field(default_factory=list)

    @property
    def prefix(self) -> str:
        """The environment's prefix; its group's name as long as it has none."""
        return str(self.values.get("bulkhead_prefix") or self.group)

    @property
    def usable(self) -> bool:
        """Whether it can be rendered. A bad setting is left out of that, so that the rest is judged too."""
        faults = (problem for problem in self.problems if problem.rule != "invalid-setting")
        return not any(problem.severity >= Severity.HIGH for problem in faults)

    def problem(
        self,
        rule: str,
        variable: str,
        message: str,
        fix: str,
        severity: Severity = Severity.HIGH,
        resource: str = "",
    ) -> None:
        """Note what is wrong with a variable, or with a part of it that ``resource`` names."""
        self.problems.append(self._finding(rule, resource or variable, message, fix, severity, variable))

    def lacks(self, rule: str, variable: str, message: str, fix: str) -> None:
        """Note what only a deployment of this very environment needs: secrets, which nobody else has to hold."""
        finding = self._finding(rule, variable, message, fix, Severity.HIGH, variable.partition(".")[0])
        if finding not in self.lacking:
            self.lacking.append(finding)

    def check_setting(self, variable: str, key: Any, value: Any) -> None:
        """Note why a setting cannot travel through ``.env`` into a process, if that is so."""
        resource = f"{variable}.{key}"
        if not isinstance(key, str):
            message = f"{variable} has the key {key!r}, which YAML made of an unquoted word; that would be its name"
            self.problem(
                "invalid-setting", variable, message, 'put the name into quotes, such as "YES"', resource=resource
            )
            return
        try:
            problem = setting_problem(key, setting_text(value))
        except TypeError as error:
            message = f"{resource} is a {error}, and a setting is one text"
            fix = "write it as one text, for example with | to_json"
            self.problem("invalid-setting", variable, message, fix, resource=resource)
            return
        if problem:
            fix = "rename the setting or change its value"
            self.problem("invalid-setting", variable, f"{key} cannot be set: {problem}", fix, resource=resource)

    def _finding(self, rule: str, resource: str, message: str, fix: str, severity: Severity, variable: str) -> Finding:
        where = self.origins.get(resource) or replace(self.origins.get(variable) or Where(), item=resource)
        return Finding(rule, severity, (self.prefix,), resource, message, fix, (where,))


def declare(environment: Declared, loader: DataLoader, templates: Templates | None = None) -> Declaration:
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
    _check_unknown(declaration, mine)
    _check_required(declaration)
    _check_values(declaration)
    declaration.available = {**available, **declaration.values}
    return declaration


def _origins(variables: Mapping[str, Any]) -> dict[str, Where]:
    """Where each variable of ours was set, and each entry of those that are settings."""
    found = {name: place(value, name) for name, value in variables.items() if name.startswith("bulkhead_")}
    for name in _SETTINGS:
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
        # Others are made of it: bulkhead_prefix is in half of them.
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
            f"{name} must be of type {spec['type']}, and it is {found}",
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


def _check_unknown(declaration: Declaration, mine: Mapping[str, Any]) -> None:
    # What all names begin with would make any two of them alike.
    known = {name.removeprefix("bulkhead_"): name for name in specification()}
    for name in sorted(set(mine) - set(specification())):
        near = difflib.get_close_matches(name.removeprefix("bulkhead_"), known, n=1, cutoff=0.6)
        fix = f"did you mean {known[near[0]]}?" if near else _UNKNOWN
        declaration.problem(
            "unknown-variable",
            name,
            f"{name} is no variable of Bulkhead, so it would have no effect",
            fix,
        )


def _check_required(declaration: Declaration) -> None:
    values = declaration.values
    required = [name for name, spec in specification().items() if spec.get("required")]
    if values["bulkhead_services"].get("nginx", {}) is not None:
        required += ["bulkhead_http_port", "bulkhead_https_port", "bulkhead_domains"]
    if values["bulkhead_source_repository"]:
        required += ["bulkhead_source_branch"]
    noted = {problem.resource for problem in declaration.problems}
    for name in required:
        if values.get(name) in (None, "", []) and name not in noted:
            hint = f" (it may be in {declaration.locked[0]}, which is locked here)" if declaration.locked else ""
            declaration.problem(
                "missing-variable",
                name,
                f"{name} is not set{hint}: {_purpose(name)}",
                f"set {name} in group_vars/{declaration.group}",
            )


def _purpose(name: str) -> str:
    description = specification()[name]["description"]
    return (description if isinstance(description, str) else description[0]).strip().rstrip(".")


def _check_values(declaration: Declaration) -> None:
    values = declaration.values
    for variable in _SETTINGS:
        for key, value in values[variable].items():
            declaration.check_setting(variable, key, value)
    noted = {problem.resource for problem in declaration.problems}
    for name, problems in (
        ("bulkhead_environment", naming.check_environment(values["bulkhead_environment"])),
        ("bulkhead_prefix", naming.check_prefix(values["bulkhead_prefix"])),
    ):
        if name not in noted and values["bulkhead_project"] and values["bulkhead_environment"]:
            for problem in problems:
                declaration.problem("invalid-variable", name, problem, f"choose another {name}")
    directory = str(values["bulkhead_directory"] or "")
    if directory and (not directory.startswith("/") or os.path.normpath("/" + directory.lstrip("/")) in _EVERYBODYS):
        declaration.problem(
            "invalid-variable",
            "bulkhead_directory",
            f"bulkhead_directory is {directory}; the environment needs a directory of its own, as an absolute path",
            "name a directory that holds this environment and nothing else, such as /home/ubuntu/main/ai-ia-backend",
        )
    _check_backups(declaration)
    _check_numbers(declaration)
    for name in ("bulkhead_http_port", "bulkhead_https_port", "bulkhead_app_port"):
        if isinstance(values[name], int) and not 0 < values[name] < 65536:
            declaration.problem("invalid-variable", name, f"{name} is {values[name]}", "use a port from 1 to 65535")
    if len(declaration.hosts) > 1:
        declaration.problem(
            "several-hosts",
            "bulkhead_environment",
            f"group {declaration.group} has {len(declaration.hosts)} hosts ({', '.join(declaration.hosts[:4])}); an "
            "environment lives on one "
            "machine as long as the engine is a single one, and two deployments of it would each have a database of "
            "their own",
            f"leave one host in group {declaration.group}, or make a second environment",
        )


def _check_backups(declaration: Declaration) -> None:
    values = declaration.values
    directory, schedule = values["bulkhead_backup_directory"], values["bulkhead_backup_schedule"]
    if directory and (not directory.startswith("/") or os.path.normpath(directory) in _EVERYBODYS):
        declaration.problem(
            "invalid-variable",
            "bulkhead_backup_directory",
            f"bulkhead_backup_directory is {directory}; backups need a directory of their own, as an absolute path",
            "name a directory such as /srv/backups/{{ bulkhead_prefix }}, or leave it empty",
        )
    try:
        if schedule:
            times(schedule, declaration.prefix)
    except ValueError as error:
        message = f"bulkhead_backup_schedule: {error}"
        declaration.problem("invalid-variable", "bulkhead_backup_schedule", message, "use one of these words")


def check_promotion(fleet: Sequence[Declaration]) -> None:
    """Note where an environment takes its images from one that the inventory does not have."""
    for own in fleet:
        group, others = own.values["bulkhead_promotion_from"], [each.group for each in fleet if each is not own]
        if not group or holds_seal(group) or group in others:
            continue
        near = difflib.get_close_matches(group, others, n=1, cutoff=0.6)
        hint = f"did you mean {near[0]}?" if near else "name the group of another environment."
        own.problem(
            "invalid-variable",
            "bulkhead_promotion_from",
            f"bulkhead_promotion_from is {group}, and the inventory has no other environment of that group, so no "
            "image would be accepted",
            f"{hint} There are: {', '.join(sorted(others)) or 'none'}",
        )


def _check_numbers(declaration: Declaration) -> None:
    for name, mend in _COUNTED.items():
        value = declaration.values[name]
        if holds_seal(value):
            continue
        if not isinstance(value, int) or value < 0:
            said = "empty" if value is None else value
            declaration.problem("invalid-variable", name, f"{name} is {said}", mend)


def holds_seal(value: Any) -> bool:
    """Whether a resolved value is, or contains, something that is locked here."""
    if isinstance(value, str):
        return SEAL in value
    if isinstance(value, Mapping):
        return any(holds_seal(item) for item in value.values())
    return isinstance(value, (list, tuple)) and any(holds_seal(item) for item in value)
