# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which release is the one before: the one that served before this one, whatever was tried in between."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.directory import DesiredFile, Tree
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.layout import STATE
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.engine import EngineError
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.converge import Converger
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.rollout import Rollout
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.store import Releases
from ansible_collections.aiia.bulkhead.plugins.module_utils.state.deployed import current_release
from unit.module_utils.deployments import Machine, files, pem, roll_back
from unit.module_utils.fake_engine import file
from unit.module_utils.rolled import Killed

LABELLED = "web:1 io.bulkhead.release=<release of web>"


def release(machine: Machine, number: int, **changes: Any) -> str:
    """Deploy a version that differs from all others."""
    return machine.deploy(**{**files(web=f"web:{number}", conf=str(number)), "commit": f"c{number}", **changes})


def served(machine: Machine) -> tuple[str, str, str]:
    """The release in force, the image that runs, and what its file says."""
    return current_release(machine.tree), machine.engine.images()["web"], (machine.directory / "web.conf").read_text()


# ---- after somebody went back ------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [2, 3, 5])
def test_a_bad_release_is_not_the_one_before_the_next(machine: Machine, clock: list[int], keep: int) -> None:
    """Also where so few are kept that the bad one and the one before do not both fit."""
    _first, second, _bad = (release(machine, number, keep_releases=keep) for number in (1, 2, 3))
    roll_back(machine, keep_releases=keep)
    assert served(machine) == (second, "web:2", "2")
    fourth = release(machine, 4, keep_releases=keep)
    assert machine.releases()[-1] == fourth and len(machine.releases()) == min(keep, 4)
    roll_back(machine, keep_releases=keep)
    assert served(machine) == (second, "web:2", "2")


def test_a_certificate_of_today_is_no_other_release(machine: Machine, clock: list[int], tmp_path: Path) -> None:
    """It was renewed between two releases, and stays as it is when one goes back: twice, if need be."""
    copied = {**file("tls.pem", ""), "source": str(tmp_path / "live.pem")}

    def with_certificate(number: int) -> str:
        (tmp_path / "live.pem").write_text(pem("new" if number == 3 else "old"))
        given = files(web=f"web:{number}", conf=str(number))["files"]
        return release(machine, number, files=[*given, copied], keep_releases=3)

    first, second, _third = (with_certificate(number) for number in (1, 2, 3))
    roll_back(machine)
    assert served(machine) == (second, "web:2", "2") and (machine.directory / "tls.pem").read_text() == pem("new")
    roll_back(machine)
    assert served(machine) == (first, "web:1", "1")


def test_what_was_gone_back_from_is_kept_while_there_is_room(three: Machine) -> None:
    first, second, third = three.releases()
    roll_back(three)
    assert three.releases() == [first, second, third]
    roll_back(three, third)
    roll_back(three)
    assert served(three) == (second, "web:2", "2"), "and what it followed is known"
    roll_back(three, second, keep_releases=2)
    release(three, 4, keep_releases=2)
    assert (second in three.releases(), third in three.releases()) == (True, False)


def test_the_one_before_is_not_kept(machine: Machine, clock: list[int]) -> None:
    """No older one is taken for it."""
    only = [release(machine, number, keep_releases=1) for number in (1, 2)][-1]
    assert machine.releases() == [only]
    with pytest.raises(EngineError, match=f"there is no release before {only} to return to; kept releases: {only}"):
        roll_back(machine)


# ---- after a killed run ------------------------------------------------------------------------------------------


def in_force(_machine: Machine, patch: pytest.MonkeyPatch) -> None:
    """All of it serves, and nothing is written down of it."""
    patch.setattr(Converger, "_keep", _kill)


def written_down(_machine: Machine, patch: pytest.MonkeyPatch) -> None:
    """Its manifest is written, the state is not."""
    real = Tree.write

    def write(tree: Tree, wanted: DesiredFile, base: str = "") -> None:
        if wanted.path == STATE:
            raise Killed
        real(tree, wanted, base)

    patch.setattr(Tree, "write", write)


def half_started(machine: Machine, patch: pytest.MonkeyPatch) -> None:
    """Its files are there, no container runs them."""
    patch.setattr(Rollout, "serve", _kill)


def only_staged(_machine: Machine, patch: pytest.MonkeyPatch) -> None:
    """Nothing has changed yet."""
    patch.setattr(Tree, "install", _kill)


def _kill(*_arguments: object, **_options: object) -> None:
    raise Killed


@pytest.mark.parametrize(("how", "before"), [(in_force, 2), (written_down, 2), (half_started, 2), (only_staged, 1)])
def test_a_killed_run_is_gone_back_from(
    machine: Machine, clock: list[int], how: Callable[[Machine, pytest.MonkeyPatch], None], before: int
) -> None:
    """The one before a half release is what the state tells of; where nothing had changed, the one before that."""
    names = {number: release(machine, number, keep_releases=3) for number in (1, 2)}
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Releases, "remove", _kill)  # nothing is cleared up
        how(machine, patch)
        release(machine, 3, keep_releases=3)
    assert len(machine.releases()) == 3 and current_release(machine.tree) == names[2]
    roll_back(machine)
    assert served(machine) == (names[before], f"web:{before}", str(before))


def test_a_file_edited_by_hand_is_no_killed_run(three: Machine) -> None:
    _first, second, _third = three.releases()
    (three.directory / "web.conf").write_text("edited")
    roll_back(three)
    assert served(three) == (second, "web:2", "2")


# ---- after a repair ----------------------------------------------------------------------------------------------


def dies(machine: Machine) -> None:
    """A container ended."""
    machine.engine.container("web", State={"Running": False, "Status": "exited", "ExitCode": 1})


def goes(machine: Machine) -> None:
    """Somebody removed a container."""
    del machine.engine.running["web"]


@pytest.mark.parametrize("spoil", [dies, goes])
def test_a_repair_is_no_release(machine: Machine, clock: list[int], spoil: Callable[[Machine], None]) -> None:
    """Two of them leave the release before where it is, and its name to the one in force."""
    first = release(machine, 0)
    wanted = {**files(web=LABELLED, conf="1"), "commit": "c1"}
    second = machine.deploy(**wanted)
    for _time in range(2):
        spoil(machine)
        assert machine.plan(**wanted) == ["start aiia_prod_web"]
        assert machine.deploy(**wanted) == second
        assert machine.releases() == [first, second] == Releases(machine.tree).kept()
        assert machine.plan(**wanted) == []
    labels = machine.engine.running["web"]["Config"]["Labels"]
    assert labels["io.bulkhead.release"] == second
    roll_back(machine)
    assert served(machine) == (first, "web:0", "0")


@pytest.mark.parametrize("spoil", [dies, goes])
def test_a_repair_that_fails_keeps_the_release(
    machine: Machine, clock: list[int], spoil: Callable[[Machine], None]
) -> None:
    names = [release(machine, number) for number in (1, 2)]
    spoil(machine)
    machine.engine.refuses = lambda call: call.startswith("up")
    machine.fails(**files(web="web:2", conf="2"), commit="c2")
    assert machine.releases() == names == Releases(machine.tree).kept()
    machine.engine.refuses = lambda _call: False
    assert machine.deploy(**files(web="web:2", conf="2"), commit="c2") == names[-1]


@pytest.mark.parametrize("changes", [{"commit": "c2"}, {"networks": ["aiia_prod_network", "aiia_prod_data"]}])
def test_another_release_with_the_same_files(machine: Machine, clock: list[int], changes: dict[str, Any]) -> None:
    """What else belongs to a release makes it another: the one before has to be there as it was."""
    first = machine.deploy()
    goes(machine)
    second = machine.deploy(**changes)
    assert machine.releases() == [first, second]
    roll_back(machine)
    assert (current_release(machine.tree), machine.checkout.commit) == (first, "c1")
    assert Releases(machine.tree).manifest(first)["networks"] == ["aiia_prod_network"]


def test_a_damaged_copy_of_the_release_in_force_is_made_anew(machine: Machine, clock: list[int]) -> None:
    first, second = (release(machine, number) for number in (1, 2))
    (machine.kept / Releases.path(second) / "web.conf").unlink()
    goes(machine)
    third = release(machine, 2)
    assert third not in (first, second) and Releases(machine.tree).is_whole(third)
