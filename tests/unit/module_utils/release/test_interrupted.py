# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run was killed, and the release that comes after it is another one: nothing of the killed one stays in force."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.layout import TRAFFIC
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.store import Releases
from unit.module_utils.deployments import Machine, files
from unit.module_utils.fake_engine import COMPOSE_FILE, compose_text, file, service, snapshot
from unit.module_utils.rolled import ROLLING, Killed, Rolled

pytestmark = pytest.mark.usefixtures("quick")

#: What web is without its files, which db has here, and takes without a new container.
_ROLLING = {**ROLLING, "files": []}
PROXY = {"files": ["web.conf", "extra.conf"], "on_change": ["reload"]}


class Told(Rolled):
    """Remembers with which files a service was told of changed ones last."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.told = ""

    def params(self, **changes: Any) -> dict[str, Any]:
        return super().params(**{"services": [service("web", **_ROLLING), service("db", **PROXY)], **changes})

    def _look(self, call: str) -> None:
        super()._look(call)
        if call.startswith("exec") and call.endswith("reload"):
            self.told = self.reads()

    def reads(self) -> str:
        """What the service would read now."""
        paths = [self.directory / name for name in PROXY["files"]]
        return "".join(path.read_text() for path in paths if path.exists())


def killed_one() -> dict[str, Any]:
    """A release with another application, and a file that no other has."""
    changes = files(web="web:2", conf="two")
    return {**changes, "files": [*changes["files"], file("extra.conf", "extra")]}


def killed_at_each_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Told]:
    """Environments in each of which a deployment was killed at another call of the engine."""
    at = 0
    while True:
        at += 1
        told = Told(tmp_path / str(at))
        told.deploy()
        told.told = told.reads()
        told.watch()
        told.made, told.killed_at = 0, at
        with monkeypatch.context() as patch:
            patch.setattr(Releases, "remove", lambda *_args: None)
            try:
                told.deploy(**killed_one())
                break
            except Killed:
                told.killed_at = 0
        yield told
    assert at > 20


def test_the_release_before_is_deployed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its files, and nothing that a service was told of the others."""
    brought = 0
    for told in killed_at_each_call(tmp_path, monkeypatch):
        brought += (told.directory / "extra.conf").exists()
        told.deploy()
        assert (told.who_serves(), told.is_clean()) == ("web:1", True)
        assert not (told.directory / "extra.conf").exists()
        assert told.told == told.reads() == "one"
        assert told.plan() == []
    assert brought > 10


def test_the_next_release_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes back is the release in force, also inside of those who had been told of another."""
    told_others = 0
    for told in killed_at_each_call(tmp_path, monkeypatch):
        told_others += told.told != "one"
        told.engine.sick["web:3"] = "unhealthy"
        assert "serves again" in told.fails(**files(web="web:3", conf="three")).message
        assert (told.who_serves(), told.is_clean()) == ("web:1", True)
        assert told.told == told.reads() == "one"
        assert told.plan() == []
    assert told_others


def test_the_next_release_replaces_it_in_another_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its stand-in served on until the new container did."""
    left = 0
    for told in killed_at_each_call(tmp_path, monkeypatch):
        left += "aiia_prod_web_next" in told.engine.running
        told.engine.on_call = lambda _call: None
        plain = {**files(web="web:3"), "services": [service("web"), service("db", **PROXY)]}
        told.deploy(**plain)
        assert (told.who_serves(), told.is_clean()) == ("web:3", True)
        assert told.plan(**plain) == []
    assert left > 5


def test_the_next_release_has_no_such_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = 0
    for told in killed_at_each_call(tmp_path, monkeypatch):
        left += "aiia_prod_web_next" in told.engine.running
        told.engine.on_call = lambda _call: None
        for container in told.engine.running.values():
            container["Config"]["Labels"]["io.bulkhead.prefix"] = "aiia_prod"
        alone = {
            "files": [file(COMPOSE_FILE, compose_text(db="db:1")), file("web.conf", "one")],
            "services": [service("db", **PROXY)],
        }
        told.deploy(**alone)
        assert set(told.engine.running) == {"db"}
        assert not list((told.directory / TRAFFIC).glob("*"))
        assert told.plan(**alone) == []
    assert left > 5


def test_the_plan_says_what_is_cleared_up(rolled: Rolled) -> None:
    rolled.engine.on_call = lambda _call: None
    left = rolled.engine._made("gone-1", "aiia_prod_gone_next", "gone", "gone:1", one_off=True)
    left["Config"]["Labels"]["io.bulkhead.prefix"] = "aiia_prod"
    rolled.engine.running["gone"] = left
    (rolled.directory / TRAFFIC).mkdir(parents=True, exist_ok=True)
    (rolled.directory / TRAFFIC / "gone.next").touch()
    said = [f"clear up {left}, left by an interrupted run" for left in ("aiia_prod_gone_next", f"{TRAFFIC}/gone.next")]
    assert rolled.plan() == said
    rolled.deploy()
    assert rolled.is_clean() and rolled.plan() == []


@pytest.mark.parametrize("labels", [{}, {"io.bulkhead.prefix": "aiia_staging"}])
def test_a_one_off_container_of_somebody_else_stays(rolled: Rolled, labels: dict[str, str]) -> None:
    left = rolled.engine._made("gone-1", "mine_next", "gone", "gone:1", one_off=True)
    left["Config"]["Labels"].update(labels)
    rolled.engine.running["gone"] = left
    assert rolled.plan() == []


def test_a_preparation_of_a_service_that_is_gone_comes_to_its_end(rolled: Rolled) -> None:
    """A migration is not cut off, whoever began it."""
    left = rolled.engine._made("gone-1", "aiia_prod_gone_prepare", "gone", "gone:1", one_off=True)
    left["Config"]["Labels"]["io.bulkhead.prefix"] = "aiia_prod"
    rolled.engine.running["gone"] = left
    rolled.deploy()
    calls = rolled.engine.calls
    assert calls.index("wait gone-1") < calls.index("rm --force gone-1")
    assert rolled.is_clean()


# ---- files -----------------------------------------------------------------------------------------------------------


def test_a_file_of_ones_own_is_no_leftover(deployed: Machine) -> None:
    """A run that was killed before it brought its files had staged one of the same name."""
    staged = deployed.kept / "releases/20260101T000000Z-abandoned"
    staged.mkdir()
    (staged / "own.conf").write_text("theirs")
    (deployed.directory / "own.conf").write_text("mine")
    assert deployed.plan() == []
    (deployed.directory / "own.conf").write_text("theirs")
    assert deployed.plan() == ["remove file own.conf"]


def test_no_leftover_is_outside(deployed: Machine, tmp_path: Path) -> None:
    """The environment's owner can write there, and a deployment may run as root."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/own.conf").write_text("theirs")
    (deployed.directory / "link").symlink_to(tmp_path / "elsewhere")
    staged = deployed.kept / "releases/20260101T000000Z-abandoned/link"
    staged.mkdir(parents=True)
    (staged / "own.conf").write_text("theirs")
    assert deployed.plan() == []


@pytest.mark.parametrize(
    ("on_change", "before", "told"),
    [(True, False, True), (True, True, True), (False, True, True), (False, False, False)],
)
def test_files_that_somebody_changed(deployed: Machine, on_change: bool, before: bool, told: bool) -> None:
    """Whoever is told of changed files may have been told of these; any other read them if it was started since."""
    services = [service("web", files=["web.conf"], on_change=["reload"] if on_change else []), service("db")]
    deployed.deploy(services=services)
    (deployed.directory / "web.conf").write_text("by hand")
    moved = 10 if before else -10
    started = time.strftime("%Y-%m-%dT%H:%M:%S.5Z", time.gmtime(time.time() + moved))
    deployed.engine.running["web"]["State"]["StartedAt"] = started
    steps = deployed.plan(services=services)
    assert steps == ["write web.conf", *["bring changed files to aiia_prod_web"] * told]
    deployed.deploy(services=services)
    assert snapshot(deployed.directory)["web.conf"] == b"one"
