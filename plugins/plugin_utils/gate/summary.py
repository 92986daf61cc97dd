# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the plan gate says on the screen."""

from __future__ import annotations

from ..isolation.report.text import text
from ..isolation.wording import number
from .plan import Verdict


def summary(verdict: Verdict, deploying: bool) -> str:
    """Findings and proof, for the screen. A deployment only counts advice; the plan shows it."""
    advice = verdict.advice if deploying else []
    shown = [finding for finding in verdict.findings if finding not in advice]
    lines = [text(shown, stopping=verdict.stopping)] if shown else []
    if not verdict.stopping:
        aim = f"; this run is for {', '.join(verdict.targets)}" if verdict.targets else ""
        points = number(len(advice), "point")
        hint = f" (advice on {points}: ansible-playbook aiia.bulkhead.plan)" if advice else ""
        lines.append(f"{verdict.proved}{aim}{hint}")
        lines += map(str, verdict.approved.values())
    return "\n".join([*lines, *(verdict.open if not deploying else ())])


def refusal(verdict: Verdict) -> str:
    """One line: the report was shown above it."""
    rules = ", ".join(dict.fromkeys(finding.rule for finding in verdict.stopping[:5]))
    return f"refused before any host was contacted: {rules} ({len(verdict.stopping)} in all)"
