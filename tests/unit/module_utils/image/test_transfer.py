# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An image is copied without the layers that the other engine has, and whole where that is not enough."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, cast

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.core.process import StreamError
from ansible_collections.aiia.bulkhead.plugins.module_utils.image.transfer import copy, filtered, spare

BASE, TOOLS, APP, EMPTY = (f"sha256:{letter * 64}" for letter in "abcd")


def archive(*layers: str) -> bytes:
    """An archive of images with these layers, as the engine saves it."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name in ("blobs/sha256/", *(f"blobs/sha256/{layer[7:]}" for layer in layers), "manifest.json"):
            member = tarfile.TarInfo(name)
            member.type = tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE
            content = b"" if name.endswith("/") else name.encode() * 100
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def names(content: bytes) -> list[str]:
    """What an archive has, in short; each file is whole."""
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        for member in filter(tarfile.TarInfo.isreg, tar):
            assert tar.extractfile(member).read() == member.name.encode() * 100  # type: ignore[union-attr]
        return [name.rpartition("/")[2][:1] for name in tar.getnames() if not name.endswith("sha256")]


def test_an_archive_without_some_layers() -> None:
    passed = io.BytesIO()
    filtered(io.BytesIO(archive(BASE, TOOLS, APP)), passed, [BASE, TOOLS])
    assert names(passed.getvalue()) == ["c", "m"]


@pytest.mark.parametrize(
    ("images", "known", "left_out"),
    [
        ([[BASE, TOOLS, APP]], [[BASE], [BASE, TOOLS]], {BASE, TOOLS}),
        ([[BASE, TOOLS]], [[BASE, TOOLS, APP]], {BASE, TOOLS}),  # between images of the other engine
        ([[BASE, TOOLS]], [[TOOLS]], set()),  # there, and on nothing
        ([[BASE, EMPTY, TOOLS, EMPTY]], [[BASE, EMPTY]], {BASE}),  # once more in another place
        ([[BASE, APP], [TOOLS, BASE]], [[BASE]], set()),  # one of two images lacks it
        ([[BASE]], [], set()),
    ],
)
def test_layers_in_their_place(images: list[list[str]], known: list[list[str]], left_out: set[str]) -> None:
    assert spare(images, known) == left_out


class Engine:
    """An engine with the layers of one image, which loads and saves archives."""

    def __init__(self, *layers: str, driver: str = "overlay2", lacks: str = "") -> None:
        self.layers, self.driver, self.lacks = layers, driver, lacks
        self.loaded: list[list[str]] = []

    def docker_ok(self, *command: str) -> str:
        return json.dumps({"Driver": self.driver}) if command[0] == "info" else "image\n"

    def image_ids(self, wanted: list[str]) -> dict[str, str]:
        return dict.fromkeys(wanted, BASE)

    def docker(self, _kind: str, _inspect: str, *_names: str, **_options: Any) -> tuple[int, str, str]:
        return 0, json.dumps([{"RootFS": {"Layers": self.layers}}]), ""

    def stream(
        self,
        _what: str,
        command: str,
        *_names: str,
        source: IO[bytes] | None = None,
        read: Callable[[IO[bytes]], None] = lambda _pipe: None,
        write: Callable[[IO[bytes]], None] = lambda _pipe: None,
    ) -> None:
        if command == "save":
            pipe = io.BytesIO(archive(*self.layers))
            read(pipe)
            assert not pipe.read()  # the client that saves would end with an error
            return
        sink = io.BytesIO(source.read() if source else b"")
        write(sink)
        self.loaded.append(names(sink.getvalue()))
        if self.lacks and self.lacks not in self.loaded[-1]:
            raise StreamError("loading failed")


def copied(origin: Engine, target: Engine) -> list[list[str]]:
    copy(cast(Any, origin), cast(Any, target), ["web:1"])
    return target.loaded


def test_only_new_layers_are_loaded() -> None:
    assert copied(Engine(BASE, APP), Engine(BASE)) == [["c", "m"]]
    assert copied(Engine(BASE, APP), Engine(TOOLS)) == [["a", "c", "m"]]
    assert copied(Engine(BASE, APP), Engine(BASE, driver="overlayfs")) == [["a", "c", "m"]]


def test_a_layer_that_went_meanwhile() -> None:
    """Then the image is loaded whole. Control: where that fails as well, so does the copy."""
    assert copied(Engine(BASE, APP), Engine(BASE, lacks="a")) == [["c", "m"], ["a", "c", "m"]]
    with pytest.raises(StreamError):
        copied(Engine(BASE, APP), Engine(BASE, lacks="z"))


def test_what_an_engine_keeps_otherwise_is_loaded_whole(tmp_path: Path) -> None:
    """Where its files are not as they are known, it is asked itself."""
    target = Engine(BASE)
    copy(cast(Any, Engine(BASE, APP)), cast(Any, target), ["web:1"], str(tmp_path))
    assert target.loaded == [["a", "c", "m"]]
