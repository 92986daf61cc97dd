# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Findings for files that could not be read."""

from __future__ import annotations

from ..model import Finding, Severity, Where
from .errors import ReaderError

#: For each rule id of a reader: the consequence, and the fix.
_MEANING = {
    "unreadable-file": ("so it was not checked", "Set a path that can be read here, or leave the file out."),
    "not-yaml": ("so Compose rejects it, and it was not checked", "Correct the line."),
    "not-compose": ("so Compose rejects it", "Correct this; `docker compose config` reports the same."),
    "unset-variable": (
        "so Compose rejects the file, and it was not checked",
        "Set the variable in the environment's .env, and list that file in env_files.",
    ),
    "not-dotenv": ("so Compose rejects it", "Write NAME=value, one per line, and close quoted values."),
    "too-large": ("so it was not checked", "Set the right file; no hand-written file is this large."),
    "cycle": ("so Compose rejects it, and it was not checked", "Remove one of the references that form the cycle."),
    "nginx-syntax": ("so nginx does not start with it, and it was not checked", "Correct the line."),
}


def finding_of(error: ReaderError, severity: Severity, prefix: str, machine: str) -> Finding:
    """Turn a reader's error into a finding."""
    why, fix = _MEANING.get(error.rule, _MEANING["unreadable-file"])
    subject = error.file or prefix
    return Finding(
        rule=error.rule,
        severity=severity,
        environments=(prefix,),
        resource=subject,
        message=f"{subject}: {error.message}, {why}.",
        fix=fix,
        where=(Where(error.file, error.line),) if error.file else (),
        machine=machine,
    )
