# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The user of the machine who owns an environment's directory: what is made for them, and what must be theirs.

Runs on the targets: Python 3.8, standard library only.
"""

from __future__ import annotations

import os
import pwd

from . import handles


class Owner:
    """``bulkhead_owner``, as far as this process can write files for them: ``uid`` and ``gid`` are -1 otherwise."""

    def __init__(self, name: str, directory: str) -> None:
        self.uid = self.gid = -1
        self._home = os.sep
        self._directory = os.path.abspath(directory)
        if not name:
            return
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            raise handles.TreeError(
                "bulkhead_owner is %s, but this machine has no such user. Create it, or set bulkhead_owner to the "
                "user who should own %s" % (name, directory)
            ) from None
        if os.getuid() == 0:
            self.uid, self.gid = entry.pw_uid, entry.pw_gid
            self._home = os.path.abspath(entry.pw_dir or os.sep)
        elif entry.pw_uid != os.getuid():
            raise handles.TreeError(
                "only root can write files for %s, but this runs as %s. Connect as %s, or set ansible_become: true"
                % (name, handles.user_name(os.getuid()), name)
            )

    def for_new(self, path: str) -> tuple[int, int]:
        """User and group of a directory that is made; -1 is this process's.

        Parents of the environment's directory are root's, because whoever owns one prepares what others find in it. In
        the owner's own home they are the owner's.
        """
        at_home = is_below(path, self._home) and self._home != os.sep and self._has_home()
        return (self.uid, self.gid) if at_home or is_below(path, self._directory) else (-1, -1)

    def _has_home(self) -> bool:
        parent, name = os.path.split(self._home)
        try:
            with handles.folder(parent) as handle:
                found = handles.status_at(handle, name)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return bool(found and found.st_uid == self.uid)

    def refuse_others(self, path: str, uid: int) -> None:
        """Raise TreeError where what holds the environment's files belongs to neither root nor the owner."""
        if self.uid != -1 and uid not in (0, os.geteuid(), self.uid):
            owner, other = handles.user_name(self.uid), handles.user_name(uid)
            raise handles.TreeError(
                "%s belongs to %s, and bulkhead_owner is %s: %s could exchange what is written there. Give it to its "
                "owner (chown -R %s: %s), or correct bulkhead_owner or bulkhead_directory"
                % (path, other, owner, other, owner, self._directory)
            )


def is_below(path: str, directory: str) -> bool:
    """Whether a path is a directory or below it, by components."""
    return (path + os.sep).startswith(os.path.join(directory, ""))
