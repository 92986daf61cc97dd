# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write the example of docs/adopting.md, which is what adopting the guide's server says: `adopting_page.py` does."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = next(parent for parent in Path(__file__).resolve().parents if (parent / "galaxy.yml").is_file())
sys.path.insert(0, str(ROOT / "tests"))

import checkout  # noqa: E402

checkout.install()

from ansible_collections.aiia.bulkhead.plugins.plugin_utils.adoption import moving  # noqa: E402
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.adoption.whole import adoption  # noqa: E402
from unit.plugin_utils.adoption.servers import guide  # noqa: E402

PAGE = ROOT / "docs" / "adopting.md"
BEGIN, END = "<!-- example: begin -->\n", "<!-- example: end -->\n"


def with_example(text: str) -> str:
    """The page with its example as it must be."""
    before, begin, rest = text.partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{PAGE} has lost the marks of its example")
    found = adoption(guide(), "203.0.113.5", "inventory")
    plan = found.planned[1]
    section = moving.written(plan, found.moves[plan.own.prefix])
    # Headings of an example are no headings of the page.
    lines = [f"**{line[3:]}**" if line.startswith("## ") else line for line in section.splitlines()]
    return f"{before}{begin}\n{chr(10).join(lines)}\n\n{end}{after}"


if __name__ == "__main__":
    PAGE.write_text(with_example(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
