# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ask a running HAProxy through its admin socket. Runs on the targets."""

from __future__ import annotations

import os
import socket
import stat
import time

from ..core import handles
from . import places
from .routes import DoorError

_PATIENCE = 10.0
#: Seconds until a door that was killed is given up: the engine starts it again within one.
RETURN = 5.0
#: Bytes of the longest answer: a map of thousands of domains has less than one MB.
_LONGEST = 16 << 20


class DoorAway(DoorError):
    """Nobody answers at the admin socket, or not to the end: what was asked for may be done, or not."""


def ask(state: str, *commands: str, wait: float = 0.0) -> str:
    """The answer to commands. A door that starts is waited for, up to ``wait`` seconds, and one that is killed while it
    is only asked. Raises DoorAway."""
    for command in commands:
        if ";" in command or "\n" in command or "\\" in command:
            raise DoorError("%r is no single command" % command)
    deadline = time.monotonic() + wait
    while True:
        try:
            return _exchange(state, ";".join(commands) + "\n")
        except OSError as error:
            unheard = isinstance(error, (ConnectionRefusedError, FileNotFoundError))
            if (unheard or all(command.startswith("show ") for command in commands)) and time.monotonic() < deadline:
                time.sleep(0.1)
                continue
            raise DoorAway(
                "the front door does not answer at its admin socket %s (%s). Run the playbook aiia.bulkhead.edge on "
                "this machine" % (places.admin_socket(state), error.strerror or error)
            ) from error


def _exchange(state: str, line: str) -> str:
    deadline = time.monotonic() + _PATIENCE
    with handles.folder(places.run(state), ours=True) as folder:
        name = os.path.basename(places.admin_socket(state))
        status = handles.status_at(folder, name)
        if status is None or not stat.S_ISSOCK(status.st_mode):
            raise FileNotFoundError(2, "there is no socket")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_PATIENCE)
            connection.connect("/proc/self/fd/%d/%s" % (folder, name))  # by the handle: a path has 107 bytes at most
            connection.sendall(line.encode())
            answer = b""
            while True:
                part = connection.recv(1 << 16)
                if not part:
                    # An answer ends with an empty line: one of a door that is killed meanwhile does not.
                    if not ("\n" + answer.decode(errors="replace")).endswith("\n\n"):
                        raise ConnectionResetError(104, "its answer breaks off")
                    return answer.decode(errors="replace")
                answer += part
                if len(answer) > _LONGEST or time.monotonic() > deadline:
                    raise TimeoutError(110, "its answer does not end")
