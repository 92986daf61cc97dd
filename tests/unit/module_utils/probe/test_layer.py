# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a container wrote is read from its layer as ``docker diff`` says it, and no link leads out of it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.probe import layer as module
from ansible_collections.aiia.bulkhead.plugins.module_utils.probe.layer import Layer
from ansible_collections.aiia.bulkhead.plugins.module_utils.probe.prober import LAYER, Prober


def write(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x", encoding="utf-8")


@pytest.fixture
def overlay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The layers of a container: in media/ one new file, one that the image has, and a link out of it."""
    monkeypatch.setattr(module.os, "geteuid", lambda: 0)
    write(tmp_path / "upper/app/media/new.png", tmp_path / "upper/app/media/old.png", tmp_path / "upper/app/x.pyc")
    write(tmp_path / "one/app/manage.py", tmp_path / "two/app/media/old.png", tmp_path / "outside/media/secret.txt")
    (tmp_path / "upper/media").symlink_to(tmp_path / "outside/media")
    (tmp_path / "two/linked").symlink_to(tmp_path / "outside")
    return tmp_path


def inspected(overlay: Path, driver: str = "overlay2") -> dict[str, Any]:
    lower = f"{overlay}/one:{overlay}/two"
    return {"GraphDriver": {"Name": driver, "Data": {"UpperDir": f"{overlay}/upper", "LowerDir": lower}}}


def asked(found: dict[str, Any], changes: str = "") -> tuple[list[str], list[tuple[str, ...]]]:
    """The uploads of a container that is inspected as found, and what Docker was asked for that."""
    commands: list[tuple[str, ...]] = []

    def docker(*command: str, **_options: Any) -> tuple[int, str, str]:
        commands.append(command)
        return 0, changes, ""

    engine = SimpleNamespace(inspect=lambda _names: [found], docker=docker)
    (answer,) = Prober(cast(Any, engine), 0.5).execute([{"kind": LAYER, "container": "web"}])
    return answer["lines"], commands


def test_new_files_are_read_without_asking_the_engine(overlay: Path) -> None:
    """Neither those that the image has, nor what a link leads to."""
    assert asked(inspected(overlay)) == (["/app/media/new.png"], [])


@pytest.mark.parametrize("why", ["another driver", "another user", "gone", "unknown", "too many files"])
def test_the_engine_is_asked_otherwise(overlay: Path, monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    found = inspected(overlay, "btrfs" if why == "another driver" else "overlay2")
    if why == "another user":
        monkeypatch.setattr(module.os, "geteuid", lambda: 1000)
    elif why == "gone":
        (overlay / "upper").rename(overlay / "elsewhere")
    elif why == "unknown":
        found = {"GraphDriver": None}
    elif why == "too many files":
        monkeypatch.setattr(module.time, "monotonic", iter(range(0, 1_000_000, 1000)).__next__)
    said = "A /app/media/said.png\nC /app/media/old.png\n"
    assert asked(found, said) == (["/app/media/said.png"], [("diff", "web")])


@pytest.fixture
def deep(overlay: Path) -> Iterator[Path]:
    """Directories that are too deep for Python, as a container can make them."""
    handle = os.open(overlay / "upper", os.O_RDONLY)
    for _level in range(1500):
        os.mkdir("d", dir_fd=handle)
        below = os.open("d", os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = below
    os.close(handle)
    yield overlay
    subprocess.run(["rm", "-r", overlay / "upper/d"], check=True)  # pytest's own removal would end like the listing


def test_directories_as_deep_as_can_be(deep: Path) -> None:
    """Where Python cannot list them, the engine is asked."""
    lines, commands = asked(inspected(deep), "A /app/media/said.png\n")
    assert lines == (["/app/media/said.png"] if commands else ["/app/media/new.png"])


def test_a_place_of_the_image(overlay: Path) -> None:
    """A link of the image is not followed."""
    layer = Layer.of(inspected(overlay))
    assert layer is not None
    assert layer.is_of_image("/app/media/old.png") and layer.is_of_image("/linked")
    assert not layer.is_of_image("/app/media/new.png")
    assert not layer.is_of_image("/linked/media/secret.txt")  # on the machine, and not in the image


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make the file by which a layer removes another's")
def test_what_a_layer_removed(overlay: Path) -> None:
    """It is no file that was written, and the image has none there."""
    (overlay / "one/app/media").mkdir()
    os.mknod(overlay / "one/app/media/old.png", 0o020000, 0)
    os.mknod(overlay / "upper/app/media/gone.png", 0o020000, 0)
    assert asked(inspected(overlay)) == (["/app/media/new.png", "/app/media/old.png"], [])
