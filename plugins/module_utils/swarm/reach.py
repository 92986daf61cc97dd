# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether machines reach each other at a swarm's ports, before any of them joins. Runs on the targets.

A machine that is not in a swarm yet listens there for a moment: a process of its own answers those, and only those,
that know the run's word. It ends when it is told to, or by itself.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import time
from collections.abc import Iterable
from typing import Any

#: Seconds after which a listener ends in any case.
LISTENING = 90.0
#: Seconds to wait for an answer, and between two datagrams: one may be lost.
_WAIT, _AGAIN = 3.0, 0.5

_END = b"end "


def listen(address: str, ports: Iterable[tuple[str, int]], word: str) -> list[str]:
    """Start to listen, in a process of its own. Returns the ports that somebody else holds, ``tcp/2377`` each."""
    held, sockets = [], []
    for protocol, port in ports:
        opened = _socket(address, protocol)
        if protocol == "tcp":
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            opened.bind((address, port))
            if protocol == "tcp":
                opened.listen(64)
        except OSError as error:
            opened.close()
            if error.errno != errno.EADDRINUSE:
                raise
            held.append("%s/%d" % (protocol, port))
            continue
        opened.setblocking(False)
        sockets.append(opened)
    if sockets:
        _detached(sockets, word.encode())
    for opened in sockets:
        opened.close()
    return held


def end(address: str, ports: Iterable[tuple[str, int]], word: str) -> None:
    """End this machine's own listener, and wait until its ports are free."""
    ports = list(ports)
    with _socket(address, "udp") as link:
        for protocol, port in ports:
            if protocol == "udp":
                with contextlib.suppress(OSError):
                    link.sendto(_END + word.encode(), (address, port))
    deadline = time.monotonic() + _WAIT
    while time.monotonic() < deadline and not all(_is_free(address, *each) for each in ports):
        time.sleep(0.05)


def reach(own: str, targets: Iterable[dict[str, Any]], word: str) -> list[dict[str, Any]]:
    """Try all ports of all targets at once, from the address ``own``.

    A target has an ``address``, and ``tcp`` and ``udp`` ports. Returns what gave no answer: ``address``, ``protocol``,
    ``port``, and ``how`` that was seen.
    """
    waiting: dict[socket.socket, tuple[str, str, int]] = {}
    lost: list[dict[str, Any]] = []

    def note(key: tuple[str, str, int], how: str) -> None:
        lost.append({"address": key[0], "protocol": key[1], "port": key[2], "how": how})

    for key in [
        (str(target["address"]), protocol, int(port))
        for target in targets
        for protocol in ("tcp", "udp")
        for port in target[protocol]
    ]:
        link = _socket(key[0], key[1])
        link.setblocking(False)
        with contextlib.suppress(OSError):
            link.bind((own, 0))
        code = link.connect_ex((key[0], key[2]))
        if code in (0, errno.EINPROGRESS):
            waiting[link] = key
        else:
            note(key, os.strerror(code))
            link.close()
    deadline = time.monotonic() + _WAIT
    again = 0.0
    while waiting and time.monotonic() < deadline:
        if time.monotonic() >= again:
            again = time.monotonic() + _AGAIN
            for link, key in waiting.items():
                if key[1] == "udp":
                    with contextlib.suppress(OSError):
                        link.send(word.encode())
        reading = [link for link, key in waiting.items() if key[1] == "udp"]
        writing = [link for link, key in waiting.items() if key[1] == "tcp"]
        readable, writable, _failed = select.select(reading, writing, [], 0.2)
        for link in [*readable, *writable]:
            key = waiting[link]
            code = link.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if key[1] == "udp" and not code:
                try:
                    if link.recv(100) != word.encode():
                        continue
                except OSError as error:
                    code = error.errno or errno.EIO
            if code:
                note(key, os.strerror(code))
            link.close()
            del waiting[link]
    for link, key in waiting.items():
        note(key, "no answer within %d s" % _WAIT)
        link.close()
    return sorted(lost, key=lambda each: (each["address"], each["protocol"], each["port"]))


def _socket(address: str, protocol: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.socket(family, socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM)


def _is_free(address: str, protocol: str, port: int) -> bool:
    with _socket(address, protocol) as probe:
        if protocol == "tcp":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


def _detached(sockets: list[socket.socket], word: bytes) -> None:
    """Answer on these sockets in a process that nobody waits for."""
    if os.fork():
        with contextlib.suppress(ChildProcessError):
            os.wait()
        return
    try:  # never back into Ansible's own code
        os.setsid()
        if not os.fork():
            nothing = os.open(os.devnull, os.O_RDWR)
            for number in (0, 1, 2):
                os.dup2(nothing, number)
            os.chdir("/")
            _answer(sockets, word)
    finally:
        os._exit(0)


def _answer(sockets: list[socket.socket], word: bytes) -> None:
    deadline = time.monotonic() + LISTENING
    while time.monotonic() < deadline:
        readable, _writable, _failed = select.select(sockets, [], [], 1.0)
        for opened in readable:
            try:
                if opened.type == socket.SOCK_STREAM:
                    opened.accept()[0].close()
                    continue
                said, sender = opened.recvfrom(200)
            except OSError:
                continue
            if said == _END + word:
                return
            # Nobody else gets an answer: it would be one that a forged sender can have sent to others.
            if said == word:
                with contextlib.suppress(OSError):
                    opened.sendto(word, sender)
