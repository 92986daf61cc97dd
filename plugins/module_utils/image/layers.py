# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An image as an archive without some of its layers, from the files of the engine that has it. Runs on the targets.

``docker save`` puts every layer together before it says a word: a second for each 100 MB, for a release of which some
kilobytes are new. Here only what is missing is read. A layer that is not what it should be does no harm: the engine
that loads it compares its digest.

The engine's files are those of its driver overlay2: a layer is a directory of files, and beside it what a tar archive
has between files (the format of github.com/vbatts/tar-split, in which each line is a piece of the archive).
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import os
import stat
import tarfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import IO, Any, NamedTuple

from ..core.handles import directly
from ..core.process import CHUNK

#: The driver whose files are known here. Only it looks for a layer before it asks for its content.
DRIVER = "overlay2"

#: Where an archive has what belongs to a digest.
BLOB = "blobs/sha256/%s"

#: Kinds of pieces: a file of the layer, or bytes as they are.
_FILE, _BYTES = 1, 2


class Piece(NamedTuple):
    """A piece of a layer's archive: ``size`` bytes of a file of the layer, or ``content``."""

    size: int
    path: str = ""
    content: bytes = b""


def write(data: str, images: Sequence[tuple[str, str]], left_out: Collection[str], sink: IO[bytes]) -> None:
    """Write an archive that ``docker load`` reads.

    ``data`` is the directory of the engine's data, ``images`` are names with ids, ``left_out`` are digests of layers.
    Raises OSError, ValueError or LookupError where the files are not as they are known here: the archive is then not
    whole.
    """
    manifest, written = [], set(left_out)
    with tarfile.open(fileobj=sink, mode="w|", bufsize=CHUNK) as archive:
        for name, identity in images:
            configuration = _configuration(data, identity)
            layers = [str(layer) for layer in json.loads(configuration)["rootfs"]["diff_ids"]]
            for layer, chain in chains(layers):
                if layer not in written:
                    written.add(layer)
                    _add_layer(archive, data, layer, chain)
            _add(archive, _blob(identity), io.BytesIO(configuration), len(configuration))
            manifest.append({"Config": _blob(identity), "RepoTags": [name], "Layers": [_blob(one) for one in layers]})
        text = json.dumps(manifest).encode()
        _add(archive, "manifest.json", io.BytesIO(text), len(text))


def chains(layers: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each layer with what identifies it together with those below it (``ChainID`` of the OCI image specification)."""
    chain = ""
    for layer in layers:
        chain = "sha256:" + hashlib.sha256(("%s %s" % (chain, layer)).encode()).hexdigest() if chain else layer
        yield layer, chain


def pieces(lines: Iterable[bytes]) -> Iterator[Piece]:
    """The pieces of a layer's archive. Raises ValueError or LookupError for what is none."""
    for line in lines:
        said = json.loads(line)
        if said["type"] == _BYTES:
            content = base64.b64decode(said["payload"] or "")
            yield Piece(len(content), content=content)
        elif said["type"] != _FILE:
            raise ValueError("a piece of type %r" % said["type"])
        elif said.get("size"):
            name = base64.b64decode(said["name_raw"]).decode("utf-8", "surrogateescape") if "name_raw" in said else ""
            yield Piece(int(said["size"]), path=name or said["name"])


def _configuration(data: str, identity: str) -> bytes:
    """The image's configuration, of which its id is the digest."""
    with open(os.path.join(data, "image", DRIVER, "imagedb/content/sha256", _hex(identity)), "rb") as stream:
        content = stream.read()
    if hashlib.sha256(content).hexdigest() != _hex(identity):
        raise ValueError("the configuration of image %s is not its own" % identity)
    return content


def _add_layer(archive: tarfile.TarFile, data: str, layer: str, chain: str) -> None:
    known = os.path.join(data, "image", DRIVER, "layerdb/sha256", _hex(chain))
    with open(os.path.join(known, "cache-id"), encoding="ascii") as stream:
        files = os.path.join(data, DRIVER, os.path.basename(stream.read().strip()), "diff")
    described = os.path.join(known, "tar-split.json.gz")
    with gzip.open(described) as lines:
        size = sum(piece.size for piece in pieces(lines))
    with gzip.open(described) as lines:
        _add(archive, _blob(layer), _Read(_assembled(files, pieces(lines))), size)


def _assembled(files: str, parts: Iterator[Piece]) -> Iterator[bytes]:
    """The bytes of a layer's archive."""
    for piece in parts:
        if piece.path:
            yield from _content(files, piece)
        else:
            yield piece.content


def _content(files: str, piece: Piece) -> Iterator[bytes]:
    """The bytes of a file. No link is followed: what a build leaves in its layer leads nowhere else."""
    with directly(files, piece.path) as (handle, name):
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=handle)
    with os.fdopen(descriptor, "rb") as stream:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size != piece.size:
            raise ValueError("%s is not the file that the layer has" % piece.path)
        yield from iter(lambda: stream.read(CHUNK), b"")


class _Read:
    """Pieces of bytes as what a file is read from."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts
        self._left = b""

    def read(self, size: int) -> bytes:
        """So many bytes, or fewer at the end."""
        found = [self._left]
        length = len(self._left)
        while length < size:
            part = next(self._parts, None)
            if part is None:
                break
            found.append(part)
            length += len(part)
        whole = b"".join(found)
        self._left = whole[size:]
        return whole[:size]


def _add(archive: tarfile.TarFile, name: str, content: Any, size: int) -> None:
    member = tarfile.TarInfo(name)
    member.size = size
    archive.addfile(member, content)


def _hex(digest: str) -> str:
    """The digits of a digest. Raises ValueError for any other text, which could lead elsewhere as a name of a file."""
    algorithm, _colon, digits = digest.partition(":")
    if algorithm != "sha256" or len(digits) != 64 or not all(digit in "0123456789abcdef" for digit in digits):
        raise ValueError("%r is no digest" % digest)
    return digits


def _blob(digest: str) -> str:
    return BLOB % _hex(digest)
