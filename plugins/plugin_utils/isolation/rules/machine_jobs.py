# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Jobs of the machine: cron, systemd, logrotate and locks that environments must not share."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from ..facts.domains import neighbours
from ..facts.machine_setup import setup_files
from ..facts.ownership import sharers
from ..facts.path_patterns import Pattern, meetings
from ..facts.workflows import environment_commands, environment_locks, home_of
from ..model import Environment, Fleet, Severity, Where
from ..readers.ansible.plays import Playbook
from ..readers.logrotate import Rotation
from ..readers.shell.scripts import Script
from ..wording import listing
from . import Hit, Judgement, owners, places, rule, worded

_CRON_NAME = re.compile(r"[A-Za-z0-9_-]+\Z")
_HEAVY = re.compile(
    r"backup|dump|basebackup|vacuum|reindex|restic|borg|rsync|duplicity|restore|prune|clearsessions|\bimport\b|report",
    re.IGNORECASE,
)


@rule("overlapping-logrotate", "OP-06", severity=Severity.MEDIUM)
def overlapping_logrotate(fleet: Fleet) -> Judgement:
    """Two environments rotate the same log files, so that logrotate skips one of them altogether."""
    patterns: dict[str, list[Pattern]] = {}
    for environment in fleet.environments:
        for document in environment.documents:
            for block in document.data if document.kind == "logrotate" else ():
                if isinstance(block, Rotation):
                    patterns.setdefault(environment.machine, []).extend(
                        Pattern(environment.prefix, posixpath.normpath(text), block.where) for text in block.patterns
                    )
    told: set[frozenset[str]] = set()
    for machine, found in patterns.items():
        for pattern, others in meetings(found, found):
            pair = frozenset((pattern.owner, *(other.owner for other in others)))
            if pair in told:
                continue
            told.add(pair)
            yield Hit(
                (pattern.owner, *(other.owner for other in others)),
                f"{pattern.text} on {machine}",
                f"{pattern.owner} rotates {pattern.text}, which overlaps {others[0].text} of "
                f"{listing(other.owner for other in others)}. logrotate says 'duplicate log entry' and skips the "
                "whole second file by name; its logs grow until the disk is full.",
                "Write the environment's directory in full, without '*'.",
                (pattern.where, *(other.where for other in others)),
                machine,
            )


@rule("cron-file-name", "OP-07", severity=Severity.LOW)
def cron_file_name(fleet: Fleet) -> Judgement:
    """cron ignores a file because of its name, and the job is silently absent."""
    for environment in fleet.environments:
        for name, where in _cron_files(environment):
            if not _CRON_NAME.match(name) and "{{" not in name:
                yield Hit(
                    (environment.prefix,),
                    f"/etc/cron.d/{name}",
                    f"/etc/cron.d/{name} never runs, because cron ignores file names with other characters than "
                    "letters, digits, '_' and '-'; nobody notices while another environment's job runs.",
                    f"Rename it to {re.sub(r'[^A-Za-z0-9_-]', '_', name)}.",
                    (where,),
                    environment.machine,
                )


def _cron_files(environment: Environment) -> Iterator[tuple[str, Where]]:
    for document in environment.documents:
        if "cron.d" in document.path.split("/")[:-1]:
            yield posixpath.basename(document.path), Where(document.path)
        if isinstance(document.data, Playbook):
            for task in document.data.tasks:
                name = str(task.arguments.get("cron_file") or "") if task.module == "cron" else ""
                if name:
                    yield posixpath.basename(name), task.where


@rule("shared-unit", "OP-08", severity=Severity.HIGH)
def shared_unit(fleet: Fleet) -> Judgement:
    """Two environments install the same systemd unit or cron file."""
    for namespace, what in (("unit", "systemd unit"), ("cron", "cron file")):
        for machine, name, claims in fleet.collisions(namespace):
            yield Hit(
                owners(claims),
                f"{what} {posixpath.basename(name)}",
                f"{listing(owners(claims))} install the same {what}, {name}, on {machine}: the second overwrites the "
                "first, and stopping or disabling it for one does so for the other.",
                f"Begin its name with the environment's prefix: {claims[0].owner}-{posixpath.basename(name)}.",
                places(claims),
                machine,
                # The same file installed twice changes nothing; what it acts on is judged where it says so.
                severity=Severity.LOW if set(owners(claims)) <= sharers(fleet, claims[0].where) else None,
            )


@rule("foreign-unit-path", "OP-08", severity=Severity.CRITICAL)
def foreign_unit_path(fleet: Fleet) -> Judgement:
    """A systemd unit of one environment reads or works in the directory of another."""
    for environment in fleet.environments:
        for document in environment.documents:
            entries = document.data.entries if isinstance(document.data, Script) else ()
            for _section, key, value, where in entries:
                path = value.lstrip("-")
                owner = home_of(fleet, environment.machine, path) if key in _PATH_KEYS and path.startswith("/") else ""
                if owner and owner != environment.prefix:
                    yield Hit(
                        (environment.prefix, owner),
                        f"{key}={value}",
                        f"The unit {posixpath.basename(document.path)} of {environment.prefix} has {key}={value}, "
                        f"which belongs to {owner}: what it starts has the settings of {owner} and acts on {owner}.",
                        f"Use the directory of {environment.prefix}.",
                        (where,),
                        environment.machine,
                    )


_PATH_KEYS = frozenset(
    ("EnvironmentFile", "WorkingDirectory", "RootDirectory", "ReadWritePaths", "PathChanged", "PathExists")
)


@rule("shared-lock", "OP-09", severity=Severity.MEDIUM)
def shared_lock(fleet: Fleet) -> Judgement:
    """Two environments have one lock only, so that what hangs in one blocks the other."""
    taken: dict[tuple[str, str], dict[str, Where]] = {}
    count: dict[str, set[str]] = {}
    for environment in fleet.environments:
        for command, lock in environment_locks(environment):
            if "$" in lock.path.rpartition("/")[2]:
                continue  # whose it is depends on a variable
            taken.setdefault((environment.machine, lock.path), {}).setdefault(environment.prefix, command.where)
            count.setdefault(environment.prefix, set()).add(lock.path)
    for (machine, path), members in taken.items():
        alone = [prefix for prefix in members if len(count[prefix]) < 2]
        # A lock in a workflow for all of them is meant to be common.
        by_workflow = all("/workflows/" in f"/{where.file}" for where in members.values())
        if len(members) > 1 and alone and not (by_workflow and len(set(members.values())) == 1):
            yield Hit(
                tuple(members),
                f"lock {path}",
                f"{listing(members)} hold the same lock, {path}, for everything they do: a deployment of one that "
                "hangs keeps the other from being deployed, rolled back or backed up.",
                "Take two locks: the environment's own for its work, and the machine's for the moments in which "
                "something shared is touched.",
                tuple(members.values()),
                machine,
            )


@rule("engine-restart", "OP-10", "HP-09", severity=Severity.HIGH)
def engine_restart(fleet: Fleet) -> Judgement:
    """A script of one environment restarts the Docker engine or the machine."""
    for environment in fleet.environments:
        others = neighbours(fleet, environment)
        prepared = setup_files(environment)
        for _document, command in environment_commands(environment, *_RESTARTING) if others else ():
            what = _restarts(command.program, command.argv)
            if what:
                yield Hit(
                    (environment.prefix, *others),
                    command.text,
                    f"'{command.text}' of {environment.prefix} restarts {what}, and with it the containers of "
                    f"{listing(others)}.",
                    "Leave the engine to a role of the machine"
                    + worded(fleet, [environment.prefix], " (aiia.bulkhead.engine)", "")
                    + ", with live-restore, and reload instead of restarting.",
                    (command.where,),
                    environment.machine,
                    severity=Severity.LOW if command.where.file in prepared else None,
                )


_ENGINE = re.compile(r"(?:docker|containerd)(?:\.service|\.socket)?\Z")


_SERVICES = ("systemctl", "service", "rc-service")
_PACKAGES = ("apt", "apt-get", "dnf", "yum")
_POWER = ("reboot", "poweroff", "halt")
_RESTARTING = (*_SERVICES, *_PACKAGES, *_POWER, "shutdown")


def _restarts(program: str, argv: tuple[str, ...]) -> str:
    if program in _SERVICES and {"restart", "stop", "try-restart", "kill"} & set(argv):
        return "the Docker engine" if any(map(_ENGINE.match, argv)) else ""
    if program in _PACKAGES and {"install", "upgrade", "dist-upgrade", "full-upgrade"} & set(argv):
        names = [word for word in argv if re.match(r"docker(?:\.io|-ce)\b|containerd", word)]
        return "the Docker engine" if names or {"upgrade", "dist-upgrade", "full-upgrade"} & set(argv) else ""
    if program in _POWER or (program == "shutdown" and "-c" not in argv):
        return "the machine"
    return ""


@rule("same-minute", "OP-11", severity=Severity.LOW)
def same_minute(fleet: Fleet) -> Judgement:
    """Heavy jobs of two environments begin in the same minute."""
    jobs: dict[tuple[str, str], dict[str, Where]] = {}
    for environment in fleet.environments:
        for schedule, text, where in _scheduled(environment):
            if _HEAVY.search(text) and not schedule.startswith(("*", "@reboot")):
                jobs.setdefault((environment.machine, schedule), {}).setdefault(environment.prefix, where)
    for (machine, schedule), members in jobs.items():
        if len(members) > 1:
            yield Hit(
                tuple(members),
                f"schedule {schedule} on {machine}",
                f"{listing(members)} start heavy jobs at '{schedule}' on {machine}: each slows the other down, and "
                "both fill the disk at the same time.",
                "Move all but one by half an hour.",
                tuple(members.values()),
                machine,
            )


def _scheduled(environment: Environment) -> Iterator[tuple[str, str, Where]]:
    """Yield what runs on a schedule: (schedule, what, where)."""
    for document, command in environment_commands(environment):
        if command.schedule:
            yield command.schedule, f"{command.text} {command.unit} {document.path}", command.where
    for document in environment.documents:
        if document.kind == "systemd" and isinstance(document.data, Script):
            for _section, key, value, where in document.data.entries:
                if key == "OnCalendar":
                    yield value, document.text, where
