# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Limits: how much one environment may use of a shared machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..facts.capacity import GIB, gibibytes, memory_limit, size
from ..facts.production import is_production
from ..model import ComposeProject, Environment, Fleet, Severity, Where
from ..numbers import number_of
from ..wording import listing
from . import Hit, Judgement, rule

#: Logging drivers that send all containers' logs to one place, where only the tag distinguishes them.
_TAGGED = ("syslog", "journald", "gelf", "fluentd", "awslogs", "splunk")
_FILES = ("json-file", "local")

#: Bytes of one service's log beyond which it counts as unlimited.
_MOST_LOG = 10 * GIB


@rule("no-memory-limit", "HP-08", severity=Severity.HIGH, of_machine=True)
def no_memory_limit(fleet: Fleet) -> Judgement:
    """A service beside production may take all memory of the machine."""
    for machine, environments in fleet.machines.items():
        if len(environments) < 2:
            continue
        missing = {environment.prefix: tuple(_without(environment, "memory")) for environment in environments}
        # If no service has a limit, that is a choice, so this is advice. A single service without one is an oversight.
        nobody = all(
            len(missing[environment.prefix]) == len(list(environment.services())) for environment in environments
        )
        for environment in environments:
            services = missing[environment.prefix]
            if services and not is_production(environment):
                yield _unlimited(environment, machine, environments, services, Severity.LOW if nobody else None)


@rule("no-process-limit", "HP-08", severity=Severity.LOW)
def no_process_limit(fleet: Fleet) -> Judgement:
    """A service that has a memory limit may still take all processors or process numbers."""
    for machine, environments in fleet.machines.items():
        for environment in environments if len(environments) > 1 else ():
            limited = set(_names(environment)) - {name for name, _unused in _without(environment, "memory")}
            for what, word in (("cpus", "CPUs"), ("pids", "process ids")):
                services = [(name, where) for name, where in _without(environment, what) if name in limited]
                if services and not is_production(environment):
                    yield Hit(
                        (environment.prefix,),
                        listing(name for name, _unused in services),
                        f"{listing(name for name, _where in services)} of {environment.prefix} can use all "
                        f"{word} of {machine}, which other environments share: without limits.{what} nothing holds "
                        "it back.",
                        f"Set deploy.resources.limits.{what}.",
                        tuple(where for _unused, where in services),
                        machine,
                        # The default stack sets both, so somebody took them away.
                        severity=Severity.MEDIUM if environment.variables else None,
                    )


@rule("swap-beyond-memory", "HP-08", severity=Severity.MEDIUM, of_machine=True)
def swap_beyond_memory(fleet: Fleet) -> Judgement:
    """A service asks for swap beyond its memory: what it swaps slows the disk that all environments share."""
    for machine, environments in fleet.machines.items():
        for environment in environments if len(environments) > 1 else ():
            for project, name, service in environment.services():
                asked, memory = service.get("memswap_limit"), memory_limit(service)
                if is_production(environment) or asked in (None, 0, "0"):
                    continue
                beyond = "all" if str(asked) == "-1" else gibibytes(size(asked) - memory)
                if beyond == "all" or (memory and size(asked) > memory):
                    yield Hit(
                        (environment.prefix,),
                        f"{name}: memswap_limit",
                        f"{name} of {environment.prefix} can use {beyond} of the swap of {machine} beyond its "
                        "memory, and swapping slows every environment there.",
                        "Set memswap_limit to the memory limit.",
                        (project.where("services", name, "memswap_limit"),),
                        machine,
                    )


@rule("unbounded-logs", "HP-10", "VP-19", severity=Severity.MEDIUM, of_machine=True)
def unbounded_logs(fleet: Fleet) -> Judgement:
    """A service's log may fill the disk that all environments share."""
    for environment in fleet.environments:
        for project, name, service in environment.services():
            why = _boundless(service.get("logging") or {})
            if why:
                yield _unbounded(environment, project, name, why, None)
        silent = [(project, name) for project, name, service in environment.services() if not service.get("logging")]
        if silent:
            names = listing(name for _unused, name in silent)
            # What Bulkhead deploys has a limit unless its inventory took that away.
            severity = None if environment.variables else Severity.LOW
            yield _unbounded(environment, silent[0][0], names, "the engine's default decides", severity)


def _boundless(logging: Mapping[str, Any]) -> str:
    """Why a declared log has no limit worth the name; empty if it has one."""
    driver, asked = logging.get("driver") or "json-file", _option(logging, "max-size")
    if not logging or driver not in _FILES:
        return ""
    if driver == "json-file" and (not asked or asked.startswith("-")):
        return "its json-file log has no max-size"
    files = _option(logging, "max-file")
    total = size(asked) * (number_of(files) if files.isdecimal() else 1)
    return f"its log may take {gibibytes(total)}" if total > _MOST_LOG else ""


@rule("shared-log-tag", "HP-10", severity=Severity.MEDIUM)
def shared_log_tag(fleet: Fleet) -> Judgement:
    """Two environments write to one log under one name."""
    by_tag: dict[tuple[str, str, str], dict[str, Where]] = {}
    for environment in fleet.environments:
        for project, name, service in environment.services():
            logging = service.get("logging") or {}
            tag = _option(logging, "tag")
            if logging.get("driver") in _TAGGED and tag and "{{" not in tag:
                key = (environment.machine, str(logging["driver"]), tag)
                place = project.where("services", name, "logging")
                by_tag.setdefault(key, {}).setdefault(environment.prefix, place)
    for (machine, driver, tag), owners in by_tag.items():
        if len(owners) > 1:
            yield Hit(
                tuple(owners),
                f"{driver} tag {tag}",
                f"{listing(owners)} log to {driver} under the same tag, {tag}: nobody can tell whose line it is, and "
                "alerts and rotation of one act on the other.",
                'Put the environment into the tag, or use tag: "{{.Name}}".',
                tuple(owners.values()),
                machine,
            )


def _names(environment: Environment) -> Iterator[str]:
    return (name for _project, name, _service in environment.services())


def _without(environment: Environment, what: str) -> Iterator[tuple[str, Where]]:
    """Services without a limit of this kind, with their places."""
    for project, name, service in environment.services():
        if not _limit(service, what):
            yield name, project.where("services", name)


def _limit(service: Mapping[str, Any], what: str) -> object:
    limits = ((service.get("deploy") or {}).get("resources") or {}).get("limits") or {}
    short = {"memory": "mem_limit", "cpus": "cpus", "pids": "pids_limit"}[what]
    return limits.get(what) or service.get(short) or (service.get("cpu_quota") if what == "cpus" else None)


def _unlimited(
    environment: Environment,
    machine: str,
    beside: Sequence[Environment],
    services: Sequence[tuple[str, Where]],
    severity: Severity | None,
) -> Hit:
    names = listing(name for name, _unused in services)
    other = next(neighbour.prefix for neighbour in beside if neighbour is not environment)
    return Hit(
        (environment.prefix,),
        names,
        f"{names} of {environment.prefix} can use all memory of {machine}: the kernel then kills the largest process "
        f"there, for example the database of {other}.",
        f"Set deploy.resources.limits.memory for {names}.",
        tuple(where for _unused, where in services),
        machine,
        severity=severity,
    )


def _unbounded(
    environment: Environment, project: ComposeProject, names: str, why: str, severity: Severity | None
) -> Hit:
    return Hit(
        (environment.prefix,),
        f"{names}: logging",
        f"The logs of {names} of {environment.prefix} have no limit ({why}): they can fill the disk of "
        f"{environment.machine}, which stops every environment's database.",
        'Set logging: {driver: json-file, options: {max-size: "10m", max-file: "3"}}, or driver: local.',
        (project.where("services"),),
        environment.machine,
        severity=severity,
    )


def _option(logging: Mapping[str, Any], name: str) -> str:
    return str((logging.get("options") or {}).get(name) or "")
