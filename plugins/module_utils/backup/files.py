# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Copy a container's directory of files, such as uploaded media, out and in as a tar stream. Runs on the targets.

``docker cp`` needs no program in the image and works on stopped containers too. Restored files are staged beside those
in use and swapped in by renaming.
"""

from __future__ import annotations

import copy
import os
import tarfile
from typing import IO, Any, BinaryIO

from ..core.errors import last_lines
from ..core.handles import PathError, folder
from ..core.process import CHUNK, StreamError
from ..docker.containers import labels_of
from ..docker.engine import Engine, EngineError
from ..docker.labels import ONE_OFF, OURS, PROJECT, RESTORE, WORKING_DIRECTORY
from .decryption import StoredFile

#: The prefix of all directories that a restore makes beside the files: for restored files, and for previous ones.
_OURS = ".bulkhead-"

#: Moves files within one directory of a volume. Each step can be repeated after an interruption. Files that arrived
#: in the directory since then exist nowhere else: they are kept, and the script prints where.
_REARRANGE = """set -eu
[ -d "/bulkhead/$2" ] || exit 0
cd "/bulkhead/$2"
new=.bulkhead-restore-$3 moving=.bulkhead-moving-$3 old=.bulkhead-before-$3 undone=.bulkhead-undone-$3
move() {
  find "$1" -mindepth 1 -maxdepth 1 ! -name '.bulkhead-*' -exec sh -c 'to=$1; shift; mv -- "$@" "$to"/' - "$2" {} +
}
case $1 in
swap)
  if [ -d "$new" ]; then mkdir -p "$old"; chmod 700 "$old"; move . "$old"; mv -- "$new" "$moving"; fi
  if [ -d "$moving" ]; then move "$moving" .; rmdir -- "$moving"; fi
  if [ -d "$old" ]; then echo "$old"; fi ;;
swap-back)
  if [ ! -d "$new" ] && [ -d "$old" ]; then
    mkdir -p "$undone"; chmod 700 "$undone"; move . "$undone"; mkdir "$new"
  fi
  if [ -d "$old" ]; then move "$old" .; fi
  rm -rf -- "$old"; rm -rf -- "$new" "$moving"
  if [ -d "$undone" ]; then echo "$undone"; fi ;;
look)
  echo exists
  if [ -d "$new" ]; then echo staged; elif [ -d "$moving" ] || [ -d "$old" ]; then echo staged swapped; fi ;;
clean)
  rm -rf -- "$new" "$moving" .bulkhead-before-* .bulkhead-undone-* ;;
esac
"""

#: Runs the user's script from standard input, so that it appears in no command line, and gives it no input itself.
_SCRIPT = 'script=$(cat); exec </dev/null; eval "$script"'


def listing(file: StoredFile) -> dict[str, int]:
    """Read an archive to its end and return its number of ``files`` and their ``size``. Raises EngineError."""
    files = size = 0
    try:
        with file.opened("reading back") as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                files += not member.isdir()
                size += member.size
    except (tarfile.TarError, OSError, EOFError) as error:
        raise EngineError("%s is damaged or incomplete: %s" % (file.path, error)) from None
    return {"files": files, "size": size}


def rerooted(member: tarfile.TarInfo, root: str) -> tarfile.TarInfo | None:
    """Move an archive's member below another root. None for members that are outside the archive's root, or ours."""
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
    """Copy an archive, with ``root`` as its root directory. With ``hide`` only root can enter that directory.

    ``missing`` is the directory that ``root`` will replace, if it does not exist yet: the archive creates it too.
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
    while source.read(CHUNK):  # padding after the archive's end: without this its writer gets a broken pipe
        pass


class ContainerFiles:
    """The files below a path of a container. ``helper`` is an image whose shell can move them."""

    def __init__(self, engine: Engine, container: dict[str, Any], path: str, limit: int = 0, helper: str = "") -> None:
        self.engine = engine
        self.container = container
        self.path = path.rstrip("/")
        self.limit = limit
        self.helper = helper or container["Image"]

    def size(self) -> int | None:
        """The approximate size in bytes; None if the image has no ``du``."""
        code, output, _errors = self.engine.docker("exec", self.container["Id"], "du", "-sk", self.path, limit=60)
        kibibytes = output.split()[:1]
        return int(kibibytes[0]) * 1024 if code == 0 and kibibytes and kibibytes[0].isdigit() else None

    def is_empty(self) -> bool:
        """Whether there are no files, also behind a link. False if the image has no ``find`` to tell."""
        look = ("find", self.path + "/.", "-mindepth", "1", "-maxdepth", "1", "-print", "-quit")
        code, output, _errors = self.engine.docker("exec", self.container["Id"], *look, limit=60)
        return code == 0 and not output.strip()

    def archive(self, target: BinaryIO) -> bool:
        """Write all files as one tar archive. Returns False if the directory does not exist."""
        self._refuse_exchangeable(self._find_mount())
        copy_out = ("cp", "--follow-link", "%s:%s" % (self.container["Id"], self.path), "-")
        try:
            self.engine.stream("copying %s" % self.path, *copy_out, target=target, limit=self.limit)
        except StreamError as error:
            if "Could not find the file" in error.detail:
                return False
            raise
        return True

    def free(self) -> int | None:
        """Free bytes on the disk of the files; None if the image has no ``df``."""
        look = ("df", "-Pk", self.mount()["Destination"])
        code, output, _errors = self.engine.docker("exec", self.container["Id"], *look, limit=60)
        fields = output.splitlines()[-1].split() if code == 0 and output.strip() else []
        return int(fields[3]) * 1024 if len(fields) > 3 and fields[3].isdigit() else None

    def stage(self, file: StoredFile, stamp: str, script: str = "") -> None:
        """Unpack an archive beside the files in use, where the container's own user cannot see it.

        The user's ``script``, if any, runs over the files first. Raises Failure.
        """
        with file.opened("unpacking") as archive:
            if script:
                self._sanitise(archive, stamp, script)
            else:
                self._put(archive, stamp)

    def _put(self, archive: IO[bytes], stamp: str) -> None:
        inside = self._inside()
        side = os.path.normpath(os.path.join(inside, "%srestore-%s" % (_OURS, stamp)))
        missing = "" if "exists" in self.look(stamp) else inside
        self.engine.stream(
            "copying to %s" % self.path,
            "cp", "-", "%s:%s" % (self.container["Id"], self.mount()["Destination"]),
            write=lambda stream: _copy(archive, stream, side, missing, hide=True), limit=self.limit,
        )  # fmt: skip

    def _sanitise(self, archive: IO[bytes], stamp: str, script: str) -> None:
        """Run the user's script over the files, then stage them. Its output is not kept.

        It runs in a container of the service's image without network, whose own volume holds nothing but the files.
        """
        what = "bulkhead_restore_sanitise_files on the files of %s" % self.path
        identity = self.engine.docker_ok(
            "create", "--interactive", *self._helper_options(stamp),
            "--mount", "type=volume,target=/files,volume-nocopy",
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
        """How far a restore came: ``exists`` if there is a directory, ``staged`` if restored files are in it, and
        ``swapped`` if they began to take the place of the previous ones."""
        return self.rearrange("look", stamp).split() if self._find_mount() else []

    def rearrange(self, step: str, stamp: str) -> str:
        """Run one step of a restore on the directory. Returns what the step printed. Raises EngineError.

        ``swap`` puts the staged files into use and ``swap-back`` undoes that; both print the directory in which the
        replaced files are kept. ``clean`` removes what this and earlier restores kept.
        """
        mount = self.mount()
        volume = mount.get("Name") if mount.get("Type") == "volume" else mount["Source"]
        code, output, errors = self.engine.docker(
            "run", "--rm", *self._helper_options(stamp), "--volume", "%s:/bulkhead" % volume,
            self.helper, "-c", _REARRANGE, "-", step, self._inside(), stamp,
            limit=self.limit,
        )  # fmt: skip
        if code != 0:
            raise EngineError("the files of %s could not be moved" % self.path, last_lines(errors or output))
        return output

    def _helper_options(self, stamp: str) -> list[str]:
        """Options for a container that works on the files: root, a shell, no network, and the environment's labels."""
        labels = labels_of(self.container)
        own = {
            key: value for key, value in labels.items() if key.startswith(OURS) or key in (PROJECT, WORKING_DIRECTORY)
        }
        options = ["--network", "none", "--user", "0:0", "--entrypoint", "sh"]
        for key, value in sorted({**own, ONE_OFF: "True", RESTORE: stamp}.items()):
            options += ["--label", "%s=%s" % (key, value)]
        return options

    def mount(self) -> dict[str, Any]:
        """The mount that the files are on. Raises EngineError if there is none."""
        mount = self._find_mount()
        if not mount:
            raise EngineError(
                "%s of service container %s is on no volume: its files are lost when the container is removed"
                % (self.path, self.container.get("Name", "").lstrip("/"))
            )
        self._refuse_exchangeable(mount)
        return mount

    def _refuse_exchangeable(self, mount: dict[str, Any]) -> None:
        """Raise EngineError if another user can put a link in the place of a directory that is mounted.

        The engine looks for it anew with each copy, as root.
        """
        if mount.get("Type") != "bind":
            return
        try:
            with folder(mount["Source"], ours=True):
                pass
        except (PathError, OSError) as error:
            raise EngineError(
                "the files of %s are in %s, where another user could put a link to another environment's files at any "
                "time, so they are neither backed up nor restored. Keep them in a named volume"
                % (self.path, mount["Source"])
            ) from error

    def _find_mount(self) -> dict[str, Any]:
        best: dict[str, Any] = {}
        for mount in self.container.get("Mounts") or ():
            destination = mount.get("Destination", "")
            if (self.path + "/").startswith(destination.rstrip("/") + "/"):
                best = max(best, mount, key=lambda candidate: len(candidate.get("Destination", "")))
        return best

    def _inside(self) -> str:
        """The path of the files relative to their mount."""
        return os.path.relpath(self.path, self.mount()["Destination"])
