# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A mount of the sockets' directory in which the kernel follows no link.

Whoever can write an environment's directory could otherwise lay a link there to another's socket, or to the admin
socket, and the door would follow it. The engine's bind mount keeps the flag. Runs on the targets.
"""

from __future__ import annotations

import ctypes
import os
import stat

from ..core.directory import DesiredFile, Tree
from ..core.errors import last_lines
from ..docker.engine import Engine
from ..host.firewall_boot import SYSTEMD, UNITS
from ..host.mounts import options_of
from . import places
from .routes import DoorError

_SCRIPTS = "/etc/bulkhead/edge"
_BIND, _REMOUNT = 4096, 32
_NO_SUID, _NO_DEVICES, _NO_PROGRAMS, _NO_LINKS = 2, 4, 8, 256

#: What runs when the machine starts, before the engine: /run is empty then, and mounts are gone.
_SCRIPT = """#!/usr/bin/env python3
# Written by Bulkhead; changes made here are lost.
import ctypes
import os

BASE, ROUTES = %r, %r
os.makedirs(BASE, mode=0o711, exist_ok=True)
for name in os.listdir(ROUTES) if os.path.isdir(ROUTES) else ():
    if name.endswith(".json") and "/" not in name:
        os.makedirs(os.path.join(BASE, name[:-5]), mode=0o711, exist_ok=True)
libc = ctypes.CDLL(None, use_errno=True)
with open("/proc/self/mountinfo", errors="surrogateescape") as stream:
    mounted = [line.split(" ")[5] for line in stream if line.split(" ")[4] == %r]
steps = ((BASE.encode(), %d), (b"none", %d))
for source, flags in () if "nosymfollow" in "".join(mounted[-1:]) else steps:
    if libc.mount(source, BASE.encode(), None, ctypes.c_ulong(flags), None):
        raise OSError(ctypes.get_errno(), "cannot mount " + BASE)
"""

_UNIT = """# Written by Bulkhead; changes made here are lost.
[Unit]
Description=Sockets of the front door
RequiresMountsFor="%s"
Before=docker.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/env python3 "%s"

[Install]
WantedBy=multi-user.target docker.service
"""

_STRICT = _REMOUNT | _BIND | _NO_LINKS | _NO_SUID | _NO_DEVICES | _NO_PROGRAMS


def is_mounted(base: str) -> bool:
    """Whether the last mount on a directory follows no link."""
    return "nosymfollow" in options_of(base)


def mount(base: str) -> None:
    """Mount a directory onto itself so that no link in it is followed. Raises DoorError."""
    Tree(os.path.dirname(base), inner=0o711).make_directory(os.path.basename(base))
    if is_mounted(base):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    for source, flags in ((base.encode(), _BIND), (b"none", _STRICT)):
        if libc.mount(source, base.encode(), None, ctypes.c_ulong(flags), None):
            raise DoorError(
                "%s cannot be mounted without following links (%s): a link there could lead to another environment's "
                "socket. The front door needs root and Linux 5.10 or later" % (base, os.strerror(ctypes.get_errno()))
            )
    if not is_mounted(base):
        raise DoorError("the kernel follows links in %s all the same. The front door needs Linux 5.10 or later" % base)


def make_directory(directory: str) -> None:
    """Make a directory of an environment's sockets, which only root can write and the front door can enter. Raises
    DoorError where something else is there."""
    os.makedirs(directory, 0o711, exist_ok=True)
    if not stat.S_ISDIR(os.lstat(directory).st_mode):
        raise DoorError("%s is not a directory: remove it" % directory)
    os.chmod(directory, 0o711)


def boot_files(state: str) -> tuple[str, str]:
    """The script and the unit of systemd that make the sockets' directory of a state directory's door."""
    name = places.project(state).replace("_", "-")
    return os.path.join(_SCRIPTS, "%s.py" % name), os.path.join(UNITS, "bulkhead-%s.service" % name)


def keep_over_a_boot(engine: Engine, state: str) -> bool:
    """Have systemd make the directories and the mount before the engine starts; whether anything changed.

    Without systemd nothing is written, and the door refuses to start on a directory that follows links.
    """
    if not os.path.isdir(SYSTEMD):
        return False
    base = places.sockets(state)
    script, unit = boot_files(state)
    text = _SCRIPT % (base, places.routes(state), _escaped(base), _BIND, _STRICT)
    files = {
        _SCRIPTS: DesiredFile(os.path.basename(script), text.encode(), 0o700),
        UNITS: DesiredFile(os.path.basename(unit), (_UNIT % (state.replace("%", "%%"), script)).encode(), 0o644),
    }
    different = {folder: file for folder, file in files.items() if Tree(folder).differs(file)}
    for folder, file in different.items():
        Tree(folder).make_directory()
        Tree(folder).write(file)
    if different:
        for command in (["daemon-reload"], ["enable", files[UNITS].path]):
            code, output, errors = engine.tool("systemctl", *command)
            if code != 0:
                raise DoorError("systemctl %s failed" % " ".join(command), last_lines(errors or output))
    return bool(different)


def _escaped(path: str) -> str:
    """A path as the kernel writes it in its table of mounts."""
    return "".join("\\%03o" % ord(letter) if letter in " \t\n\\#" else letter for letter in path)
