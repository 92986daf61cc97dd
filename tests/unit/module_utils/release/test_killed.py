# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whoever is killed, whenever: at every call of the engine, the run or the engine itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.errors import Failure
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.steps import Step, sentence
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.labels import RELEASE
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.rollout import Rollout
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.store import Releases
from ansible_collections.aiia.bulkhead.plugins.module_utils.state.journal import Journal
from unit.module_utils.deployments import files
from unit.module_utils.fake_engine import COMPOSE_FILE, compose_text, file, service
from unit.module_utils.rolled import ROLLING, Killed, Rolled

pytestmark = pytest.mark.usefixtures("quick")


def calls_of_a_deployment(tmp_path: Path) -> int:
    machine = Rolled(tmp_path / "count")
    machine.deploy()
    machine.watch()
    machine.deploy(**files(web="web:2", conf="two"))
    return machine.made


def killed(rolled: Rolled, at: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """A deployment of web:2 that is killed at a call. Returns whether it got that far."""
    rolled.made, rolled.killed_at = 0, at
    with monkeypatch.context() as patch:
        patch.setattr(Releases, "remove", lambda *_args: None)
        try:
            rolled.deploy(**files(web="web:2", conf="two"))
        except Killed:
            assert rolled.who_serves()
            return True
        finally:
            rolled.killed_at = 0
    return False


def test_killed_at_every_call_and_finished_by_the_next_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count = calls_of_a_deployment(tmp_path)
    assert count >= 20
    for at in range(1, count + 1):
        rolled = Rolled(tmp_path / f"again{at}")
        rolled.deploy()
        rolled.watch()
        assert killed(rolled, at, monkeypatch)
        rolled.deploy(**files(web="web:2", conf="two"))
        assert (rolled.who_serves(), rolled.is_clean()) == ("web:2", True), at
        assert rolled.plan(**files(web="web:2", conf="two")) == []
        assert rolled.releases() == Releases(rolled.tree).kept()


def test_killed_at_every_call_and_the_next_run_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes back is the release that was in force, not the half of another."""
    for at in range(1, calls_of_a_deployment(tmp_path) + 1):
        rolled = Rolled(tmp_path / f"bad{at}")
        rolled.deploy()
        rolled.engine.sick["web:3"] = "unhealthy"
        rolled.watch()
        assert killed(rolled, at, monkeypatch)
        state = json.loads((rolled.kept / "state.json").read_text())
        rolled.fails(**files(web="web:3", conf="three"))
        assert (rolled.who_serves(), rolled.is_clean()) == ("web:1", True), at
        assert (rolled.directory / "web.conf").read_text() == "one"
        assert json.loads((rolled.kept / "state.json").read_text()) == state
        assert rolled.plan() == []


def test_killed_between_the_files_and_the_containers(rolled: Rolled, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files in force are the wanted ones, and nothing runs them: the next run has something to do."""
    rolled.engine.on_call = lambda _call: None
    before = rolled.made

    def kill(*_args: object) -> None:
        raise Killed

    monkeypatch.setattr(Rollout, "serve", kill)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Releases, "remove", lambda *_args: None)
        rolled.deploy(**files(web="web:2"))
    monkeypatch.undo()
    assert rolled.made == before and rolled.who_serves() == "web:1"
    assert rolled.plan(**files(web="web:2")) == ["finish what an interrupted run began"]
    rolled.deploy(**files(web="web:2"))
    assert rolled.who_serves() == "web:2"


# ---- the first deployment ------------------------------------------------------------------------------------------

#: A database that reads a file when it starts: another file is a gap, where there is somebody to miss it.
STEADY = [service("web", **ROLLING), service("db", awaited=True, steady=True, files=["db.conf"])]


def first(web: str, text: str) -> dict[str, Any]:
    """The arguments of a first deployment."""
    images = {"web": web, "db": f"db:{text}"}
    labelled = {name: f"{image} {RELEASE}=<release of {name}>" for name, image in images.items()}
    content = [file(COMPOSE_FILE, compose_text(**labelled)), file("web.conf", text), file("db.conf", text)]
    return {"files": content, "services": STEADY}


def killed_first(rolled: Rolled, at: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """A first deployment that is killed at a call. Returns whether it got that far."""
    made = 0

    def look(_call: str) -> None:
        nonlocal made
        made += 1
        if made == at:
            raise Killed

    rolled.engine.on_call = look
    with monkeypatch.context() as patch:
        patch.setattr(Releases, "remove", lambda *_args: None)
        try:
            rolled.deploy(**first("web:1", "one"))
        except Killed:
            return True
        finally:
            rolled.engine.on_call = lambda _call: None
    return False


@pytest.mark.usefixtures("clock")
def test_a_first_deployment_killed_at_every_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next run finishes, corrected or not, and asks for no downtime: nobody was ever served."""
    begun = {}
    for at in range(1, 100):
        rolled = Rolled(tmp_path / f"first{at}")
        if not killed_first(rolled, at, monkeypatch):
            break
        begun[at] = [sentence(Step.read(step)) for step in Journal(rolled.tree.kept).read()]
        in_force = (rolled.kept / "state.json").exists()
        text = "one" if at % 2 or in_force else "two"
        rolled.deploy(**first("web:1", text))
        assert (rolled.who_serves().split()[0], rolled.is_clean()) == ("web:1", True), at
        assert rolled.plan(**first("web:1", text)) == []
        assert rolled.releases() == Releases(rolled.tree).kept()
        assert Journal(rolled.tree.kept).read() == [], "it has ended"
    assert at > 6
    # What was begun is known, whenever it was killed: more and more of it.
    assert (
        begun[1] == [] and "start aiia_prod_db" in begun[at - 1] and "prepare aiia_prod_web: migrate" in begun[at - 1]
    )
    assert [len(begun[number]) for number in sorted(begun)] == sorted(len(begun[number]) for number in begun)


def test_who_served_once_is_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its state, but with a release that was in force, what runs serves somebody."""
    rolled = Rolled(tmp_path / "served")
    rolled.deploy(**first("web:1", "one"))
    (rolled.kept / "state.json").unlink()
    assert "would take these services down" in rolled.fails(**first("web:1", "two")).message


def test_a_deployment_that_fails_by_itself_leaves_no_journal(rolled: Rolled) -> None:
    rolled.engine.sick["web:2"] = "unhealthy"
    rolled.fails(**files(web="web:2"))
    assert Journal(rolled.tree.kept).read() == []


# ---- the engine ---------------------------------------------------------------------------------------------------


def goes_away(rolled: Rolled, at: int, comes_back: bool) -> Failure | None:
    """A deployment of web:2 during which the engine goes away at a call. Returns how it ended."""
    rolled.made, rolled.lost_at, rolled.engine.returns = 0, at, comes_back
    try:
        rolled.deploy(**files(web="web:2", conf="two"))
    except Failure as error:
        return error
    finally:
        assert rolled.who_serves(), at
        rolled.engine.away, rolled.lost_at = False, 0
    return None


def test_the_engine_goes_away_at_every_call_and_comes_back(tmp_path: Path) -> None:
    """The run that meets this fails, and puts back what was by itself."""
    for at in range(1, calls_of_a_deployment(tmp_path) + 1):
        rolled = Rolled(tmp_path / f"back{at}")
        rolled.deploy()
        rolled.watch()
        error = goes_away(rolled, at, comes_back=True)
        if error is None:  # nobody needed the answer
            assert rolled.who_serves() == "web:2", at
        else:
            assert "cannot be reached" in error.message + error.detail, at
            assert (rolled.who_serves(), rolled.is_clean()) == ("web:1", True), (at, error.message)
            assert rolled.plan() == []
        rolled.deploy(**files(web="web:2", conf="two"))
        assert (rolled.who_serves(), rolled.is_clean()) == ("web:2", True), at


def test_the_engine_goes_away_at_every_call_and_stays_away(tmp_path: Path) -> None:
    """The containers live on; the next run finds the engine again and finishes."""
    for at in range(1, calls_of_a_deployment(tmp_path) + 1):
        rolled = Rolled(tmp_path / f"away{at}")
        rolled.deploy()
        rolled.watch()
        error = goes_away(rolled, at, comes_back=False)
        assert error is not None
        assert "cannot be reached" in error.message + error.detail, at
        rolled.deploy(**files(web="web:2", conf="two"))
        assert (rolled.who_serves(), rolled.is_clean()) == ("web:2", True), at
        assert rolled.plan(**files(web="web:2", conf="two")) == []
