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

#: The label of containers that work on files for a restore: its stamp.
RESTORE = "io.bulkhead.restore"

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

    def sanitise(self, script: str, stamp: str) -> None:
        """Run a script of the user's over the staged files, in a container of the service's image that has no network
        and sees nothing else. Raises EngineError when it fails."""
        mount, inside = self._mount()
        staged = os.path.normpath(os.path.join(mount["Source"], inside, "%srestore-%s" % (_OURS, stamp)))
        source = '"source=%s"' % staged.replace('"', '""')
        identity = self.engine.docker_ok(
            "create", "--interactive", *self._alone(stamp), "--mount", "type=bind,%s,target=/files" % source,
            "--workdir", "/files", self.container["Image"], "-euc", _SCRIPT,
        ).strip()  # fmt: skip
        try:
            code, output, errors = self.engine.docker(
                "start", "--attach", "--interactive", identity, data=script, limit=self.limit
            )
        finally:
            self.engine.docker("rm", "--force", "--volumes", identity)
        if code != 0:
            raise EngineError(
                "bulkhead_restore_sanitise_files failed on the files of %s (exit code %d)" % (self.path, code),
                last_lines("%s\n%s" % (output, errors)),
            )

    def move(self, step: str, stamp: str) -> str:
        """``switch`` lets the staged files take their place, ``back`` undoes that, ``clean`` removes what was there."""
        mount, inside = self._mount()
        volume = mount.get("Name") if mount.get("Type") == "volume" else mount["Source"]
        code, output, errors = self.engine.docker(
            "run", "--rm", *self._alone(stamp), "--volume", "%s:/bulkhead" % volume,
            self.helper, "-c", _MOVES, "-", step, inside, stamp,
            limit=self.limit,
        )  # fmt: skip
        if code != 0:
            raise EngineError("the files of %s could not be moved" % self.path, last_lines(errors or output))
        return output

    def _alone(self, stamp: str) -> list[str]:
        """Options of a container that works on the files: root, a shell, no network, and labels to be known by."""
        labels = labels_of(self.container)
        own = {key: value for key, value in labels.items() if key.startswith("io.bulkhead.") or key == PROJECT}
        options = ["--network", "none", "--user", "0:0", "--entrypoint", "sh"]
        for key, value in sorted({**own, ONE_OFF: "True", RESTORE: stamp}.items()):
            options += ["--label", "%s=%s" % (key, value)]
        return options

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
