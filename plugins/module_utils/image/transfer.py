# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Copy images from one engine of a machine to another, without the layers that the other one has. Runs on the targets.

Most of an image is its base, and the base is on both sides: of a release, a few megabytes are new.
"""

from __future__ import annotations

import tarfile
from collections.abc import Collection, Iterable, Sequence
from typing import IO

from ..core.process import CHUNK, StreamError
from ..docker.engine import Engine, engine_info, inspect_objects

#: How an engine stores layers that looks for a layer before it asks for its content.
_KEEPS_LAYERS = "overlay2"

#: Where an archive has a layer: by the digest of its content.
_BLOB = "blobs/sha256/%s"


def copy(origin: Engine, target: Engine, names: Sequence[str]) -> None:
    """Copy images by their names. Raises StreamError if that fails."""
    there = _layers_there(origin, target, names)
    try:
        _send(origin, target, names, there)
    except StreamError:
        if not there:
            raise
        _send(origin, target, names, ())  # an image that had them may have been removed since


def _send(origin: Engine, target: Engine, names: Sequence[str], left_out: Collection[str]) -> None:
    what = " and ".join(names)

    def load(pipe: IO[bytes]) -> None:
        told = ("loading %s" % what, "load", "--quiet")
        if left_out:
            target.stream(*told, write=lambda sink: filtered(pipe, sink, left_out))
            while pipe.read(CHUNK):
                pass  # what follows the end of an archive
        else:
            target.stream(*told, source=pipe)

    origin.stream("copying %s" % what, "save", *names, read=load)


def filtered(archive: IO[bytes], sink: IO[bytes], left_out: Collection[str]) -> None:
    """Pass an archive of images on, without the layers with these digests of their content."""
    names = {_BLOB % layer.partition(":")[2] for layer in left_out}
    with tarfile.open(fileobj=archive, mode="r|", bufsize=CHUNK) as given:
        with tarfile.open(fileobj=sink, mode="w|", bufsize=CHUNK) as passed:
            for member in given:
                if member.name not in names:
                    passed.addfile(member, given.extractfile(member) if member.isreg() else None)


def _layers_there(origin: Engine, target: Engine, names: Sequence[str]) -> frozenset[str]:
    """The layers of images that the other engine does not need to be given."""
    if engine_info(target).get("Driver") != _KEEPS_LAYERS:
        return frozenset()
    known = _layers(target, target.docker_ok("image", "ls", "--quiet").split())
    return spare(_layers(origin, names), known)


def _layers(engine: Engine, names: Sequence[str]) -> list[list[str]]:
    """The layers of each image from its base on, as digests of their content."""
    images = inspect_objects(engine, "image", list(dict.fromkeys(names)))
    return [(image.get("RootFS") or {}).get("Layers") or [] for image in images]


def spare(images: Iterable[Sequence[str]], known: Collection[Sequence[str]]) -> frozenset[str]:
    """The layers of images that an engine with ``known`` ones has in their place: on the same layers, from the base
    on."""
    there: set[str] = set()
    needed: set[str] = set()
    for layers in images:
        count = max((_alike(layers, other) for other in known), default=0)
        there.update(layers[:count])
        needed.update(layers[count:])
    return frozenset(there - needed)


def _alike(one: Sequence[str], other: Sequence[str]) -> int:
    """How many layers two images have in common, from the base on."""
    most = min(len(one), len(other))
    return next((count for count in range(most, 0, -1) if one[:count] == other[:count]), 0)
