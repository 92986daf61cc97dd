# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read from the engine's socket what Docker's client would read from it. Runs on the targets.

Starting the client takes 35 ms, the engine's answer 1 ms, and a deployment looks a hundred times. Only commands that
change nothing are known here, word for word. Everything else is left to the client, and so is every answer that is not
as expected: what an error means is then in the client's words.
"""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

#: Engine 25, the oldest supported one, speaks this version of its interface, and no later one has dropped it.
INTERFACE = "/v1.44"

UNIX = "unix://"

#: Where an object is inspected.
_KINDS = {
    "container": "/containers/%s/json",
    "image": "/images/%s/json",
    "network": "/networks/%s",
    "volume": "/volumes/%s",
}

#: What is listed: the command, and the path.
_LISTS: dict[tuple[str, ...], str] = {
    ("ps", "--all", "--quiet", "--no-trunc"): "/containers/json?all=1",
    ("ps", "--quiet", "--no-trunc"): "/containers/json?all=0",
    ("network", "ls", "--quiet"): "/networks?",
    ("volume", "ls", "--quiet"): "/volumes?",
    ("image", "ls", "--quiet"): "/images/json?",
}

_INFO = ("info", "--format", "{{json .}}")
_VERSION = ("version", "--format", "{{.Server.Version}}")


def read(docker_host: str, command: Sequence[str]) -> tuple[int, str, str] | None:
    """What ``docker command`` would answer: (exit code, output, errors). None where the client has to be asked."""
    if not docker_host.startswith(UNIX):
        return None
    address = docker_host[len(UNIX) :]
    try:
        return _read(address, tuple(command))
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _read(address: str, command: tuple[str, ...]) -> tuple[int, str, str] | None:
    if command[1:2] == ("inspect",) and command[0] in _KINDS:
        return _inspected(address, _KINDS[command[0]], command[2:])
    if command == _INFO:
        return 0, json.dumps(_found(address, "/info")), ""
    if command == _VERSION:
        return 0, _found(address, "/version")["Version"] + "\n", ""
    for listing, path in _LISTS.items():
        if command[: len(listing)] == listing:
            return 0, _listed(_found(address, path + _labels(command[len(listing) :]))), ""
    return None


def await_change(docker_host: str, label: str, since: float, seconds: float) -> None:
    """Wait until a container with a label ends or its health changes, ``seconds`` at most.

    A change after ``since``, in seconds since the epoch, ends the wait at once. Where the engine cannot be asked, the
    wait takes all its time.
    """
    deadline = time.monotonic() + seconds
    filters = {"type": ["container"], "event": ["health_status", "die"], "label": [label]}
    path = "/events?since=%.6f&filters=%s" % (since, quote(json.dumps(filters)))
    with contextlib.suppress(OSError, ValueError, LookupError):
        if docker_host.startswith(UNIX) and _begins_to_tell(docker_host[len(UNIX) :], path, deadline):
            return
    time.sleep(max(0.0, deadline - time.monotonic()))


def _begins_to_tell(address: str, path: str, deadline: float) -> bool:
    """Whether an answer without an end has its first content before the deadline; raises OSError after it."""
    said = b""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        _request(link, address, path)
        while not said.partition(b"\r\n\r\n")[2]:
            link.settimeout(max(0.001, deadline - time.monotonic()))
            piece = link.recv(1 << 16)
            if not piece:
                return False
            said += piece
    return said.split(b" ", 2)[1] == b"200"


def _listed(said: Any) -> str:
    """The names of a listing, one a line. Raises LookupError or TypeError where it is none."""
    objects = said if isinstance(said, list) else said["Volumes"] or []
    return "".join("%s\n" % (one["Id"] if "Id" in one else one["Name"]) for one in objects)


def _inspected(address: str, place: str, names: tuple[str, ...]) -> tuple[int, str, str] | None:
    if not names or not all(names) or any(name.startswith("-") for name in names):
        return None
    asked = [_ask(address, place % quote(name, safe="/:@")) for name in names]
    missing = [str(said["message"]) for status, said in asked if status != 200]
    found = json.dumps([said for status, said in asked if status == 200])
    return int(bool(missing)), found, "\n".join("Error response from daemon: %s" % message for message in missing)


def _labels(options: tuple[str, ...]) -> str:
    """The filters of a listing as the interface takes them. Raises ValueError for any other option."""
    if not options:
        return ""
    if len(options) % 2 or set(options[::2]) != {"--filter"} or any(value[:6] != "label=" for value in options[1::2]):
        raise ValueError(options)
    return "&filters=%s" % quote(json.dumps({"label": [value[6:] for value in options[1::2]]}))


def _found(address: str, path: str) -> Any:
    status, said = _ask(address, path)
    if status != 200:
        raise ValueError(said)
    return said


def _ask(address: str, path: str) -> tuple[int, Any]:
    """Ask once. Returns the status, 200 or 404, and the answer; raises ValueError for any other, OSError without one.

    With version 1.0 of the protocol the engine sends its answer in one piece and closes the connection. Importing
    ``http.client`` takes 11 ms, and every module of a deployment would do so (``socket_connection.py`` is for a few).
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        _request(link, address, path)
        with link.makefile("rb") as stream:
            head, _gap, body = stream.read().partition(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    if status not in (200, 404):
        raise ValueError(status)
    return status, json.loads(body.decode())


def _request(link: socket.socket, address: str, path: str) -> None:
    link.connect(address)
    link.sendall(("GET %s%s HTTP/1.0\r\nHost: docker\r\n\r\n" % (INTERFACE, path)).encode())
