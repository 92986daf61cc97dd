# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of variables in the README of role environment, from its argument_specs and defaults.

.venv/bin/python tests/unit/roles/variables_table.py     # writes it anew
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

ROLE = Path(__file__).resolve().parents[3] / "roles/environment"
README = ROLE / "README.md"
BEGIN, END = "<!-- variables: begin -->\n", "<!-- variables: end -->\n"


def specification() -> dict[str, dict[str, Any]]:
    """The options of the role."""
    text = (ROLE / "meta/argument_specs.yml").read_text(encoding="utf-8")
    options: dict[str, dict[str, Any]] = yaml.safe_load(text)["argument_specs"]["main"]["options"]
    return options


def defaults() -> dict[str, Any]:
    """The defaults of the role, as they are written."""
    found: dict[str, Any] = yaml.safe_load((ROLE / "defaults/main.yml").read_text(encoding="utf-8"))
    return found


def _markdown(text: str) -> str:
    return re.sub(r"[COV]\(([^)]*)\)", r"`\1`", " ".join(text.split())).replace("|", "\\|")


def _default(name: str, spec: dict[str, Any], values: dict[str, Any]) -> str:
    if spec.get("required"):
        return "**required**"
    value = values.get(name, "")
    if value == "":
        return ""
    text = value if isinstance(value, str) else yaml.safe_dump(value, default_flow_style=True).split("\n")[0]
    return "computed" if "{%" in text or len(text) > 48 else f"`{text}`"


def table() -> str:
    """The table, a line for each variable in the order of argument_specs."""
    values = defaults()
    lines = ["| variable | type | default | |", "|---|---|---|---|"]
    for name, spec in specification().items():
        description = spec["description"]
        words = _markdown(" ".join(description) if isinstance(description, list) else description)
        if spec.get("choices"):
            words += f" One of {', '.join(f'`{choice}`' for choice in spec['choices'])}."
        lines.append(f"| `{name}` | {spec['type']} | {_default(name, spec, values)} | {words} |")
    return "\n".join(lines) + "\n"


def with_table(readme: str) -> str:
    """The README with the table as it must be."""
    before, begin, rest = readme.partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{README} has lost the marks of its table")
    return before + begin + table() + end + after


if __name__ == "__main__":
    README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")
