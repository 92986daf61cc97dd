# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A name that means another image than when a release was in force: that release is not what it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.engine import EngineError
from ansible_collections.aiia.bulkhead.plugins.module_utils.state.deployed import current_release
from unit.module_utils.deployments import WEB, Machine, files, roll_back
from unit.module_utils.fake_engine import service, snapshot

OLD, NEW = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
LATEST = "app:latest"


def wanted(image: str = LATEST, conf: str = "one", **more: Any) -> dict[str, Any]:
    """A release whose web runs an image by this name."""
    return {**files(web=image, conf=conf), "services": [service("web", **WEB, image=image, **more), service("db")]}


def running(machine: Machine) -> str:
    """The image that web runs."""
    return str(machine.engine.running["web"]["Image"])


@pytest.fixture
def moved(tmp_path: Path, clock: list[int]) -> Machine:
    """Two releases by one name, which meant another image for each."""
    machine = Machine(tmp_path / "env")
    for identity in (OLD, NEW):
        machine.engine.named[LATEST] = identity
        machine.deploy(**wanted(conf=identity))
    assert running(machine) == NEW and len(machine.releases()) == 2
    return machine


def test_a_rollback_is_refused(moved: Machine) -> None:
    first, second = moved.releases()
    before = snapshot(moved.directory), moved.engine.ids()
    with pytest.raises(EngineError) as caught:
        roll_back(moved)
    for part in (
        f"release {first} cannot be returned to: web ran image {LATEST} as sha256:aaaaaaaaaaaa, and that name now "
        "means sha256:bbbbbbbbbbbb",
        "by its digest or by a tag that is not moved",
        "Nothing was changed",
    ):
        assert part in caught.value.message
    assert (snapshot(moved.directory), moved.engine.ids()) == before
    assert current_release(moved.tree) == second
    assert not [call for call in moved.engine.calls if call.startswith("image tag")], "the name may be others' too"


def test_with_the_name_back_it_is_not(moved: Machine) -> None:
    moved.engine.named[LATEST] = OLD
    roll_back(moved)
    assert (running(moved), (moved.directory / "web.conf").read_text()) == (OLD, OLD)


def test_other_inputs_have_a_name_of_their_own(tmp_path: Path, clock: list[int]) -> None:
    """The same commit, built otherwise: both images are there, and each release has its own."""
    machine, repository = Machine(tmp_path / "env"), "aiia_prod_web"
    names = {f"{repository}:c1-{digest}": identity for digest, identity in (("one", OLD), ("two", NEW))}
    machine.engine.named |= names
    for name in names:
        machine.deploy(**wanted(name), image_repository=repository)
    assert running(machine) == NEW
    roll_back(machine, image_repository=repository)
    assert running(machine) == OLD


@pytest.mark.parametrize("repository", ["", "app", "other"])
def test_an_image_of_ours_may_be_built_once_more(moved: Machine, repository: str) -> None:
    """Its name says what it was built from; only names that say nothing are compared."""
    if repository == "app":
        roll_back(moved, image_repository=repository)
        assert running(moved) == NEW and (moved.directory / "web.conf").read_text() == OLD
    else:
        with pytest.raises(EngineError, match="cannot be returned to"):
            roll_back(moved, image_repository=repository)


def test_going_back_says_that_the_image_is_another(machine: Machine) -> None:
    machine.engine.named[LATEST] = OLD
    machine.deploy(**wanted())
    machine.engine.named[LATEST] = NEW
    machine.engine.commands["migrate"] = (1, "", "no such column")
    error = machine.fails(**wanted(conf="two", prepare=[["migrate"]]))
    assert running(machine) == NEW
    assert error.message.endswith(
        "The previous release serves again, but not with the same images: web ran image app:latest as "
        "sha256:aaaaaaaaaaaa, and that name now means sha256:bbbbbbbbbbbb"
    )


def test_going_back_to_the_same_image_says_nothing_of_it(machine: Machine) -> None:
    machine.engine.named |= {"web:1": OLD, "web:2": NEW}
    machine.deploy(**wanted("web:1"))
    machine.engine.sick["web:2"] = "unhealthy"
    error = machine.fails(**wanted("web:2"))
    assert running(machine) == OLD
    assert error.message.endswith("The previous release serves again")
