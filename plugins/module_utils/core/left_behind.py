# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What modules leave on disk where they do not come through standard input: their own files, with all arguments.

With pipelining there is no such file. Without it a module removes its file as soon as it runs, so that one that is
killed leaves none, and removes those of runs that were killed before they got that far. Runs on the targets.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import stat
import time
from collections.abc import Iterator

from .process import home_directory

#: What every packed module of this collection contains.
_SIGNATURE = b"ansible_collections.aiia.bulkhead.plugins.modules."
_MODULE = re.compile(r"AnsiballZ_[a-z_]+\.py\Z")
_FOLDER = re.compile(r"ansible-tmp-[0-9.]+-[0-9]+-[0-9]+\Z")

#: Seconds after which a module's file that still exists is no longer one that is about to run.
_AGE = 300

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


def own_file() -> str:
    """The file from which this module runs; empty if it came through standard input."""
    try:
        with open("/proc/self/cmdline", "rb") as stream:
            words = [os.fsdecode(word) for word in stream.read().split(b"\0")]
    except OSError:
        return ""
    return next((word for word in words if _is_module(word)), "")


def _is_module(path: str) -> bool:
    folder, name = os.path.split(path)
    return bool(_MODULE.match(name) and _FOLDER.match(os.path.basename(folder)))


def remove_own_file() -> None:
    """Remove the file from which this module runs: it is loaded. Its owner may be another user, who keeps it."""
    path = own_file()
    if path:
        with contextlib.suppress(OSError):
            os.unlink(path)


def remove_leftovers(remote_tmp: str) -> None:
    """Remove files of this collection's modules that killed runs left in Ansible's temporary directories here."""
    own = own_file()
    homes = [home_directory()]
    with contextlib.suppress(KeyError, ValueError):
        homes.append(pwd.getpwuid(int(os.environ["SUDO_UID"])).pw_dir)
    places = [os.path.dirname(os.path.dirname(own))] if own else []
    places += [remote_tmp.replace("~", home, 1) if remote_tmp.startswith("~/") else remote_tmp for home in homes]
    for place in sorted(set(places)):
        if os.path.isabs(place):
            _sweep(place)


def _sweep(place: str) -> None:
    with contextlib.suppress(OSError), _opened(place, _DIRECTORY) as parent:
        for name in os.listdir(parent):
            if _FOLDER.match(name):
                with contextlib.suppress(OSError), _opened(name, _DIRECTORY, parent) as folder:
                    if _sweep_folder(folder):
                        os.rmdir(name, dir_fd=parent)  # does nothing if something else is in it


def _sweep_folder(folder: int) -> bool:
    """Remove modules of ours from one temporary directory, by handles, as its owner could put links there. Returns
    whether there were any."""
    removed = False
    for name in os.listdir(folder):
        if _MODULE.match(name):
            with _opened(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, folder) as handle:
                found = os.fstat(handle)
                is_old = time.time() - found.st_mtime > _AGE
                if is_old and stat.S_ISREG(found.st_mode) and _is_ours(handle):
                    os.unlink(name, dir_fd=folder)
                    removed = True
    return removed


def _is_ours(handle: int) -> bool:
    with os.fdopen(os.dup(handle), "rb") as stream:
        return any(_SIGNATURE in line for line in stream)


@contextlib.contextmanager
def _opened(path: str, flags: int, folder: int | None = None) -> Iterator[int]:
    handle = os.open(path, flags | os.O_CLOEXEC, dir_fd=folder)
    try:
        yield handle
    finally:
        os.close(handle)
