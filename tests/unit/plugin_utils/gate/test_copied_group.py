# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A group that was copied and not changed: the finding names both groups, and the copy's own file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.aiia.bulkhead.plugins.plugin_utils.gate.environments import build_environment
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Finding, Fleet, Severity
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.rules import judge
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.release.render import Renderer
from unit.fleets import STAGING, declarations, environment, read, write


def found(directory: Path, copy: dict[str, Any]) -> list[Finding]:
    """What is found in an inventory with staging and a group that was made of it, advice left out."""
    inventory = read(write(directory, {"staging": STAGING, "copy": copy}))
    renderer = Renderer(inventory.loader)
    fleet = Fleet(tuple(build_environment(known, renderer.render(known)) for known in declarations(inventory).values()))
    return [finding for finding in judge(fleet) if finding.severity > Severity.LOW]


def test_a_copied_group_is_one_finding(tmp_path: Path) -> None:
    (finding,) = found(tmp_path, STAGING)
    assert finding.rule == "prefix-of-prefix"
    assert "group copy" in finding.message and "group staging" in finding.message
    assert [Path(where.file).parent.name for where in finding.where] == ["copy", "staging"]
    for variable in ("environment", "directory", "source_branch", "domains", "http_port", "https_port"):
        assert f"bulkhead_{variable}" in finding.fix
    assert "aiia.bulkhead.new" in finding.fix


def test_what_was_changed_already_is_not_named(tmp_path: Path) -> None:
    (finding,) = found(tmp_path, {**STAGING, "bulkhead_directory": "/srv/copy/app", "bulkhead_source_branch": "copy"})
    assert "bulkhead_environment" in finding.fix and "bulkhead_domains" in finding.fix
    assert "bulkhead_directory" not in finding.fix and "bulkhead_source_branch" not in finding.fix


def test_a_copy_with_an_identity_of_its_own(tmp_path: Path) -> None:
    """The near miss."""
    own = environment("qa", 8180)
    assert found(tmp_path, {**STAGING, **own}) == []
