# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Layers are put together from an engine's files, to the byte, and nothing outside of them is read."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.aiia.bulkhead.plugins.module_utils.image.layers import Piece, chains, pieces, write

NAME = "aiia_prod_django:1"


def digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def layer(files: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    """A layer as an archive."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    return stream.getvalue()


class Data:
    """The data of an engine: it keeps images as overlay2 does."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def keep(self, *layers: bytes) -> str:
        """Keep an image of these layers. Returns its id."""
        digests = [digest(content) for content in layers]
        for number, (_layer, chain) in enumerate(chains(digests)):
            known = self.path / "image/overlay2/layerdb/sha256" / chain[7:]
            known.mkdir(parents=True, exist_ok=True)
            (known / "cache-id").write_text(f"cache{number}")
            (known / "tar-split.json.gz").write_bytes(gzip.compress(self._split(layers[number], f"cache{number}")))
        configuration = json.dumps({"rootfs": {"type": "layers", "diff_ids": digests}}).encode()
        kept = self.path / "image/overlay2/imagedb/content/sha256" / digest(configuration)[7:]
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(configuration)
        return digest(configuration)

    def files(self, number: int) -> Path:
        """Where the files of the image's layer of this number are."""
        return self.path / f"overlay2/cache{number}/diff"

    def _split(self, content: bytes, cache: str) -> bytes:
        """What an archive has between its files; the files themselves are written into a directory."""
        lines: list[dict[str, Any]] = []
        at = 0
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            for member in archive:
                lines.append({"type": 2, "payload": base64.b64encode(content[at : member.offset_data]).decode()})
                at = member.offset_data + member.size
                name = {"name": member.name}
                if not member.name.isascii():
                    name = {"name_raw": base64.b64encode(member.name.encode()).decode()}
                lines.append({"type": 1, **name, **({"size": member.size} if member.size else {}), "payload": "AA=="})
                place = self.path / "overlay2" / cache / "diff" / member.name
                place.parent.mkdir(parents=True, exist_ok=True)
                if member.issym():
                    place.symlink_to(member.linkname)
                else:
                    place.write_bytes(content[member.offset_data : at])
        lines.append({"type": 2, "payload": base64.b64encode(content[at:]).decode()})
        return "".join(json.dumps({**line, "position": number}) + "\n" for number, line in enumerate(lines)).encode()


@pytest.fixture
def data(tmp_path: Path) -> Data:
    return Data(tmp_path)


def written(data: Data, identity: str, *left_out: bytes) -> dict[str, bytes]:
    """What an archive has, by name."""
    sink = io.BytesIO()
    write(str(data.path), [(NAME, identity)], [digest(content) for content in left_out], sink)
    with tarfile.open(fileobj=io.BytesIO(sink.getvalue())) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]


BASE = layer({"usr/bin/python3": b"x" * 3_000_000})
CODE = layer({"srv/app/one.py": b"print(1)\n", "srv/app/empty": b"", "srv/größe": b"2" * 600}, {"srv/now": "/etc"})


def test_only_what_is_missing_and_to_the_byte(data: Data) -> None:
    identity = data.keep(BASE, CODE)
    found = written(data, identity, BASE)
    manifest = json.loads(found.pop("manifest.json"))
    layers = [f"blobs/sha256/{digest(content)[7:]}" for content in (BASE, CODE)]
    assert manifest == [{"Config": f"blobs/sha256/{identity[7:]}", "RepoTags": [NAME], "Layers": layers}]
    assert digest(found.pop(manifest[0]["Config"])) == identity
    assert found == {layers[1]: CODE}


def test_large_files_and_layers_that_are_there_twice(data: Data) -> None:
    found = written(data, data.keep(BASE, CODE, CODE))
    assert found[f"blobs/sha256/{digest(BASE)[7:]}"] == BASE
    assert len(found) == 4


def test_a_chain() -> None:
    """By the OCI image specification: the first is the layer's own digest, each other one of both."""
    one, two = digest(b"1"), digest(b"2")
    assert [*chains([one, two])] == [(one, one), (two, digest(f"{one} {two}".encode()))]


def led_away(data: Data) -> None:
    file = data.files(1) / "srv/app/one.py"
    (data.path / "secret").write_bytes(file.read_bytes())
    file.unlink()
    file.symlink_to(data.path / "secret")


def led_away_above(data: Data) -> None:
    folder = data.files(1) / "srv/app"
    folder.rename(data.path / "elsewhere")
    folder.symlink_to(data.path / "elsewhere")


def longer(data: Data) -> None:
    (data.files(1) / "srv/app/one.py").write_bytes(b"another file\n")


def gone(data: Data) -> None:
    (data.files(1) / "srv/app/one.py").unlink()


def another_configuration(data: Data) -> None:
    for kept in (data.path / "image/overlay2/imagedb/content/sha256").iterdir():
        kept.write_bytes(kept.read_bytes() + b" ")


def unknown_layer(data: Data) -> None:
    for known in (data.path / "image/overlay2/layerdb/sha256").iterdir():
        (known / "tar-split.json.gz").write_bytes(gzip.compress(b'{"type": 7}\n'))


@pytest.mark.parametrize("change", [led_away, led_away_above, longer, gone, another_configuration, unknown_layer])
def test_files_that_are_not_the_layer_s(data: Data, change: Callable[[Data], None]) -> None:
    identity = data.keep(BASE, CODE)
    change(data)
    with pytest.raises((OSError, ValueError, LookupError)):
        written(data, identity, BASE)


@pytest.mark.parametrize("path", ["../../secret", "srv/../../secret"])
def test_a_name_that_leads_upwards(data: Data, path: str) -> None:
    identity = data.keep(CODE)
    (data.path / "overlay2/secret").write_bytes(b"12345")
    lines = json.dumps({"type": 1, "name": path, "size": 5}).encode()
    for known in (data.path / "image/overlay2/layerdb/sha256").iterdir():
        (known / "tar-split.json.gz").write_bytes(gzip.compress(lines))
    with pytest.raises(OSError, match="leads upwards"):
        written(data, identity)


@pytest.mark.parametrize("identity", ["", "sha256:../../x", "md5:" + "a" * 64, "sha256:" + "A" * 64])
def test_an_id_that_is_none(data: Data, identity: str) -> None:
    with pytest.raises(ValueError, match="is no digest"):
        written(data, identity)


def test_pieces() -> None:
    lines = [{"type": 2, "payload": None}, {"type": 1, "name": "etc/"}, {"type": 1, "name": "etc/x", "size": 3}]
    text = io.BytesIO("\n".join(map(json.dumps, lines)).encode())
    assert [*pieces(text)] == [Piece(0), Piece(3, path="etc/x")]
