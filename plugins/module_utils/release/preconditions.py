# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What stands in the way of a deployment on its machine: things with our names that are not ours, and taken ports.

Everything is checked before anything is changed, and reported at once. Runs on the targets.
"""

from __future__ import annotations

import os
from typing import Any

from ..core.addresses import overlap
from ..docker.containers import belongs_to, labels_of, name_of, published, published_by
from ..docker.engine import EngineError, inspect_objects
from ..docker.labels import PROJECT, WORKING_DIRECTORY
from ..host import sockets
from .comparison import Comparison
from .plan import gaps


def refuse_foreign(comparison: Comparison) -> None:
    """Raise EngineError where a deployment would use or replace what is not the environment's own."""
    comparison.tree.refuse_others()
    problems = _foreign_project(comparison) + _foreign_containers(comparison)
    problems += _foreign_objects(comparison, "network", comparison.params["networks"])
    problems += _foreign_objects(comparison, "volume", comparison.params["volumes"])
    problems += _taken_ports(comparison) + comparison.door.problems(comparison.services, comparison.containers)
    if problems:
        raise EngineError("%s. Nothing was changed" % "; ".join(problems))


def refuse_gaps(comparison: Comparison) -> None:
    """Raise EngineError where a deployment would take a service down without leave to do so."""
    found = gaps(comparison)
    if found and not comparison.params["allow_downtime"]:
        lines = ["  %s: %s" % (service.container, why) for service, why in found]
        raise EngineError(
            "deploying would take these services down until they are healthy, for at most %d s:\n%s\n"
            "See what else would change with --check --diff -e bulkhead_allow_downtime=true. Allow it with "
            "bulkhead_allow_downtime: true, in the inventory or with -e for this deployment only. Nothing was changed"
            % (comparison.params["wait_timeout"], "\n".join(lines))
        )


def _foreign_project(comparison: Comparison) -> list[str]:
    engine = comparison.engine
    ours = os.path.realpath(engine.directory)
    strangers: dict[str, list[str]] = {}
    for container in comparison.containers:
        where = labels_of(container).get(WORKING_DIRECTORY, "")
        if os.path.realpath(where) != ours:
            strangers.setdefault(where, []).append(name_of(container))
    return [
        "%s of the Compose project %s runs from %s, not from %s, and Compose would mistake it for ours and replace it: "
        "stop that project or rename it"
        % (" and ".join(names), engine.project, where or "an unknown directory", engine.directory)
        for where, names in sorted(strangers.items())
    ]


def _foreign_containers(comparison: Comparison) -> list[str]:
    ours = {name_of(container) for container in comparison.containers}
    wanted = [name for service in comparison.services for name in service.container_names]
    wanted += [service.stand_in for service in comparison.services if service.rolling]
    wanted += [service.preparing for service in comparison.services if service.prepare]
    missing = [name for name in wanted if name not in ours]
    return [
        "a container called %s exists and belongs to %s: rename or remove it"
        % (name_of(container), belongs_to(labels_of(container)))
        for container in comparison.engine.inspect(missing)
    ]


def _foreign_objects(comparison: Comparison, kind: str, names: list[str]) -> list[str]:
    engine = comparison.engine
    problems = []
    for item in inspect_objects(engine, kind, names):
        labels = item.get("Labels") or {}
        if labels.get(PROJECT) != engine.project:
            problems.append(
                "a %s called %s exists and belongs to %s: rename or remove it, or declare it as external"
                % (kind, item["Name"], belongs_to(labels))
            )
    return problems


def _taken_ports(comparison: Comparison) -> list[str]:
    ours = {name_of(container) for container in comparison.containers}
    own = [binding for container in comparison.containers for binding in published_by(container)]
    running = comparison.engine.inspect(comparison.engine.docker_ok("ps", "--quiet", "--no-trunc").split())
    others = [container for container in running if name_of(container) not in ours]
    listening = None
    problems = []
    for wanted in comparison.params["ports"]:
        port, address = wanted["port"], wanted["address"]
        taken = [
            _holder(container)
            for other, where, container in published(others)
            if other == port and overlap(address, where)
        ] or comparison.door.led_away(port, address)
        if not taken and not any(port == mine and overlap(address, where) for mine, where in own):
            listening = sockets.listening() if listening is None else listening
            taken = [
                sockets.process_of(inode) or "a process of another user"
                for where, number, inode in listening
                if number == port and overlap(address, where)
            ]
        if taken:
            problems.append(
                "port %d%s of service %s is taken by %s: stop what holds it, or choose another port"
                % (port, " on %s" % address if address else "", wanted["service"], taken[0])
            )
    return problems


def _holder(container: dict[str, Any]) -> str:
    labels = labels_of(container)
    return "container %s%s" % (name_of(container), " of %s" % belongs_to(labels) if labels.get(PROJECT) else "")
