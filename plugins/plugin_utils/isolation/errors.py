# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one error that readers raise, and the finding that it becomes."""

from __future__ import annotations

from .model import Finding, Severity, Where


class ReaderError(Exception):
    """A text that cannot be read, with the place. ``rule`` is the id of the finding that it becomes.

    ``file`` is set only where the fault is in another file than the one that was asked for (an include).
    """

    def __init__(self, message: str, line: int = 0, *, rule: str = "unreadable-file", file: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.rule = rule
        self.file = file

    def __str__(self) -> str:
        place = ":".join(part for part in (self.file, str(self.line) if self.line else "") if part)
        return f"{place}: {self.message}" if place else self.message


#: For each rule id of a reader: the consequence, and the fix.
_MEANING = {
    "unreadable-file": ("so it was not checked", "Set a path that can be read here, or leave the file out."),
    "not-yaml": ("so Compose rejects it, and it was not checked", "Correct the line."),
    "not-compose": ("so Compose rejects it", "Correct this; `docker compose config` reports the same."),
    "unset-variable": (
        "so Compose rejects the file until that is set; it was checked with placeholders, and what is made of them was "
        "not compared",
        "Set them in the environment's .env, and list that file in env_files.",
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
