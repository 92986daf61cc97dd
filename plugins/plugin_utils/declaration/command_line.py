# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What ``-e`` may set, and how it applies.

``-e`` applies to every environment of a run, leaves no trace in the inventory, and is typed by whoever starts the run.
So the inventory is read without it. Only the variables below reach a declaration: inputs of the run, permissions for
this one run, which its receipt records, and thresholds, which only become stricter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum, auto
from typing import Any

from ansible import constants as C
from ansible.module_utils.parsing.convert_bool import boolean

from ..isolation.model import Finding, Severity
from .checks import unknown
from .settings import one_of, plain
from .templates import is_template
from .variables import of_machines, specification


class TypedAs(Enum):
    """What a variable is for where ``-e`` sets it."""

    INPUT = auto()
    """An input of the run: what to act on, how long to wait, where to write a report."""
    PERMISSION = auto()
    """A permission for this one run. The receipt records it."""
    STRICTER = auto()
    """A threshold of the gates. The stricter of the inventory's and this one applies."""


#: Every variable that ``-e`` may set. All others are refused.
MAY_SET: Mapping[str, TypedAs] = {
    "bulkhead_allow_downtime": TypedAs.PERMISSION,
    "bulkhead_allow_many": TypedAs.PERMISSION,
    "bulkhead_backup_before_restore": TypedAs.PERMISSION,
    "bulkhead_command": TypedAs.INPUT,
    "bulkhead_confirm": TypedAs.PERMISSION,
    "bulkhead_destroy_backups": TypedAs.PERMISSION,
    "bulkhead_destroy_volumes": TypedAs.PERMISSION,
    "bulkhead_fail_on": TypedAs.STRICTER,
    "bulkhead_fail_on_bystanders": TypedAs.STRICTER,
    "bulkhead_follow": TypedAs.INPUT,
    "bulkhead_format": TypedAs.INPUT,
    "bulkhead_input_file": TypedAs.INPUT,
    "bulkhead_lines": TypedAs.INPUT,
    "bulkhead_lock_takeover": TypedAs.PERMISSION,
    "bulkhead_image": TypedAs.INPUT,
    "bulkhead_lock_wait": TypedAs.INPUT,
    "bulkhead_maintenance": TypedAs.INPUT,
    "bulkhead_manage": TypedAs.INPUT,
    "bulkhead_plan": TypedAs.INPUT,
    "bulkhead_plan_group": TypedAs.INPUT,
    "bulkhead_receipt": TypedAs.INPUT,
    "bulkhead_release": TypedAs.INPUT,
    "bulkhead_report": TypedAs.INPUT,
    "bulkhead_report_live": TypedAs.INPUT,
    "bulkhead_restore": TypedAs.INPUT,
    "bulkhead_restore_files": TypedAs.INPUT,
    "bulkhead_restore_from": TypedAs.INPUT,
    "bulkhead_restore_identity": TypedAs.INPUT,
    "bulkhead_secret": TypedAs.INPUT,
    "bulkhead_secret_file": TypedAs.INPUT,
    "bulkhead_secret_kind": TypedAs.INPUT,
    "bulkhead_secret_name": TypedAs.INPUT,
    "bulkhead_service": TypedAs.INPUT,
    "bulkhead_since": TypedAs.INPUT,
    "bulkhead_source_commit": TypedAs.INPUT,
    "bulkhead_wait_timeout": TypedAs.INPUT,
}

#: Ansible's variables that hold a credential: they decide whether a connection succeeds, not where it leads.
_CREDENTIAL = re.compile(r"ansible_(\w+_)?(pass|password|passphrase|private_key|private_key_file)\Z")

#: What Ansible itself says of hosts, groups and places, such as ``inventory_hostname``, unless ``-e`` does.
_IDENTITY = frozenset(name for name in C.INTERNAL_STATIC_VARS if not name.startswith("ansible_"))

_EXPRESSION = re.compile(r"\{[{%](.*?)[}%]\}", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_]\w*")


def is_credential(name: str) -> bool:
    """Whether a variable of Ansible holds a credential for a connection."""
    return bool(_CREDENTIAL.match(name))


def inputs(extra: Mapping[str, Any]) -> dict[str, Any]:
    """The variables of ``-e`` that replace the inventory's: inputs and permissions. What else it sets is left out."""
    return {
        name: plain(extra[name])
        for name, use in MAY_SET.items()
        if use is not TypedAs.STRICTER and name in extra and not is_template(extra[name])
    }


def tighten(values: dict[str, Any], extra: Mapping[str, Any]) -> None:
    """Raise the thresholds in resolved values to those of ``-e``; a lower one changes nothing."""
    for name in _stricter(values, extra):
        values[name] = _threshold(name, extra[name])


def permissions(values: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """The permissions that ``-e`` gives, for the receipt. None of them is a secret."""
    return {name: values[name] for name, use in MAY_SET.items() if use is TypedAs.PERMISSION and name in extra}


def typed(extra: Mapping[str, Any], declared: Mapping[str, Mapping[str, Any]] | None = None) -> list[Finding]:
    """Findings on variables that ``-e`` sets. Covers AN-10.

    ``declared`` are the resolved values of each environment of the run, by prefix.
    """
    findings: list[Finding] = []
    for name in sorted(extra):
        if name.startswith("bulkhead_"):
            findings += _typed(name, extra, declared or {})
        elif name in _IDENTITY:
            findings.append(_identity(name))
        elif name.startswith("ansible_") and not is_credential(name):
            findings.append(
                _finding(
                    name,
                    f"-e sets {name}, which could lead elsewhere than the inventory says",
                    f"set {name} in group_vars of the environment; of Ansible's own variables, -e may only set "
                    "passwords and private keys",
                )
            )
    return findings


def identity(extra: Iterable[str]) -> list[Finding]:
    """Findings on variables of ``-e`` that make a host another one. Nothing can be said of any host with them."""
    return [_identity(name) for name in sorted(_IDENTITY & set(extra))]


def _identity(name: str) -> Finding:
    return _finding(
        name,
        f"-e sets {name}, by which Ansible says which host a task is for",
        f"leave {name} out; select an environment with -l",
    )


def ingredients(extra: Iterable[str], variables: Mapping[str, Any]) -> list[Finding]:
    """Findings on variables of ``-e`` that an environment's own variables are made of. Covers AN-10.

    ``variables`` are those of the environment before anything is templated.
    """
    others = {name for name in extra if not name.startswith(("bulkhead_", "ansible_"))}
    if not others:
        return []
    pending = [name for name in variables if name.startswith(("bulkhead_", "ansible_"))]
    used_by: dict[str, str] = {}
    while pending:
        user = pending.pop()
        for name in _names(variables.get(user)):
            if name not in used_by:
                used_by[name] = user
                pending.append(name)
    return [
        _finding(
            name,
            f"-e sets {name}, and {used_by[name]} is made from it",
            f"set {name} in group_vars of the environment: what an environment is must be in the inventory",
        )
        for name in sorted(others & set(used_by))
    ]


def _typed(name: str, extra: Mapping[str, Any], declared: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    if name in of_machines():
        playbook = f"aiia.bulkhead.{of_machines()[name]}"
        yield _finding(
            name,
            f"-e sets {name}, which only {playbook} reads",
            f"set {name} in group_vars, or give it to ansible-playbook {playbook}",
        )
    elif name not in specification():
        message, fix = unknown(name)
        yield Finding("unknown-variable", Severity.HIGH, (), name, message, fix)
    elif name not in MAY_SET:
        yield _finding(
            name,
            f"-e sets {name}, which would apply to every environment of the run",
            f"set {name} in group_vars of the environment; -e may only set what a single run needs, such as "
            "bulkhead_service or bulkhead_confirm",
        )
    elif is_template(extra[name]):
        yield _finding(
            name,
            f"-e sets {name} to an expression, which could have another value at each step",
            f"give {name} a plain value",
        )
    elif MAY_SET[name] is TypedAs.STRICTER:
        try:
            given = _threshold(name, extra[name])
        except (ValueError, TypeError):
            choices = specification()[name].get("choices") or ["true", "false"]
            yield _finding(name, f"-e sets {name} to {extra[name]!r}", one_of(choices))
            return
        for prefix, values in declared.items():
            if values[name] != given and not _is_stricter(name, given, values[name]):
                yield _finding(
                    name,
                    f"-e sets {name} to {plain(extra[name])}, which is weaker than {_text(values[name])}, as it is "
                    f"for {prefix}",
                    f"leave it out: -e may only make a gate stricter. To weaken it, set {name} in group_vars of "
                    f"{prefix}, or accept single findings in bulkhead_waivers",
                )


def _finding(name: str, message: str, fix: str) -> Finding:
    return Finding("extra-variable", Severity.CRITICAL, (), name, message, fix, (), hazards=("AN-10",))


def _stricter(values: Mapping[str, Any], extra: Mapping[str, Any]) -> Iterator[str]:
    """The thresholds that ``-e`` raises. Malformed ones raise nothing: :func:`typed` refuses them."""
    for name, use in MAY_SET.items():
        if use is TypedAs.STRICTER and name in extra and not is_template(extra[name]):
            try:
                if _is_stricter(name, _threshold(name, extra[name]), values[name]):
                    yield name
            except (ValueError, TypeError):
                continue


def _threshold(name: str, value: Any) -> Any:
    """A threshold with its type. Raises ValueError or TypeError for anything else."""
    if specification()[name]["type"] == "bool":
        return boolean(value)
    return Severity.parse(str(value)).label


def _is_stricter(name: str, given: Any, declared: Any) -> bool:
    if specification()[name]["type"] == "bool":
        return bool(given) and not declared
    return Severity.parse(given) < Severity.parse(str(declared or given))


def _text(value: Any) -> str:
    return str(value).lower()


def _names(value: Any) -> set[str]:
    """The names in a value's templates."""
    if isinstance(value, str):
        return {name for expression in _EXPRESSION.findall(value) for name in _NAME.findall(expression)}
    if isinstance(value, Mapping):
        return {name for pair in value.items() for item in pair for name in _names(item)}
    if isinstance(value, (list, tuple)):
        return {name for item in value for name in _names(item)}
    return set()
