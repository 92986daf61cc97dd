# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an older version kept in the environment's directory is taken over once, if root's registry vouches for it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.directory import digest
from ansible_collections.aiia.bulkhead.plugins.module_utils.host.facts import files_digest
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.adoption import take_over
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.store import Releases
from ansible_collections.aiia.bulkhead.plugins.module_utils.state.deployed import load_state
from ansible_collections.aiia.bulkhead.plugins.module_utils.state.registry import Registry
from unit.module_utils.deployments import Machine, files, roll_back

PREFIX = "aiia_prod"


@pytest.fixture
def older(tmp_path: Path) -> Machine:
    """An environment as an older version left it: state and release in its directory, and registered."""
    machine = Machine(tmp_path / "env")
    machine.deploy(firewall_ports=[{"protocol": "tcp", "address": "", "ports": port} for port in ("8443", "9999")])
    registry = Registry(str(machine.state_directory))
    key = registry.key(keep=True)
    private = machine.directory / ".bulkhead"
    shutil.copytree(machine.kept / "releases", private / "releases")
    state = json.loads((machine.kept / "state.json").read_text())
    (private / "state.json").write_text(json.dumps({**state, "files": ["web.conf", "../../etc/passwd"]}))
    entry: dict[str, Any] = {
        "prefix": PREFIX,
        "directory": str(machine.directory),
        "release": state["release"],
        "commit": "c1",
        "key": digest(key)[:8],
        "files": files_digest(str(machine.directory), key),
        "claims": [{"namespace": "port", "scope": "m", "key": "tcp/8443"}],
    }
    registry.write(PREFIX, entry, {"prefix": PREFIX, "finished": "2026-01-01T00:00:00Z"})
    shutil.rmtree(machine.kept)
    return machine


def release_of(machine: Machine) -> Path:
    (folder,) = (machine.directory / ".bulkhead/releases").iterdir()
    return folder


def test_nothing_is_started_anew_and_a_rollback_returns(older: Machine) -> None:
    home = older.tree
    take_over(home)
    assert older.plan() == []
    assert not [path.name for path in (older.directory / ".bulkhead").iterdir() if path.name != "environment.json"]
    first = load_state(home)["release"]
    ids = older.engine.ids()
    older.deploy(**files(web="web:2"), commit="c2")
    assert older.engine.ids() != ids
    roll_back(older)
    assert load_state(home)["release"] == first and older.engine.images()["web"] == "web:1"


def test_only_ports_that_the_registry_knows_stay_open(older: Machine) -> None:
    """The owner could have written others' into the manifest."""
    take_over(older.tree)
    (name,) = Releases(older.tree).kept()
    assert [port["ports"] for port in Releases(older.tree).manifest(name)["firewall_ports"]] == ["8443"]


def test_a_check_changes_nothing(older: Machine) -> None:
    home = older.tree
    take_over(home, check=True)
    assert load_state(home)["commit"] == "c1" and not older.kept.exists()


def _another_compose(machine: Machine) -> None:
    folder = release_of(machine)
    text = '{"web": "evil:1"}'
    (folder / "docker-compose.prod.yml").write_text(text)
    manifest = json.loads((folder / "release.json").read_text())
    for file in manifest["files"]:
        if file["path"] == "docker-compose.prod.yml":
            file["digest"] = digest(text.encode())
    (folder / "release.json").write_text(json.dumps(manifest))


def _edit(machine: Machine, **changes: Any) -> None:
    path = release_of(machine) / "release.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def _another_release(machine: Machine) -> None:
    forged = release_of(machine).parent / "20990101T000000Z-forged00"
    shutil.copytree(release_of(machine), forged)
    path = machine.directory / ".bulkhead/state.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "release": forged.name}))


FORGED: dict[str, Callable[[Machine], object]] = {
    "another Compose file, its digest recomputed": _another_compose,
    "a release that the registry does not know": _another_release,
    "a registry without the environment": lambda machine: shutil.rmtree(machine.state_directory / "environments"),
    "a mount from elsewhere": lambda machine: _edit(
        machine, services=[{"name": "web", "key": "web", "container": "w", "mounts": ["./../../prod:/x"]}]
    ),
    "a file of root's": lambda machine: _edit(
        machine, files=[{"path": "../x", "digest": "0", "mode": 420, "secret": False, "source": "/etc/shadow"}]
    ),
    "no manifest at all": lambda machine: (release_of(machine) / "release.json").write_text("["),
}


@pytest.mark.parametrize("how", FORGED)
def test_what_the_registry_does_not_vouch_for(older: Machine, how: str) -> None:
    """It is no state: the next deployment makes everything anew, from what the controller proved."""
    FORGED[how](older)
    take_over(older.tree)
    assert load_state(older.tree) == {} and Releases(older.tree).kept() == []


def test_a_source_is_not_taken_over(older: Machine) -> None:
    """A manifest could name any file of the machine, and root would copy it into the directory."""
    manifest = json.loads((release_of(older) / "release.json").read_text())
    _edit(older, files=[{**file, "source": "/etc/shadow"} for file in manifest["files"]])
    take_over(older.tree)
    (name,) = Releases(older.tree).kept()
    assert {file.source for file in Releases(older.tree).files(name)} == {""}
