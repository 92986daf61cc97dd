# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An environment cannot leave the comparison with its machine's others by a state directory or labels of its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.handles import PathError
from ansible_collections.aiia.bulkhead.plugins.module_utils.state import directories
from ansible_collections.aiia.bulkhead.plugins.module_utils.state.registry import Registry
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.live.preflight import standing
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.isolation.model import Finding
from attackers import NOBODY, public_directory
from unit.plugin_utils.isolation.live.observations import PREFIX, container, deployed, entry, environment, observation

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root has a registry of the whole machine")

OURS, THEIRS = "aiia_staging", "aiia_prod"


@pytest.fixture
def fixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The place that no inventory chooses."""
    place = tmp_path / "var"
    monkeypatch.setattr(directories, "FIXED", str(place))
    return place


def register(state: Path, prefix: str, **claims: str) -> None:
    """Deploy an environment into a state directory: what preflight and record do."""
    directories.remember(str(state))
    claimed = [
        {"namespace": name.replace("_", "-"), "scope": "app1", "key": key, "shareable": False, "attributes": {}}
        for name, key in claims.items()
    ]
    owned = entry(prefix, machine="app1", claims=claimed)
    Registry(str(state)).write(prefix, {**owned, "directory": ""}, {"finished": "2026-01-01T10:00:00Z"})


def judged(state: Path, seen: dict[str, Any] | None = None) -> list[Finding]:
    """What preflight says of staging, whose inventory names this state directory."""
    running = [deployed(THEIRS)]
    known = Registry(str(state)).entries()
    found = observation(
        **{"containers": running, "registry": known, **(seen or {})},
        elsewhere=directories.registered_elsewhere(str(state), {THEIRS} - {*known}),
    )
    return [finding for finding in standing(environment(OURS), {OURS}, found) if THEIRS in finding.environments]


@pytest.mark.parametrize("where", ["var", "prod-state"])
def test_a_state_directory_of_one_s_own(fixed: Path, tmp_path: Path, where: str) -> None:
    """production is registered in the fixed place, or in a directory of its own; staging claims what production has."""
    register(tmp_path / where, THEIRS, host_port="8080/tcp")
    attacker = tmp_path / "own-state"
    directories.remember(str(attacker))
    (finding,) = judged(attacker)
    assert "8080" in finding.resource + finding.message and set(finding.environments) == {OURS, THEIRS}
    # In production's own registry, it is the same finding.
    assert [found.rule for found in judged(tmp_path / where)] == [finding.rule]
    # The controls: what only looks like it, and without the list nothing was found.
    register(tmp_path / where, THEIRS, host_port="9090/tcp")
    assert judged(attacker) == []
    register(tmp_path / where, THEIRS, host_port="8080/tcp")
    assert judged(attacker)
    (tmp_path / where).rename(tmp_path / "moved")
    assert judged(attacker) == []


def test_the_list_is_root_s_and_has_what_is_there(fixed: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for state in (one, two):
        register(state, THEIRS)
    assert directories.others(str(one)) == sorted([str(fixed), str(two)])
    assert directories.others(str(fixed)) == [str(one), str(two)]
    assert [path.stat().st_mode & 0o777 for path in (fixed, fixed / "state-directories.json")] == [0o700, 0o600]
    two.rename(tmp_path / "three")
    directories.remember(str(tmp_path / "three"))
    assert directories.others(str(one)) == sorted([str(fixed), str(tmp_path / "three")])
    with public_directory() as folder:
        mine = folder / "var"
        mine.mkdir()
        os.chown(mine, NOBODY.pw_uid, -1)
        directories.FIXED = str(mine)  # undone by the fixture
        with pytest.raises(PathError, match="could be forged"):
            directories.others(str(one))


def test_a_file_of_an_environment_in_another_state_directory(fixed: Path, tmp_path: Path) -> None:
    key = tmp_path / "prod.key"
    key.touch()
    claim = {"namespace": "path", "key": str(key), "attributes": {"kind": "read"}}
    owned = {"prefix": THEIRS, "directory": str(tmp_path / "prod"), "claims": [claim]}
    Registry(str(tmp_path / "prod-state")).write(THEIRS, owned, {"finished": "2026-01-01T10:00:00Z"})
    attacker = str(tmp_path / "own-state")

    def holders(path: Path) -> list[str]:
        return directories.holders_of(attacker, str(path), "/etc/tls/link.key", OURS)

    assert holders(key) == []  # the control: nobody has listed that directory
    directories.remember(str(tmp_path / "prod-state"))
    assert holders(key) == [THEIRS] and holders(tmp_path / "prod/.env") == [THEIRS]
    assert holders(tmp_path / "prod-state/key") == ["Bulkhead"]


def test_unregistered_containers_of_a_prefix_within_ours() -> None:
    """Nothing but their label says whose they are; a prefix beside ours is no reason to stop."""

    def stopping(prefix: str) -> list[str]:
        running = [container("stray", {PREFIX: prefix})]
        found = standing(environment(OURS), {OURS}, observation(containers=running))
        return [finding.rule for finding in found if finding.severity > 1 and prefix in finding.environments]

    assert stopping(f"{OURS}_eu") == ["prefix-of-prefix"]
    assert stopping("aiia_stagings") == [] and stopping("shop_prod") == []
