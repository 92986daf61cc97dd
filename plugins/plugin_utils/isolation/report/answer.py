# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a check of files answers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from .. import waivers
from ..model import Finding
from ..rules import rules
from . import text
from .formats import junit, sarif

#: What a check of files finds beside the rules.
DISAGREES, TWICE = "compose-disagrees", "environment-twice"
SUMMARIES = {
    DISAGREES: "Docker Compose reads a project in another way than the check does.",
    TWICE: "Two environments are declared with one prefix.",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a check found, and which of it stops."""

    environments: tuple[str, ...]
    findings: tuple[Finding, ...]
    stopping: tuple[Finding, ...]

    def as_json(self) -> dict[str, Any]:
        """The public contract."""
        return text.as_json(self.environments, self.findings)

    def rendered(self, report_format: str) -> str:
        """The report as the text of a file."""
        summaries = {**waivers.SUMMARIES, **SUMMARIES, **{rule.id: rule.summary for rule in rules().values()}}
        if report_format == "junit":
            return junit(self.findings, summaries, self.stopping)
        data = sarif(self.findings, summaries) if report_format == "sarif" else self.as_json()
        return json.dumps(data, indent=2, ensure_ascii=False) + "\n"
