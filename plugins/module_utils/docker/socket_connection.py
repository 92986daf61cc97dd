# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""HTTP to an engine's socket. Runs on the targets."""

from __future__ import annotations

import http.client
import socket


class SocketConnection(http.client.HTTPConnection):
    """HTTP to the unix socket at a path, with a limit in seconds on each wait for an answer."""

    def __init__(self, path: str, limit: float) -> None:
        super().__init__("docker", timeout=limit)
        self._path = path
        self._limit = limit

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self._limit)
        self.sock.connect(self._path)
