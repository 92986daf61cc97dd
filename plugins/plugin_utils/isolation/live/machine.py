# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The machine itself: is it the one that is meant, is there room, and what else on it could reach an environment."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from typing import Any

from ..model import Environment, Finding, Severity, Where
from .registered import PREFIX

#: Below this a build or a database stops half-way.
MINIMUM_FREE = 512 * 1024 * 1024

#: The port of a Docker engine that asks nobody who they are.
_OPEN_ENGINE = 2375

_LOOPBACK = ("127.", "::1")


def machine(environment: Environment, observation: Mapping[str, Any]) -> list[Finding]:
    """Everything about the machine that a deployment of this environment has to know."""
    return [
        *_identity(environment, observation),
        *_room(environment, observation),
        *_open_engine(environment, observation),
        *_parents(environment, observation),
        *_registry(environment, observation),
        *_unregistered(environment, observation),
        *_checkouts(environment, observation),
        *_engine(environment, observation),
    ]


def _finding(
    environment: Environment, rule: str, severity: Severity, resource: str, message: str, fix: str, *hazards: str
) -> Finding:
    where = (Where(item="seen on the machine"),)
    return Finding(rule, severity, (environment.prefix,), resource, message, fix, where, environment.machine, hazards)


def _identity(environment: Environment, observation: Mapping[str, Any]) -> Iterator[Finding]:
    entry = observation["registry"].get(environment.prefix) or {}
    for what, then, now in (
        ("machine", entry.get("machine_id"), observation["machine"]),
        ("Docker engine", entry.get("engine_id"), observation["engine"]["id"]),
    ):
        if then and now and then != now:
            yield _finding(
                environment,
                "other-machine",
                Severity.HIGH,
                what,
                f"this is not the {what} that {environment.prefix} was deployed to: its id is {now[:12]}, and the "
                "registry says "
                f"{then[:12]}; the environment's data is elsewhere",
                f"check ansible_host and bulkhead_docker_host; if {environment.prefix} has really moved, remove its "
                "entry from the "
                "registry on this machine",
                "CP-21",
            )


def _room(environment: Environment, observation: Mapping[str, Any]) -> Iterator[Finding]:
    for path, free in observation["disk"].items():
        if free < MINIMUM_FREE and path in (environment.directory, observation["engine"]["root"]):
            yield _finding(
                environment,
                "disk-full",
                Severity.HIGH,
                path,
                f"only {free // 1048576} MiB are free at {path}; a full disk stops the databases of every "
                "environment of this machine",
                "free some space, or move the directory to a larger disk",
                "VP-19",
            )


def _open_engine(environment: Environment, observation: Mapping[str, Any]) -> Iterator[Finding]:
    for each in observation["sockets"]:
        if each["port"] == _OPEN_ENGINE and not each["address"].startswith(_LOOPBACK):
            yield _finding(
                environment,
                "open-engine",
                Severity.CRITICAL,
                f"port {_OPEN_ENGINE}",
                f"something listens on port {_OPEN_ENGINE} of {each['address'] or 'every address'}: if that is the "
                "Docker engine, every "
                "container of every environment is root on this machine",
                "let the engine listen on its socket only, or on 2376 with TLS and client certificates",
                "HP-07",
            )


def _parents(environment: Environment, observation: Mapping[str, Any]) -> Iterator[Finding]:
    own = posixpath.normpath(environment.directory)
    for path in observation["parents"]:
        folder = posixpath.dirname(path)
        if own.startswith(folder.rstrip("/") + "/"):
            yield _finding(
                environment,
                "compose-file-above",
                Severity.LOW,
                path,
                f"{path} lies above {own}: docker compose typed there without -f works on that file, not on "
                f"{environment.prefix}",
                "move that file out of the way; Bulkhead itself always names its file",
                "CP-14",
            )


def _registry(environment: Environment, observation: Mapping[str, Any]) -> Iterator[Finding]:
    for prefix, entry in sorted(observation["registry"].items()):
        if "damaged" in entry:
            yield _finding(
                environment,
                "damaged-registry",
                Severity.LOW,
                f"registry entry {prefix}",
                f"the registry entry of {prefix} cannot be used ({entry['damaged']}); what is seen of {prefix} on "
                "the machine counts "
                "instead, without its domains and databases",
                f"deploy {prefix} once more, which writes its entry anew",
            )


def _unregistered(environment: Environment, observation: Mapping[str, Any]) -> Iterator[Finding]:
    """Environments that run here and that the registry has forgotten."""
    seen = {each["labels"].get(PREFIX, "") for each in observation["containers"]}
    for prefix in sorted(seen - {"", environment.prefix, *observation["registry"]}):
        yield _finding(
            environment,
            "unregistered-environment",
            Severity.LOW,
            f"environment {prefix}",
            f"containers of {prefix} run here, and the registry does not know it; what is seen of it counts, "
            "without its "
            "domains and databases",
            f"deploy {prefix} once more, which registers it",
        )


def _checkouts(environment: Environment, observation: Mapping[str, Any]) -> Iterator[Finding]:
    """Checkouts that are not where the last deployment left them: somebody pulled or switched by hand."""
    for prefix, entry in sorted(observation["registry"].items()):
        found = observation["checkouts"].get(str(entry.get("directory"))) or {}
        wanted = entry.get("commit")
        if wanted and found.get("commit") and found["commit"] != wanted:
            yield _finding(
                environment,
                "moved-checkout",
                Severity.LOW,
                f"{entry['directory']}/code",
                f"the checkout of {prefix} is at {found['commit'][:12]} on {found['branch'] or 'no branch'}, and "
                f"{str(wanted)[:12]} was deployed: somebody pulled or switched there by hand",
                f"deploy {prefix} to bring it back; nothing is built from the work tree in any case",
                "CI-09",
            )


def _engine(environment: Environment, observation: Mapping[str, Any]) -> Iterator[Finding]:
    if not observation["engine"]["live_restore"]:
        yield _finding(
            environment,
            "no-live-restore",
            Severity.LOW,
            "Docker engine",
            "live-restore is off: a restart or upgrade of the engine stops the containers of every environment",
            "set engine_live_restore: true and run aiia.bulkhead.provision (the engine is reloaded, not restarted)",
            "OP-10",
        )
