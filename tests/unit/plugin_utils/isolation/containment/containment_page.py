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
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.containment.settings import (  # noqa: E402
    PROGRAMS,
)
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.containment.swarm import DIFFERS  # noqa: E402
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.containment.x_bulkhead import (  # noqa: E402
    X_BULKHEAD,
)

PAGE = ROOT / "docs" / "containment.md"
_START = "<!-- The rest is generated from plugins/plugin_utils/isolation/containment/. -->\n"
_TITLES = {"nginx": "nginx", "pgbouncer": "pgbouncer", "postgresql": "PostgreSQL", "redis": "Redis"}


_HEAD = ("| key | class | allowed, or why it is refused |", "|---|---|---|")


def _row(keys: list[str], entry: Entry) -> str:
    return f"| {', '.join(f'`{key}`' for key in keys)} | {entry.kind.name.lower()} | {_note(entry)} |"


def _note(entry: Entry) -> str:
    explained = entry.note or (entry.check.__doc__ if entry.check else "") or ""
    return explained.strip().partition("\n")[0].replace("|", "\\|")


def table() -> str:
    """The classes, and every key by section."""
    lines = ["", "| class | meaning: the value |", "|---|---|"]
    lines += [f"| {kind.name.lower()} | {kind.value} |" for kind in Class]
    lines += ["", "### The top of a file", "", *_HEAD]
    lines += [_row([path], entry) for path, entry in sorted(COMPOSE.items()) if "." not in path]
    for section in ("services", "networks", "volumes", "secrets", "configs"):
        lines += ["", f"### {section}", "", *_HEAD]
        for path, entry in sorted(COMPOSE.items()):
            if path.startswith(f"{section}.*."):
                lines.append(_row([path.removeprefix(f"{section}.*.").replace(".[]", "[]")], entry))
    lines += [
        "",
        "### Stacks of a swarm",
        "",
        "What differs where a file is deployed as a stack (`bulkhead_engine: swarm`).",
    ]
    lines += ["", *_HEAD]
    alike: dict[Entry, list[str]] = {}
    for path, entry in sorted(DIFFERS.items()):
        alike.setdefault(entry, []).append(path.replace(".[]", "[]").replace(".*.", ".", 1))
    lines += [_row(paths, entry) for entry, paths in alike.items()]
    lines += ["", "### x-bulkhead", "", *_HEAD]
    lines += [_row([key], entry) for key, entry in sorted(X_BULKHEAD.items())]
    for program, settings in PROGRAMS.items():
        lines += ["", f"### {_TITLES[program]}", "", *_HEAD]
        same: dict[Entry, list[str]] = {}
        for name, entry in settings.items():
            same.setdefault(entry, []).append(name)
        lines += [_row(sorted(names), entry) for entry, names in same.items()]
    return "\n".join([*lines, ""])


def with_table(text: str) -> str:
    """The page with its table written anew."""
    return text.partition(_START)[0] + _START + table()


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
