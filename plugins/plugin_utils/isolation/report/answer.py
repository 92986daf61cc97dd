# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The result of a check of files, and its reports."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from .. import waivers
from ..model import Finding
from ..rules import rules
from . import text
from .formats import junit, markdown, sarif

#: Rules that only a check of files has.
DISAGREES, TWICE = "compose-disagrees", "environment-twice"
SUMMARIES = {
    DISAGREES: "Docker Compose reads a project differently than the check does.",
    TWICE: "Two environments are declared with the same prefix.",
}


@dataclass(frozen=True, slots=True)
class Report:
    """All findings of a check, and those that stop the run."""

    environments: tuple[str, ...]
    findings: tuple[Finding, ...]
    stopping: tuple[Finding, ...]
    #: What was guessed, and what could not be judged, one sentence each.
    open: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The report as JSON data, as the public contract has it."""
        return text.as_json(self.environments, self.findings)

    def rendered(self, report_format: str) -> str:
        """The report as the text of a file; ``report_format`` is ``json``, ``sarif``, ``junit`` or ``markdown``."""
        summaries = {**waivers.SUMMARIES, **SUMMARIES, **{rule.id: rule.summary for rule in rules().values()}}
        if report_format == "junit":
            return junit(self.findings, summaries, self.stopping)
        if report_format == "markdown":
            return markdown(self.environments, self.findings, self.stopping)
        data = sarif(self.findings, summaries) if report_format == "sarif" else self.as_json()
        return json.dumps(data, indent=2, ensure_ascii=False) + "\n"
