# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A group that was copied and not changed: the finding names both groups, and the copy's own file."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.environments import build_environment
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Fleet
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.rules import judge
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.release.render import Renderer
from unit.fleets import STAGING, declarations, read, write


def test_a_copied_group_is_named(tmp_path: Path) -> None:
    inventory = read(write(tmp_path, {"staging": STAGING, "copy": STAGING}))
    renderer = Renderer(inventory.loader)
    fleet = Fleet(tuple(build_environment(known, renderer.render(known)) for known in declarations(inventory).values()))
    (found,) = [finding for finding in judge(fleet) if finding.rule == "prefix-of-prefix"]
    assert "group copy" in found.message and "group staging" in found.message
    assert any("group_vars/copy" in str(where.file) for where in found.where)
