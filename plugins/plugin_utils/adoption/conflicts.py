# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the environments of a machine share as they are now: the rules of the plan, on the files that run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..isolation.model import Environment, Finding, Fleet, Severity, Where
from ..isolation.readers.assemble import assemble
from ..isolation.report.text import arrange
from ..isolation.rules import judge
from .model import Handmade


def conflicts(found: Sequence[Handmade], files: Sequence[Mapping[str, Any]], machine: str) -> list[Finding]:
    """The findings of severity medium and above on what runs, the worst first."""
    texts = {file["path"]: file["text"] for file in files if not file["problem"]}
    fleet = Fleet(tuple(_environment(own, files, texts, machine) for own in found))
    findings = [finding for finding in judge(fleet) if finding.severity >= Severity.MEDIUM]
    return list(arrange(findings))


def _environment(
    own: Handmade, files: Sequence[Mapping[str, Any]], texts: Mapping[str, str], machine: str
) -> Environment:
    nginx = own.part("nginx")
    binds = [mount["source"] for mount in nginx.seen["mounts"] if mount["type"] == "bind"] if nginx else []
    compose = [path for path in own.files if path in texts]
    environment = assemble(
        prefix=own.prefix,
        name=own.environment,
        machine=machine,
        directory=own.directory or own.home,
        compose_files=compose,
        env_files=[f"{own.directory}/.env"] if f"{own.directory}/.env" in texts else [],
        nginx_files=[
            file["path"] for file in files if file["kind"] == "nginx" and any(map(file["path"].startswith, binds))
        ],
        files=[],
        read=texts.get,
        origins={"bulkhead_prefix": Where(compose[0] if compose else own.directory)},
        compose_project=own.compose_project,
    )
    # Without its file, what a Compose file lacks is no news: the containers say it.
    return environment if compose else replace(environment, problems=())
