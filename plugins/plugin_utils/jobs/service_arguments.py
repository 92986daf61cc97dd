# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the module ``service`` is given on whichever machine has the containers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..gate.step import EnvironmentStep
from ..isolation import naming
from ..release.render import Release
from ..release.services import services as machine_services
from ..release.stack import StackService


def service_arguments(
    step: EnvironmentStep, release: Release, job: str, services: Sequence[StackService], **more: Any
) -> dict[str, Any]:
    """The options for one job on some services."""
    known = {service.name: service.as_dict() for service in machine_services(release)}
    values = step.declaration.values
    return {
        "job": job,
        "project": naming.project_name(step.declaration.prefix),
        "services": [known[service.name] for service in services],
        "lines": values["bulkhead_lines"],
        "since": values["bulkhead_since"],
        "secret_names": [setting.key for setting in release.settings if setting.secret],
        "timeout": values["bulkhead_wait_timeout"],
        "readiness_delay": values["bulkhead_readiness_delay"],
        **more,
    }
