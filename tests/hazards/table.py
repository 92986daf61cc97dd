# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes docs/hazards.md from the cases: what becomes of each hazard, and how that is known.

python tests/hazards/table.py --write    write the page
python tests/hazards/table.py --check    end with 1 when the page is not what the cases say
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from checkout import ROOT, install
from hazards.cases import OUTCOMES, Entry, Hazard, broken, catalogue, entries

PAGE = ROOT / "docs" / "hazards.md"

_GROUPS = {
    "CP": "Compose projects and interpolation",
    "NM": "Names, prefixes, labels",
    "NW": "Networks",
    "VP": "Volumes, bind mounts, files",
    "PT": "Ports",
    "WB": "Domains, nginx, TLS, cookies",
    "DB": "PostgreSQL and pgbouncer",
    "RC": "Redis, Celery, channels",
    "SE": "Secrets, settings, external services",
    "IM": "Images and builds",
    "HP": "Host privilege and shared kernel",
    "AN": "Ansible inventory and control flow",
    "CI": "CI/CD and branches",
    "OP": "Operations",
}

_MEANING = {
    "paper": "A rule finds it in the inventory, the rendered files, or the files given to `isolation_check`. "
    "No host is contacted.",
    "host": "It can only be seen on the machine, and is looked for before anything in force is changed.",
    "after": "It shows only once the deployment runs; the run then fails and says so.",
    "construction": "The way a deployment is made leaves no room for it.",
    "advice": "It is said, at severity low, and stops nothing.",
    "later": "It is known, and not handled yet.",
}

_INTRODUCTION = """\
# Hazards

These are {count} known ways in which two environments on one machine interfere. For each, this page says what
becomes of it, by which rule, and why there. The severity is that of the hazard when it happens.

The page is generated from the cases in `tests/hazards/` by `python tests/hazards/table.py --write`, and a test fails
when it is stale. Every rule named here is shown there to find a bad input, and to keep still at one that only looks
bad.

| outcome | hazards | meaning |
|---|---|---|
"""


def page() -> str:
    """The whole page."""
    hazards = catalogue()
    told = {entry.hazard: entry for entry in entries()}
    counts = Counter(told[hazard].outcome if hazard in told else "" for hazard in hazards)
    lines = [_INTRODUCTION.format(count=len(hazards)).rstrip("\n")]
    lines += [
        f"| {words} | {counts[outcome]} | {_MEANING[outcome]} |"
        for outcome, words in OUTCOMES.items()
        if counts[outcome]
    ]
    if counts[""]:
        lines.append(f"| not told | {counts['']} | There is no entry for it. |")
    for group, title in _GROUPS.items():
        lines += [
            "",
            f"## {title}",
            "",
            "| id | hazard | severity | outcome | rule or test | why |",
            "|---|---|---|---|---|---|",
        ]
        lines += [_row(hazard, told.get(hazard.id)) for hazard in hazards.values() if hazard.id.startswith(group + "-")]
    return "\n".join(lines) + "\n"


def _row(hazard: Hazard, entry: Entry | None) -> str:
    if entry is None:
        return f"| {hazard.id} | {_cell(hazard.name)} | {hazard.severity} | not told | | |"
    shown = ", ".join(f"`{name}`" for name in entry.rules or entry.tests)
    words = OUTCOMES[entry.outcome]
    return f"| {hazard.id} | {_cell(hazard.name)} | {hazard.severity} | {words} | {shown} | {_cell(entry.reason)} |"


def _cell(text: str) -> str:
    """A text within a table."""
    return " ".join(text.split()).replace("|", "\\|")


def main(arguments: list[str] | None = None) -> int:
    """Write the page, or say whether it is stale."""
    parser = argparse.ArgumentParser(description="The page docs/hazards.md, from the cases in tests/hazards.")
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--write", action="store_true", help="write the page")
    action.add_argument("--check", action="store_true", help="end with 1 when the page is stale")
    given = parser.parse_args(arguments)
    install()
    if broken():
        print("\n".join(broken()), file=sys.stderr)
        return 1
    text = page()
    if given.write:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(text, encoding="utf-8")
        return 0
    if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
        print("docs/hazards.md is not what the cases say: run python tests/hazards/table.py --write", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
