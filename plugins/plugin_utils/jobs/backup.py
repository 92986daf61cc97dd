# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the machine must know to back up an environment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from ...module_utils.backup.job import BACKUP, ScheduledJob, unit_name
from ...module_utils.docker.labels import DATA
from ..declaration.model import Declaration
from ..declaration.schedules import times
from ..isolation import naming
from ..isolation.wording import number, size
from ..release.render import Release
from ..release.stack import StackService
from ..release.swarm_release import is_pinned

#: The kinds of parts to back up before a release, by ``bulkhead_backup_before_release``.
_BEFORE_RELEASE = {"all": ("postgresql", "files"), "database": ("postgresql",), "nothing": ()}


def backup_arguments(declaration: Declaration, release: Release) -> dict[str, Any]:
    """The arguments of ``Backups`` for the backup before a release; empty where none is wanted."""
    kinds = _BEFORE_RELEASE.get(declaration.values["bulkhead_backup_before_release"], ())
    arguments = all_arguments(declaration, release)
    wanted = any(part["kind"] in kinds for part in arguments["parts"])
    return {**arguments, "kinds": list(kinds)} if wanted else {}


def all_arguments(declaration: Declaration, release: Release) -> dict[str, Any]:
    """The arguments of ``Backups`` for all parts of an environment."""
    values = declaration.values
    return {
        "prefix": values["bulkhead_prefix"],
        "environment": values["bulkhead_environment"],
        "protected": bool(values["bulkhead_protected"]),
        "project": naming.project_name(values["bulkhead_prefix"]),
        "directory": values["bulkhead_backup_directory"],
        "state_directory": values["bulkhead_state_directory"],
        "home": values["bulkhead_directory"],
        "keep": values["bulkhead_backup_keep"],
        "timeout": values["bulkhead_backup_timeout"],
        "copy_command": values["bulkhead_backup_copy_command"],
        "copy_user": values["bulkhead_backup_copy_user"],
        "recipients": values["bulkhead_backup_recipients"],
        "owner": values["bulkhead_owner"],
        "kinds": list(_BEFORE_RELEASE["all"]),
        # Then its containers are tasks of a swarm's services, on the node with the volumes.
        **({"swarm": True} if release.stack.swarm else {}),
        "parts": [part for service in _with_data(declaration, release) for part in _parts(declaration, service)],
    }


def _with_data(declaration: Declaration, release: Release) -> Iterable[StackService]:
    """The services that may have something to back up: of a stack, those with a volume. What the tasks of any other
    write is in the task alone, on whichever node that is, and ends with it."""
    if not release.stack.swarm:
        return release.stack.services
    label, definitions = f"{DATA}{declaration.prefix}", release.stack.compose["services"]
    return (service for service in release.stack.services if is_pinned(definitions[service.key], label))


def _parts(declaration: Declaration, service: StackService) -> Iterator[dict[str, Any]]:
    """The parts of a service to back up. A database is the environment's own unless the service names another."""
    values = declaration.values
    for wanted in service.backup:
        part = {"service": service.name, "key": service.key, "name": wanted["name"], "kind": wanted["kind"]}
        if part["kind"] == "files":
            yield {**part, "path": str(wanted["path"])}
            continue
        yield {
            **part,
            "database": str(wanted.get("database") or values["bulkhead_database_name"]),
            "user": str(wanted.get("user") or values["bulkhead_database_user"]),
            "admin": str(wanted.get("admin") or values["bulkhead_database_admin"]),
            "wiring": [dict(setting) for setting in wanted.get("wiring") or ()],
        }


def schedule_arguments(values: Mapping[str, Any], engine: Mapping[str, Any]) -> dict[str, Any]:
    """When the machine makes backups by itself; empty where it does not. Raises ValueError for a malformed schedule."""
    text = values["bulkhead_backup_schedule"]
    if not text:
        return {}
    found = times(text, values["bulkhead_prefix"])
    return {"cron": found.cron, "calendar": found.calendar, **engine}


def is_scheduled(prefix: str, observation: Mapping[str, Any], job: ScheduledJob = BACKUP) -> bool:
    """Whether the machine has our schedule of a job of an environment."""
    name = unit_name(prefix, job)
    names = (name, f"{name}.timer", f"{name}.service")
    return any(PurePosixPath(schedule["path"]).name in names for schedule in observation.get("schedules", ()))


def made(prefix: str, backup: Mapping[str, Any]) -> str:
    """One line about a new backup."""
    gone = f"; {number(len(backup['removed']), 'older one')} removed" if backup["removed"] else ""
    for_whom = number(backup["recipients"], "recipient")
    notes = "".join(f"; {note}" for note in backup["notes"])
    left = f"; copied off the machine, encrypted for {for_whom}" if backup["recipients"] else ""
    return f"{prefix}: {backup['path']} ({size(backup['bytes'])}, read back, {backup['seconds']} s){left}{gone}{notes}"


def listing(prefix: str, answer: Mapping[str, Any]) -> list[str]:
    """The complete backups of an environment, one line each, and a failure of the last scheduled one."""
    lines = [f"{prefix}: {number(len(answer['backups']), 'backup')}"]
    for backup in answer["backups"]:
        total = size(sum(part["bytes"] for part in backup["parts"]))
        release = f", release {backup['release']}" if backup["release"] else ""
        lines.append(f"  {backup['name']}  {backup['created']}  {total}  {backup['reason']}{release}")
    for name in answer.get("sealed") or ():
        lines.append(f"  {name}  encrypted: -e bulkhead_restore_identity=<file> opens it with its private key")
    last = answer.get("last")
    if last and not last["succeeded"]:
        lines.append(f"  the last scheduled backup ({last['began']}) failed: {last['message'].splitlines()[0]}")
    return lines
