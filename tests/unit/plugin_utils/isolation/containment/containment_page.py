# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write the table of docs/containment.md from the code that judges: `containment_page.py` as a program does."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = next(parent for parent in Path(__file__).resolve().parents if (parent / "galaxy.yml").is_file())
sys.path.insert(0, str(ROOT / "tests"))

import checkout  # noqa: E402

checkout.install()

from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.containment.classes import (  # noqa: E402
    Class,
    Entry,
)
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.containment.compose import COMPOSE  # noqa: E402

PAGE = ROOT / "docs" / "containment.md"
_START = "<!-- The rest is generated from plugins/plugin_utils/isolation/containment/compose.py. -->\n"


def _note(entry: Entry) -> str:
    explained = entry.note or (entry.check.__doc__ if entry.check else "") or ""
    return explained.strip().partition("\n")[0].replace("|", "\\|")


def table() -> str:
    """The classes, and every key by section."""
    lines = ["", "| class | meaning: the value |", "|---|---|"]
    lines += [f"| {kind.name.lower()} | {kind.value} |" for kind in Class]
    for section in ("services", "networks", "volumes", "secrets", "configs"):
        lines += ["", f"### {section}", "", "| key | class | allowed, or why it is refused |", "|---|---|---|"]
        for path, entry in sorted(COMPOSE.items()):
            if path.startswith(f"{section}.*."):
                key = path.removeprefix(f"{section}.*.").replace(".[]", "[]")
                lines.append(f"| `{key}` | {entry.kind.name.lower()} | {_note(entry)} |")
    return "\n".join([*lines, ""])


def with_table(text: str) -> str:
    """The page with its table written anew."""
    return text.partition(_START)[0] + _START + table()


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
