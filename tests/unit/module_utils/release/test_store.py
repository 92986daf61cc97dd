# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The releases that a machine keeps, and returning to one of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.directory import DesiredFile
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.layout import RELEASES
from ansible_collections.aiia.bulkhead.plugins.module_utils.docker.engine import EngineError
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.rollback import as_kept, secret_texts
from ansible_collections.aiia.bulkhead.plugins.module_utils.release.store import Releases
from ansible_collections.aiia.bulkhead.plugins.module_utils.state.deployed import current_release
from unit.module_utils.deployments import Hidden, Machine, files, pem, roll_back
from unit.module_utils.fake_engine import file, service


def test_back_to_the_release_before(three: Machine) -> None:
    _first, second, _third = three.releases()
    roll_back(three)
    assert three.engine.images()["web"] == "web:2"
    assert (three.directory / "web.conf").read_text() == "2"
    assert three.checkout.commit == "c2"
    assert current_release(three.tree) == second
    assert len(three.releases()) == 3


def test_back_again_is_one_further(three: Machine) -> None:
    first, *_others = three.releases()
    roll_back(three)
    roll_back(three)
    assert (current_release(three.tree), three.engine.images()["web"]) == (first, "web:1")
    refused = f"there is no release before {first} to return to; kept releases: .*, {first}"
    with pytest.raises(EngineError, match=refused):
        roll_back(three)


def test_to_a_named_release_and_forward(three: Machine) -> None:
    first, _second, third = three.releases()
    roll_back(three, first)
    assert three.engine.images()["web"] == "web:1"
    roll_back(three, third)
    assert three.engine.images()["web"] == "web:3"
    three.deploy(**files(web="web:4"), commit="c4", keep_releases=3)
    assert len(three.releases()) == 3


def test_returning_prepares_nothing_and_takes_no_new_release(three: Machine) -> None:
    before = three.releases()
    three.engine.calls.clear()
    roll_back(three)
    assert three.releases() == before
    assert not [call for call in three.engine.calls if "--rm" in call]


def test_a_rollback_that_fails_leaves_what_was(three: Machine) -> None:
    before = current_release(three.tree)
    three.engine.sick["web:2"] = "unhealthy"
    with pytest.raises(EngineError) as caught:
        roll_back(three)
    assert caught.value.message.endswith("The previous release serves again")
    assert (current_release(three.tree), three.engine.images()["web"]) == (before, "web:3")
    assert len(three.releases()) == 3


@pytest.mark.parametrize("name", ["nobody", "..", "", "20000101T000000Z-00000000", "a/b"])
def test_a_release_that_is_not_there(three: Machine, name: str) -> None:
    with pytest.raises(EngineError, match=r"there is no release .*\(bulkhead_release\); kept releases: 1970"):
        Releases(three.tree).resolve(name, current_release(three.tree))


def test_a_file_that_somebody_changed(three: Machine) -> None:
    first = three.releases()[0]
    (three.kept / RELEASES / first / "web.conf").write_text("edited")
    with pytest.raises(
        EngineError, match=f"release {first} cannot be returned to: its file web.conf was changed by hand"
    ):
        roll_back(three, first)
    (three.kept / RELEASES / first / "web.conf").unlink()
    with pytest.raises(EngineError, match=r"its file web.conf was removed"):
        roll_back(three, first)
    assert three.engine.images()["web"] == "web:3"


def test_a_certificate_of_the_machine_is_todays(tmp_path: Path, clock: list[int]) -> None:
    machine, certificate = Machine(tmp_path / "env"), tmp_path / "live.pem"
    for number in (1, 2):
        certificate.write_text(pem(f"certificate {number}"))
        wanted = {**file("tls.pem", ""), "source": str(certificate)}
        machine.deploy(files=[*files(conf=str(number))["files"], wanted])
    roll_back(machine)
    assert (machine.directory / "web.conf").read_text() == "1"
    assert (machine.directory / "tls.pem").read_text() == pem("certificate 2")


def test_an_image_that_is_gone(three: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    second = three.releases()[1]
    manifest = three.kept / RELEASES / second / "release.json"
    kept = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**kept, "images": {"aiia_prod_web:c2": "sha256:2"}}))
    with pytest.raises(EngineError) as caught:
        roll_back(three)
    assert f"release {second} cannot be returned to: this machine no longer has its image aiia_prod_web:c2" in str(
        caught.value
    )
    assert three.engine.images()["web"] == "web:3"


def test_what_never_was_in_force_goes(three: Machine) -> None:
    left = three.kept / RELEASES / "19700101T000009Z-deadbeef"
    left.mkdir()
    assert left.name not in Releases(three.tree).kept()
    three.deploy(**files(web="web:4"), keep_releases=3)
    assert not left.exists()


def test_images_of_kept_releases_stay(three: Machine) -> None:
    """Whole names of the environment's own repository, and only those that no kept release runs."""
    repository = "aiia_prod_web"
    service_of = [service("web", image=f"{repository}:c4"), service("db")]
    three.engine.images_there = [f"{repository}:c4", f"{repository}:c0", f"{repository}:<none>", "aiia_prod_webx:c0"]
    three.deploy(**files(web="web:4"), services=service_of, image_repository=repository)
    removed = [call for call in three.engine.calls if call.startswith("image rm")]
    assert removed == [f"image rm {repository}:c0"]


def test_secrets_of_a_kept_release_are_hidden(three: Machine) -> None:
    hidden = Hidden()
    as_kept(hidden, Releases(three.tree), three.params(name="previous"))
    assert "A=1" not in hidden.no_log_values  # too short to be looked for in every text
    settings = b'PASSWORD="correct horse"\nDB_NAME="aiia_prod"\nA=1\n'
    texts = secret_texts([DesiredFile(".env", settings, 0o600, True), DesiredFile("compose", b"name: aiia_prod")])
    assert texts == {'PASSWORD="correct horse"', 'DB_NAME="aiia_prod"', "correct horse"}


def test_a_release_says_what_it_is_and_by_whom(machine: Machine) -> None:
    """Returning to it does not change that."""
    first = machine.deploy(by="ann@laptop")
    machine.deploy(**files(web="web:2"), commit="c2", by="bob@laptop")
    assert roll_back(machine, first)
    known = Releases(machine.tree).manifest(first)["about"]
    assert known == {"subject": "subject of c1", "author": "Ann", "by": "ann@laptop"}
