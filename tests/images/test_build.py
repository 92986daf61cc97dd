# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What decides that an image is built again, and what is said when that cannot be done."""

from __future__ import annotations

from pathlib import Path

import pytest
from images import build


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> build.Image:
    monkeypatch.setattr(build, "HERE", tmp_path)
    (tmp_path / "thing").mkdir()
    (tmp_path / "thing" / "Dockerfile").write_text("FROM scratch\n")
    return build.Image("thing", "bulkhead-demo/thing:1")


def test_digest_is_stable_and_follows_every_input(image: build.Image) -> None:
    seen = [build.digest(image, "base-1")]
    assert build.digest(image, "base-1") == seen[0]

    seen.append(build.digest(image, "base-2"))
    (image.context / "Dockerfile").write_text("FROM scratch\nUSER 1\n")
    seen.append(build.digest(image, "base-1"))
    (image.context / "run.sh").write_text("#!/bin/sh\n")
    seen.append(build.digest(image, "base-1"))
    (image.context / "run.sh").chmod(0o755)
    seen.append(build.digest(image, "base-1"))
    (image.context / "run.sh").rename(image.context / "ran.sh")
    seen.append(build.digest(image, "base-1"))
    assert len(set(seen)) == 6


def test_every_image_has_its_directory_and_tag() -> None:
    for image in (build.BASE, *build.IMAGES, *build.ON_DEMAND):
        assert (image.context / "Dockerfile").read_text().count("ARG BASE\nFROM ${BASE}\n") == 1
        assert image.tag.startswith(f"bulkhead-demo/{image.directory}:")


def test_a_failing_command_shows_its_last_lines_and_the_way_out() -> None:
    with pytest.raises(build.BuildError) as caught:
        build.run(["sh", "-c", "seq -f 'line %g' 20; exit 3"], 10, "Look there.")
    first, *shown = str(caught.value).splitlines()
    assert first.endswith("failed with 3. Look there.")
    assert shown == [f"  line {number}" for number in range(6, 21)]


def test_a_hanging_command_is_ended() -> None:
    with pytest.raises(build.BuildError, match="took more than 1 s"):
        build.run(["sleep", "30"], 1, "")


def test_without_an_engine_nothing_is_built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(build.BuildError, match="A Docker engine must be running"):
        build.ensure_images()


def test_without_registry_and_root_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build.shutil, "which", lambda _name: None)
    monkeypatch.setattr(build.os, "geteuid", lambda: 1000)
    with pytest.raises(build.BuildError, match=r"mmdebstrap.*BULKHEAD_DEMO_ROOTFS"):
        build.require_bootstrap_tools()
