# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is shipped to the module ``converge``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ...module_utils.core.steps import Step, sentence
from ...module_utils.source.values import split_credentials
from ..declaration.settings import texts
from ..gate.session import Note, holder
from ..gate.step import EnvironmentStep
from ..isolation import naming
from ..isolation.live.drift import to_mend
from ..isolation.live.registered import entry_of
from ..release.render import Release
from ..release.services import services
from ..release.stack import own_names
from .backup import backup_arguments
from .certificates import certificate_settings


def run_arguments(step: EnvironmentStep, release: Release) -> dict[str, Any]:
    """What belongs to this run, whichever release it brings into force."""
    values = step.declaration.values
    builds = release.stack.uses_application_image
    return {
        "project": naming.project_name(values["bulkhead_prefix"]),
        "compose_file": release.compose_file,
        "by": holder(),
        "acme": certificate_settings(step.declaration, release),
        "firewall": guard_wanted(values["bulkhead_firewall"]),
        "firewall_chain": naming.firewall_chain(values["bulkhead_prefix"]),
        "repository": split_credentials(values["bulkhead_source_repository"])[0],
        "branch": values["bulkhead_source_branch"],
        "secret_names": [setting.key for setting in release.settings if setting.secret],
        "wait_timeout": values["bulkhead_wait_timeout"],
        "readiness_delay": values["bulkhead_readiness_delay"],
        "keep_releases": values["bulkhead_keep_releases"],
        "allow_downtime": values["bulkhead_allow_downtime"],
        "cpu_weight": values["bulkhead_cpu_weight"],
        "drain_timeout": values["bulkhead_drain_timeout"],
        "prepare_timeout": values["bulkhead_prepare_timeout"],
        "image_repository": naming.image_name(values["bulkhead_prefix"], values["bulkhead_app_service"])
        if builds
        else "",
    }


def guard_wanted(value: Any) -> bool | str:
    """What ``bulkhead_firewall`` asks for: ``auto``, or whether there must be a guard."""
    word = str(value).lower()  # one of these three: the declaration is checked
    return "auto" if word == "auto" else word == "true"


def release_arguments(step: EnvironmentStep, release: Release) -> dict[str, Any]:
    """What belongs to the release that the inventory declares now."""
    return {
        "networks": own_names(release.stack.compose, "networks"),
        "volumes": own_names(release.stack.compose, "volumes"),
        "adopted": sorted(texts(step.declaration.values["bulkhead_adopted_volumes"]).values()),
        "firewall_ports": list(release.firewall_ports),
        # What is secret comes last: the order is part of the digest by which a machine knows a release again.
        "files": [asdict(file) for file in sorted(release.files, key=lambda file: file.secret)],
        "services": [service.as_dict() for service in services(release)],
        "ports": [{"service": service, "address": address, "port": port} for service, address, port in release.ports],
        "backup": backup_arguments(step.declaration, release),
        "environment": entry_of(step.live.environment),
        "mend": to_mend(step.live.environment, step.session.observation),
    }


def ship(step: EnvironmentStep, commit: str, *parts: Mapping[str, Any]) -> dict[str, Any]:
    """Call the module with what belongs to the run and to its release, as the one text that it takes."""
    shipped: dict[str, Any] = {}
    for part in parts:
        shipped.update(part)
    answer = step.module("converge", {"commit": commit, "release": json.dumps(shipped)})
    for step_done in answer.get("steps") or ():
        if step_done["verb"] == "kill":
            step.session.notes.append(Note(sentence(Step.read(step_done))))
    if answer.get("unguarded"):
        step.session.notes.append(Note(f"no guard in the firewall: {answer['unguarded']}"))
    return answer
