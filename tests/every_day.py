# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The jobs of the README's table "Every day"."""

from __future__ import annotations

import re

from checkout import ROOT

#: The head of the table, which has the command with a gap for each job, and the cell of a row that names jobs.
_HEAD = re.compile(r"^\| \| `([^`…]+)…([^`]+)` \|$", re.MULTILINE)
_JOBS = re.compile(r"^\| (`[^|]+) \|", re.MULTILINE)


def every_day() -> dict[str, str]:
    """The command that a reader types for each job of the table."""
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## Every day\n")[2].partition("\n## ")[0]
    head = _HEAD.search(section)
    assert head, "the table has no head with a command"
    jobs = [job for cell in _JOBS.findall(section) for job in re.findall(r"`([^`]+)`", cell) if not job.startswith("-")]
    return {job: " ".join(f"{head[1]}{job}{head[2]}".split()) for job in jobs}
