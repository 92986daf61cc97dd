# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write docs/hazards.md from the cases: how each hazard is handled, and what shows it.

python tests/hazards/table.py --write    write the page
python tests/hazards/table.py --check    exit with 1 if the page does not match the cases
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from checkout import ROOT, install
from hazards.cases import OUTCOMES, Entry, Hazard, broken, catalogue, entries
from hazards.pages import cell, keep, options

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
    "SW": "Swarms",
}

_MEANING = {
    "paper": "A rule finds it in the inventory, the rendered files, or the files given to `isolation_check`. "
    "No host is contacted.",
    "host": "It can only be seen on the machine, which is checked before anything in force is changed.",
    "after": "It shows only after the deployment; the run then fails and reports it.",
    "construction": "It cannot happen in a deployment with Bulkhead.",
    "advice": "It is reported at severity low and does not stop the run.",
    "later": "It is known but not handled yet.",
}

_INTRODUCTION = """\
# Hazards

Two environments on one machine can interfere in {count} known ways. For each of them, this page lists how Bulkhead
handles it, the rule or test that shows this, and the reason. The severity is that of the hazard if it occurs.

The page is generated from the cases in `tests/hazards/` by `python tests/hazards/table.py --write`, and a test fails
if it is out of date. For each rule, the cases show a bad input that it finds and a similar, harmless one that it
accepts.

| outcome | hazards | meaning |
|---|---|---|
"""


def page() -> str:
    """The whole page."""
    hazards = catalogue()
    known = {entry.hazard: entry for entry in entries()}
    counts = Counter(known[hazard].outcome if hazard in known else "" for hazard in hazards)
    lines = [_INTRODUCTION.format(count=len(hazards)).rstrip("\n")]
    lines += [
        f"| {words} | {counts[outcome]} | {_MEANING[outcome]} |"
        for outcome, words in OUTCOMES.items()
        if counts[outcome]
    ]
    if counts[""]:
        lines.append(f"| no entry | {counts['']} | The cases do not cover it. |")
    for group, title in _GROUPS.items():
        lines += [
            "",
            f"## {title}",
            "",
            "| id | hazard | severity | outcome | rule or test | why |",
            "|---|---|---|---|---|---|",
        ]
        lines += [
            _row(hazard, known.get(hazard.id)) for hazard in hazards.values() if hazard.id.startswith(group + "-")
        ]
    return "\n".join(lines) + "\n"


def _row(hazard: Hazard, entry: Entry | None) -> str:
    if entry is None:
        return f"| {hazard.id} | {cell(hazard.name)} | {hazard.severity} | no entry | | |"
    shown = ", ".join(f"`{name}`" for name in entry.rules or entry.tests)
    words = OUTCOMES[entry.outcome]
    return f"| {hazard.id} | {cell(hazard.name)} | {hazard.severity} | {words} | {shown} | {cell(entry.reason)} |"


def main(arguments: list[str] | None = None) -> int:
    """Write the page, or check whether it is out of date."""
    given = options("Generate docs/hazards.md from the cases in tests/hazards.")[0].parse_args(arguments)
    install()
    if broken():
        print("\n".join(broken()), file=sys.stderr)
        return 1
    return keep(PAGE, page(), given.write, "python tests/hazards/table.py --write")


if __name__ == "__main__":
    sys.exit(main())
