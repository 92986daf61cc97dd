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


#: For each rule id of a reader: what is wrong with not reading it, and what to do.
_MEANING = {
    "unreadable-file": ("so nothing in it is judged", "Give a path that can be read here, or leave the file out."),
    "not-yaml": ("so nothing in it is judged, and Compose refuses it", "Correct the line that is named."),
    "not-compose": ("so Compose refuses it", "Correct what is named; `docker compose config` shows the same."),
    "unset-variable": (
        "so Compose refuses the file, and nothing in it is judged",
        "Set the variable in the environment's .env, and give that file in env_files.",
    ),
    "not-dotenv": ("so Compose refuses it", "Write NAME=value, one to a line, and end quoted values."),
    "too-large": ("so nothing in it is judged", "Give the file that is meant; no hand-written file is as large."),
    "cycle": ("so Compose refuses it, and nothing in it is judged", "Take one of the references of the circle out."),
    "nginx-syntax": ("so nginx does not start with it, and it is not judged", "Correct the line that is named."),
}


def finding_of(error: ReaderError, severity: Severity, prefix: str, machine: str) -> Finding:
    """The finding that an error of a reader becomes."""
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
