# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A server that misbehaves as often as it is told to: what the load generator is proved with."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import wsproto
from load import Pace
from wire import Peer
from wsproto import events

DOMAIN = "load.example"
NAME = "aiia_test"
#: A timeout that any machine keeps, whatever else it has to do; and a short one, for silence that is waited for.
QUICK = Pace(rate=80, timeout=20, slow=0.1, echo=0.02)
SILENCE = 4.0


@dataclass
class Call:
    """One request as the server sees it."""

    method: str
    path: str
    body: bytes
    reused: bool
    writer: asyncio.StreamWriter

    @property
    def websocket(self) -> bool:
        return self.path.startswith("/ws/")

    @property
    def posts(self) -> bool:
        return self.method == "POST"


@dataclass
class Server:
    """The demo's application in small, with faults: `fault` befalls the next `left` requests that it fits, and `then`
    is the one after it."""

    fault: str = ""
    left: int = 0
    then: tuple[str, int] = ("", 0)
    rows: Counter[str] = field(default_factory=Counter)
    port: int = 0
    loop: asyncio.AbstractEventLoop | None = None

    def befalls(self, call: Call) -> str:
        """The fault of this request, if it is to have one."""
        where = self.fault.partition(": ")[0]
        fits = {
            "new": not call.reused and not call.websocket,
            "reused": call.reused,
            "any": not call.websocket,
            "post": call.posts,
            "reused post": call.posts and call.reused,
            "opening": call.websocket,
            "websocket": False,  # befalls a text, not the handshake
        }
        return self.strike() if self.left and fits.get(where) else ""

    def strike(self) -> str:
        """What happens to one request now. The next fault is there before anybody can ask again."""
        what = self.fault.partition(": ")[2]
        if self.left > 1:
            self.left -= 1
        else:
            (self.fault, self.left), self.then = self.then, ("", 0)
        return what

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        reused = False
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                method, path, _version = head.split(b"\r\n")[0].decode().split()
                headers = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if line)
                body = await reader.readexactly(int(headers.get(b"content-length", 0)))
                call = Call(method, path, body, reused, writer)
                if not await self.answer(call, head, reader):
                    break
                reused = True
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def answer(self, call: Call, head: bytes, reader: asyncio.StreamReader) -> bool:
        """Answer one request; returns whether the connection goes on."""
        fault = self.befalls(call)
        if fault == "drop":
            return False
        if fault == "reset":
            reset(call.writer)
            return False
        if fault == "silent":
            await asyncio.sleep(SILENCE + 0.2)
            return False
        if call.websocket and not fault:
            await self.echo(head, reader, call.writer)
            return False
        status, text = 200, "{}"
        if call.path == "/whoami/":
            text = json.dumps({"commit": "c0ffee"})
        elif call.path.startswith("/slow/"):
            await asyncio.sleep(QUICK.slow)
            text = json.dumps({"slept": QUICK.slow})
        elif call.posts:
            status, text = 201, call.body.decode()
            if fault != "forget":
                self.rows[json.loads(text)["text"]] += 1
        if fault == "keep and drop":
            return False
        if fault == "502":
            status = 502
        if fault == "another note":
            text = json.dumps({"text": "another"})
        name = "aiia_other" if fault == "stranger" else NAME
        answer = f"HTTP/1.1 {status} x\r\nX-Environment: {name}\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode()
        call.writer.write(answer[:-1] if fault == "cut" else answer)
        await call.writer.drain()
        return not call.websocket and fault not in ("cut", "close afterwards")

    async def echo(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A websocket, until it is over or its fault befalls it."""
        protocol = wsproto.WSConnection(wsproto.ConnectionType.SERVER)
        protocol.receive_data(head)
        data = b""
        while True:
            for event in protocol.events():
                if isinstance(event, events.Request):
                    writer.write(protocol.send(events.AcceptConnection()))
                elif isinstance(event, events.CloseConnection):
                    return
                elif isinstance(event, events.TextMessage):
                    text = event.data
                    fault = self.strike() if self.left and self.fault.startswith("websocket: ") else ""
                    if fault == "end":
                        return
                    if fault == "reset":
                        reset(writer)
                        return
                    if fault.startswith("goodbye"):
                        writer.write(protocol.send(events.CloseConnection(code=int(fault.split()[1]))))
                        await writer.drain()
                        await reader.read(100)
                        return
                    if fault == "silent":
                        continue
                    writer.write(protocol.send(events.TextMessage(data="x" if fault == "another" else text)))
            if not (data := await reader.read(65536)):
                return
            protocol.receive_data(data)


def reset(writer: asyncio.StreamWriter) -> None:
    """End the connection with a TCP reset."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@contextmanager
def serving(certificate: Path) -> Iterator[tuple[Server, Peer]]:
    """The server in a thread of its own, and where it is."""
    made, ready, over = Server(), threading.Event(), threading.Event()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)

    async def run() -> None:
        server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=context)
        made.loop = asyncio.get_running_loop()
        made.port = server.sockets[0].getsockname()[1]
        ready.set()
        while not over.is_set():
            await asyncio.sleep(0.02)
        server.close()

    thread = threading.Thread(target=asyncio.run, args=(run(),), daemon=True)
    thread.start()
    assert ready.wait(60)
    try:
        yield made, Peer(NAME, made.port, DOMAIN, ssl.create_default_context(cafile=str(certificate)))
    finally:
        over.set()
        thread.join()
