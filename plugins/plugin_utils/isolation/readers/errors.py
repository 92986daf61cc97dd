# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one error that readers raise."""

from __future__ import annotations


class ReaderError(Exception):
    """A text that cannot be read. ``rule`` is the id of the finding that it becomes.

    ``file`` is set only if the error is in another file than the one being read, such as an include.
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
