# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The program that probes from inside a container's network. It runs as source text: one file, standard library only.

It reads one JSON object: ``own`` (an address that this network must have), ``resolve`` (names), ``connect`` (addresses
and ports), ``credentials`` and ``timeout``. It writes which names resolved, which addresses accepted a connection, and
which servers granted access.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import random
import re
import socket
import struct
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

PARALLEL = 16

#: The total time limit in seconds, after which nothing more is tried.
LIMIT = 45.0

_SSL_REQUEST = struct.pack(">II", 8, 80877103)
_PROTOCOL = 196608
_AUTH_OK, _AUTH_MD5, _AUTH_SASL, _AUTH_CONTINUE, _AUTH_FINAL = 0, 5, 10, 11, 12


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
        with ThreadPoolExecutor(PARALLEL) as pool:

            def positive(check: Callable[[Any], Any], items: list[Any]) -> list[tuple[Any, Any]]:
                futures = [(item, pool.submit(check, item)) for item in items]
                results = [(item, future.result()) for item, future in futures]
                return [(item, result) for item, result in results if result]

            resolved = [name for name, _yes in positive(self.resolves, self.ask["resolve"])]
            connected = [target for target, _yes in positive(self.connects, self.ask["connect"])]
            entered = [[*target, access] for target, access in positive(self.lets_in, connected)]
        late = time.monotonic() > self.end
        return {"resolved": resolved, "connected": connected, "entered": entered, "late": late}

    def resolves(self, name: str) -> bool:
        """Whether the engine's name server resolves a name in this network."""
        if time.monotonic() > self.end:
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
        if time.monotonic() > self.end:
            return False
        try:
            self._connection(target).close()
            return True
        except OSError:
            return False

    def _connection(self, target: list[Any]) -> socket.socket:
        return socket.create_connection((target[0], target[1]), self.timeout)

    def lets_in(self, target: list[Any]) -> str:
        """``open`` if a PostgreSQL or Redis requires no credentials, ``accepts`` if it accepts ours, else empty."""
        credentials = self.ask.get("credentials") or {}
        for speak, kind in ((speak_postgresql, "postgresql"), (speak_redis, "redis")):
            if time.monotonic() > self.end:
                return ""
            try:
                with self._connection(target) as sock:
                    access = speak(sock, credentials.get(kind) or {})
            except (OSError, ValueError, struct.error, IndexError):
                continue
            if access is not None:
                return access
        return ""


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


def speak_redis(sock: socket.socket, credentials: dict[str, Any]) -> str | None:
    """How a Redis grants access (see :meth:`Asker.lets_in`); None if the server is not a Redis."""
    sock.sendall(b"PING\r\n")
    reply = sock.recv(200)
    if reply.startswith(b"+PONG"):
        return "open"
    if not reply.startswith(b"-NOAUTH"):
        return None
    password = str(credentials.get("password") or "").encode()
    if not password:
        return ""
    sock.sendall(b"*2\r\n$4\r\nAUTH\r\n$%d\r\n%s\r\n" % (len(password), password))
    return "accepts" if sock.recv(200).startswith(b"+OK") else ""


def speak_postgresql(sock: socket.socket, credentials: dict[str, Any]) -> str | None:
    """How a PostgreSQL grants access (see :meth:`Asker.lets_in`); None if the server is not a PostgreSQL.

    The password is never sent in clear text.
    """
    sock.sendall(_SSL_REQUEST)
    if sock.recv(1) != b"N":
        return None
    user, password = str(credentials.get("user") or "postgres"), str(credentials.get("password") or "")
    sock.sendall(_start(user, str(credentials.get("database") or user)))
    kind, body = _message(sock)
    if kind != b"R":
        return ""
    (method,) = struct.unpack(">I", body[:4])
    if method == _AUTH_OK:
        return "open"
    if not password:
        return ""
    if method == _AUTH_MD5:
        inner = hashlib.md5((password + user).encode()).hexdigest()
        _send(sock, b"p", b"md5" + hashlib.md5(inner.encode() + body[4:8]).hexdigest().encode() + b"\0")
    elif method == _AUTH_SASL and b"SCRAM-SHA-256\0" in body:
        if not _scram(sock, password):
            return ""
    else:
        return ""
    kind, body = _message(sock)
    return "accepts" if kind == b"R" and struct.unpack(">I", body[:4])[0] == _AUTH_OK else ""


def _start(user: str, database: str) -> bytes:
    body = struct.pack(">I", _PROTOCOL)
    for word in ("user", user, "database", database):
        body += word.encode() + b"\0"
    return struct.pack(">I", len(body) + 5) + body + b"\0"


def _send(sock: socket.socket, kind: bytes, body: bytes) -> None:
    sock.sendall(kind + struct.pack(">I", len(body) + 4) + body)


def _message(sock: socket.socket) -> tuple[bytes, bytes]:
    head = _exactly(sock, 5)
    return head[:1], _exactly(sock, min(struct.unpack(">I", head[1:])[0] - 4, 65536))


def _exactly(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = sock.recv(count - len(data))
        if not piece:
            raise ValueError("the connection ended")
        data += piece
    return data


def _scram(sock: socket.socket, password: str) -> bool:
    """Authenticate by SCRAM-SHA-256 (RFC 7677), which does not reveal the password to a server that lacks it."""
    nonce = base64.b64encode(os.urandom(18)).decode()
    first = "n=,r=" + nonce
    opening = ("n,," + first).encode()
    _send(sock, b"p", b"SCRAM-SHA-256\0" + struct.pack(">I", len(opening)) + opening)
    kind, body = _message(sock)
    if kind != b"R" or struct.unpack(">I", body[:4])[0] != _AUTH_CONTINUE:
        return False
    challenge = body[4:].decode()
    match = re.match(r"r=([^,]*),s=([^,]*),i=(\d+)", challenge)
    if match is None or not match.group(1).startswith(nonce) or int(match.group(3)) > 100_000:
        return False
    server_nonce, salt, rounds = match.group(1), base64.b64decode(match.group(2)), int(match.group(3))
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, rounds)
    last = "c=biws,r=" + server_nonce
    key = hmac.new(salted, b"Client Key", "sha256").digest()
    signed = ",".join((first, challenge, last)).encode()
    signature = hmac.new(hashlib.sha256(key).digest(), signed, "sha256").digest()
    proof = (int.from_bytes(key, "big") ^ int.from_bytes(signature, "big")).to_bytes(len(key), "big")
    _send(sock, b"p", (last + ",p=" + base64.b64encode(proof).decode()).encode())
    kind, body = _message(sock)
    return kind == b"R" and struct.unpack(">I", body[:4])[0] == _AUTH_FINAL


def main() -> None:
    """Read the questions from standard input and write the answers to standard output."""
    sys.stdout.write(json.dumps(Asker(json.load(sys.stdin)).answer()) + "\n")


if __name__ == "__main__":
    main()
