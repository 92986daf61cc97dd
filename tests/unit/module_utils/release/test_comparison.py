# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A comparison looks and nothing else: a run leaves it as it was."""

from __future__ import annotations

import copy
from dataclasses import FrozenInstanceError, fields

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.converge import Converger
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.store import Releases
from unit.module_utils.deployments import Machine, files

#: What a comparison found, without those that it asked.
FOUND = ("state", "images", "release", "misled", "gone_files")


@pytest.mark.parametrize("health", ["healthy", "unhealthy"])
def test_a_run_does_not_change_what_was_seen(deployed: Machine, health: str) -> None:
    deployed.engine.sick["web:2"] = health
    seen = deployed.look(**files(web="web:2", conf="two"))
    before = {name: copy.deepcopy(getattr(seen, name)) for name in FOUND}
    content = [wanted.content for wanted in seen.files]
    changed, containers = list(seen.changed_files), [container["Id"] for container in seen.containers]
    converger = Converger(seen, Releases(deployed.tree))
    if health == "healthy":
        converger.apply()
    else:
        with pytest.raises(Exception, match="The previous release serves again"):
            converger.apply()
    assert {name: getattr(seen, name) for name in before} == before
    assert [wanted.content for wanted in seen.files] == content and seen.changed_files == changed
    assert [container["Id"] for container in seen.containers] == containers
    assert [container["Id"] for container in converger.run.containers] != containers


def test_it_cannot_be_written_to(machine: Machine) -> None:
    seen = machine.look()
    for field in fields(seen):
        with pytest.raises(FrozenInstanceError):
            setattr(seen, field.name, None)
