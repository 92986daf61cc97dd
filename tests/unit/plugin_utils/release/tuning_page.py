# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write the lists of docs/tuning.md from the code that refuses all others: `tuning_page.py` as a program does."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = next(parent for parent in Path(__file__).resolve().parents if (parent / "galaxy.yml").is_file())
sys.path.insert(0, str(ROOT / "tests"))

import checkout  # noqa: E402

checkout.install()

from ansible_collections.aiia.bulkhead.plugins.plugin_utils.release.program_settings import SETTABLE  # noqa: E402

PAGE = ROOT / "docs" / "tuning.md"
BEGIN, END = "<!-- settings: begin -->\n", "<!-- settings: end -->\n"


def with_lists(text: str) -> str:
    """The page with its lists as they must be."""
    before, begin, rest = text.partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{PAGE} has lost the marks of its lists")
    items = [
        f"- **{program}**: {', '.join(f'`{name}`' for name in sorted(names))}\n" for program, names in SETTABLE.items()
    ]
    return f"{before}{begin}\n{''.join(items)}\n{end}{after}"


if __name__ == "__main__":
    PAGE.write_text(with_lists(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
