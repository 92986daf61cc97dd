# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The program that probes from inside a container's network. It runs as source text: one file, standard library only.

It reads one JSON object: ``own`` (an address that this network must have), ``resolve`` (names), ``connect`` (addresses
and ports, of an overlay with its subnet) and ``timeout``. It writes which names resolved, which addresses accept
connections time and again, and which servers let in a client that has no password. It has no secret and sends none:
anything may listen at an address.
"""

from __future__ import annotations

import ipaddress
import json
import random
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import compress
from typing import Any

PARALLEL = 16

#: The total time limit in seconds, after which nothing more is tried.
LIMIT = 45.0

#: Seconds until what accepted a connection is asked again. Whenever anyone makes a network, Docker deletes the jump to
#: the rules that isolate networks and inserts it again: for a moment, everything connects.
AGAIN = (0.5, 1.0)

#: A PostgreSQL answers a start message with ``R``, and with method 0 if it wants no password.
_PROTOCOL, _AUTH_OK = 196608, 0


class Asker:
    """Answers the questions in ``ask``, with a time limit on each and one on all of them."""

    def __init__(self, ask: dict[str, Any]) -> None:
        self.ask = ask
        self.timeout = float(ask["timeout"])
        self.end = time.monotonic() + LIMIT

    def answer(self) -> dict[str, Any]:
        """The names ``resolved``, targets ``connected``, servers ``entered``, and whether time ran out (``late``)."""
        if not has_address(self.ask.get("own", "")):
            return {"error": "this is not the network of that container"}
        # Each kind has workers of its own: what is isolated takes all of its time to give no answer.
        with ThreadPoolExecutor(PARALLEL) as names, ThreadPoolExecutor(PARALLEL) as addresses:
            resolving = _positive(names, self.resolves, self.ask["resolve"])
            connecting = _positive(addresses, self.connects, self.ask["connect"])
            resolved, connected = list(resolving), list(connecting)
            for pause in AGAIN if connected else ():
                time.sleep(pause)
                connected = list(_positive(addresses, self.still_connects, connected))
            entered = list(_positive(addresses, self.lets_in, connected))
        reached, open_to_all = ([target[:2] for target in found] for found in (connected, entered))
        return {"resolved": resolved, "connected": reached, "entered": open_to_all, "late": self._is_late()}

    def _is_late(self) -> bool:
        return time.monotonic() > self.end

    def resolves(self, name: str) -> bool:
        """Whether the engine's name server resolves a name in this network."""
        if self._is_late():
            return False
        query = struct.pack(">HHHHHH", random.randrange(65536), 256, 1, 0, 0, 0)
        query += b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(self.timeout)
            try:
                sock.sendto(query + struct.pack(">HH", 1, 1), ("127.0.0.11", 53))
                reply = sock.recv(4096)
            except OSError:
                return False
        return len(reply) > 8 and struct.unpack(">H", reply[6:8])[0] > 0 and reply[3] & 15 == 0

    def connects(self, target: list[Any]) -> bool:
        """Whether a connection is accepted."""
        if self._is_late():
            return False
        try:
            self._connection(target).close()
            return True
        except OSError:
            return False

    def still_connects(self, target: list[Any]) -> bool:
        """Whether what accepted a connection accepts another one, or has no time left to be asked."""
        return self._is_late() or self.connects(target)

    def _connection(self, target: list[Any]) -> socket.socket:
        """A connection to a target. Raises OSError also where it is one of an overlay and this network is not on that:
        what answers then is another host, to which the machine's own network led."""
        sock = socket.create_connection((target[0], target[1]), self.timeout)
        if len(target) > 2 and not is_within(sock.getsockname()[0], target[2]):
            sock.close()
            raise OSError("another network led there")
        return sock

    def lets_in(self, target: list[Any]) -> bool:
        """Whether a PostgreSQL or Redis is there that wants no password."""
        for is_open in (is_open_postgresql, is_open_redis):
            if self._is_late():
                return False
            try:
                with self._connection(target) as sock:
                    if is_open(sock):
                        return True
            except (OSError, ValueError, struct.error):
                continue
        return False


def _positive(pool: ThreadPoolExecutor, check: Callable[[Any], bool], items: list[Any]) -> Iterator[Any]:
    """The items of which a check is true, in their order. All checks begin at once."""
    return compress(items, pool.map(check, items))


def has_address(own: str) -> bool:
    """Whether this network has the address ``own``: the process id could be another machine's."""
    if not own:
        return True
    family = socket.AF_INET6 if ":" in own else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        try:
            sock.bind((own, 0))
            return True
        except OSError:
            return False


def is_within(address: str, subnet: str) -> bool:
    """Whether an address is one of a subnet."""
    return ipaddress.ip_address(address.partition("%")[0]) in ipaddress.ip_network(subnet, strict=False)


def is_open_redis(sock: socket.socket) -> bool:
    """Whether a Redis answers a client that has not authenticated."""
    sock.sendall(b"PING\r\n")
    return sock.recv(200).startswith(b"+PONG")


def is_open_postgresql(sock: socket.socket) -> bool:
    """Whether a PostgreSQL lets in a client without asking for a password. The exchange ends at its first answer."""
    body = struct.pack(">I", _PROTOCOL) + b"user\0postgres\0database\0postgres\0\0"
    sock.sendall(struct.pack(">I", len(body) + 4) + body)
    kind, _length, method = struct.unpack(">cII", _exactly(sock, 9))
    return bool(kind == b"R" and method == _AUTH_OK)


def _exactly(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = sock.recv(count - len(data))
        if not piece:
            raise ValueError("the connection ended")
        data += piece
    return data


def main() -> None:
    """Read the questions from standard input and write the answers to standard output."""
    sys.stdout.write(json.dumps(Asker(json.load(sys.stdin)).answer()) + "\n")


if __name__ == "__main__":
    main()
