# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What was changed by hand since the last deployment. It is told, and a deployment puts it right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..model import Environment, Finding, Severity, Where


def drift(environment: Environment, observation: Mapping[str, Any]) -> list[Finding]:
    """Files in force that are not what the last deployment of this environment wrote."""
    entry = observation["registry"].get(environment.prefix) or {}
    recorded = entry.get("files") or {}
    found = observation["files"].get(environment.directory) or {}
    findings = []
    for path in sorted(recorded):
        if found.get(path) != recorded[path]:
            what = "was changed by hand" if path in found else "was removed by hand"
            findings.append(
                Finding(
                    "drift",
                    Severity.LOW,
                    (environment.prefix,),
                    f"{environment.directory}/{path}",
                    f"{path} {what} since the deployment of {entry.get('deployed', 'an unknown time')}; this "
                    "deployment puts it back",
                    "put the change into the inventory if it is wanted (--check --diff shows it)",
                    (Where(f"{environment.directory}/{path}"),),
                    environment.machine,
                )
            )
    return findings
