# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pages of the documentation that are generated: written, or compared with what they must be."""

from __future__ import annotations

import sys
from pathlib import Path


def keep(page: Path, text: str, write: bool, command: str) -> int:
    """Write a page of docs, or say that it is out of date and which command writes it. Returns the exit code."""
    if write:
        page.parent.mkdir(exist_ok=True)
        page.write_text(text, encoding="utf-8")
        return 0
    if not page.exists() or page.read_text(encoding="utf-8") != text:
        print(f"docs/{page.name} is out of date: run {command}", file=sys.stderr)
        return 1
    return 0
