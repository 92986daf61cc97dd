# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of one environment's variables, and of the environments of a fleet beside each other."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..isolation import naming
from .inventory import holds_seal
from .model import Declaration
from .schedules import times
from .settings import setting_problem, setting_text
from .sources import check_sources
from .variables import SETTINGS, purpose, specification

#: The fix for a name that resembles none of ours.
_UNKNOWN = "remove it, or choose a name that does not begin with bulkhead_"

#: A size such as ``6G``, and no zero.
_SIZE = re.compile(r"0*[1-9]\d*(\.\d+)? ?[kKmMgGtT]?(?:[iI]?[bB])?\Z")

#: Directories that no environment can have to itself.
_SHARED = (
    *("/", "/etc", "/home", "/opt", "/root", "/srv", "/tmp", "/usr", "/usr/local"),
    *("/var", "/var/cache", "/var/lib", "/var/log", "/var/tmp"),
)

#: Directories of the system: root reads and writes below an environment's directories, so they are nowhere below these.
_SYSTEM = (
    *("/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/proc", "/run", "/sbin", "/sys"),
    *("/usr/bin", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libexec", "/usr/sbin", "/usr/share"),
    *("/var/run", "/var/lib/containerd", "/var/lib/docker", "/var/lib/systemd", "/var/spool"),
)

#: The variables that stand for a number of bytes.
_SIZES = (
    *("bulkhead_build_memory", "bulkhead_build_disk", "bulkhead_machine_memory"),
    *("bulkhead_reserved_memory", "bulkhead_reserved_disk"),
)

#: Numbers that must be set and not negative, each with its fix.
_COUNTED = {
    "bulkhead_backup_keep": "use 0 to keep all backups, or the number to keep",
    "bulkhead_readiness_delay": "use 0 if running is enough, or the seconds that a container must keep running",
    "bulkhead_promotion_minutes": "use 0 to accept what is healthy now, or the minutes that it must have been healthy",
}


def check(declaration: Declaration, mine: Mapping[str, Any]) -> None:
    """Note all problems of a declaration. ``mine`` are the variables that the inventory sets."""
    _check_unknown(declaration, mine)
    _check_required(declaration)
    _check_values(declaration)


def unknown(name: str) -> tuple[str, str]:
    """The message and the fix for a variable that Bulkhead does not have."""
    # The common prefix would make any two names similar.
    known = {name.removeprefix("bulkhead_"): name for name in specification()}
    near = difflib.get_close_matches(name.removeprefix("bulkhead_"), known, n=1, cutoff=0.6)
    fix = f"did you mean {known[near[0]]}?" if near else _UNKNOWN
    return f"Bulkhead has no variable {name}, so it would have no effect", fix


def check_setting(declaration: Declaration, variable: str, key: Any, value: Any) -> None:
    """Note a problem where a setting cannot travel through ``.env`` into a process."""
    resource = f"{variable}.{key}"
    if not isinstance(key, str):
        message = f"{variable} has the key {key!r}: YAML read an unquoted word as a value, not as a name"
        declaration.problem("invalid-setting", variable, message, 'quote the name, such as "YES"', resource=resource)
        return
    try:
        problem = setting_problem(key, setting_text(value))
    except TypeError as error:
        message = f"{resource} is a {error}, but a setting is one string"
        fix = "write it as one string, for example with | to_json"
        declaration.problem("invalid-setting", variable, message, fix, resource=resource)
        return
    if problem:
        fix = "rename the setting or change its value"
        declaration.problem("invalid-setting", variable, f"{key} cannot be set: {problem}", fix, resource=resource)


def _check_unknown(declaration: Declaration, mine: Mapping[str, Any]) -> None:
    for name in sorted(set(mine) - set(specification())):
        declaration.problem("unknown-variable", name, *unknown(name))


def _check_required(declaration: Declaration) -> None:
    values = declaration.values
    required = [name for name, spec in specification().items() if spec.get("required")]
    if values["bulkhead_services"].get("nginx", {}) is not None:
        required += ["bulkhead_http_port", "bulkhead_https_port", "bulkhead_domains"]
    if values["bulkhead_source_repository"]:
        required += ["bulkhead_source_branch"]
    for name in required:
        if values.get(name) in (None, "", []) and declaration.can_judge(name):
            hint = f" (it may be in {declaration.locked[0]}, which is locked here)" if declaration.locked else ""
            declaration.problem(
                "missing-variable",
                name,
                f"{name} is not set{hint}: {purpose(name)}",
                f"set {name} in group_vars/{declaration.group}",
            )


def _check_values(declaration: Declaration) -> None:
    values = declaration.values
    for variable in SETTINGS:
        for key, value in values[variable].items():
            check_setting(declaration, variable, key, value)
    for name, problems in (
        ("bulkhead_environment", naming.check_environment(values["bulkhead_environment"])),
        ("bulkhead_prefix", naming.check_prefix(values["bulkhead_prefix"])),
    ):
        if declaration.can_judge(name) and values["bulkhead_project"] and values["bulkhead_environment"]:
            for problem in problems:
                declaration.problem("invalid-variable", name, problem, f"choose another {name}")
    directory = _readable(values["bulkhead_directory"])
    states = ("/var/lib/bulkhead", _readable(values["bulkhead_state_directory"]))
    if directory and not _is_own_place(directory, *filter(None, states)):
        declaration.problem(
            "invalid-variable",
            "bulkhead_directory",
            f"bulkhead_directory is {directory}; the environment needs a directory of its own, as an absolute path and "
            "outside of the system's and Bulkhead's directories",
            "name a directory that holds this environment and nothing else, such as /home/ubuntu/main/ai-ia-backend",
        )
    check_sources(declaration)
    _check_backups(declaration)
    for item in values["bulkhead_restore_readers"]:
        if not (isinstance(item, Mapping) and item.get("prefix") and set(item) <= {"prefix", "files"}):
            message = f"bulkhead_restore_readers has {item!r}"
            fix = "write each item as {prefix: <prefix>}, with files: take if its files may be taken unchanged"
            declaration.problem("invalid-variable", "bulkhead_restore_readers", message, fix)
    _check_numbers(declaration)
    _check_sizes(declaration)
    _check_firewall(declaration)
    for name in ("bulkhead_http_port", "bulkhead_https_port", "bulkhead_app_port"):
        if isinstance(values[name], int) and not 0 < values[name] < 65536:
            declaration.problem("invalid-variable", name, f"{name} is {values[name]}", "use a port from 1 to 65535")
    if len(declaration.hosts) > 1:
        declaration.problem(
            "several-hosts",
            "bulkhead_environment",
            f"group {declaration.group} has {len(declaration.hosts)} hosts ({', '.join(declaration.hosts[:4])}); an "
            "environment lives on one machine as long as it has a single engine: on two, each would have a database of "
            "its own",
            f"keep one host in group {declaration.group}, or declare a second environment",
        )


def _is_own_place(directory: str, *excluded: str) -> bool:
    """Whether a directory can be an environment's own, and is below none of those that are excluded."""
    path = os.path.normpath("/" + directory.lstrip("/"))
    below = any((path + "/").startswith(os.path.normpath(place) + "/") for place in (*_SYSTEM, *excluded))
    keys = {".ssh", ".gnupg"} & {*path.split("/")}
    return directory.startswith("/") and path not in _SHARED and not below and not keys


def _readable(value: Any) -> str:
    """A text; empty where it is sealed."""
    return "" if holds_seal(value) else str(value or "")


def _check_firewall(declaration: Declaration) -> None:
    wanted = declaration.values["bulkhead_firewall"]
    if declaration.can_judge("bulkhead_firewall") and str(wanted).lower() not in ("auto", "true", "false"):
        declaration.problem(
            "invalid-variable",
            "bulkhead_firewall",
            f"bulkhead_firewall is {wanted!r}",
            "use auto (the guard wherever the machine can have it), true (refuse to deploy without it) or false",
        )


def _check_backups(declaration: Declaration) -> None:
    values = declaration.values
    directory, schedule = map(_readable, (values["bulkhead_backup_directory"], values["bulkhead_backup_schedule"]))
    if directory and not _is_own_place(directory):
        declaration.problem(
            "invalid-variable",
            "bulkhead_backup_directory",
            f"bulkhead_backup_directory is {directory}; root closes it to all others and writes there, so backups need "
            "a directory of their own, as an absolute path and outside of the system's",
            "name a directory such as /srv/backups/{{ bulkhead_prefix }}, or leave it empty",
        )
    user = "bulkhead_backup_copy_user" if values["bulkhead_backup_copy_user"] else "bulkhead_owner"
    if values["bulkhead_backup_copy_command"] and str(values[user]) in ("root", "0"):
        declaration.problem(
            "invalid-variable",
            user,
            f"bulkhead_backup_copy_command would run as root ({user}): whoever may write it would be root on the "
            "machine, and so over every environment there",
            "set bulkhead_backup_copy_user to an unprivileged user of the machine",
        )
    try:
        if schedule:
            times(schedule, declaration.prefix)
    except ValueError as error:
        message = f"bulkhead_backup_schedule: {error}"
        declaration.problem("invalid-variable", "bulkhead_backup_schedule", message, "use one of these words")


def _check_sizes(declaration: Declaration) -> None:
    for name in _SIZES:
        value = declaration.values[name]
        if value and declaration.can_judge(name) and not _SIZE.match(str(value)):
            message = f"{name} is {value}, which is not a size"
            declaration.problem("invalid-variable", name, message, "write a number of bytes, or one with K, M, G or T")


def check_promotion(fleet: Sequence[Declaration]) -> None:
    """Note where an environment takes its images from one that the inventory does not have."""
    for own in fleet:
        group = own.values["bulkhead_promotion_from"]
        others = [declaration.group for declaration in fleet if declaration is not own]
        if not group or holds_seal(group) or group in others:
            continue
        near = difflib.get_close_matches(group, others, n=1, cutoff=0.6)
        hint = f"did you mean {near[0]}?" if near else "name the group of another environment."
        own.problem(
            "invalid-variable",
            "bulkhead_promotion_from",
            f"bulkhead_promotion_from is {group}, but the inventory has no other environment of that group, so no "
            "image would be accepted",
            f"{hint} The inventory has: {', '.join(sorted(others)) or 'none'}",
        )


def _check_numbers(declaration: Declaration) -> None:
    for name, fix in _COUNTED.items():
        value = declaration.values[name]
        if declaration.can_judge(name) and not (isinstance(value, int) and value >= 0):
            said = "empty" if value is None else value
            declaration.problem("invalid-variable", name, f"{name} is {said}", fix)
