# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a deployment would do, and which services it would take down. Looks only; runs on the targets."""

from __future__ import annotations

from typing import Any

from ..core.steps import Step
from ..docker.containers import is_well, name_of
from .comparison import Comparison
from .limits import limit_steps
from .prepare import step_of, to_prepare
from .service import Service


def gaps(comparison: Comparison) -> list[tuple[Service, str]]:
    """The serving services that a deployment would take down, and why: those that hold data or ports of the machine
    and do not run the application, and those that no stand-in can replace."""
    found: list[tuple[Service, str]] = []
    for service in comparison.services if not comparison.never_served else ():
        if not any(is_well(container) for container in comparison.containers.of_service(service)):
            if any(is_well(orphan) for orphan in comparison.in_the_way_of(service)):
                found.append((service, "it takes over the name of a container whose service is gone"))
            continue
        if comparison.containers.moves(service):
            found.append((service, "it now listens on another port"))
        elif service.steady and service in comparison.changed:
            found.append((service, _how_changed(comparison, service)))
        elif service.steady and service in comparison.stale and comparison.reads_at_start(service):
            found.append((service, "files changed that it reads only when it starts"))
    return found


def _how_changed(comparison: Comparison, service: Service) -> str:
    """What a service's containers were made from otherwise than they would be now."""
    for container in comparison.containers.of_service(service):
        before = (container.get("Config") or {}).get("Image", "")
        if service.image and before != service.image:
            return "its image changed from %s to %s" % (before, service.image)
        if container.get("Image") != comparison.images.get(service.image, container.get("Image")):
            return "its image %s has changed under the same name" % service.image
    return "its definition or a setting changed"


def file_steps(comparison: Comparison) -> list[Step]:
    """What would be done to files."""
    steps = [Step("write", wanted.path, "file") for wanted in comparison.changed_files]
    steps += [Step("remove", path, "file") for path in comparison.gone_files]
    if comparison.outdated_checkout:
        steps.append(Step("check out", comparison.params["commit"][:12], "checkout"))
    return steps


def removal(orphan: dict[str, Any]) -> Step:
    """What is done to a container whose service is gone."""
    return Step("remove", name_of(orphan), "container", "its service is gone")


def plan(comparison: Comparison) -> list[Step]:
    """What would be done; empty when everything is as it should be."""
    steps = file_steps(comparison)
    running = [service for service in comparison.services if comparison.containers.of_service(service)]
    down = gaps(comparison)
    settled = [*comparison.changed, *(service for service, _why in down)]
    steps += [_step("start", service) for service in comparison.broken if service not in settled]
    for service in comparison.changed:
        if service in running and service not in [gone for gone, _why in down]:
            steps.append(_step("replace" if service.rolling else "recreate", service))
    for service in running:
        if service.rolling and service.name in comparison.params.get("restart", ()) and service not in settled:
            steps.append(_step("replace", service, "to restart it"))
            settled.append(service)
    limit = comparison.params["wait_timeout"]
    steps += [_step("recreate", service, why, at_most=limit) for service, why in down]
    settled += comparison.broken
    steps += [_step("bring files", service) for service in comparison.stale if service not in settled]
    steps += [_step("retire", service) for service in running if comparison.overlap.ended(service)]
    steps += limit_steps(comparison)
    steps += [removal(orphan) for orphan in comparison.orphans]
    steps += [Step("clear up", name) for name in comparison.leftovers()]
    if "release_files" not in comparison.params:  # returning to a release prepares nothing
        steps += [_step("prepare again", service, why) for service, why in comparison.unprepared()]
    replaced = [*comparison.changed, *comparison.broken, *(service for service, _why in down)]
    replaced += [service for service in running if service.name in comparison.params.get("restart", ())]
    replaced += [service for service in comparison.stale if comparison.reads_at_start(service)]
    steps += comparison.door.steps(comparison.services, comparison.containers, replaced)
    if comparison.interrupted and not steps:
        steps.append(Step("finish"))
    if comparison.firewall:
        steps += comparison.firewall.plan()
    return steps


def _step(verb: str, service: Service, reason: str = "", at_most: float = 0) -> Step:
    return Step(verb, service.container, "container", reason, at_most=at_most)


def foreseen(comparison: Comparison, plan: list[Step]) -> list[Step]:
    """The plan with what is prepared for images that are new here, where it comes: after files, before containers."""
    services = to_prepare(comparison, comparison.images)
    prepared = [step_of(service, command) for service in services for command in service.prepare]
    if prepared and comparison.params["backup"] and comparison.has_data():
        prepared.insert(0, Step("make", kind="backup"))
    files = len(file_steps(comparison))
    return plan[:files] + prepared + plan[files:]


def measured(steps: list[Step], downtime: dict[str, float]) -> list[Step]:
    """The steps after they were done: where a service was down, for how long."""
    return [
        step._replace(seconds=downtime[step.target]) if step.verb == "recreate" and step.target in downtime else step
        for step in steps
    ]
