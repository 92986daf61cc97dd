# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which run of its program a Redis is: a restart inside a container leaves no trace in the engine. Runs on the targets.

The server is asked from the machine, at its container's own address: no engine call, and no process in a container that
may be another environment's. Its password is read where the deployment left it, and said to that address only. Nothing
of the server's data is read or changed.
"""

from __future__ import annotations

import os
import re
import socket
import stat
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..docker.labels import PREFIX
from ..probe.program import speak_redis

#: Where a container of the default stack finds the file with its password.
PASSWORD = "/usr/local/etc/redis"

_PORT = 6379

#: Bounds: servers that are asked, at once, and seconds for each word of the first and of the second attempt.
MOST, _PARALLEL, _LIMITS = 64, 16, (0.5, 2.0)

_RUN = re.compile(rb"^run_id:([0-9a-f]{40})\r?$", re.MULTILINE)


def runs(containers: Iterable[dict[str, Any]]) -> dict[str, str]:
    """The run ids of environments' Redis servers by container id; without those that cannot be asked."""
    asked = [
        container
        for container in containers
        if container["running"] and PREFIX in container["labels"] and _is_redis(container)
    ][:MOST]
    if not asked:
        return {}
    with ThreadPoolExecutor(_PARALLEL) as pool:
        found = dict(pool.map(lambda each: (each["id"], _run_of(each)), asked))
    return {identity: run for identity, run in found.items() if run}


def _is_redis(container: dict[str, Any]) -> bool:
    return _PORT in container["exposed"] or any(mount[0] == PASSWORD for mount in container["mounts"])


def _run_of(container: dict[str, Any]) -> str:
    """A run id; empty where the server is not reached from here, or wants a password that we do not have."""
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
    """The run id of the Redis at an address; empty where it does not say."""
    with socket.create_connection(address, limit) as sock:
        if not speak_redis(sock, {"password": password}):
            return ""
        sock.sendall(b"INFO server\r\n")
        said = b""
        while len(said) < 65536 and not _RUN.search(said):
            piece = sock.recv(4096)
            if not piece:
                break
            said += piece
        found = _RUN.search(said)
    return found.group(1).decode() if found else ""


def _password(folder: str) -> str:
    """What the file ``password`` holds in a folder that its environment's owner can write: no link is followed,
    so that root reads nothing else there."""
    if not folder or os.path.realpath(folder) != folder:
        return ""
    try:
        handle = os.open(os.path.join(folder, "password"), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return ""
    try:
        content = os.read(handle, 4096) if stat.S_ISREG(os.fstat(handle).st_mode) else b""
    finally:
        os.close(handle)
    return content.rstrip(b"\n").decode("utf-8", "replace")
