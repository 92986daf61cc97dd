# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Failures on a machine, worded for the user. Runs on the targets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .decisive import decisive_lines

if TYPE_CHECKING:
    from .steps import Step


class Failure(Exception):
    """One thing that the user has to mend. ``detail`` holds the last lines of a tool's output about it.

    ``steps`` are the steps that were begun, ``put_back`` says how undoing them ended.
    """

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail
        self.steps: list[Step] = []
        self.put_back = ""

    def facts(self) -> dict[str, Any]:
        """What a module returns beside message and detail."""
        if not (self.steps or self.put_back):
            return {}
        return {"steps": [step.as_dict() for step in self.steps], "put_back": self.put_back}

    def __str__(self) -> str:
        """The message as it is now: callers may have added to it."""
        return self.message


def last_lines(text: str, count: int = 15) -> str:
    """The last lines of a tool's output, for an error message, and those before them that say why it failed."""
    return "\n".join(decisive_lines(text, count))
