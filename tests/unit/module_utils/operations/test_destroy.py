# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of a directory of backups goes with its environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, cast

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup import schedule
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.create import LOCK
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.manifest import FORMAT, PARTIAL, write_manifest
from ansible_collections.aiia.bulkhead.plugins.module_utils.backup.recovery import JOURNAL
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.steps import Step, sentence
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.engine import Engine
from ansible_collections.aiia.bulkhead.plugins.module_utils.host.firewall import Firewall
from ansible_collections.aiia.bulkhead.plugins.module_utils.operations import destroy
from ansible_collections.aiia.bulkhead.plugins.module_utils.operations.destroy import Destruction, surprises
from ansible_collections.aiia.bulkhead.plugins.module_utils.state.home import Home
from ansible_collections.aiia.bulkhead.tests.unit.module_utils.fake_engine import FakeEngine

PREFIX = "destruction_of_nothing"


@pytest.fixture
def backups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of backups with one in it, and what a backup and a restore that was killed leave beside it."""
    monkeypatch.setattr(Firewall, "plan", lambda _self: [])
    made = tmp_path / "state" / "backups" / PREFIX / "b"
    made.mkdir(parents=True)
    write_manifest(str(made), {"format": FORMAT, "name": "b", "prefix": PREFIX, "created": "t", "parts": []})
    for name in (LOCK, JOURNAL):
        (made.parent / name).write_text("{}")
    (made.parent / f"{PARTIAL}c").mkdir()
    return made.parent


def look(tmp_path: Path, **more: Any) -> Destruction:
    """The survey of an environment that has nothing but its backups."""
    params = {"prefix": PREFIX, "state_directory": str(tmp_path / "state"), "volumes": True, "backups": True}
    params.update({"firewall_chain": "", "image_repository": "i", "mounts": [], "backup_directory": "", **more})
    return Destruction(
        cast(Engine, FakeEngine(tmp_path / "home")),
        Home(str(tmp_path / "home"), PREFIX, str(tmp_path / "state")),
        None,
        params,
    )


def test_the_whole_directory_goes(backups: Path, tmp_path: Path) -> None:
    found = look(tmp_path)
    assert [sentence(thing.removal) for thing in found.goes] == [
        f"remove backup {backups}/b",
        f"remove backup {backups}/{PARTIAL}c",
        f"remove backup directory {backups}",
    ]
    assert found.left == found.stays == []
    found.apply()
    assert not backups.exists() and look(tmp_path).goes == []


def test_a_directory_of_the_users_own_stays_without_anything_of_ours(backups: Path, tmp_path: Path) -> None:
    found = look(tmp_path, backup_directory=str(backups))
    removed = [Step("remove", f"{backups}/{name}", "file") for name in (LOCK, JOURNAL)]
    assert [thing.removal for thing in found.goes[2:]] == removed
    assert found.left == [f"{backups}: it may have been there before any backup (bulkhead_backup_directory)"]
    found.apply()
    assert list(backups.iterdir()) == [] and look(tmp_path, backup_directory=str(backups)).goes == []


def test_what_is_somebodys_own_stays_alone(backups: Path, tmp_path: Path) -> None:
    (backups / "notes").touch()
    found = look(tmp_path)
    assert found.left == [f"{backups}/notes: not a backup of {PREFIX}"]
    found.apply()
    assert [path.name for path in backups.iterdir()] == ["notes"]


def test_backups_stay_where_nobody_wants_them_gone(backups: Path, tmp_path: Path) -> None:
    found = look(tmp_path, backups=False)
    assert found.stays == [f"backup {backups}/b"] and found.goes == found.left == []


IMAGES = [Step("remove", f"i:{number}", "image") for number in range(4)]


def test_the_order_of_a_list_means_nothing() -> None:
    """Images built from a cache are of the same second, and the engine lists them in any order."""
    assert surprises(IMAGES, reversed(IMAGES)) == []


def test_what_came_or_went_since_the_list_is_named() -> None:
    assert surprises(IMAGES[1:], IMAGES[:3]) == [IMAGES[0], IMAGES[3]]


def test_issued_certificates_go_with_their_schedule(
    backups: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of this environment alone, whatever another's is called."""
    monkeypatch.setattr(schedule, "SYSTEMD", str(tmp_path / "none"))
    monkeypatch.setattr(schedule, "CRON", str(tmp_path / "cron"))
    own, other = (tmp_path / "state/certificates" / prefix for prefix in (PREFIX, f"{PREFIX}_eu"))
    for folder in (own, other):
        (folder / "client").mkdir(parents=True)
        folder.chmod(0o700)
        folder.parent.chmod(0o700)
        (folder / "certificates.pyz").write_text("")
        (folder / "client/key.pem").write_text("")
    (tmp_path / "cron").mkdir()
    for prefix in (PREFIX, f"{PREFIX}_eu"):
        (tmp_path / f"cron/bulkhead-{prefix}-certificates").write_text("")
    found = look(tmp_path)
    assert [thing.text for thing in found.goes if thing.kind in ("schedule", "certificates")] == [
        f"schedule {tmp_path}/cron/bulkhead-{PREFIX}-certificates",
        f"schedule {own}/certificates.pyz",
        f"certificates {own}",
    ]
    found.apply()
    assert not own.exists() and (other / "client/key.pem").exists()
    assert [path.name for path in (tmp_path / "cron").iterdir()] == [f"bulkhead-{PREFIX}_eu-certificates"]


class _Door:
    """A front door with the route of this environment and of another."""

    ways: ClassVar[dict[str, str]] = {}

    def __init__(self, *_unused: object) -> None:
        pass

    def has(self, prefix: str) -> bool:
        return prefix in self.ways

    def withdraw(self, prefix: str) -> None:
        del self.ways[prefix]


def test_its_route_and_sockets_go_first_and_no_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Firewall, "plan", lambda _self: [])
    monkeypatch.setattr(destroy, "Door", _Door)
    monkeypatch.setattr(_Door, "ways", {PREFIX: "a", "aiia_other": "b"})
    sockets = tmp_path / "state/edge/sockets"
    for prefix in (PREFIX, "aiia_other"):
        (sockets / prefix / "0123456789ab").mkdir(parents=True)
    found = look(tmp_path)
    assert found.goes[0].text == f"route {PREFIX}"
    found._removal("route")(found.goes[0])
    assert set(_Door.ways) == {"aiia_other"}
    assert [path.name for path in sockets.iterdir()] == ["aiia_other"]
    found.survey()
    assert "route" not in {thing.kind for thing in found.goes}
