# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One word has one meaning: no two classes of the collection share a name."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

PLUGINS = Path(__file__).parents[2] / "plugins"

#: Ansible loads these by name, from each plugin.
FIXED = {"ActionModule", "FilterModule", "TestModule", "ModuleDocFragment"}


def test_no_two_classes_share_a_name() -> None:
    homes: dict[str, list[str]] = defaultdict(list)
    for path in sorted(PLUGINS.rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and node.name not in FIXED:
                homes[node.name].append(str(path.relative_to(PLUGINS)))
    assert len(homes) > 100
    assert {name: paths for name, paths in homes.items() if len(paths) > 1} == {}
