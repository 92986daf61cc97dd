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

from ..core.errors import last_lines
from ..core.process import CHUNK, StreamError
from ..docker.containers import labels_of
from ..docker.engine import Engine, EngineError
from ..docker.labels import ONE_OFF, OURS, PROJECT, RESTORE, WORKING_DIRECTORY

#: How everything begins that a restore puts beside the files: restored ones, and those that were there.
_OURS = ".bulkhead-"

#: Moves files within one directory of a volume. Each step may be repeated after it was cut off. What came into the
#: directory after that is nowhere else: nothing of it is removed, and where it is kept is the answer.
_MOVES = """set -eu
[ -d "/bulkhead/$2" ] || exit 0
cd "/bulkhead/$2"
new=.bulkhead-restore-$3 moving=.bulkhead-moving-$3 old=.bulkhead-before-$3 undone=.bulkhead-undone-$3
move() {
  find "$1" -mindepth 1 -maxdepth 1 ! -name '.bulkhead-*' -exec sh -c 'to=$1; shift; mv -- "$@" "$to"/' - "$2" {} +
}
case $1 in
switch)
  if [ -d "$new" ]; then mkdir -p "$old"; chmod 700 "$old"; move . "$old"; mv -- "$new" "$moving"; fi
  if [ -d "$moving" ]; then move "$moving" .; rmdir -- "$moving"; fi
  if [ -d "$old" ]; then echo "$old"; fi ;;
back)
  if [ ! -d "$new" ] && [ -d "$old" ]; then
    mkdir -p "$undone"; chmod 700 "$undone"; move . "$undone"; mkdir "$new"
  fi
  if [ -d "$old" ]; then move "$old" .; fi
  rm -rf -- "$old"; rm -rf -- "$new" "$moving"
  if [ -d "$undone" ]; then echo "$undone"; fi ;;
look)
  echo there
  if [ -d "$new" ]; then echo present; elif [ -d "$moving" ] || [ -d "$old" ]; then echo present switched; fi ;;
clean)
  rm -rf -- "$new" "$moving" .bulkhead-before-* .bulkhead-undone-* ;;
esac
"""

#: Runs a script of the user's that comes in as input: nobody sees it in a command line, and it cannot read itself.
_SCRIPT = 'script=$(cat); exec </dev/null; eval "$script"'


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


def _copy(source: IO[bytes], target: IO[bytes], root: str, missing: str = "", hide: bool = False) -> None:
    """Copy an archive to an archive of another directory, which is root's alone if it shall ``hide``.

    ``missing`` is the directory that it shall take the place of, where there is none yet.
    """
    with tarfile.open(fileobj=source, mode="r|") as old:
        with tarfile.open(fileobj=target, mode="w|", format=tarfile.PAX_FORMAT) as new:
            for member in old:
                moved = rerooted(member, root)
                if moved is None:
                    continue
                if moved.name == root and missing:
                    place = copy.copy(moved)
                    place.name = missing
                    new.addfile(place)
                if moved.name == root and hide:
                    moved.mode, moved.uid, moved.gid, moved.uname, moved.gname = 0o700, 0, 0, "", ""
                new.addfile(moved, old.extractfile(member) if member.isreg() else None)
    while source.read(CHUNK):  # whoever writes more than the archive's end shall not find it closed
        pass


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

    def is_empty(self) -> bool:
        """Whether there is nothing, behind a link too. Where nothing can tell, there may be something."""
        look = ("find", self.path + "/.", "-mindepth", "1", "-maxdepth", "1", "-print", "-quit")
        code, output, _errors = self.engine.docker("exec", self.container["Id"], *look, limit=60)
        return code == 0 and not output.strip()

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

    def free(self) -> int | None:
        """Free bytes on the disk of the files; None where the image has nothing to tell by."""
        code, output, _errors = self.engine.docker(
            "exec", self.container["Id"], "df", "-Pk", self.mount()["Destination"], limit=60
        )
        fields = output.splitlines()[-1].split() if code == 0 and output.strip() else []
        return int(fields[3]) * 1024 if len(fields) > 3 and fields[3].isdigit() else None

    def stage(self, path: str, stamp: str, script: str = "") -> None:
        """Put the files of an archive beside those that are there, where the container's own user cannot see them.

        If there is a script of the user's, it runs over them before. Raises Failure.
        """
        with open(path, "rb") as archive:
            if script:
                self._sanitised(archive, stamp, script)
            else:
                self._put(archive, stamp)

    def _put(self, archive: IO[bytes], stamp: str) -> None:
        inside = self._inside()
        side = os.path.normpath(os.path.join(inside, "%srestore-%s" % (_OURS, stamp)))
        missing = "" if "there" in self.look(stamp) else inside
        self.engine.stream(
            "copying to %s" % self.path,
            "cp", "-", "%s:%s" % (self.container["Id"], self.mount()["Destination"]),
            write=lambda stream: _copy(archive, stream, side, missing, hide=True), limit=self.limit,
        )  # fmt: skip

    def _sanitised(self, archive: IO[bytes], stamp: str, script: str) -> None:
        """Run a script of the user's over the files before they are put anywhere: in a container of the service's
        image that has no network, and a volume of its own with nothing but them. What it prints is not kept."""
        what = "bulkhead_restore_sanitise_files on the files of %s" % self.path
        identity = self.engine.docker_ok(
            "create", "--interactive", *self._alone(stamp), "--mount", "type=volume,target=/files,volume-nocopy",
            "--workdir", "/files", self.container["Image"], "-euc", _SCRIPT,
        ).strip()  # fmt: skip
        try:
            self.engine.stream(
                what, "cp", "-", "%s:/" % identity,
                write=lambda stream: _copy(archive, stream, "files"), limit=self.limit,
            )  # fmt: skip
            self.engine.stream(
                what, "start", "--attach", "--interactive", identity,
                write=lambda stream: stream.write(script.encode()), limit=self.limit,
            )  # fmt: skip
            self.engine.stream(
                what, "cp", "%s:/files" % identity, "-",
                read=lambda stream: self._put(stream, stamp), limit=self.limit,
            )  # fmt: skip
        finally:
            self.engine.docker("rm", "--force", "--volumes", identity)

    def look(self, stamp: str) -> list[str]:
        """``there`` is the directory, ``present`` is what a restore put beside the files; or it ``switched`` them."""
        return self.move("look", stamp).split() if self._found_mount() else []

    def move(self, step: str, stamp: str) -> str:
        """``switch`` lets the staged files take their place, ``back`` undoes that: both tell as what they keep the
        files that were there. ``clean`` removes what this and earlier restores kept."""
        mount = self.mount()
        volume = mount.get("Name") if mount.get("Type") == "volume" else mount["Source"]
        code, output, errors = self.engine.docker(
            "run", "--rm", *self._alone(stamp), "--volume", "%s:/bulkhead" % volume,
            self.helper, "-c", _MOVES, "-", step, self._inside(), stamp,
            limit=self.limit,
        )  # fmt: skip
        if code != 0:
            raise EngineError("the files of %s could not be moved" % self.path, last_lines(errors or output))
        return output

    def _alone(self, stamp: str) -> list[str]:
        """Options of a container that works on the files: root, a shell, no network, and labels to be known by."""
        labels = labels_of(self.container)
        own = {
            key: value for key, value in labels.items() if key.startswith(OURS) or key in (PROJECT, WORKING_DIRECTORY)
        }
        options = ["--network", "none", "--user", "0:0", "--entrypoint", "sh"]
        for key, value in sorted({**own, ONE_OFF: "True", RESTORE: stamp}.items()):
            options += ["--label", "%s=%s" % (key, value)]
        return options

    def mount(self) -> dict[str, Any]:
        """The volume or directory that the files are on. Raises EngineError where they are on none."""
        found = self._found_mount()
        if not found:
            raise EngineError(
                "%s of service container %s is on no volume: files there are gone with the container"
                % (self.path, self.container.get("Name", "").lstrip("/"))
            )
        return found

    def _found_mount(self) -> dict[str, Any]:
        best: dict[str, Any] = {}
        for mount in self.container.get("Mounts") or ():
            destination = mount.get("Destination", "")
            if (self.path + "/").startswith(destination.rstrip("/") + "/"):
                best = max(best, mount, key=lambda one: len(one.get("Destination", "")))
        return best

    def _inside(self) -> str:
        """Where on their volume the files are."""
        return os.path.relpath(self.path, self.mount()["Destination"])
