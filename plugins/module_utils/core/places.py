# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Places of a machine that root must not read for an environment, whatever the file. Runs on the targets."""

from __future__ import annotations

import os

from . import handles
from .owner import is_below

#: Places that belong to the machine alone.
_MACHINES = ("/root", "/etc/ssh", "/proc", "/sys", "/dev")
#: Directories in which people and programs keep keys, wherever they are.
_KEYS = frozenset({".ssh", ".gnupg", ".aws", ".config", ".docker", ".kube"})


def private_place(path: str, uid: int) -> str:
    """Why root must not read a file for an environment whose owner is ``uid`` (-1: root); empty if it may.

    ``path`` is a real path. A directory on the way that belongs to another user is that user's home, or one in which
    they could exchange the file.
    """
    for place in _MACHINES:
        if is_below(path, place):
            return "it lies in %s, which is the machine's own" % place
    steps = path.split(os.sep)
    for name in steps:
        if name in _KEYS:
            return "it is in the directory %s, which holds one user's own keys" % name
    for depth in range(2, len(steps)):
        step = os.sep.join(steps[:depth])
        try:
            holder = os.lstat(step).st_uid
        except OSError:
            return ""  # then there is no such file either
        if holder not in (0, os.geteuid(), uid):
            return "%s belongs to %s, who is neither root nor bulkhead_owner" % (step, handles.user_name(holder))
    return ""
