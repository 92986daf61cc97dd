# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A private copy of the files of a commit, and paths inside it. Runs on the targets.

The checkout belongs to the environment's owner, who could exchange a file for a link while root reads it. So root
copies the files without following any link, into a directory that only root can enter, and reads nothing but the copy.
The copy's git tree is computed from what was copied: git itself ran as the owner and could say anything.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping

from ..core import handles
from ..core.errors import Failure

#: Deeper directories are refused: each level takes an open file.
_DEEPEST = 200
#: Links that may lead to one path.
_MOST_LINKS = 40
_CHUNK = 1 << 20
#: How a text begins that stands for a file of Git LFS, and how long it may be.
_POINTER, _POINTER_SIZE = b"version https://git-lfs.github.com/spec/", 1024


class ContextError(Failure):
    """A commit has something that must not be read for a build."""


class PrivateCopy:
    """Copies the directory ``source``, whose files all belong to the user ``uid``, to the empty directory ``target``.

    ``submodules`` are the commits of git's submodules by path. ``tree`` is the id of the git tree that was copied,
    ``trees`` those of the submodules by path; ``pointers`` are files that may stand for others in Git LFS. Raises
    ContextError if there is anything but files, directories and links, or a file of another user.
    """

    def __init__(self, source: str, target: str, uid: int, algorithm: str, submodules: Mapping[str, str]) -> None:
        self._uid = uid
        self._algorithm = algorithm
        self._submodules = submodules
        self.trees: dict[str, str] = {}
        self.pointers: list[str] = []
        above, name = os.path.split(os.path.abspath(source))
        # Links on the way count only if no other user could have made them, as everywhere.
        with handles.folder(above) as parent, handles.folder(target, ours=True) as to_directory:
            from_directory = self._directory(name, parent, source)
            try:
                self.tree = self._copy(from_directory, to_directory, "")
            finally:
                os.close(from_directory)

    def _directory(self, path: str, parent: int, where: str) -> int:
        """Open a directory of the user's, and no link to one."""
        try:
            opened = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
        except OSError as error:
            raise ContextError("%s changed while it was copied for the build" % where) from error
        if os.fstat(opened).st_uid != self._uid:
            os.close(opened)
            raise ContextError("%s belongs to another user than the checkout" % where)
        return opened

    def _copy(self, source: int, target: int, where: str) -> str:
        if where.count("/") > _DEEPEST:
            raise ContextError("%s lies more than %d directories deep" % (where, _DEEPEST))
        entries = []
        for name in os.listdir(source):
            if name == ".git":  # git never tracks this name
                continue
            path = "%s/%s" % (where, name) if where else name
            mode = os.stat(name, dir_fd=source, follow_symlinks=False).st_mode
            if stat.S_ISLNK(mode):
                entries.append((name, "120000", self._link(source, target, name)))
            elif stat.S_ISREG(mode):
                entries.append((name, *self._file(source, target, name, path)))
            elif stat.S_ISDIR(mode):
                entries.append((name, *self._folder(source, target, name, path)))
            else:
                raise ContextError("%s is neither a file nor a directory nor a link" % path)
        return self._tree(entries)

    def _folder(self, source: int, target: int, name: str, path: str) -> tuple[str, str]:
        os.mkdir(name, 0o755, dir_fd=target)
        from_directory = self._directory(name, source, path)
        to_directory = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=target)
        try:
            os.fchmod(to_directory, 0o755)
            tree = self._copy(from_directory, to_directory, path)
        finally:
            os.close(from_directory)
            os.close(to_directory)
        if path in self._submodules:
            self.trees[path] = tree
            return "160000", self._submodules[path]
        return "40000", tree

    def _link(self, source: int, target: int, name: str) -> str:
        leads_to = os.readlink(name, dir_fd=source)
        os.symlink(leads_to, name, dir_fd=target)
        return self._hash("blob", os.fsencode(leads_to))

    def _file(self, source: int, target: int, name: str, path: str) -> tuple[str, str]:
        flags = os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            reading = os.open(name, os.O_RDONLY | flags, dir_fd=source)
        except OSError as error:
            raise ContextError("%s changed while it was copied for the build" % path) from error
        with os.fdopen(reading, "rb") as before:
            found = os.fstat(reading)
            # A second name of a file may be a way to what the owner cannot read.
            if not stat.S_ISREG(found.st_mode) or found.st_uid != self._uid or found.st_nlink != 1:
                raise ContextError("%s is not a file of the checkout's own" % path)
            executable = bool(found.st_mode & stat.S_IXUSR)
            writing = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=target)
            with os.fdopen(writing, "wb") as after:
                blob = hashlib.new(self._algorithm, b"blob %d\0" % found.st_size)
                size = 0
                for chunk in iter(lambda: before.read(_CHUNK), b""):
                    if found.st_size <= _POINTER_SIZE and chunk.startswith(_POINTER):
                        self.pointers.append(path)
                    size += len(chunk)
                    blob.update(chunk)
                    after.write(chunk)
                os.fchmod(writing, 0o755 if executable else 0o644)
        if size != found.st_size:
            raise ContextError("%s changed while it was copied for the build" % path)
        return "100755" if executable else "100644", blob.hexdigest()

    def _tree(self, entries: list[tuple[str, str, str]]) -> str:
        """The id that git gives to a directory; git has no empty ones."""
        empty = self._hash("tree", b"")
        kept = [(os.fsencode(name), mode, digest) for name, mode, digest in entries if digest != empty]
        kept.sort(key=lambda entry: entry[0] + (b"/" if entry[1] == "40000" else b""))
        parts = (b"%s %s\0%s" % (mode.encode(), name, bytes.fromhex(digest)) for name, mode, digest in kept)
        return self._hash("tree", b"".join(parts))

    def _hash(self, kind: str, content: bytes) -> str:
        return object_id(self._algorithm, kind, content)


def object_id(algorithm: str, kind: str, content: bytes) -> str:
    """The id that git gives to an object."""
    return hashlib.new(algorithm, b"%s %d\0%s" % (kind.encode(), len(content), content)).hexdigest()


def resolve(root: str, relative: str) -> str:
    """The path below ``root`` to which ``relative`` leads once all links are followed, itself without any link.

    ``root`` must be a private copy, in which nobody else can change anything. Raises ContextError, with the link that
    is to blame, if the path or a link leaves it. The last component need not exist.
    """
    found: list[str] = []
    left = _parts(relative)
    followed = 0
    if relative.startswith("/"):
        raise ContextError("%s is an absolute path, and only paths inside the repository are read" % relative)
    while left:
        part = left.pop(0)
        if part == "..":
            if not found:
                raise ContextError("%s leads out of the repository" % relative)
            found.pop()
            continue
        path = os.path.join(root, *found, part)
        if not os.path.islink(path):
            found.append(part)
            continue
        leads_to, shown = os.readlink(path), "/".join([*found, part])
        followed += 1
        if leads_to.startswith("/") or followed > _MOST_LINKS or _leaves(found, leads_to):
            raise ContextError("%s is a link to %s, outside the repository" % (shown, leads_to))
        left = _parts(leads_to) + left
    return os.path.join(root, *found)


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def _leaves(found: list[str], link: str) -> bool:
    depth = len(found)
    for part in _parts(link):
        depth += -1 if part == ".." else 1
        if depth < 0:
            return True
    return False
