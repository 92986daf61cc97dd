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
from . import layers


def copy(origin: Engine, target: Engine, names: Sequence[str], data: str = "") -> None:
    """Copy images by their names. ``data`` is the directory of the origin's data, where this process may read it.

    Raises StreamError if that fails.
    """
    there = _layers_there(origin, target, names)
    try:
        if there and data:
            _send_files(origin, target, names, there, data)
        else:
            _send(origin, target, names, there)
    except (StreamError, OSError, ValueError, LookupError):
        if not there:
            raise
        # An image that had them may have been removed since, or the engine keeps its files in another way.
        _send(origin, target, names, ())


def _send_files(origin: Engine, target: Engine, names: Sequence[str], left_out: Collection[str], data: str) -> None:
    ids = origin.image_ids(list(names))
    images = [(name, ids[name]) for name in names]
    target.stream(*_load(names), write=lambda sink: layers.write(data, images, left_out, sink))


def _send(origin: Engine, target: Engine, names: Sequence[str], left_out: Collection[str]) -> None:
    def load(pipe: IO[bytes]) -> None:
        if left_out:
            target.stream(*_load(names), write=lambda sink: filtered(pipe, sink, left_out))
            while pipe.read(CHUNK):
                pass  # what follows the end of an archive
        else:
            target.stream(*_load(names), source=pipe)

    origin.stream("copying %s" % " and ".join(names), "save", *names, read=load)


def _load(names: Sequence[str]) -> tuple[str, ...]:
    return "loading %s" % " and ".join(names), "load", "--quiet"


def filtered(archive: IO[bytes], sink: IO[bytes], left_out: Collection[str]) -> None:
    """Pass an archive of images on, without the layers with these digests of their content."""
    names = {layers.BLOB % layer.partition(":")[2] for layer in left_out}
    with tarfile.open(fileobj=archive, mode="r|", bufsize=CHUNK) as given:
        with tarfile.open(fileobj=sink, mode="w|", bufsize=CHUNK) as passed:
            for member in given:
                if member.name not in names:
                    passed.addfile(member, given.extractfile(member) if member.isreg() else None)


def _layers_there(origin: Engine, target: Engine, names: Sequence[str]) -> frozenset[str]:
    """The layers of images that the other engine does not need to be given."""
    if engine_info(target).get("Driver") != layers.DRIVER:
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
    for image in images:
        count = max((_alike(image, other) for other in known), default=0)
        there.update(image[:count])
        needed.update(image[count:])
    return frozenset(there - needed)


def _alike(one: Sequence[str], other: Sequence[str]) -> int:
    """How many layers two images have in common, from the base on."""
    most = min(len(one), len(other))
    return next((count for count in range(most, 0, -1) if one[:count] == other[:count]), 0)
