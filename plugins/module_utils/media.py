# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A directory of files in a container, such as uploaded media: copied out and in as a tar stream of the engine's own.

``docker cp`` needs no program in the image, and reads stopped containers too. What is restored is put beside what is
there and takes its place by renaming. Runs on the targets.
"""

from __future__ import annotations

import copy
import os
import tarfile
from typing import IO, Any, BinaryIO

from ansible_collections.aiia.bulkhead.plugins.module_utils.containers import ONE_OFF, PROJECT, labels_of
from ansible_collections.aiia.bulkhead.plugins.module_utils.engine import Engine, EngineError
from ansible_collections.aiia.bulkhead.plugins.module_utils.failure import last_lines
from ansible_collections.aiia.bulkhead.plugins.module_utils.streams import StreamError

#: How everything begins that a restore puts beside the files: restored ones, and those that were there.
_OURS = ".bulkhead-"

#: Moves files within one directory of a volume. Each step may be repeated after it was cut off.
_MOVES = """set -eu
[ -d "/bulkhead/$2" ] || exit 0
cd "/bulkhead/$2"
new=.bulkhead-restore-$3 moving=.bulkhead-moving-$3 old=.bulkhead-before-$3
move() {
  find "$1" -mindepth 1 -maxdepth 1 ! -name '.bulkhead-*' -exec sh -c 'to=$1; shift; mv -- "$@" "$to"/' - "$2" {} +
}
case $1 in
switch)
  if [ -d "$new" ]; then mkdir -p "$old"; chmod 700 "$old"; move . "$old"; mv -- "$new" "$moving"; fi
  if [ -d "$moving" ]; then move "$moving" .; rmdir -- "$moving"; fi ;;
back)
  if [ ! -d "$new" ] && [ -d "$old" ]; then mkdir -p "$new"; move . "$new"; fi
  if [ -d "$old" ]; then move "$old" .; fi
  rm -rf -- "$new" "$moving" "$old" ;;
look)
  echo there
  if [ -d "$new" ] || [ -d "$moving" ] || [ -d "$old" ]; then echo present; fi ;;
clean)
  rm -rf -- "$new" "$moving" "$old" ;;
esac
"""


def listing(path: str) -> dict[str, int]:
    """Read an archive to its end: how many files it holds, and how large they are. Raises EngineError."""
    files = size = 0
    try:
        with tarfile.open(path, mode="r|") as archive:
            for member in archive:
                files += not member.isdir()
                size += member.size
    except (tarfile.TarError, OSError, EOFError) as error:
        raise EngineError("%s cannot be read to its end: %s" % (path, error)) from None
    return {"files": files, "size": size}


def rerooted(member: tarfile.TarInfo, root: str) -> tarfile.TarInfo | None:
    """A member of an archive below another directory. None for what is not below the archive's own root, or is ours."""
    inner = _inner(member.name)
    if inner is None or inner.startswith(_OURS):
        return None
    moved = copy.copy(member)
    moved.name = os.path.join(root, inner) if inner else root
    moved.pax_headers = {key: value for key, value in member.pax_headers.items() if key not in ("path", "linkpath")}
    if member.islnk():
        target = _inner(member.linkname)
        if target is None:
            return None
        moved.linkname = os.path.join(root, target)
    return moved


def _inner(name: str) -> str | None:
    parts = name.strip("/").split("/")
    return None if ".." in parts else "/".join(parts[1:])


def _copy_member(
    source: tarfile.TarFile, target: tarfile.TarFile, member: tarfile.TarInfo, missing: str, side: str
) -> None:
    """Copy one member to the directory beside, which is root's; ``missing`` is the real one where there is none yet."""
    moved = rerooted(member, side)
    if moved is None:
        return
    if moved.name == side:
        if missing:
            place = copy.copy(moved)
            place.name = missing
            target.addfile(place)
        moved.mode, moved.uid, moved.gid, moved.uname, moved.gname = 0o700, 0, 0, "", ""
    target.addfile(moved, source.extractfile(member) if member.isreg() else None)


class Files:
    """The files below a path of a container. ``helper`` is the image that has a shell to move files with."""

    def __init__(self, engine: Engine, container: dict[str, Any], path: str, limit: int = 0, helper: str = "") -> None:
        self.engine = engine
        self.container = container
        self.path = path.rstrip("/")
        self.limit = limit
        self.helper = helper or container["Image"]

    def size(self) -> int | None:
        """About how many bytes there are; None where the image has nothing to tell by."""
        code, output, _errors = self.engine.docker("exec", self.container["Id"], "du", "-sk", self.path, limit=60)
        figure = output.split()[:1]
        return int(figure[0]) * 1024 if code == 0 and figure and figure[0].isdigit() else None

    def archive(self, target: BinaryIO) -> bool:
        """Write everything as one tar archive. False where there is no such directory yet."""
        place = "%s:%s" % (self.container["Id"], self.path)
        try:
            self.engine.stream(
                "copying %s" % self.path, "cp", "--follow-link", place, "-", target=target, limit=self.limit
            )
        except StreamError as error:
            if "Could not find the file" in error.detail:
                return False
            raise
        return True

    def stage(self, path: str, stamp: str) -> None:
        """Put the files of an archive beside those that are there, where the container's own user cannot see them."""
        mount, inside = self._mount()
        side = os.path.normpath(os.path.join(inside, "%srestore-%s" % (_OURS, stamp)))
        missing = "" if "there" in self.move("look", stamp) else inside

        def write(stream: IO[bytes]) -> None:
            with tarfile.open(path, mode="r|") as source:
                with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as target:
                    for member in source:
                        _copy_member(source, target, member, missing, side)

        self.engine.stream(
            "copying to %s" % self.path,
            "cp", "-", "%s:%s" % (self.container["Id"], mount["Destination"]),
            write=write, limit=self.limit,
        )  # fmt: skip

    def staged(self, stamp: str) -> bool:
        """Whether a restore has put something beside the files."""
        return "present" in self.move("look", stamp)

    def move(self, step: str, stamp: str) -> str:
        """``switch`` lets the staged files take their place, ``back`` undoes that, ``clean`` removes what was there."""
        mount, inside = self._mount()
        labels = labels_of(self.container)
        own = {key: value for key, value in labels.items() if key.startswith("io.bulkhead.") or key == PROJECT}
        command = ["run", "--rm", "--network", "none", "--user", "0:0", "--entrypoint", "sh"]
        for key, value in sorted({**own, ONE_OFF: "True"}.items()):
            command += ["--label", "%s=%s" % (key, value)]
        volume = mount.get("Name") if mount.get("Type") == "volume" else mount["Source"]
        command += ["--volume", "%s:/bulkhead" % volume, self.helper, "-c", _MOVES, "-", step, inside, stamp]
        code, output, errors = self.engine.docker(*command, limit=self.limit)
        if code != 0:
            raise EngineError("the files of %s could not be moved" % self.path, last_lines(errors or output))
        return output

    def _mount(self) -> tuple[dict[str, Any], str]:
        """The volume or directory that the files are on, and where in it they are."""
        best: dict[str, Any] = {}
        for each in self.container.get("Mounts") or ():
            destination = each.get("Destination", "")
            if (self.path + "/").startswith(destination.rstrip("/") + "/"):
                best = max(best, each, key=lambda one: len(one.get("Destination", "")))
        if not best:
            raise EngineError(
                "%s of service container %s is on no volume: files there are gone with the container"
                % (self.path, self.container.get("Name", "").lstrip("/"))
            )
        return best, os.path.relpath(self.path, best["Destination"])
