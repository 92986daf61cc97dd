# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run ids of Redis servers: the engine does not see a restart inside a container. Runs on the targets.

Servers are asked from the machine, at their containers' addresses: without an engine call, and without starting a
process in another environment's container. A server's password is read from its deployment's file and sent only to that
address. No data is read or changed.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..core.directory import Tree
from ..core.errors import Failure
from ..docker.labels import PREFIX
from ..probe.program import speak_redis

#: Where the default stack mounts the directory with the password file.
PASSWORD = "/usr/local/etc/redis"

_PORT = 6379

#: Limits: servers to ask, how many at once, and seconds per exchange in the first and second attempt.
MOST, _PARALLEL, _LIMITS = 64, 16, (0.5, 2.0)

_RUN = re.compile(rb"^run_id:([0-9a-f]{40})\r?$", re.MULTILINE)


def runs(containers: Iterable[dict[str, Any]]) -> dict[str, str]:
    """The run ids of the environments' Redis servers by container id; unreachable ones are left out."""
    servers = [
        container
        for container in containers
        if container["running"] and PREFIX in container["labels"] and _is_redis(container)
    ][:MOST]
    if not servers:
        return {}
    with ThreadPoolExecutor(_PARALLEL) as pool:
        run_ids = dict(pool.map(lambda server: (server["id"], _run_of(server)), servers))
    return {identity: run for identity, run in run_ids.items() if run}


def _is_redis(container: dict[str, Any]) -> bool:
    return _PORT in container["exposed"] or any(mount[0] == PASSWORD for mount in container["mounts"])


def _run_of(container: dict[str, Any]) -> str:
    """A server's run id; empty if it is unreachable, or wants a password that we do not have."""
    password = next((_password(mount[2]) for mount in container["mounts"] if mount[0] == PASSWORD), "")
    addresses = [network["address"] for network in container["networks"].values() if network["address"]]
    for limit in _LIMITS:
        for address in addresses:
            try:
                return ask((address, _PORT), password, limit)
            except ConnectionRefusedError:
                return ""
            except OSError:
                continue
    return ""


def ask(address: tuple[str, int], password: str, limit: float) -> str:
    """The run id of the Redis at an address; empty if it does not answer with one. Raises OSError."""
    with socket.create_connection(address, limit) as sock:
        if not speak_redis(sock, {"password": password}):
            return ""
        sock.sendall(b"INFO server\r\n")
        answer = b""
        while len(answer) < 65536 and not _RUN.search(answer):
            piece = sock.recv(4096)
            if not piece:
                break
            answer += piece
        match = _RUN.search(answer)
    return match.group(1).decode() if match else ""


def _password(folder: str) -> str:
    """The content of the file ``password`` in a folder. No link of the folder's owner is followed: he could otherwise
    make root read any file."""
    if not folder or os.path.realpath(folder) != folder:
        return ""
    try:
        content = Tree(folder).read("password") or b""
    except Failure:
        return ""
    return content.rstrip(b"\n").decode("utf-8", "replace")
